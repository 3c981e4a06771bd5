// Repairs behind the fake gateway: it remembers what was ordered.
import Engine
import Server

extension FakeGateway: RepairControl {
    private func repair(_ order: RepairOrder) -> RepairResource {
        RepairResource(Repair(order, nowMillis: 1_000_000)) { Reference(id: "ep_\($0)", name: "e\($0)") }
    }
    func begin(_ draft: RepairDraft, _ caller: Caller) throws -> RepairResource {
        try note("repair \(draft.action) \(draft.dryRun ?? true)", caller)
        var order = RepairOrder(RepairAction(rawValue: draft.action) ?? .retry)
        order.isDry = draft.dryRun ?? true
        order.endpoint = 1
        order.destination = draft.to == nil ? nil : 2
        (order.statusFirst, order.statusLast) = (500, 599)
        (order.failureClass, order.reason) = ("server", "retries_exhausted")
        (order.receivedFrom, order.receivedUntil, order.failedFrom, order.failedUntil) = (1, 2, 3, 4)
        (order.source, order.type) = ("github", "push")
        return repair(order)
    }
    func repairs(_ paging: Paging, _ caller: Caller) throws -> Found<RepairResource, UInt64> {
        try note("repairs", caller)
        let last = (paging.after ?? 4) - 1
        guard last > 0 else { return Found([]) }
        return Found([repair(RepairOrder(.cancel))], next: last > 1 ? last : nil)
    }
    func repair(_ id: String, _ caller: Caller) throws -> RepairResource {
        try note("repair \(id)", caller)
        return repair(RepairOrder(.retry))
    }
    func cancelRepair(_ id: String, _ caller: Caller) throws -> RepairResource {
        try note("end \(id)", caller)
        return repair(RepairOrder(.retry))
    }
    func cancelDelivery(event: String, endpoint: String, _ caller: Caller) throws -> DeliveryResource {
        try note("cancel \(event) \(endpoint)", caller)
        var delivery = DeliveryResource(
            event: event, endpoint: Reference(id: "ep_1", name: endpoint), state: .dead, attempts: 1,
            result: "answered", updatedAt: "2026-01-31T00:00:00Z")
        (delivery.reason, delivery.class) = ("cancelled", "local")
        return delivery
    }
    func deadLetterCounts(
        endpoint: String?, _ paging: Paging, _ caller: Caller
    ) throws -> Found<DeadLetterCounts, UInt64> {
        try note("count dead \(endpoint ?? "all")", caller)
        let group = DeadLetterGroup(failureClass: .failure(.authentication), reason: .permanentAnswer, count: 3)
        return Found([
            DeadLetterCounts(
                endpoint: Reference(id: "ep_1", name: "e1"), total: 3, counts: [DeadLetterCount(group)])
        ])
    }
}
