// Which delivery of a key is the newest, by itself: every order of arrival, against a model that knows them all.

import Engine
import FastPath
import Testing

private func entry(_ sequence: UInt64, tag: UInt64 = 1, attempts: UInt16 = 0, due: Int64 = 0) -> LaneCoalescing.Entry {
    LaneCoalescing.Entry(
        place: EventLocation(sequence: sequence, position: sequence * 64), attempts: attempts, dueMillis: due, tag: tag)
}
/// In a reference, so that an expectation can change it.
private final class Box {
    private var coalescing = LaneCoalescing()
    var isEmpty: Bool { coalescing.isEmpty }
    var count: Int { coalescing.count }
    func meet(_ entry: LaneCoalescing.Entry, key: UInt64) -> LaneCoalescing.Meeting { coalescing.meet(entry, key: key) }
    /// The sequences whose place it takes; nil: it is superseded itself.
    func enter(_ sequence: UInt64, key: UInt64, tag: UInt64 = 1) -> [UInt64]? {
        guard case .newest(let before) = meet(entry(sequence, tag: tag), key: key) else { return nil }
        return before.map(\.place.sequence)
    }
    func hasNewer(than sequence: UInt64) -> Bool { coalescing.hasNewer(than: sequence) }
    func scheduled(_ sequence: UInt64, attempts: UInt16, due: Int64) {
        coalescing.scheduled(sequence, attempts: attempts, dueMillis: due)
    }
    func ended(_ sequence: UInt64) { coalescing.ended(sequence) }
    func note(_ sequence: UInt64) { coalescing.note(sequence, attempts: 3, dueMillis: 7) }
    func takeNoted(_ sequence: UInt64) -> UInt16? { coalescing.takeNoted(sequence)?.attempts }
}

@Suite struct LaneCoalescingTests {
    @Test func theNewestOfAKeyTakesThePlaceOfTheOthers() {
        let box = Box()
        #expect(box.enter(1, key: 7) == [] && box.enter(2, key: 8) == [])
        #expect(box.enter(3, key: 7) == [1] && box.hasNewer(than: 1) && !box.hasNewer(than: 2))
        box.ended(1)
        #expect(!box.hasNewer(than: 3) && box.count == 2)
        for sequence in [UInt64(2), 3] { box.ended(sequence) }
        #expect(box.isEmpty)
    }
    @Test func anOlderOneThatComesLaterIsSuperseded() {
        let box = Box()
        #expect(box.enter(5, key: 7) == [] && box.enter(4, key: 7) == nil && box.count == 1)
        box.ended(5)
        #expect(box.enter(4, key: 7) == [], "a replay, when nothing newer is here")
    }
    @Test func whatIsHereAgainIsNotItsOwnPredecessor() {
        let box = Box()
        #expect(box.enter(5, key: 7) == [] && box.enter(5, key: 7) == [] && box.count == 1)
        #expect(!box.hasNewer(than: 5))
    }
    @Test func valuesThatAgreeInOneHashOnlyAreTwoKeys() {
        let box = Box()
        #expect(box.enter(1, key: 7, tag: 1) == [] && box.enter(2, key: 7, tag: 2) == [])
        #expect(!box.hasNewer(than: 1) && box.enter(3, key: 7, tag: 1) == [1] && box.hasNewer(than: 1))
        box.ended(1)
        #expect(!box.hasNewer(than: 2) && box.count == 2)
    }
    @Test func whatIsSaidOfOneThatWaitsComesBackWithIt() {
        let box = Box()
        _ = box.enter(1, key: 7)
        box.scheduled(1, attempts: 4, due: 900)
        #expect(box.meet(entry(2), key: 7) == .newest(before: [entry(1, attempts: 4, due: 900)]))
        box.scheduled(9, attempts: 1, due: 1)
        #expect(box.count == 2, "one that is not here stays away")
        box.note(6)
        #expect(!box.isEmpty && box.takeNoted(6) == 3 && box.takeNoted(6) == nil)
    }
    @Test(arguments: 1...30) func ofEachKeyTheNewestOfWhatCameIsLeft(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        let box = Box()
        var open: [UInt64: UInt64] = [:]
        for sequence in (UInt64(1)...400).shuffled(using: &generator) {
            let key = UInt64.random(in: 0..<6, using: &generator)
            let newer = open.contains { $0.value == key && $0.key > sequence }
            let older = open.filter { $0.value == key && $0.key < sequence }.map(\.key).sorted()
            let before = box.enter(sequence, key: key)
            #expect(before == (newer ? nil : older))
            guard let before else { continue }
            open[sequence] = key
            for one in before {
                #expect(box.hasNewer(than: one))
                box.ended(one)
                open[one] = nil
            }
            if Int.random(in: 0..<5, using: &generator) == 0, let done = open.keys.randomElement(using: &generator) {
                box.ended(done)
                open[done] = nil
            }
            #expect(box.count == open.count && open.count <= 6)
        }
    }
}
