// Who may call what of the Svix-shaped API. A key of all tenants is its organization token, a tenant's key its
// application token: below its own application that may do nearly everything, and see nothing else. The token of a
// portal is one too, and opens no other route of the control API.
import Engine

extension AccessTable {
    static let svix: [String: Access] = [
        "v1.health.ping": .anyone,
        "v1.health.get": .anyone,
        // It does nothing for everybody.
        "v1.authentication.logout": .anyone,

        "v1.application.list": .gateway(.viewer),
        // As what they do is on the gateway's own routes: tenants and keys.
        "v1.application.create": .gateway(.platform),
        "v1.application.get": .tenant(.viewer),
        "v1.application.update": .gateway(.platform),
        "v1.application.patch": .gateway(.platform),
        "v1.application.delete": .gateway(.platform),
        "v1.authentication.app-portal-access": .gateway(.platform),
        "v1.authentication.dashboard-access": .gateway(.platform),
        "v1.authentication.expire-all": .gateway(.platform),

        "v1.event-type.list": .tenant(.viewer),
        "v1.event-type.get": .tenant(.viewer),
        "v1.event-type.create": .gateway(.admin),
        "v1.event-type.update": .gateway(.admin),
        "v1.event-type.patch": .gateway(.admin),
        "v1.event-type.delete": .gateway(.admin),
        "v1.event-type.import-openapi": .gateway(.admin),
        "v1.event-type.import-preset": .gateway(.admin),

        "v1.endpoint.list": .tenant(.viewer),
        "v1.endpoint.get": .tenant(.viewer),
        "v1.endpoint.create": .tenant(.admin),
        "v1.endpoint.update": .tenant(.admin),
        "v1.endpoint.patch": .tenant(.admin),
        "v1.endpoint.delete": .tenant(.admin),
        // Whoever has it can sign in the gateway's name.
        "v1.endpoint.get-secret": .tenant(.admin),
        "v1.endpoint.rotate-secret": .tenant(.admin),
        "v1.endpoint.get-headers": .tenant(.viewer),
        "v1.endpoint.update-headers": .tenant(.admin),
        "v1.endpoint.patch-headers": .tenant(.admin),
        "v1.endpoint.recover": .tenant(.operator),
        "v1.endpoint.replay-missing": .tenant(.operator),
        "v1.endpoint.bulk-replay": .tenant(.operator),
        "v1.endpoint.send-example": .gateway(.publisher),
        "v1.endpoint.get-stats": .tenant(.viewer),

        "v1.message.create": .gateway(.publisher),
        "v1.message.list": .tenant(.viewer),
        "v1.message.get": .tenant(.viewer),
        "v1.message.precheck": .tenant(.publisher),
        "v1.message.expunge-content": .gateway(.admin),
        "v1.message.poller.poll": .tenant(.viewer),
        // What a reader has read is its own affair.
        "v1.message.poller.consumer-poll": .tenant(.viewer),
        "v1.message.poller.consumer-seek": .tenant(.operator),
        "v1.message.expunge-all-contents": .gateway(.admin),
        "v1.message-attempt.list-by-endpoint": .tenant(.viewer),
        "v1.message-attempt.list-by-msg": .tenant(.viewer),
        "v1.message-attempt.list-attempted-messages": .tenant(.viewer),
        "v1.message-attempt.list-attempted-destinations": .tenant(.viewer),
        "v1.message-attempt.get": .tenant(.viewer),
        "v1.message-attempt.expunge-content": .gateway(.admin),
        "v1.message-attempt.resend": .tenant(.operator),

        // As on their own routes; the token of a portal opens none of them.
        "v1.operational-webhook.endpoint.list": .tenant(.admin),
        "v1.operational-webhook.endpoint.create": .tenant(.admin),
        "v1.operational-webhook.endpoint.get": .tenant(.admin),
        "v1.operational-webhook.endpoint.update": .tenant(.admin),
        "v1.operational-webhook.endpoint.delete": .tenant(.admin),
        "v1.operational-webhook.endpoint.get-secret": .tenant(.admin),
        "v1.operational-webhook.endpoint.rotate-secret": .tenant(.admin),
        "v1.operational-webhook.endpoint.get-headers": .tenant(.admin),
        "v1.operational-webhook.endpoint.update-headers": .tenant(.admin),

        "v1.statistics.aggregate-app-stats": .gateway(.viewer),
        "v1.statistics.aggregate-event-types": .gateway(.viewer),

        // A tenant's key sees those of its own application.
        "v1.background-task.list": .tenant(.viewer),
        "v1.background-task.get": .tenant(.viewer),
    ]
}
