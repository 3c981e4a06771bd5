// Which of a lane's deliveries of one key is the newest, where its endpoint wants no other. Passive: it says whose
// place a delivery takes; `LaneOrder` says what may go, and the dispatcher ends what is superseded.
//
// A key is told by two hashes of its value, one of them keyed with what only this process knows: two values that agree
// in the first alone wait for each other, as in an order, and neither takes the other's place. Events without a value
// are not here.
//
// Invariants: what is here has its row in the store and is neither delivered nor dead; of each key at most one is here
// that is not out, but for a moment in which the caller ends the others. If the first failed, an event could be
// superseded by one that a crash loses. Memory grows with the keys of what waits, not with what came.

import FastPath

package struct LaneCoalescing {
    /// A delivery that waits or is out.
    package struct Entry: Equatable, Sendable {
        package var place: EventLocation
        package var attempts: UInt16
        package var dueMillis: Int64
        /// Of its key's value.
        package var tag: UInt64

        package init(place: EventLocation, attempts: UInt16, dueMillis: Int64, tag: UInt64) {
            self.place = place
            self.attempts = attempts
            self.dueMillis = dueMillis
            self.tag = tag
        }
    }
    package enum Meeting: Equatable, Sendable {
        /// A newer one of its key is here already.
        case superseded
        /// It is here from now on, and takes the place of these: those of them that are not out are to be ended.
        case newest(before: [Entry])
    }
    /// What the store says of a delivery whose event nobody has read yet.
    private struct Noted {
        let attempts: UInt16
        let dueMillis: Int64
    }
    /// By the first hash, in the order of their sequence; one or two of a key.
    private var lines: [UInt64: [Entry]] = [:]
    private var keys: [UInt64: UInt64] = [:]
    private var noted: [UInt64: Noted] = [:]

    package init() {}
    package var isEmpty: Bool { keys.isEmpty && noted.isEmpty }
    package var count: Int { keys.count }
    package func contains(_ sequence: UInt64) -> Bool { keys[sequence] != nil }

    package mutating func meet(_ entry: Entry, key: UInt64) -> Meeting {
        let sequence = entry.place.sequence
        var line = lines[key] ?? []
        guard !line.contains(where: { $0.tag == entry.tag && $0.place.sequence > sequence }) else { return .superseded }
        let older = line.filter { $0.tag == entry.tag && $0.place.sequence < sequence }
        line.removeAll { $0.place.sequence == sequence }
        line.insert(entry, at: line.partitionIndex { $0.place.sequence < sequence })
        lines[key] = line
        keys[sequence] = key
        return .newest(before: older)
    }
    package func hasNewer(than sequence: UInt64) -> Bool {
        guard let line = keys[sequence].flatMap({ lines[$0] }),
            let own = line.first(where: { $0.place.sequence == sequence })
        else { return false }
        return line.contains { $0.tag == own.tag && $0.place.sequence > sequence }
    }
    /// It has its row, and waits until then.
    package mutating func scheduled(_ sequence: UInt64, attempts: UInt16, dueMillis: Int64) {
        guard let key = keys[sequence],
            let index = lines[key]?.firstIndex(where: { $0.place.sequence == sequence })
        else { return }
        lines[key]?[index].attempts = attempts
        lines[key]?[index].dueMillis = dueMillis
    }
    /// It is delivered, dead or superseded.
    package mutating func ended(_ sequence: UInt64) {
        noted[sequence] = nil
        guard let key = keys.removeValue(forKey: sequence) else { return }
        lines[key]?.removeAll { $0.place.sequence == sequence }
        if lines[key]?.isEmpty == true { lines[key] = nil }
    }

    // MARK: what waits in the store

    package mutating func note(_ sequence: UInt64, attempts: UInt16, dueMillis: Int64) {
        noted[sequence] = Noted(attempts: attempts, dueMillis: dueMillis)
    }
    package mutating func takeNoted(_ sequence: UInt64) -> (attempts: UInt16, dueMillis: Int64)? {
        noted.removeValue(forKey: sequence).map { ($0.attempts, $0.dueMillis) }
    }
}
