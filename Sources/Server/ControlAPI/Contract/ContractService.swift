// What the routes of the contract edge ask of the gateway, and the values in which it answers.
import Engine

/// A page as the contract has it: newest first.
package struct ContractPaging: Equatable, Sendable {
    package static let limitDefault = 50
    package static let limitRange = 1...500
    package var limit = ContractPaging.limitDefault
    /// Of the page before.
    package var cursor: String?
    package init() {}
}

package struct ContractPage: Equatable, Sendable {
    package var items: [JSONValue]
    package var next: String?
    package init(_ items: [JSONValue], next: String? = nil) {
        self.items = items
        self.next = next
    }
    var json: JSONValue { ["items": .list(items), "next_cursor": next.map { .text($0) } ?? .null] }
}

package enum ContractStatus: String, CaseIterable, Sendable { case pending, retrying, delivered, dlq }
package enum ContractAuditCategory: String, CaseIterable, Sendable {
    case registration, delivery
    case authFailure = "auth_failure"
    case replay = "dlq_replay"
}

package struct ContractDeliverySearch: Equatable, Sendable {
    package var webhook: String?
    package var status: ContractStatus?
    package var type: String?
    package var paging = ContractPaging()
    package init() {}
}

package struct ContractReplayOrder: Equatable, Sendable {
    package static let countMax = 1000
    package var reason: String
    /// Nil = by the filter.
    package var deliveries: [String]?
    package var webhook: String?
    package var errorClass: ContractErrorClass?

    package init(_ bytes: [UInt8]) throws {
        var body = try ContractFields(bytes, knowing: ["reason", "delivery_ids", "webhook_id", "error_class"])
        reason = body.text("reason", 1...1000, isRequired: true) ?? ""
        deliveries = body.texts("delivery_ids", countMax: ContractReplayOrder.countMax)
        webhook = body.text("webhook_id", 1...64)
        errorClass = body.word("error_class", among: ContractErrorClass.allCases.map(\.rawValue))
            .flatMap { ContractErrorClass(rawValue: $0) }
        if deliveries != nil, webhook != nil || errorClass != nil {
            body.report("delivery_ids", "is of no use beside a filter; choose one of the two")
        }
        if deliveries?.isEmpty == true { body.report("delivery_ids", "must have at least one") }
        if deliveries == nil, webhook == nil, errorClass == nil, body.problems.isEmpty {
            body.report("delivery_ids", "is required, or a filter: `webhook_id`, `error_class`")
        }
        try body.check()
    }
}

package struct ContractTestOrder: Equatable, Sendable {
    static let typeDefault = "webhook.test"
    package var webhook: String
    package var type: String
    /// JSON.
    package var payload: [UInt8]

    package init(_ bytes: [UInt8]) throws {
        var body = try ContractFields(bytes, knowing: ["webhook_id", "event_type", "payload"])
        webhook = body.text("webhook_id", 1...64, isRequired: true) ?? ""
        type = body.text("event_type", 1...PublishRules.typeBytesMax) ?? ContractTestOrder.typeDefault
        if !PublishRules.isType(type) { body.report("event_type", PublishRules.typeForm) }
        payload = Array("{}".utf8)
        if let value = body.value("payload"), value != .null {
            if case .object = value, let members = try? JSONMembers(bytes), let member = members["payload"] {
                payload = members.bytes(of: member)
            } else {
                body.report("payload", "must be an object")
            }
        }
        try body.check()
    }
}

package struct ContractSessionMade: Equatable, Sendable {
    package var token: String
    package var endSeconds: UInt64
    package var tenant: String?
    package var role: KeyRole
    package init(token: String, endSeconds: UInt64, tenant: String?, role: KeyRole) {
        (self.token, self.endSeconds, self.tenant, self.role) = (token, endSeconds, tenant, role)
    }
}

/// Entries, deliveries and events of the caller's tenant, which the middleware has made sure of. What is another's is
/// `not_found`.
package protocol ContractWebhooks: EdgeGuard {
    var contractSettings: ContractSettings { get }
    func openSession(seconds: Int, _ caller: Caller) throws -> ContractSessionMade
    /// The UUID of the caller's tenant.
    func tenantUUID(_ caller: Caller) throws -> String
    /// On disk when it returns. `key`, `digest`: of the call, so that it may come again.
    func ingest(
        _ order: ContractIngest, key: String, digest: [UInt8], _ caller: Caller
    ) async throws -> (ids: [String], isDuplicate: Bool)
    func openStream(after: String?, token: String, hangUp: @escaping @Sendable () -> Void, _ caller: Caller) throws
        -> StreamPlace
    func entries(type: String?, isActive: Bool?, _ paging: ContractPaging, _ caller: Caller) throws -> ContractPage
    func entry(_ id: String, _ caller: Caller) throws -> ContractEntryView
    /// With the secret, where the gateway has made it.
    func createEntry(_ change: ContractEntryChange, _ caller: Caller) throws -> (ContractEntryView, secret: String?)
    func updateEntry(_ id: String, _ change: ContractEntryChange, _ caller: Caller) throws -> ContractEntryView
    func deleteEntry(_ id: String, _ caller: Caller) throws
    func contractDeliveries(_ search: ContractDeliverySearch, _ caller: Caller) throws -> ContractPage
    func contractDelivery(_ id: String, _ caller: Caller) throws -> JSONValue
    func dryRun(_ order: ContractTestOrder, _ caller: Caller) throws -> JSONValue
    func replay(_ order: ContractReplayOrder, _ caller: Caller) throws -> [JSONValue]
    func audit(_ category: ContractAuditCategory?, _ paging: ContractPaging, _ caller: Caller) throws -> ContractPage
}
