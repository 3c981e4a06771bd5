// Ops-Center's webhooks of the gateway that only remembers what it was asked: there is one, and nothing else of the
// kind.
import Engine
import Server

extension FakeGateway: OpsCenterWebhooks {
    static let webhookID = "11111111-2222-4333-8444-555555555555"
    private var one: OpsCenterWebhook {
        var webhook = OpsCenterWebhook(id: FakeGateway.webhookID, organization: "00000000-0000-4000-8000-000000000001")
        (webhook.url, webhook.events) = ("http://h/", ["*"])
        (webhook.createdMillis, webhook.updatedMillis) = (1_800_000_000_000, 1_800_000_000_500)
        (webhook.successCount, webhook.failureCount) = (3, 1)
        return webhook
    }
    private func need(_ id: String) throws {
        guard id == FakeGateway.webhookID else {
            throw ControlError(.noSuchWebhook, "there is no webhook `\(id)`")
        }
    }

    func webhooks(enabledOnly: Bool, _ caller: Caller) throws -> [OpsCenterWebhook] {
        try note("webhooks \(enabledOnly)", caller)
        return [one]
    }
    func webhook(_ id: String, _ caller: Caller) throws -> OpsCenterWebhook {
        try need(id)
        return one
    }
    func create(
        _ draft: OpsCenterWebhookDraft, _ caller: Caller
    ) throws -> (webhook: OpsCenterWebhook, secret: String) {
        try note("create webhook \(draft.url) \(draft.events) \(draft.about ?? "-") \(draft.isEnabled)", caller)
        return (one, "geheim")
    }
    func patch(_ id: String, _ patch: OpsCenterWebhookPatch, _ caller: Caller) throws -> OpsCenterWebhook {
        let (url, events) = (patch.url ?? "-", patch.events?.description ?? "-")
        try note("patch webhook \(url) \(events) \(patch.about) \(patch.isEnabled?.description ?? "-")", caller)
        return one
    }
    func deleteWebhook(_ id: String, _ caller: Caller) throws {
        try need(id)
        try note("delete webhook", caller)
    }
    func deliveries(
        ofWebhook id: String, _ search: OpsCenterDeliverySearch, _ caller: Caller
    ) throws -> [OpsCenterDelivery] {
        try need(id)
        try note("webhook deliveries \(search.status?.rawValue ?? "-") \(search.limit) \(search.before ?? "-")", caller)
        var row = OpsCenterDelivery(id: "d", event: "e")
        (row.eventType, row.payload) = ("user.created", Array("{ \"z\":1.50,\"a\":2 }".utf8))
        (row.status, row.statusCode, row.error, row.durationMillis) = (.failed, 500, "Internal Server Error", 7)
        (row.createdMillis, row.endedMillis) = (1_800_000_000_000, 1_800_000_000_007)
        return [row]
    }
    func stats(webhook: String?, _ caller: Caller) throws -> OpsCenterStats {
        try webhook.map(need)
        var stats = OpsCenterStats()
        stats.rows = [
            OpsCenterStats.Row(webhook: FakeGateway.webhookID, eventType: "a.b", status: .pending, count: 2)
        ]
        return stats
    }
    func publish(_ order: OpsCenterEventOrder, _ caller: Caller) async throws -> OpsCenterPublished {
        try note("publish \(order.event) \(String(decoding: order.data, as: UTF8.self))", caller)
        return OpsCenterPublished(id: "e", event: order.event, time: "2026-01-31T00:00:00.000Z", matched: 2)
    }
    func test(_ id: String, _ order: OpsCenterEventOrder, _ caller: Caller) async throws {
        try note("test \(order.event) \(String(decoding: order.data, as: UTF8.self))", caller)
    }
}
