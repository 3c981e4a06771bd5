// The audit listing of the contract edge: what the audit log has of the tenant, and the attempts of its deliveries, in
// one order.
import Engine
import FastPath

enum ContractAudit {
    /// Of a replay's entry: which delivery.
    static let deliveryField = "delivery_id"
}

extension LiveContract {
    private static var entriesLookedAtMax: Int { 5000 }
    private struct Item {
        let millis: Int64
        let json: JSONValue
    }
    /// Of the audit log; `rest` is where to go on behind them, 0 at the end.
    private struct Written {
        var items: [(number: Int64, item: Item)] = []
        var rest: UInt64 = 0
    }
    /// Attempts, by delivery.
    private struct Made {
        var items: [(cursor: DeliveryCursor, items: [Item])] = []
        var rest: DeliveryCursor?
    }
    /// Where the next page goes on in either.
    private struct Place {
        /// Entries of the log before this number; 0 = none are left.
        var number: UInt64 = .max
        /// Deliveries before this one; 0 = none are left.
        var sequence: UInt64 = .max
        var endpoint: UInt64 = 0
    }

    func audit(
        _ category: ContractAuditCategory?, _ paging: ContractPaging, _ caller: Caller
    ) throws -> ContractPage {
        let tenant = try tenant(caller)
        var place = Place()
        if let cursor = paging.cursor {
            let parts = try ContractCursor.parts(cursor, of: .contractAudit, count: 3)
            (place.number, place.sequence, place.endpoint) = (parts[0], parts[1], parts[2])
        }
        if category == .delivery { place.number = 0 }
        if let category, category != .delivery { place.sequence = 0 }
        let written = try place.number == 0 ? Written() : entries(category, place.number, paging.limit, tenant)
        let made = try place.sequence == 0 ? Made() : attempts(place, paging.limit, tenant)
        return merged(written, made, place, paging.limit)
    }
    /// The later of the two, until the page is full. A delivery's attempts stay together.
    private func merged(_ written: Written, _ made: Made, _ start: Place, _ limit: Int) -> ContractPage {
        var place = start
        var items: [JSONValue] = []
        var (left, right) = (written.items[...], made.items[...])
        while items.count < limit {
            let entryMillis = left.first?.item.millis
            let attemptMillis = right.first?.items.first?.millis
            guard entryMillis != nil || attemptMillis != nil else { break }
            if let entryMillis, attemptMillis.map({ entryMillis >= $0 }) ?? true, let one = left.popFirst() {
                items.append(one.item.json)
                place.number = UInt64(clamping: one.number)
            } else if let one = right.popFirst() {
                items += one.items.map(\.json)
                (place.sequence, place.endpoint) = (one.cursor.sequence, UInt64(one.cursor.endpoint.number))
            }
        }
        if left.isEmpty { place.number = written.rest }
        if right.isEmpty {
            (place.sequence, place.endpoint) = (made.rest?.sequence ?? 0, UInt64(made.rest?.endpoint.number ?? 0))
        }
        let isOver = place.number == 0 && place.sequence == 0
        let next = Cursor(.contractAudit, place.number, place.sequence, place.endpoint).text
        return ContractPage(items, next: isOver ? nil : next)
    }

    // MARK: the audit log

