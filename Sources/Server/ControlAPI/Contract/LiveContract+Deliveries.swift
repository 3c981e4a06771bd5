// Deliveries of the contract's entries, out of the delivery store and the log; their attempts, and those that are sent
// again. Bounded work a call.
import Engine
import FastPath
import Foundation
import NIOHTTP1

/// What the log has of a delivery's event.
struct ContractDeliveryEvent {
    let stamp: ContractStamp
    let type: String
    let receivedMillis: Int64
}

extension LiveContract {
    /// Rows that a call looks at.
    private static var rowsLookedAtMax: Int { 5000 }
    private static var deadLookedAtMax: Int { 50_000 }
    private static var pageCount: Int { 100 }

    // MARK: listed

    func contractDeliveries(_ search: ContractDeliverySearch, _ caller: Caller) throws -> ContractPage {
        let tenant = try tenant(caller)
        let access = try gateway.accessNow()
        var query = DeliveryQuery()
        query.endpoint = try search.webhook.map { try find($0, tenant).id }
        switch search.status {
        case .pending?, .retrying?: query.states = [.pending]
        case .delivered?: query.states = [.delivered]
        case .dlq?: query.states = [.dead]
        case nil: break
        }
        if let cursor = search.paging.cursor {
            let parts = try ContractCursor.parts(cursor, of: .contractDeliveries, count: 2)
            query.before = DeliveryCursor(sequence: parts[0], endpoint: EndpointID(UInt32(clamping: parts[1])))
        }
        query.limit = LiveContract.pageCount
        var items: [JSONValue] = []
        let log = access.delivery.makeReader()
        let end = try walk(access, query, of: tenant) { row in
            let event = LiveContract.event(of: row, log, tenant.id, access.identity)
            if let type = search.type, event?.type != type { return true }
            if let status = search.status, ContractStatus(row) != status { return true }
            items.append(.object(LiveContract.members(of: row, event, try webhookID(row), tenant, access.identity)))
            return items.count < search.paging.limit
        }
        let next = end.map { Cursor(.contractDeliveries, $0.sequence, UInt64($0.endpoint.number)).text }
        return ContractPage(items, next: next)
    }
    /// Rows of the tenant's entries, the newest event first, until `visit` has enough. Where the next page goes on;
    /// nil at the end.
    func walk(
        _ access: GatewayAccess, _ asked: DeliveryQuery, of tenant: TenantSpec, _ visit: (DeliveryRow) throws -> Bool
    ) throws -> DeliveryCursor? {
        var query = asked
        let endpoints = try state().endpoints
        var looked = 0
        while looked < LiveContract.rowsLookedAtMax {
            let (rows, next) = try access.delivery.store.rows(query)
            for (index, row) in rows.enumerated() {
                looked += 1
                guard let entry = endpoints[row.endpoint], entry.tenant == tenant.id,
                    entry.settings.extras.family == .contract
                else { continue }
                guard try visit(row) else {
                    let isLast = index == rows.count - 1 && next == nil
                    return isLast ? nil : DeliveryCursor(sequence: row.place.sequence, endpoint: row.endpoint)
                }
            }
            guard let next else { return nil }
            query.before = next
        }
        return query.before
    }
    static func event(
        of row: DeliveryRow, _ log: LogReaders, _ tenant: TenantID, _ identity: UInt64
    ) -> ContractDeliveryEvent? {
        guard case .event(let event) = log.read(at: row.place), event.place.sequence == row.place.sequence,
            event.tenant == tenant, let stamp = ContractStamp(event, logIdentity: identity)
        else { return nil }
        return ContractDeliveryEvent(
            stamp: stamp, type: event.eventType.text, receivedMillis: Int64(clamping: event.receivedAt / 1_000_000))
    }
    func webhookID(_ row: DeliveryRow) throws -> String { try state().endpoints[row.endpoint]?.publicID.uuid ?? "" }

