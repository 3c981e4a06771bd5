// The routes of Ops-Center's webhooks. Fixed segments stand before `{webhook_id}`, so that they win.
import Engine
import HTTPTypes

struct OpsCenterController {
    let webhooks: any OpsCenterWebhooks
    let worker: ControlWorker
    /// Publishing asks delivery alone, and waits behind nothing that reads the store.
    private let quickWorker = ControlWorker()

    init(webhooks: any OpsCenterWebhooks, worker: ControlWorker) {
        self.webhooks = webhooks
        self.worker = worker
    }
    var routes: [Route] { [available, stats, publish] + list + one + [deliveries, test] }

    private static let base = "/webhooks"
    private static let item = base + "/{webhook_id}"

    private var available: Route {
        .webhooks(
            .get, OpsCenterController.base + "/events/available", "listWebhookEvents",
            "List the events that there are.", answer: .json(OpsCenterController.catalogueSchema)
        ) { _ in
            let events = OpsCenterCatalogue.events.map { event -> JSONValue in
                ["event": .text(event.name), "category": .text(event.category), "description": .text(event.about)]
            }
            return .json(["events": .list(events)])
        }
    }
    private var stats: Route {
        let (webhooks, worker) = (webhooks, worker)
        return .webhooks(
            .get, OpsCenterController.base + "/stats", "getWebhookStats",
            "Count attempts by webhook, event type and status.",
            query: [QueryParameter("webhook_id", .text, "Only this webhook's.")], answer: .json(OpsCenterStats.schema)
        ) { call in
            let id = call.query.text("webhook_id")
            return .json(try await worker.run { try webhooks.stats(webhook: id, call.caller) }.json)
        }
    }
    private var publish: Route {
        let (webhooks, worker) = (webhooks, quickWorker)
        return .webhooks(
            .post, OpsCenterController.base + "/events", "publishWebhookEvent",
            "Publish an event. Answered when it is on disk.", body: .json(OpsCenterEventOrder.schema),
            bodyBytesMax: PublishController.bodyBytesMax, status: 202, answer: .json(OpsCenterPublished.schema),
            isFrequent: true
        ) { call in
            let order = try await worker.run { try OpsCenterEventOrder(publishing: call.body) }
            return .json(try await webhooks.publish(order, call.caller).json)
        }
    }

    private var list: [Route] {
        let (webhooks, worker) = (webhooks, worker)
        return [
            .webhooks(
                .get, OpsCenterController.base, "listWebhooks", "List webhooks, the newest first.",
                query: [QueryParameter("enabled_only", .flag, "`true`: leave out those that are disabled.")],
                answer: .list(OpsCenterWebhook.schema)
            ) { call in
                let isEnabledOnly = call.query.flag("enabled_only")
                let all = try await worker.run { try webhooks.webhooks(enabledOnly: isEnabledOnly, call.caller) }
                return .json(.list(all.map(\.json)))
            },
            .webhooks(
                .post, OpsCenterController.base, "createWebhook",
                "Make a webhook. The answer alone has its secret.", body: .json(OpsCenterWebhookDraft.schema),
                answer: .json(OpsCenterWebhook.madeSchema)
            ) { call in
                let (webhook, secret) = try await worker.run {
                    try webhooks.create(try OpsCenterWebhookDraft(call.body), call.caller)
                }
                return .json(webhook.json(made: secret))
            },
        ]
    }
    private var one: [Route] {
        let (webhooks, worker) = (webhooks, worker)
        return [
            .webhooks(
                .get, OpsCenterController.item, "getWebhook", "Show a webhook.",
                answer: .json(OpsCenterWebhook.schema)
            ) { call in
                .json(try await worker.run { try webhooks.webhook(call.parameter("webhook_id"), call.caller) }.json)
            },
            .webhooks(
                .patch, OpsCenterController.item, "updateWebhook", "Change what the body names.",
                body: .json(OpsCenterWebhookPatch.schema), answer: .json(OpsCenterWebhook.schema)
            ) { call in
                let id = call.parameter("webhook_id")
                return .json(
                    try await worker.run {
                        _ = try webhooks.webhook(id, call.caller)
                        return try webhooks.patch(id, try OpsCenterWebhookPatch(call.body), call.caller)
                    }.json)
            },
            .webhooks(
                .delete, OpsCenterController.item, "deleteWebhook",
                "Remove a webhook; what waits for a later attempt goes with it.",
                answer: .json(OpsCenterController.doneSchema)
            ) { call in
                try await worker.run { try webhooks.deleteWebhook(call.parameter("webhook_id"), call.caller) }
                return .json(["status": "success", "message": "Webhook deleted"])
            },
        ]
    }
    private var deliveries: Route {
        let (webhooks, worker) = (webhooks, worker)
        return .webhooks(
            .get, OpsCenterController.item + "/deliveries", "listWebhookDeliveries",
            "List a webhook's attempts, the newest first.", query: OpsCenterDeliverySearch.query,
            answer: .list(OpsCenterDelivery.schema)
        ) { call in
            let search = OpsCenterDeliverySearch(call.query)
            let rows = try await worker.run {
                try webhooks.deliveries(ofWebhook: call.parameter("webhook_id"), search, call.caller)
            }
            return .text("[\(rows.map(\.text).joined(separator: ","))]")
        }
    }
    private var test: Route {
        let (webhooks, worker) = (webhooks, worker)
        return .webhooks(
            .post, OpsCenterController.item + "/test", "testWebhook",
            "Send an event to this webhook alone, whatever it subscribes to and also when it is disabled.",
            body: .json(OpsCenterEventOrder.testSchema, isOptional: true), answer: .json(OpsCenterController.doneSchema)
        ) { call in
            let id = call.parameter("webhook_id")
            let order = try await worker.run {
                _ = try webhooks.webhook(id, call.caller)
                return try OpsCenterEventOrder(testing: call.body)
            }
            try await webhooks.test(id, order, call.caller)
            return .json(["status": "success", "message": .text("Test event \(order.event) sent")])
        }
    }

    private static let doneSchema = ObjectSchema(
        "WebhookDone", "It was done.",
        [.required("status", .text, "`success`."), .required("message", .text, "What was done.")])
    private static let catalogueSchema = ObjectSchema(
        "WebhookCatalogue", "The events that there are.",
        [.required("events", .list(.object(catalogueEntrySchema)), "Each once.")])
    private static let catalogueEntrySchema = ObjectSchema(
        "WebhookCatalogueEntry", "An event.",
        [
            .required("event", .text, "Its name."), .required("category", .text, "What it is about."),
            .required("description", .text, "When it happens."),
        ])
}
