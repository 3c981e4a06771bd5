// Operational webhooks of the gateway that only remembers what it was asked: there is one endpoint.
import Engine
import Server

extension FakeGateway: OperationalWebhooks {
    static let operationalID = "22222222-2222-4333-8444-555555555555"

    private func endpoint(_ draft: OperationalDraft, secret: String? = nil) -> OperationalEndpoint {
        OperationalEndpoint(
            id: FakeGateway.operationalID, draft: draft, secret: secret, createdMillis: 1_800_000_000_000,
            updatedMillis: 1_800_000_000_500)
    }
    private func need(_ id: String) throws {
        guard id == FakeGateway.operationalID else {
            throw ControlError(.noSuchWebhook, "there is no operational webhook `\(id)`")
        }
    }
    private func words(_ draft: OperationalDraft) -> String {
        let headers = draft.headers.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return "\(draft.url) \(draft.about) \(draft.types) \(headers) \(draft.rate ?? 0) \(draft.isEnabled)"
    }
    func operationalEndpoints(_ caller: Caller) throws -> [OperationalEndpoint] {
        try note("operational endpoints", caller)
        return [endpoint(OperationalDraft(url: "http://h/"))]
    }
    func operationalEndpoint(_ id: String, _ caller: Caller) throws -> OperationalEndpoint {
        try need(id)
        return endpoint(OperationalDraft(url: "http://h/"))
    }
    func createOperationalEndpoint(_ draft: OperationalDraft, _ caller: Caller) throws -> OperationalEndpoint {
        try note("create operational \(words(draft))", caller)
        return endpoint(draft, secret: "whsec_geheim")
    }
    func replaceOperationalEndpoint(
        _ id: String, _ draft: OperationalDraft, _ caller: Caller
    ) throws -> OperationalEndpoint {
        try need(id)
        try note("replace operational \(words(draft))", caller)
        return endpoint(draft)
    }
    func deleteOperationalEndpoint(_ id: String, _ caller: Caller) throws {
        try need(id)
        try note("delete operational", caller)
    }
    func operationalStats(_ period: Range<Int64>, _ caller: Caller) throws -> OperationalStats {
        try note("operational stats \(period.upperBound - period.lowerBound)", caller)
        let some = DeliverySummary(delivered: 3, pending: 2, dead: 1, attempts: 9, lastMillis: 1_800_000_000_000)
        return OperationalStats(
            period: period,
            endpoints: [
                .init(id: "a", kind: "ops-center", counts: .init(some)),
                .init(id: "b", kind: "endpoint", counts: .init()),
            ])
    }
}