    static func members(
        of row: DeliveryRow, _ event: ContractDeliveryEvent?, _ webhook: String, _ tenant: TenantSpec,
        _ identity: UInt64
    ) -> [String: JSONValue] {
        let number = AttemptCount.number(of: row.attempts)
        let wasTried = number > 0
        let isAnswered = wasTried && row.result == .answered && row.status > 0
        let id = EventID(logIdentity: identity, sequence: row.place.sequence)
        return [
            "delivery_id": .text(ContractID.delivery(of: row.place.sequence, at: row.endpoint)),
            "webhook_id": .text(webhook), "event_id": event.map { .text($0.stamp.eventID) } ?? .null,
            "tenant_id": .text(tenant.publicID.uuid), "event_type": event.map { .text($0.type) } ?? .null,
            "attempt": .integer(Int64(number)), "status": .text(ContractStatus(row).rawValue),
            "latency_ms": wasTried ? latency(row.timing) : .null,
            "response_code": isAnswered ? .integer(Int64(row.status)) : .null,
            "error_class": wasTried && row.state != .delivered ? errorClass(row.result, row.status) : .null,
            "correlation_id": correlation(event?.stamp),
            "idempotency_key": .text(ContractID.idempotencyKey(of: id, at: row.endpoint)),
            "created_at": event.map { .text(TimeText.of(epochMillis: $0.receivedMillis)) } ?? .null,
        ]
    }
    /// Null where the event has left the log, or what it came with was erased.
    static func correlation(_ stamp: ContractStamp?) -> JSONValue {
        stamp.flatMap { $0.correlationID.isEmpty ? nil : .text($0.correlationID) } ?? .null
    }
    static func latency(_ timing: AttemptTiming) -> JSONValue {
        JSONValue.number(Double(timing.totalMicros) / 1000).asStored
    }
    private static func errorClass(_ result: DeliveryResult, _ status: UInt16) -> JSONValue {
        .text(ContractErrorClass(FailureClass(result, status: status)).rawValue)
    }

    // MARK: one

    private func row(_ id: String, _ tenant: TenantSpec, _ access: GatewayAccess) throws -> DeliveryRow {
        let missing = EdgeRefusal(.notFound, "there is no delivery `\(id.prefix(64))`")
        guard let (sequence, endpoint) = ContractID.delivery(id), let entry = try state().endpoints[endpoint],
            entry.tenant == tenant.id, entry.settings.extras.family == .contract,
            let row = try access.delivery.store.rows(sequence: sequence).first(where: { $0.endpoint == endpoint })
        else { throw missing }
        return row
    }
    func contractDelivery(_ id: String, _ caller: Caller) throws -> JSONValue {
        let tenant = try tenant(caller)
        let access = try gateway.accessNow()
        let row = try row(id, tenant, access)
        let event = LiveContract.event(of: row, access.delivery.makeReader(), tenant.id, access.identity)
        var members = LiveContract.members(of: row, event, try webhookID(row), tenant, access.identity)
        members["attempts"] = .list(try attempts(of: row, access).map { LiveContract.json(of: $0) })
        return .object(members)
    }
    /// In the order in which they ended. One that succeeded at once is known by its delivery alone.
    func attempts(of row: DeliveryRow, _ access: GatewayAccess) throws -> [AttemptRow] {
        let made = try access.delivery.store.attempts(sequence: row.place.sequence)
            .filter { $0.endpoint == row.endpoint }.sorted { $0.endedMillis < $1.endedMillis }
        let hasLast = made.last.map { $0.endedMillis >= row.updatedMillis && $0.number == row.attempts } ?? false
        guard row.state == .delivered, made.isEmpty || !hasLast && AttemptCount.number(of: row.attempts) == 1 else {
            return made
        }
        return made + [
            AttemptRow(
                endpoint: row.endpoint, sequence: row.place.sequence, number: row.attempts,
                endedMillis: row.updatedMillis, timing: row.timing, status: row.status, result: row.result)
        ]
    }
    static func isSuccess(_ made: AttemptRow) -> Bool { made.result == .answered && (200..<300).contains(made.status) }
    private static func json(of made: AttemptRow) -> JSONValue {
        let isSuccess = isSuccess(made)
        var members: [String: JSONValue] = [
            "attempt": .integer(Int64(AttemptCount.number(of: made.number))),
            "at": .text(TimeText.of(epochMillis: made.endedMillis)),
            "response_code": made.result == .answered ? .integer(Int64(made.status)) : .null,
            "latency_ms": latency(made.timing),
            "error_class": isSuccess ? .null : errorClass(made.result, made.status),
            "error": isSuccess ? .null : .text(error(made)),
        ]
        members.merge(failover(made)) { own, _ in own }
        return .object(members)
    }
    /// What only attempts at `failover_url` have.
    static func failover(_ made: AttemptRow) -> [String: JSONValue] {
        guard AttemptCount.isFailover(made.number) else { return [:] }
        return ["failover": true].merging(made.host.map { ["host": .text($0)] } ?? [:]) { own, _ in own }
    }
    private static func error(_ made: AttemptRow) -> String {
        guard made.result != .answered else {
            let phrase = HTTPResponseStatus(statusCode: Int(made.status)).reasonPhrase
            return phrase.isEmpty ? "HTTP status \(made.status)" : "\(made.status) \(phrase)"
        }
        var outcome = DeliveryOutcome(token: 0, result: made.result)
        outcome.systemError = made.systemError
        return outcome.text
    }

