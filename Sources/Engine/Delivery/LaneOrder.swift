// The order of one lane's deliveries, where its endpoint asks for one. Of each key at most one attempt is out, and only
// of the delivery that came first among those of the key that are neither delivered nor dead. Passive: it says what may
// go and what goes next; the dispatcher sends.
//
// What is held back has its row in the store like everything that waits, so the lane's mark goes on and a restart finds
// it; here it costs some dozens of bytes. So memory grows with what waits, and is bounded: see `memberCountMax`.
//
// Invariants: `lines` has a key exactly while it has members; a member is out, or held, or waits in the retry queue for
// its time; nobody is held while its line has neither one that is out nor an earlier one. If they failed, a line would
// stand still forever, or a delivery would overtake an earlier one.

package struct LaneOrder {
    /// Deliveries that are not done; a lane with so many reads no further until some are.
    package static let memberCountMax = RetryQueue.orderMemberCountMax

    private struct Member {
        let sequence: UInt64
        /// It may go when those before it are done; nil while it is out or waits for its time.
        var held: DeferredAttempt?
        /// True exactly while no attempt of it was made.
        var isUnsent = false
    }
    /// One key's.
    private struct Line {
        /// In the order of their sequence.
        var members: ArraySlice<Member> = []
        var out: UInt64?

        /// Where `sequence` is or belongs.
        func index(of sequence: UInt64) -> Int {
            // Nearly everything comes behind all others.
            if let last = members.last, last.sequence < sequence { return members.endIndex }
            return members.partitionIndex { $0.sequence < sequence }
        }
        mutating func enrol(_ sequence: UInt64) -> Int {
            let index = index(of: sequence)
            if index == members.endIndex || members[index].sequence != sequence {
                members.insert(Member(sequence: sequence), at: index)
            }
            return index
        }
        func mayGo(_ sequence: UInt64) -> Bool {
            guard out == nil else { return false }
            guard let first = members.first else { return true }
            return first.sequence >= sequence
        }
    }
    private var lines: [UInt64: Line] = [:]
    private var keys: [UInt64: UInt64] = [:]
    /// Pending rows whose key is not known yet.
    package private(set) var unread: [EventLocation] = []
    /// True while attempts are out that were made before there was an order.
    package var awaitsReturn: Bool

    package init(awaitsReturn: Bool = false) { self.awaitsReturn = awaitsReturn }
    package var isEmpty: Bool { keys.isEmpty && unread.isEmpty }
    package var memberCount: Int { keys.count }
    /// True exactly when nothing is pending whose place in the order is not known.
    package var isComplete: Bool { unread.isEmpty && !awaitsReturn }
    /// Nil for one that is no member.
    package func key(of sequence: UInt64) -> UInt64? { keys[sequence] }

    /// An attempt of it is out.
    package func isOut(_ sequence: UInt64) -> Bool {
        keys[sequence].flatMap { lines[$0]?.out } == sequence
    }
    /// It waits for those before it.
    package func isHeld(_ sequence: UInt64) -> Bool {
        guard let key = keys[sequence], let line = lines[key] else { return false }
        let index = line.index(of: sequence)
        return index < line.members.endIndex && line.members[index].held != nil
    }

    // MARK: what waits in the store

    /// A pending row that the lane has just learnt of, with the key of its event once somebody has read that.
    package mutating func note(_ place: EventLocation) { if key(of: place.sequence) == nil { unread.append(place) } }
    package mutating func enrol(_ sequence: UInt64, key: UInt64) {
        guard keys.updateValue(key, forKey: sequence) == nil else { return }
        _ = lines[key, default: Line()].enrol(sequence)
    }
    package mutating func nextUnread() -> EventLocation? { unread.popLast() }

    // MARK: attempts

    package func mayGo(_ sequence: UInt64, key: UInt64) -> Bool { lines[key]?.mayGo(sequence) ?? true }
    /// An attempt is out. True exactly when it is the first one of a delivery that was held back.
    package mutating func began(_ sequence: UInt64, key: UInt64) -> Bool {
        enrol(sequence, key: key)
        precondition(lines[key]?.out == nil, "two deliveries of one key are out")
        lines[key]?.out = sequence
        return change(sequence, key) { member in
            defer { member.isUnsent = false }
            member.held = nil
            return member.isUnsent
        }
    }
    /// It goes when what is before it is done. Only for one that may not go now.
    package mutating func hold(_ attempt: DeferredAttempt, key: UInt64, isUnsent: Bool) {
        let sequence = attempt.place.sequence
        precondition(!mayGo(sequence, key: key))
        enrol(sequence, key: key)
        _ = change(sequence, key) { member in
            member.held = attempt
            if isUnsent { member.isUnsent = true }
            return true
        }
    }
    /// The same for one whose key is known here; false when it is not, or may go.
    package mutating func holdsBack(_ attempt: DeferredAttempt) -> Bool {
        guard let key = keys[attempt.place.sequence], !mayGo(attempt.place.sequence, key: key) else { return false }
        hold(attempt, key: key, isUnsent: false)
        return true
    }
    /// The attempt is over, or was not made. `isDone`: it is delivered or dead. Returns the attempt that may go now.
    package mutating func ended(_ sequence: UInt64, isDone: Bool) -> DeferredAttempt? {
        guard let key = keys[sequence], var line = lines.removeValue(forKey: key) else { return nil }
        if line.out == sequence { line.out = nil }
        if isDone {
            keys[sequence] = nil
            if line.members.first?.sequence == sequence {
                line.members.removeFirst()
            } else {
                line.members.remove(at: line.index(of: sequence))
            }
        }
        guard !line.members.isEmpty else { return nil }
        var next: DeferredAttempt?
        if line.out == nil {
            next = line.members[line.members.startIndex].held
            line.members[line.members.startIndex].held = nil
        }
        lines[key] = line
        return next
    }
    /// Everything that is held back; nothing is known any more.
    package mutating func disband() -> [DeferredAttempt] {
        defer { self = LaneOrder() }
        return lines.values.flatMap { $0.members.compactMap(\.held) }
    }

    private mutating func change(_ sequence: UInt64, _ key: UInt64, _ body: (inout Member) -> Bool) -> Bool {
        // Taken out, so that nothing is copied.
        guard var line = lines.removeValue(forKey: key) else { return false }
        defer { lines[key] = line }
        return body(&line.members[line.index(of: sequence)])
    }
}
