// What the store answers: open deliveries and history put together. store.sqlite is read first and history after it, so
// that a delivery that is just being finished is in one of them or in both, never in neither.
//
// An open row hides the finished one of the same delivery (a replay), a row of a newer slice the one of an older.

import FastPath
import GRDB

struct DeliveryReader {
    let database: StoreDatabase
    let open: OpenTable
    let history: HistorySlices
    let identity: UInt64
    let lookedMax: Int

    func recorded(endpoint: EndpointID, from: UInt64) throws -> [UInt64] {
        var found = Set(try database.read { try open.recorded(endpoint: endpoint, from: from, $0) })
        for slice in history.slices(of: identity, in: from ... .max) {
            let sequences = try history.read(slice, identity) { try $0.sequences(endpoint: endpoint, from: from, $1) }
            found.formUnion(sequences ?? [])
        }
        return found.sorted()
    }

    func rows(sequence: UInt64) throws -> [DeliveryRow] {
        var found: [EndpointID: DeliveryRow] = [:]
        let pending = try database.read { try open.rows(sequence: sequence, $0) }
        for slice in byNumber(sequence...sequence) {
            let rows = try history.read(slice, identity) { try $0.rows(sequence: sequence, $1) }
            for row in rows ?? [] { found[row.endpoint] = row }
        }
        for row in pending { found[row.endpoint] = row }
        return found.values.sorted { $0.endpoint < $1.endpoint }
    }
    func attempts(sequence: UInt64) throws -> [AttemptRow] {
        var found = try database.read { try open.attempts.fetch(sequence: sequence, $0) }
        for slice in byNumber(sequence...sequence) {
            found += try history.read(slice, identity) { try $0.attempts.fetch(sequence: sequence, $1) } ?? []
        }
        found.sort { ($0.endpoint, $0.number, $0.endedMillis) < ($1.endpoint, $1.number, $1.endedMillis) }
        // While a delivery moves into history, its attempts are in both.
        return found.reduce(into: []) { kept, next in
            if kept.last != next { kept.append(next) }
        }
    }

    /// While a delivery moves into history, its attempts are counted twice.
    func attemptCounts(endpoint: EndpointID, ended: Range<Int64>) throws -> AttemptCounts {
        var counts = try database.read { try open.attempts.counts(endpoint: endpoint, ended: ended, $0) }
        for slice in byNumber(0 ... .max) {
            // What a slice has was written when its rows were, and ended before.
            if let newest = slice.span(identity)?.updated.upperBound, newest < ended.lowerBound { continue }
            let more = try history.read(slice, identity) {
                try $0.attempts.counts(endpoint: endpoint, ended: ended, $1)
            }
            counts.succeeded += more?.succeeded ?? 0
            counts.failed += more?.failed ?? 0
        }
        return counts
    }

    // MARK: Listing, newest first

    func rows(_ query: DeliveryQuery) throws -> (rows: [DeliveryRow], next: DeliveryCursor?) {
        guard query.limit > 0 else { return ([], query.before) }
        var merge = ListingMerge(limit: query.limit)
        let states = query.states.filter { !$0.isFinished }.filter { query.reason == nil || $0 == .dead }
        try database.read { db in
            for state in states { merge.add(try open.page(query, state: state, lookedMax: lookedMax, db)) }
        }
        if query.states.contains(where: \.isFinished), query.reason == nil {
            let last = query.before.map(\.sequence) ?? .max
            for slice in history.slices(of: identity, in: 0...last) {
                guard let span = slice.span(identity), merge.wants(span.sequences.upperBound) else { break }
                if let updated = query.updated, !updated.overlaps(span.updated) { continue }
                let page = try history.read(slice, identity) { try $0.page(query, lookedMax: lookedMax, $1) }
                guard let page else { continue }
                merge.add(ListingPage(rows: try current(page.rows, of: slice), end: page.end))
            }
        }
        return merge.page
    }

    // MARK: One endpoint's, in order

