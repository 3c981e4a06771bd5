// Pages through the committed events of a running gateway, forward from an event or the latest ones. Bounded work a
// call.
import Engine
import FastPath

struct EventBrowser {
    private let access: GatewayAccess
    /// A call looks at no more records than this; the page then says where to go on.
    private static let recordsReadMax: UInt64 = 100_000

    /// What is not of this tenant is passed over; nil = of all.
    private let tenant: TenantID?

    init(_ access: GatewayAccess, tenant: TenantID?) {
        self.access = access
        self.tenant = tenant
    }

    /// What `next` said, or an event's place, whosever it is; 404 when the id is not of this log.
    func sequence(of after: String) throws -> UInt64 {
        if let place = try? Cursor(after, of: .following, count: 1) { return place.parts[0] }
        guard let event = access.eventID(after) else {
            throw ControlError(.noSuchEvent, "`\(after)` is not an event of this log")
        }
        return event.sequence
    }

    /// Forward from behind a sequence, of which anybody may have made up any.
    func page(_ query: EventQuery, behind place: UInt64) throws -> EventPage {
        let tail = access.tail.snapshot
        guard place < tail.sequence else { return EventPage(events: [], next: query.after) }
        let first = place + 1
        let last = min(tail.sequence, first &+ EventBrowser.recordsReadMax)
        var rows: [EventRow] = []
        var seen = place
        try walk(first, through: last, EventFilter(query, tenant: tenant)) { row in
            rows.append(row)
            seen = row.sequence
            return rows.count < query.limit
        }
        // Where nothing more matched, all that was looked at is behind.
        if rows.count < query.limit { seen = max(seen, last) }
        return EventPage(events: rows, next: next(behind: seen, rows))
    }

    /// The last ones that match: windows that double, from the end back.
    func latest(_ query: EventQuery) throws -> EventPage {
        let tail = access.tail.snapshot
        var window = UInt64(query.limit)
        while true {
            let first = tail.sequence > window ? tail.sequence - window + 1 : 1
            var rows: [EventRow] = []
            try walk(first, through: tail.sequence, EventFilter(query, tenant: tenant)) { row in
                rows.append(row)
                if rows.count >= 2 * query.limit { rows.removeFirst(rows.count - query.limit) }
                return true
            }
            if rows.count >= query.limit || first == 1 || window >= EventBrowser.recordsReadMax {
                return EventPage(events: rows.suffix(query.limit), next: next(behind: tail.sequence, rows))
            }
            window = min(window * 8, EventBrowser.recordsReadMax)
        }
    }

    /// Newest first, in windows that grow, no more than `recordsReadMax` records a call.
    func search(_ search: EventSearch) throws -> Found<EventRow, UInt64> {
        let end = search.before.map { $0 == 0 ? 0 : $0 - 1 } ?? .max
        var last = min(access.tail.snapshot.sequence, end)
        let floor = last > EventBrowser.recordsReadMax ? last - EventBrowser.recordsReadMax + 1 : 1
        let filter = EventFilter(search, tenant: tenant)
        var window = UInt64(search.limit)
        var found: [EventRow] = []
        while last >= floor {
            let first = last - floor >= window ? last - window + 1 : floor
            let wanted = search.limit - found.count
            var rows: [EventRow] = []
            try walk(first, through: last, filter) { row in
                rows.append(row)
                if rows.count >= 2 * wanted { rows.removeFirst(rows.count - wanted) }
                return true
            }
            found += rows.suffix(wanted).reversed()
            if found.count == search.limit { break }
            last = first - 1
            window *= 8
        }
        let next = found.count == search.limit ? found.last?.sequence : last + 1
        return Found(found, next: next.flatMap { $0 > 1 ? $0 : nil })
    }

    /// Nil where there is nothing before the first event. To one tenant no event is named that may be another's.
    private func next(behind sequence: UInt64, _ rows: [EventRow]) -> String? {
        guard sequence > 0 else { return nil }
        guard tenant == nil || rows.last?.sequence == sequence else { return Cursor(.following, sequence).text }
        return EventID(logIdentity: access.identity, sequence: sequence).text
    }
    private func walk(
        _ first: UInt64, through last: UInt64, _ filter: EventFilter, _ visit: (EventRow) -> Bool
    )
        throws
    {
        var tail = access.tail.snapshot
        tail.sequence = min(tail.sequence, last)
        var reader = access.makeReader(from: first)
        while true {
            switch reader.next(through: tail) {
            case .record(let record, _):
                guard record.sequence >= first, filter.takes(record) else { continue }
                guard visit(EventRow(record, logIdentity: access.identity)) else { return }
            case .damaged, .missing: continue
            case .caughtUp: return
            case .failed: throw ControlError.logUnavailable
            }
        }
    }
}
