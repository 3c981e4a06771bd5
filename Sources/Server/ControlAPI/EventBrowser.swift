// Pages through the committed events of a running gateway, forward from an event or the latest ones. Bounded work a
// call.
import Engine
import FastPath

struct EventBrowser {
    private let access: GatewayAccess
    /// A call looks at no more records than this; the page then says where to go on.
    private static let recordsReadMax: UInt64 = 100_000

    init(_ access: GatewayAccess) { self.access = access }

    /// An event's place; 404 when the id is not of this log.
    func sequence(of id: String) throws -> UInt64 {
        guard let event = EventID(id), event == EventID(logIdentity: access.identity, sequence: event.sequence) else {
            throw ControlError(status: 404, code: "no_such_event", message: "`\(id)` is no event of this log")
        }
        return event.sequence
    }

    /// Forward from a sequence.
    func page(_ query: EventQuery, from first: UInt64) throws -> EventPage {
        let tail = access.tail.snapshot
        let last = min(tail.sequence, first &+ EventBrowser.recordsReadMax)
        var rows: [EventRow] = []
        var seen = first - 1
        try walk(first, through: last, query) { row in
            rows.append(row)
            seen = row.sequence
            return rows.count < query.limit
        }
        // Where nothing more matched, all that was looked at is behind.
        if rows.count < query.limit { seen = max(seen, last) }
        return EventPage(events: rows, next: id(max(seen, first - 1)))
    }

    /// The last ones that match: windows that double, from the end back.
    func latest(_ query: EventQuery) throws -> EventPage {
        let tail = access.tail.snapshot
        var window = UInt64(query.limit)
        while true {
            let first = tail.sequence > window ? tail.sequence - window + 1 : 1
            var rows: [EventRow] = []
            try walk(first, through: tail.sequence, query) { row in
                rows.append(row)
                if rows.count >= 2 * query.limit { rows.removeFirst(rows.count - query.limit) }
                return true
            }
            if rows.count >= query.limit || first == 1 || window >= EventBrowser.recordsReadMax {
                return EventPage(events: rows.suffix(query.limit), next: id(tail.sequence))
            }
            window = min(window * 8, EventBrowser.recordsReadMax)
        }
    }

    /// Nil where there is nothing before the first event.
    private func id(_ sequence: UInt64) -> String? {
        sequence == 0 ? nil : EventID(logIdentity: access.identity, sequence: sequence).text
    }
    private func walk(_ first: UInt64, through last: UInt64, _ query: EventQuery, _ visit: (EventRow) -> Bool)
        throws
    {
        var tail = access.tail.snapshot
        tail.sequence = min(tail.sequence, last)
        let filter = EventFilter(source: query.source, type: query.type)
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
