// The contract edge of the gateway that only remembers what it was asked: every tenant is `app_1`, and there is one
// entry and one delivery.
import Engine
import Foundation
import Server
import Synchronization

extension FakeGateway: ContractWebhooks {
    static let contractTenant = "0f6d3c1e-8a54-4b1c-9d2e-5b7a3c9f1e42"
    static let contractEntry = "11111111-2222-4333-8444-555555555555"
    static let contractSecret = "a secret of the tenant, at least 32 characters"

    /// The envelope of a call, with a certificate in place of a signature.
    static func envelope(_ request: String = UUID().uuidString.lowercased()) -> [String] {
        [
            "X-Zen-Contract-Version: v1alpha1", "X-Tenant-Id: \(contractTenant)", "X-Request-Id: \(request)",
            "X-Forwarded-Client-Cert: Hash=\(String(repeating: "ab", count: 32));Subject=\"CN=me\"",
        ]
    }

    var contractSettings: ContractSettings { limits.withLock { $0 } }

    // MARK: the guard

    func session(_ token: String) async throws -> EdgeSession {
        switch try known(token: token) ?? .unknown {
        case .caller(let principal): .principal(principal, isToken: false)
        case .unknown: .refused("the session is not known")
        case .expired: .refused("the key has expired")
        case .refused(let why): .refused(why)
        }
    }
    func tenant(uuid: String) throws -> String? { uuid == FakeGateway.contractTenant ? "app_1" : nil }
    func signingSecret(ofTenant uuid: String) throws -> String? {
        uuid == FakeGateway.contractTenant ? FakeGateway.contractSecret : nil
    }
    func isTrustedProxy(_ address: String) -> Bool { address == "127.0.0.1" }
    func note(_ refused: EdgeRefusedTry) { asked.withLock { $0.edgeRefused.append(refused) } }
    func count(_ answered: EdgeAnswered) { asked.withLock { $0.edgeAnswered.append(answered) } }

    // MARK: what is behind it

    private func need(_ id: String) throws {
        guard id == FakeGateway.contractEntry else { throw EdgeRefusal(.notFound, "there is no webhook `\(id)`") }
    }
    private var view: ContractEntryView {
        var settings = EndpointConfiguration()
        (settings.url, settings.types) = ("http://h/", ["a.*"])
        ContractEntry().apply(to: &settings)
        return ContractEntryView(
            id: FakeGateway.contractEntry, tenant: FakeGateway.contractTenant, settings: settings,
            createdMillis: 1_800_000_000_000, updatedMillis: 1_800_000_000_500)
    }
    func openSession(seconds: Int, _ caller: Caller) throws -> ContractSessionMade {
        try note("session \(seconds)", caller)
        return ContractSessionMade(
            token: "a.b.c", endSeconds: 1_800_000_000, tenant: FakeGateway.contractTenant, role: caller.principal.role)
    }
    func tenantUUID(_ caller: Caller) throws -> String { FakeGateway.contractTenant }
    func ingest(
        _ order: ContractIngest, key: String, digest: [UInt8], _ caller: Caller
    ) async throws -> (ids: [String], isDuplicate: Bool) {
        try note("ingest \(order.events.map(\.type).joined(separator: " "))", caller)
        return (order.events.indices.map { "event-\($0)" }, false)
    }
    func openStream(
        after: String?, token: String, hangUp: @escaping @Sendable () -> Void, _ caller: Caller
    ) throws -> StreamPlace {
        try note("contract stream \(after ?? "-")", caller)
        let reader = StreamReader()
        reader.end()
        return StreamPlace(reader)
    }
    func entries(type: String?, isActive: Bool?, _ paging: ContractPaging, _ caller: Caller) throws -> ContractPage {
        try note("entries \(type ?? "-") \(isActive.map { "\($0)" } ?? "-") \(paging.limit)", caller)
        return ContractPage([view.json()], next: "more")
    }
    func entry(_ id: String, _ caller: Caller) throws -> ContractEntryView {
        try need(id)
        return view
    }
    func createEntry(_ change: ContractEntryChange, _ caller: Caller) throws -> (ContractEntryView, secret: String?) {
        try note("create entry \(change.url ?? "-")", caller)
        return (view, change.secret == nil ? "made by the gateway" : nil)
    }
    func updateEntry(_ id: String, _ change: ContractEntryChange, _ caller: Caller) throws -> ContractEntryView {
        try need(id)
        try note("update entry \(change.name ?? "-")", caller)
        return view
    }
    func deleteEntry(_ id: String, _ caller: Caller) throws {
        try need(id)
        try note("delete entry", caller)
    }
    func contractDeliveries(_ search: ContractDeliverySearch, _ caller: Caller) throws -> ContractPage {
        try note("contract deliveries \(search.status?.rawValue ?? "-")", caller)
        return ContractPage([])
    }
    func contractDelivery(_ id: String, _ caller: Caller) throws -> JSONValue {
        throw EdgeRefusal(.notFound, "there is no delivery `\(id)`")
    }
    func dryRun(_ order: ContractTestOrder, _ caller: Caller) throws -> JSONValue {
        try need(order.webhook)
        try note("dry run \(order.type)", caller)
        return ["dry_run": true]
    }
    func replay(_ order: ContractReplayOrder, _ caller: Caller) throws -> [JSONValue] {
        try note("contract replay \(order.reason)", caller)
        return []
    }
    func audit(_ category: ContractAuditCategory?, _ paging: ContractPaging, _ caller: Caller) throws -> ContractPage {
        try note("contract audit \(category?.rawValue ?? "-")", caller)
        return ContractPage([])
    }
}
