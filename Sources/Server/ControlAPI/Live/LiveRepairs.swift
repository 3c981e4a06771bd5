// Repairs of the running gateway, as far as the caller may see: ordered, looked at, ended. What they do is
// `RepairService`'s.
import Engine
import FastPath
import Foundation

final class LiveRepairs: RepairControl {
    /// Dead letters of one endpoint that a count looks at.
    static let lookedMax = 100_000
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    // MARK: repairs

    func begin(_ draft: RepairDraft, _ caller: Caller) throws -> RepairResource {
        let access = try gateway.accessNow()
        let lookup = try RegistryLookup(gateway, caller)
        let target = try draft.endpoint.map { try lookup.endpoint($0) }
        let destination = try draft.to.map { try lookup.endpoint($0) }
        if let destination { try check(destination, target) }
        var order = draft.order
        let tail = access.tail.snapshot.sequence
        order.sequences = try draft.events.map { ids in
            Set(
                try ids.map { id in
                    guard let event = access.eventID(id), event.sequence <= tail else {
                        throw ControlError.noSuchEvent(id)
                    }
                    return event.sequence
                }
            ).sorted()
        }
        order.tenant = (try lookup.scope ?? target?.tenant ?? destination?.tenant)?.number
        order.endpoint = target?.id.number
        order.destination = destination?.id.number
        order.actor = ChangeActor(caller).name
        if !order.isDry {
            if order.action == .retry, let target { try access.needEnabled(target) }
            if let destination { try access.needEnabled(destination) }
            try gateway.note(
                order.action == .cancel ? .cancel : .replay, on: target, of: order.tenant.map { TenantID($0) },
                draft.shownFields, caller)
        }
        do {
            return resource(try access.repairs.begin(order), lookup)
        } catch RepairError.tooMany(let count) {
            throw ControlError(
                .tooManyRepairs, "\(count) repairs run already; order another when one is over, or cancel one")
        } catch RepairError.stopped { throw ControlError.notRunning }
    }
    /// Families of webhooks have forms and sources of their own, which no other event goes into.
    private func check(_ destination: EndpointSpec, _ target: EndpointSpec?) throws {
        var problems: [FieldProblem] = []
        if destination.settings.extras.family != .registry {
            problems.append(FieldProblem(path: "to", reason: "is a webhook of its own kind, which gets no other event"))
        }
        if let target, target.tenant != destination.tenant {
            problems.append(FieldProblem(path: "to", reason: "is of another tenant than `endpoint`"))
        }
        if target?.id == destination.id {
            problems.append(FieldProblem(path: "to", reason: "is `endpoint` itself; `retry` sends to it again"))
        }
        guard problems.isEmpty else { throw ControlError.invalid(problems) }
    }
    func repairs(_ paging: Paging, _ caller: Caller) throws -> Found<RepairResource, UInt64> {
        let access = try gateway.accessNow()
        let lookup = try RegistryLookup(gateway, caller)
        let found = try access.store.repairs(
            tenant: try lookup.scope?.number, before: paging.after.map { Int64(clamping: $0) }, limit: paging.limit + 1)
        let page = found.prefix(paging.limit)
        let next = found.count > paging.limit ? page.last.map { UInt64($0.number) } : nil
        return Found(page.map { resource($0, lookup) }, next: next)
    }
    func repair(_ id: String, _ caller: Caller) throws -> RepairResource {
        let lookup = try RegistryLookup(gateway, caller)
        return resource(try find(id, lookup), lookup)
    }
    func cancelRepair(_ id: String, _ caller: Caller) throws -> RepairResource {
        let lookup = try RegistryLookup(gateway, caller)
        let found = try find(id, lookup)
        let what = [FieldChange(field: "repair", before: "running", after: "\(id): cancelled")]
        guard found.state == .running else { throw RepairResource.over(found) }
        try gateway.note(.update, on: nil, of: found.order.tenant.map { TenantID($0) }, what, caller)
        guard try gateway.accessNow().repairs.cancel(found) else { throw RepairResource.over(try find(id, lookup)) }
        return resource(try find(id, lookup), lookup)
    }
    private func find(_ id: String, _ lookup: RegistryLookup) throws -> Repair {
        let scope = try lookup.scope
        guard let found = try gateway.accessNow().store.repair(id),
            scope == nil || scope?.number == found.order.tenant
        else { throw ControlError(.noSuchRepair, "there is no repair `\(id.prefix(64))`") }
        return found
    }
    private func resource(_ repair: Repair, _ lookup: RegistryLookup) -> RepairResource {
        RepairResource(repair) { LiveRepairs.reference(EndpointID($0), lookup) }
    }
    private static func reference(_ id: EndpointID, _ lookup: RegistryLookup) -> Reference {
        guard let spec = lookup.state.endpoints[id] else { return Reference(id: "", name: "removed endpoint \(id)") }
        return Reference(id: spec.publicID.text, name: spec.qualifiedName)
    }

    // MARK: one delivery