    func rows(
        endpoint: EndpointID, states: Set<DeliveryState>, from: UInt64, limit: Int
    ) throws -> [DeliveryRow] {
        var found: [DeliveryRow] = []
        var from = from
        while limit > 0 {
            let part = try part(endpoint: endpoint, states: states, from: from, limit: limit)
            found += part.rows.prefix(limit - found.count)
            guard found.count < limit, let end = part.end, end < .max else { break }
            from = end + 1
        }
        return found
    }
    /// Every row from `from` to `end`, or to the last one when that is nil.
    private func part(
        endpoint: EndpointID, states: Set<DeliveryState>, from: UInt64, limit: Int
    ) throws -> (rows: [DeliveryRow], end: UInt64?) {
        var found: [UInt64: DeliveryRow] = [:]
        var end: UInt64?
        func add(_ rows: [DeliveryRow]) {
            for row in rows where found[row.place.sequence] == nil { found[row.place.sequence] = row }
        }
        func noteEnd(_ rows: [DeliveryRow]) {
            if rows.count >= limit, let last = rows.last { end = min(end ?? .max, last.place.sequence) }
        }
        try database.read { db in
            for state in states where !state.isFinished {
                let rows = try open.rows(endpoint: endpoint, state: state, from: from, limit: limit, db)
                noteEnd(rows)
                add(rows)
            }
        }
        if states.contains(where: \.isFinished) {
            for slice in history.slices(of: identity, in: from ... .max) {
                let rows = try history.read(slice, identity) {
                    try $0.rows(endpoint: endpoint, from: from, limit: limit, $1)
                }
                noteEnd(rows ?? [])
                add(try current((rows ?? []).filter { states.contains($0.state) }, of: slice))
            }
        }
        let rows = found.values.filter { $0.place.sequence <= end ?? .max }
        return (rows.sorted { $0.place.sequence < $1.place.sequence }, end)
    }

    // MARK: What counts

    private func byNumber(_ sequences: ClosedRange<UInt64>) -> [HistorySlice] {
        history.slices(of: identity, in: sequences).sorted { $0.number < $1.number }
    }
    /// Those rows of a slice that nothing hides.
    private func current(_ rows: [DeliveryRow], of slice: HistorySlice) throws -> [DeliveryRow] {
        let sequences = rows.map(\.place.sequence)
        guard let first = sequences.min(), let last = sequences.max() else { return [] }
        var hidden = Set(try database.read { try open.open(among: rows, $0) }.map(DeliveryKey.init))
        for other in history.slices(of: identity, in: first...last) where other.number > slice.number {
            let newer = try history.read(other, identity) { try $0.matching(rows, $1) }
            hidden.formUnion((newer ?? []).map(DeliveryKey.init))
        }
        return hidden.isEmpty ? rows : rows.filter { !hidden.contains(DeliveryKey($0)) }
    }
}

/// What names a delivery within a log.
package struct DeliveryKey: Hashable, Comparable, Sendable {
    package let sequence: UInt64
    package let endpoint: EndpointID

    package init(sequence: UInt64, endpoint: EndpointID) {
        self.sequence = sequence
        self.endpoint = endpoint
    }
    package init(_ row: DeliveryRow) {
        sequence = row.place.sequence
        endpoint = row.endpoint
    }
    init(_ row: AttemptRow) {
        sequence = row.sequence
        endpoint = row.endpoint
    }
    init(_ cursor: DeliveryCursor) {
        sequence = cursor.sequence
        endpoint = cursor.endpoint
    }
    package static func < (left: DeliveryKey, right: DeliveryKey) -> Bool {
        (left.sequence, left.endpoint) < (right.sequence, right.endpoint)
    }
    var cursor: DeliveryCursor { DeliveryCursor(sequence: sequence, endpoint: endpoint) }
}

/// Pages of several tables become one. A table that stopped early may have more behind its end, so nothing behind the
/// newest of those ends is given out: no row is missed, and none comes twice.
struct ListingMerge {
    let limit: Int
    private var found: [DeliveryKey: DeliveryRow] = [:]
    /// The newest place where a table stopped.
    private var end: DeliveryKey?

    init(limit: Int) { self.limit = limit }

    mutating func add(_ page: ListingPage) {
        // The first one stays: an open row comes before a finished one.
        for row in page.rows where found[DeliveryKey(row)] == nil { found[DeliveryKey(row)] = row }
        if let place = page.end.map(DeliveryKey.init) { end = max(end ?? place, place) }
    }
    /// False when a table whose newest event is `sequence` can add nothing to the page.
    mutating func wants(_ sequence: UInt64) -> Bool {
        if found.count >= limit {
            let last = found.keys.sorted(by: >)[limit - 1]
            // The page is full without that table; what it has is for the next one.
            if last.sequence > sequence { end = max(end ?? last, last) }
        }
        return end.map { $0.sequence <= sequence } ?? true
    }

    var page: (rows: [DeliveryRow], next: DeliveryCursor?) {
        let keys = found.keys.filter { key in end.map { key >= $0 } ?? true }.sorted(by: >)
        let rows = keys.prefix(limit).compactMap { found[$0] }
        if keys.count > limit { return (rows, keys[limit - 1].cursor) }
        return (rows, end?.cursor)
    }
}
