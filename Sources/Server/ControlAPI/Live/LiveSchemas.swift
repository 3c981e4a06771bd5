// Schemas tried on events of the running gateway's log. On the control API's own thread, with a reader of its own;
// verifier threads have no part in it.
import Engine
import FastPath
import Foundation

final class LiveSchemas: SchemaTrials {
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    func test(_ trial: SchemaTrial, _ caller: Caller) throws -> SchemaResult {
        let schema = try LiveSchemas.compiled(trial.schema)
        guard let event = trial.event else {
            let body = trial.body ?? trial.payload.map { JSONText.of($0) } ?? ""
            return SchemaResult(schema.refusal(of: Array(body.utf8)))
        }
        let access = try gateway.accessNow()
        return try access.withEvent(event, of: try RegistryLookup(gateway, caller).scope) { _, record in
            guard !access.isGone(record) else { throw ControlError.noSuchEvent(event) }
            return SchemaResult(schema.refusal(of: record.body.array))
        }
    }
    private static func compiled(_ value: JSONValue) throws -> EventSchema {
        do throws(SchemaProblem) { return try EventSchema(JSONText.of(value)) } catch {
            throw ControlError.invalid([FieldProblem(path: "schema", reason: error.message)])
        }
    }

    func preview(
        _ order: SchemaPreviewOrder, after: UInt64?, _ caller: Caller
    ) throws -> (page: SchemaPreview, next: UInt64?) {
        let scope = try RegistryLookup(gateway, caller).scope
        let schema = try LiveSchemas.compiled(order.schema)
        let from = TimeText.parse(order.from) ?? 0
        let until = order.until.flatMap { TimeText.parse($0) } ?? ProcessResources.wallNanos
        guard from <= until else {
            throw ControlError.invalid([FieldProblem(path: "until", reason: "is before `from`")])
        }
        let access = try gateway.accessNow()
        let places = try MessageBrowser(access, tenant: scope ?? .main).places(of: from..<until)
        let first = max(places.lowerBound, after.map { $0 &+ 1 } ?? 0)
        guard first < places.upperBound else { return (SchemaPreview(), nil) }
        var sums = SchemaCount(order, schema, scope, access, times: from..<until)
        let next = try PreviewWalk.page(first..<places.upperBound, access) { sums.add($0) }
        return (sums.page, next)
    }
}

/// What one schema makes of the events of a page.
private struct SchemaCount {
    private(set) var page = SchemaPreview()
    private let order: SchemaPreviewOrder
    private let schema: EventSchema
    private let scope: TenantID?
    private let access: GatewayAccess
    private let times: Range<UInt64>

    init(
        _ order: SchemaPreviewOrder, _ schema: EventSchema, _ scope: TenantID?, _ access: GatewayAccess,
        times: Range<UInt64>
    ) {
        self.order = order
        self.schema = schema
        self.scope = scope
        self.access = access
        self.times = times
    }

    mutating func add(_ record: RecordView) {
        guard times.contains(record.receivedAt), !record.isRequestOfBatch, !access.isGone(record),
            scope == nil || scope == TenantID(record.tenantNumber)
        else { return }
        page.read += 1
        if let source = order.source, record.source.text != source { return }
        if let type = order.type, record.eventType.text != type { return }
        page.checked += 1
        guard let refusal = schema.refusal(of: record.body.array) else { return }
        page.refused += 1
        if refusal == .notJSON { page.notJson += 1 }
        if page.examples.count < SchemaPreview.exampleCountMax {
            page.examples.append(SchemaExample(EventRow(record, logIdentity: access.identity), refusal))
        }
    }
}