    private func entries(
        _ category: ContractAuditCategory?, _ before: UInt64, _ limit: Int, _ tenant: TenantSpec
    ) throws -> Written {
        guard let log = gateway.audit else { throw ControlError.notRunning }
        var query = AuditQuery()
        query.tenant = tenant.id
        query.before = before == .max ? nil : Int64(clamping: before)
        query.limit = 500
        var found = Written()
        var looked = 0
        while looked < LiveContract.entriesLookedAtMax {
            let page = try log.entries(query)
            looked += page.count
            for entry in page {
                guard let kind = ContractAuditCategory(entry), category == nil || kind == category else { continue }
                let json = LiveContract.json(of: entry, kind, tenant)
                found.items.append((entry.number, Item(millis: entry.timeMillis, json: json)))
                found.rest = UInt64(clamping: entry.number)
                if found.items.count == limit { return found }
            }
            guard page.count == query.limit, let last = page.last else {
                found.rest = 0
                break
            }
            query.before = last.number
            found.rest = UInt64(clamping: last.number)
        }
        return found
    }
    private static func json(
        of entry: Engine.AuditEntry, _ category: ContractAuditCategory, _ tenant: TenantSpec
    ) -> JSONValue {
        var members: [String: JSONValue] = [
            "audit_id": .text("\(entry.number)"), "tenant_id": .text(tenant.publicID.uuid),
            "category": .text(category.rawValue), "created_at": .text(TimeText.of(epochMillis: entry.timeMillis)),
            "request_id": entry.requestID.map { .text($0) } ?? .null,
        ]
        func value(_ field: String) -> JSONValue {
            entry.changes.first { $0.field == field }.map { .text($0.after) } ?? .null
        }
        switch category {
        case .registration:
            members["actor_id"] = .text(entry.actor)
            members["action"] = .text(entry.action.rawValue)
            members["resource_id"] = .text(PublicID(entry.resource, prefix: .endpoint)?.uuid ?? entry.resource)
            members["changes"] = .list(
                entry.changes.map {
                    ["field": .text($0.field), "before": .text($0.before), "after": .text($0.after)]
                })
        case .authFailure:
            members["actor_id"] = .text(entry.actor)
            members["failure_reason"] = value("reason")
        case .replay:
            members["actor_id"] = .text(entry.actor)
            members["delivery_id"] = value(ContractAudit.deliveryField)
            members["outcome"] = "accepted"
        case .delivery: break
        }
        return .object(members)
    }

    // MARK: attempts

    /// Of each delivery the last attempt first.
    private func attempts(
        _ place: Place, _ limit: Int, _ tenant: TenantSpec
    ) throws -> Made {
        let access = try gateway.accessNow()
        var query = DeliveryQuery()
        query.limit = 100
        if place.sequence != .max {
            let endpoint = EndpointID(UInt32(clamping: place.endpoint))
            query.before = DeliveryCursor(sequence: place.sequence, endpoint: endpoint)
        }
        var found = Made()
        found.rest = try walk(access, query, of: tenant) { row in
            let items = try attempts(of: row, access).enumerated().reversed().map { ordinal, made in
                Item(
                    millis: made.endedMillis,
                    json: LiveContract.json(of: made, ordinal, try webhookID(row), tenant))
            }
            let cursor = DeliveryCursor(sequence: row.place.sequence, endpoint: row.endpoint)
            if !items.isEmpty { found.items.append((cursor, items)) }
            return found.items.count < limit
        }
        return found
    }
    private static func json(
        of made: AttemptRow, _ ordinal: Int, _ webhook: String, _ tenant: TenantSpec
    ) -> JSONValue {
        let id = OpsCenterID.Row(
            endpoint: made.endpoint, sequence: made.sequence, ordinal: UInt16(clamping: ordinal + 1))
        let members: [String: JSONValue] = [
            "audit_id": .text(OpsCenterID.text(id)), "tenant_id": .text(tenant.publicID.uuid), "category": "delivery",
            "created_at": .text(TimeText.of(epochMillis: made.endedMillis)), "webhook_id": .text(webhook),
            "delivery_id": .text(ContractID.delivery(of: made.sequence, at: made.endpoint)),
            "attempt": .integer(Int64(AttemptCount.number(of: made.number))),
            "status": .text(isSuccess(made) ? "delivered" : "failed"), "latency_ms": latency(made.timing),
        ]
        return .object(members.merging(failover(made)) { own, _ in own })
    }
}

extension ContractAuditCategory {
    /// Nil for what the contract does not list.
    init?(_ entry: Engine.AuditEntry) {
        switch entry.action {
        case .refuse: self = .authFailure
        case .replay:
            guard entry.changes.contains(where: { $0.field == ContractAudit.deliveryField }) else { return nil }
            self = .replay
        case .create, .update, .delete:
            guard entry.kind == .endpoint else { return nil }
            self = .registration
        case .reverify, .cancel, .reveal: return nil
        }
    }
}
