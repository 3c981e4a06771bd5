// The shape of the main providers' events, with invented contents. `%id`, `%type`, `%seconds`, `%millis`, `%date` and
// `%token` are filled in by `EventBody`.

extension EventBody {
    static let templates: [String: String] = [
        "github": gitHub, "github-sha1": gitHub, "gitea": gitHub, "gogs": gitHub,
        "gitlab":
            #"{"object_kind":"%type","event_name":"%type","ref":"refs/heads/main","checkout_sha":"%id","#
            + #""project":{"id":1,"path_with_namespace":"demo/shop"},"commits":[]}"#,
        "bitbucket-server":
            #"{"eventKey":"%type","date":"%date","actor":{"name":"demo"},"#
            + #""repository":{"slug":"shop","project":{"key":"DEMO"}},"changes":[]}"#,
        "stripe":
            #"{"id":"%id","object":"event","api_version":"2026-06-24","created":%seconds,"livemode":false,"#
            + #""type":"%type","pending_webhooks":1,"data":{"object":{"id":"in_demo","object":"invoice","#
            + #""amount_due":4200,"currency":"eur","status":"paid"}}}"#,
        "shopify":
            #"{"id":820982911946154508,"admin_graphql_api_id":"gid://shopify/Order/820982911946154508","#
            + #""name":"%id","currency":"EUR","total_price":"42.00","created_at":"%date","line_items":[]}"#,
        "square":
            #"{"merchant_id":"DEMO","type":"%type","event_id":"%id","created_at":"%date","#
            + #""data":{"type":"payment","id":"pay_demo","object":{"payment":{"status":"COMPLETED"}}}}"#,
        "paddle":
            #"{"event_id":"evt_demo","event_type":"%type","occurred_at":"%date","notification_id":"%id","#
            + #""data":{"id":"txn_demo","status":"completed","currency_code":"EUR"}}"#,
        "adyen":
            #"{"live":"false","notificationItems":[{"NotificationRequestItem":{"additionalData":{},"#
            + #""amount":{"value":4200,"currency":"EUR"},"eventCode":"%type","eventDate":"%date","#
            + #""merchantAccountCode":"DemoShop","merchantReference":"order-1","pspReference":"%id","#
            + #""success":"true"}}]}"#,
        "adyen-payload":
            #"{"data":{"id":"%id","balancePlatform":"Demo","status":"active"},"environment":"test","type":"%type"}"#,
        "slack":
            #"{"token":"unused","team_id":"T0DEMO","api_app_id":"A0DEMO","type":"event_callback","#
            + #""event_id":"%id","event_time":%seconds,"event":{"type":"%type","user":"U0DEMO","#
            + #""text":"Hello","channel":"C0DEMO","ts":"%seconds.000100"}}"#,
        "zoom":
            #"{"event":"%type","event_ts":%millis,"payload":{"account_id":"demo","#
            + #""object":{"id":"%id","uuid":"ZGVtbw==","topic":"Weekly","start_time":"%date"}}}"#,
        "discord":
            #"{"id":"%id","application_id":"1","type":2,"version":1,"token":"demo","#
            + #""data":{"id":"2","name":"%type","type":1},"member":{"user":{"id":"3","username":"demo"}}}"#,
        "discord-events":
            #"{"version":1,"application_id":"1","type":1,"event":{"type":"%type","timestamp":"%date","#
            + #""data":{"id":"%id","user":{"id":"3","username":"demo"}}}}"#,
        "msteams":
            #"{"type":"message","id":"%id","timestamp":"%date","channelId":"msteams","#
            + #""from":{"id":"29:demo","name":"Demo"},"text":"<at>sluice</at> %type"}"#,
        "linear":
            #"{"action":"create","type":"%type","organizationId":"demo","createdAt":"%date","#
            + #""data":{"id":"%id","title":"Demo","team":{"key":"SHOP"}},"webhookTimestamp":%millis}"#,
        "intercom":
            #"{"type":"notification_event","id":"%id","topic":"%type","app_id":"demo","created_at":%seconds,"#
            + #""data":{"type":"notification_event_data","item":{"type":"conversation","id":"1"}}}"#,
        "hubspot": hubSpot, "hubspot-legacy": hubSpot,
        "jira": jira, "jira-connect": jira,
        "pagerduty":
            #"{"event":{"id":"%id","event_type":"%type","resource_type":"incident","occurred_at":"%date","#
            + #""data":{"id":"PDEMO","type":"incident","status":"triggered","title":"Disk full"}}}"#,
        "alertmanager":
            #"{"version":"4","groupKey":"%id","status":"%type","receiver":"sluice","groupLabels":{"alertname":"Demo"},"#
            + #""alerts":[{"status":"%type","labels":{"alertname":"Demo"},"startsAt":"%date","#
            + #""fingerprint":"c0ffee"}]}"#,
        "sendgrid":
            #"[{"email":"demo@example.com","timestamp":%seconds,"event":"%type","sg_event_id":"%id","#
            + "\"sg_message_id\":\"demo.filter0001\"}]\r\n",
        "mailgun":
            #"{"signature":{"timestamp":"%seconds","token":"%token","signature":""},"#
            + #""event-data":{"id":"%id","event":"%type","timestamp":%seconds.5,"recipient":"demo@example.com"}}"#,
        "twilio":
            "ToCountry=US&MessageSid=%id&SmsStatus=received&Body=Hello+%type&From=%2B15005550006&To=%2B15005550001"
            + "&NumSegments=1&AccountSid=ACdemo",
        "typeform":
            #"{"event_id":"%id","event_type":"%type","form_response":{"form_id":"demo","token":"demo","#
            + #""submitted_at":"%date","answers":[{"type":"text","text":"Hello","field":{"id":"f1"}}]}}"#,
        "calendly":
            #"{"event":"%type","created_at":"%date","payload":{"uri":"https://api.calendly.com/invitees/%id","#
            + #""email":"demo@example.com","status":"active"}}"#,
        "docusign":
            #"{"event":"%type","apiVersion":"v2.1","generatedDateTime":"%date","#
            + #""data":{"accountId":"demo","envelopeId":"%id","envelopeSummary":{"status":"completed"}}}"#,
        "dropbox": #"{"list_folder":{"accounts":["%id"]},"delta":{"users":[1]}}"#,
        "meta":
            #"{"object":"%type","entry":[{"id":"%id","time":%seconds,"changes":[{"field":"messages","#
            + #""value":{"messaging_product":"whatsapp","statuses":[]}}]}]}"#,
        "x": #"{"for_user_id":"1","tweet_create_events":[{"id_str":"%id","text":"%type"}]}"#,
        "cloudevents":
            #"{"specversion":"1.0","id":"%id","source":"/sluice/send","type":"%type","time":"%date","#
            + #""datacontenttype":"application/json","data":{"hello":"world"}}"#,
    ]

    private static let gitHub =
        #"{"action":"%type","ref":"refs/heads/main","after":"%id","#
        + #""repository":{"id":1,"full_name":"demo/shop"},"sender":{"login":"demo"},"commits":[]}"#
    private static let hubSpot =
        #"[{"eventId":"%id","subscriptionType":"%type","portalId":1,"occurredAt":%millis,"#
        + #""attemptNumber":0,"objectId":7}]"#
    private static let jira =
        #"{"timestamp":%millis,"webhookEvent":"%type","issue":{"id":"%id","key":"SHOP-1","#
        + #""fields":{"summary":"Demo"}}}"#
}
