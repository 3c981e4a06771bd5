// What a sink has seen: first deliveries, duplicates, disorder, gaps. Passive; ids in, counts out.
//
// An event of Sluice carries its sequence in its id, so order and gaps are known without asking anyone. Memory: one bit
// an event and 24 bytes a 4,096 of them; foreign ids are kept as text.
import FastPath

package struct SinkTally: Sendable {
    package private(set) var received = 0
    package private(set) var duplicates = 0
    /// Requests that say nowhere which event they are: each counts as one of its own.
    package private(set) var unidentified = 0
    /// Firsts that came after a first of a later sequence.
    package private(set) var disordered = 0
    /// Signatures that did not verify; those requests count as nothing else.
    package var rejected = 0
    /// Answered with an error on purpose; those requests count as nothing else.
    package var refused = 0
    private var logs: [UInt64: SequenceSet] = [:]
    private var foreign: Set<String> = []

    package init() {}

    /// Sequences between the first and the last seen, of each log, that did not come.
    package var missing: Int { logs.values.reduce(0) { $0 + $1.gapCount } }
    package var distinct: Int { received - duplicates }

    /// `id` is empty where there is none.
    package mutating func receive(id: String) {
        received += 1
        guard !id.isEmpty else {
            unidentified += 1
            return
        }
        guard let event = EventID(id) else {
            if !foreign.insert(id).inserted { duplicates += 1 }
            return
        }
        switch logs[event.logIdentity, default: SequenceSet()].insert(event.sequence) {
        case .ahead: break
        case .behind: disordered += 1
        case .known: duplicates += 1
        }
    }
}

/// A set of sequences, one bit each.
struct SequenceSet: Sendable {
    enum Arrival { case ahead, behind, known }

    private var blocks: [UInt64: [UInt64]] = [:]
    private var first = UInt64.max
    private var last: UInt64 = 0
    private var count = 0
    private static let wordsABlock = 64

    mutating func insert(_ sequence: UInt64) -> Arrival {
        let word = Int(sequence >> 6) & (SequenceSet.wordsABlock - 1)
        let bit: UInt64 = 1 << (sequence & 63)
        let empty = [UInt64](repeating: 0, count: SequenceSet.wordsABlock)
        let isKnown = blocks[sequence >> 12, default: empty].withMark(word, bit)
        if isKnown { return .known }
        let isAhead = count == 0 || sequence > last
        first = min(first, sequence)
        last = max(last, sequence)
        count += 1
        return isAhead ? .ahead : .behind
    }
    var gapCount: Int { count == 0 ? 0 : Int(last - first) + 1 - count }
}

extension [UInt64] {
    /// Sets the bit; true when it was set before.
    fileprivate mutating func withMark(_ word: Int, _ bit: UInt64) -> Bool {
        let isKnown = self[word] & bit != 0
        self[word] |= bit
        return isKnown
    }
}
