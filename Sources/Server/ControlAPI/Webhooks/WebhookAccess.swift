// Who may call what of Ops-Center's webhooks: a tenant's administrator everything, its operator publishes too.
import Engine

extension AccessTable {
    static let webhooks: [String: Access] = [
        "listWebhookEvents": .tenant(.viewer),
        "getWebhookStats": .tenant(.admin),
        "publishWebhookEvent": .tenant(.operator),
        "listWebhooks": .tenant(.admin),
        "createWebhook": .tenant(.admin),
        "getWebhook": .tenant(.admin),
        "updateWebhook": .tenant(.admin),
        "deleteWebhook": .tenant(.admin),
        "listWebhookDeliveries": .tenant(.admin),
        "testWebhook": .tenant(.admin),
    ]
}