    // MARK: sent again

    func replay(_ order: ContractReplayOrder, _ caller: Caller) throws -> [JSONValue] {
        let tenant = try tenant(caller)
        let access = try gateway.accessNow()
        let rows: [DeliveryRow]
        if let ids = order.deliveries {
            var seen: Set<String> = []
            rows = try ids.filter { seen.insert($0.lowercased()).inserted }.map { try row($0, tenant, access) }
            if let other = rows.first(where: { $0.state != .dead }) {
                let id = ContractID.delivery(of: other.place.sequence, at: other.endpoint)
                throw EdgeRefusal(.notInDLQ, "the delivery `\(id)` is not in the dead-letter queue")
            }
        } else {
            rows = try dead(order, tenant, access)
        }
        guard !rows.isEmpty else { return [] }
        let stopped = Set(
            try access.delivery.statuses(rows.map(\.endpoint)).filter { $0.state.condition == .disabled }
                .map(\.endpoint))
        if let row = rows.first(where: { stopped.contains($0.endpoint) }) {
            throw EdgeRefusal(.notInDLQ, "the webhook `\(try webhookID(row))` is not active; enable it first")
        }
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        try noteReplays(rows, order.reason, tenant, now, caller)
        let results = try access.delivery.replay(
            rows.map { Replay(endpoint: $0.endpoint, place: $0.place, state: $0.state) })
        if results.contains(.busy) {
            throw EdgeRefusal(.unavailable, "delivery cannot take more at the moment; try again")
        }
        return zip(rows, results).map { row, result -> JSONValue in
            [
                "replay_id": .text(ContractID.make()),
                "delivery_id": .text(ContractID.delivery(of: row.place.sequence, at: row.endpoint)),
                "status": .text(result == .accepted ? "accepted" : "already_pending"),
                "requested_by": .text(caller.principal.name), "reason": .text(order.reason),
                "created_at": .text(TimeText.of(epochMillis: now)),
            ]
        }
    }
    /// Asked for entry by entry: of all that is dead, the newest may be other tenants' alone.
    private func dead(
        _ order: ContractReplayOrder, _ tenant: TenantSpec, _ access: GatewayAccess
    ) throws -> [DeliveryRow] {
        let entries: [EndpointID] =
            if let webhook = order.webhook { [try find(webhook, tenant).id] } else {
                try state().endpoints.all(of: tenant.id).filter { $0.settings.extras.family == .contract }.map(\.id)
            }
        var rows: [DeliveryRow] = []
        var looked = 0
        for entry in entries {
            var from: UInt64 = 0
            while rows.count < ContractReplayOrder.countMax, looked < LiveContract.deadLookedAtMax {
                let part = try access.delivery.store.rows(
                    endpoint: entry, states: [.dead], from: from, limit: ContractReplayOrder.countMax)
                looked += part.count
                rows += part.filter { row in
                    let kind = ContractErrorClass(FailureClass(row.result, status: row.status))
                    return order.errorClass.map { $0 == kind } ?? true
                }
                guard part.count == ContractReplayOrder.countMax, let last = part.last else { break }
                from = last.place.sequence + 1
            }
        }
        return Array(rows.prefix(ContractReplayOrder.countMax))
    }
    /// Nothing is sent again that the audit log has not.
    private func noteReplays(
        _ rows: [DeliveryRow], _ reason: String, _ tenant: TenantSpec, _ now: Int64, _ caller: Caller
    ) throws {
        let actor = ChangeActor(caller)
        let endpoints = try state().endpoints
        let entries = rows.map { row in
            Engine.AuditEntry(
                timeMillis: now, actor: actor.name, requestID: actor.requestID, action: .replay, kind: .endpoint,
                tenant: tenant.id, resource: endpoints[row.endpoint]?.publicID.text ?? "",
                name: endpoints[row.endpoint]?.name ?? "",
                changes: [
                    FieldChange(
                        field: ContractAudit.deliveryField, before: "",
                        after: ContractID.delivery(of: row.place.sequence, at: row.endpoint)),
                    FieldChange(field: "reason", before: "", after: reason),
                ])
        }
        do { try gateway.audit?.record(entries) } catch {
            throw EdgeRefusal(
                .unavailable, "nothing was done: the audit log cannot be written at the moment; try again")
        }
    }
}

extension ContractStatus {
    init(_ row: DeliveryRow) {
        switch row.state {
        // Entries of the contract do not coalesce.
        case .delivered, .superseded: self = .delivered
        case .dead: self = .dlq
        case .pending: self = AttemptCount.number(of: row.attempts) > 0 ? .retrying : .pending
        }
    }
}
