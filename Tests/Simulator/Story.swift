// What happened in a run: a hash over all of it, which is the same for the same seed, and the last steps in words, for
// whoever looks into a failure. A note costs a few multiplications; words are made only when they are asked for.

package struct Story {
    private struct Note {
        var at: UInt64
        var what: StaticString
        var first: Int
        var second: Int
    }
    private var notes: [Note] = []
    private var place = 0
    private static let noteCountMax = 200_000
    package private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    package private(set) var count = 0

    package mutating func note(_ what: StaticString, _ first: Int = 0, _ second: Int = 0, at: UInt64) {
        mix(UInt64(what.utf8CodeUnitCount))
        mix(UInt64(truncatingIfNeeded: first))
        mix(UInt64(truncatingIfNeeded: second))
        mix(at)
        count += 1
        let fresh = Note(at: at, what: what, first: first, second: second)
        if notes.count < Story.noteCountMax { return notes.append(fresh) }
        notes[place] = fresh
        place = (place + 1) % Story.noteCountMax
    }
    private mutating func mix(_ word: UInt64) { hash = (hash ^ word) &* 0x100_0000_01B3 }

    /// The last steps, oldest first, a line each.
    package func lines(_ count: Int) -> [String] {
        let ordered = Array(notes[place...] + notes[..<place])
        return ordered.suffix(count).map { note in
            let millis = Double(note.at / 1000) / 1000
            return "\(millis) ms  \(note.what) \(note.first) \(note.second)"
        }
    }
}