    func cancelDelivery(event: String, endpoint: String, _ caller: Caller) throws -> DeliveryResource {
        let access = try gateway.accessNow()
        let lookup = try RegistryLookup(gateway, caller)
        let target = try lookup.endpoint(endpoint)
        guard let id = access.eventID(event), try access.owner(of: id)?.tenant == target.tenant else {
            throw ControlError.noSuchEvent(event)
        }
        func record() throws -> DeliveryRecord? {
            try access.delivery.deliveries(of: id).first { $0.row.endpoint == target.id }
        }
        guard let found = try record() else {
            throw ControlError(.noSuchDelivery, "`\(endpoint)` has not met the event `\(event)`")
        }
        guard found.row.state == .pending else {
            throw ControlError(.notPending, "the delivery of `\(event)` to `\(endpoint)` is \(found.row.state.name)")
        }
        let what = [FieldChange(field: "event", before: "", after: event)]
        try gateway.note(.cancel, on: target, of: target.tenant, what, caller)
        guard let done = try access.delivery.cancel([DeliveryKey(found.row)]) else {
            throw ControlError(.storeUnavailable, "the delivery store cannot be written at the moment; try again")
        }
        guard done.rows.count == 1, let now = try record() else {
            throw ControlError(
                .notPending, "an attempt of `\(event)` at `\(endpoint)` is being made; ask again when it has ended")
        }
        return DeliveryResource(now, lookup.state)
    }

    // MARK: counts

    func deadLetterCounts(
        endpoint ref: String?, _ paging: Paging, _ caller: Caller
    ) throws -> Found<DeadLetterCounts, UInt64> {
        let store = try gateway.accessNow().delivery.store
        let lookup = try RegistryLookup(gateway, caller)
        if let ref {
            let id = try lookup.endpoint(ref).id
            return Found(try counts(id, store, lookup).map { [$0] } ?? [])
        }
        let numbers = try lookup.scope.map { lookup.state.endpoints.numbers(of: $0) }
        let open = OpenEndpoints(store: store, states: [.dead])
        var items: [DeadLetterCounts] = []
        var after = UInt32(clamping: paging.after ?? 0)
        // One that has more than a page can look at ends it.
        var looked = 0
        while let id = try open.next(from: after &+ 1, among: numbers) {
            guard items.count < paging.limit, looked < LiveRepairs.lookedMax else {
                return Found(items, next: UInt64(after))
            }
            after = id.number
            guard lookup.state.endpoints[id]?.settings.extras.family != .operational,
                let found = try counts(id, store, lookup)
            else { continue }
            looked += found.counts.reduce(0) { $0 + $1.count }
            items.append(found)
        }
        return Found(items)
    }
    private func counts(
        _ id: EndpointID, _ store: any DeliveryStore, _ lookup: RegistryLookup
    ) throws -> DeadLetterCounts? {
        let groups = try store.deadLetters(endpoint: id, lookedMax: LiveRepairs.lookedMax)
        guard !groups.isEmpty else { return nil }
        let counted = groups.reduce(0) { $0 + $1.count }
        let total = counted < LiveRepairs.lookedMax ? counted : try store.counts(endpoint: id).dead
        return DeadLetterCounts(
            endpoint: LiveRepairs.reference(id, lookup), total: total, counts: groups.map { DeadLetterCount($0) })
    }
}

extension RepairResource {
    static func over(_ repair: Repair) -> ControlError {
        ControlError(.conflict, "the repair is over already: \(repair.state.rawValue)")
    }
}

extension RepairDraft {
    /// Without those parts that are looked up.
    var order: RepairOrder {
        var order = RepairOrder(RepairAction(rawValue: action) ?? .retry)
        order.isDry = dryRun ?? true
        if let states {
            order.takesDead = states.contains(.dead)
            order.takesDelivered = states.contains(.delivered)
        }
        (order.source, order.type, order.reason, order.failureClass) = (source, type, reason, self.class)
        if let range = status.flatMap({ StatusRange.parse($0) }) {
            (order.statusFirst, order.statusLast) = (range.lowerBound, range.upperBound)
        }
        order.receivedFrom = from.flatMap { TimeText.parse($0) }
        order.receivedUntil = until.flatMap { TimeText.parse($0) }
        order.failedFrom = failedFrom.flatMap { TimeText.parse($0) }.map { Int64(clamping: $0 / 1_000_000) }
        order.failedUntil = failedUntil.flatMap { TimeText.parse($0) }.map { Int64(clamping: $0 / 1_000_000) }
        order.perSecond = perSecond ?? RepairOrder.perSecondDefault
        return order
    }
    /// For the audit log.
    var shownFields: [FieldChange] {
        let fields: [(String, String?)] = [
            ("action", action), ("to", to), ("states", states.map { $0.map(\.rawValue).joined(separator: ", ") }),
            ("events", events.map { $0.count > 10 ? "\($0.count)" : $0.joined(separator: ", ") }),
            ("source", source), ("type", type), ("reason", reason), ("class", self.class), ("status", status),
            ("from", from), ("until", until), ("failed_from", failedFrom), ("failed_until", failedUntil),
            ("per_second", perSecond.map { "\($0)" }),
        ]
        return fields.compactMap { name, value in value.map { FieldChange(field: name, before: "", after: $0) } }
    }
}
