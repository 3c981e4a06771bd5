// Pending deliveries in memory and in the store: whatever is loaded, reloaded, sent and scheduled again meanwhile, each
// row goes out when it is due, and once.

import Engine
import FastPath
import Testing

private func entry(_ due: Int64, _ sequence: UInt64, attempts: UInt16 = 1) -> RetryEntry {
    RetryEntry(key: RetryKey(dueMillis: due, sequence: sequence), position: 0, attempts: attempts)
}
extension RetryQueue {
    /// The page is asked for, whatever it is that the queue wants.
    fileprivate mutating func begin(_ kind: RetryKind, from: RetryKey = .first) {
        beginLoad(RetryLoad(kind: kind, from: from))
    }
    /// The store has nothing of the other kind.
    fileprivate mutating func hasNo(_ kind: RetryKind) {
        begin(kind)
        loaded([], kind: kind, limit: 1)
    }
}

@Suite struct RetryQueueTests {
    @Test func aReloadTakesNoPageThatWasAskedForBefore() throws {
        var queue = RetryQueue()
        queue.begin(.again)
        queue.reload()
        queue.begin(.again)
        // This row came between the two pages.
        queue.schedule(entry(5, 9))
        queue.loaded([entry(10, 1)], kind: .again, limit: 10)
        #expect(queue.count == 0 && !queue.isEmpty)
        queue.loaded([entry(5, 1), entry(5, 2)], kind: .again, limit: 10)
        #expect(queue.count == 3)
        var sent: [UInt64] = []
        while let next = queue.popDue(nowMillis: 5) { sent.append(next.key.sequence) }
        #expect(sent == [1, 2, 9])
    }
    @Test func loadsEverythingWhenAnOrderIsKept() throws {
        var queue = RetryQueue(wantsAll: true)
        #expect(!queue.hasAll && !queue.isKnown)
        queue.hasNo(.first)
        #expect(!queue.hasAll && !queue.isKnown)
        queue.beginLoad(try #require(queue.wantedLoad(nowMillis: 0, aheadMillis: 0)))
        queue.loaded([entry(90_000_000, 1), entry(95_000_000, 2)], kind: .again, limit: 2)
        let second = try #require(queue.wantedLoad(nowMillis: 0, aheadMillis: 0), "however late it is due")
        queue.beginLoad(second)
        queue.loaded([entry(99_000_000, 3)], kind: .again, limit: 2)
        #expect(queue.hasAll && queue.count == 3)
        queue.scheduleOut(9)
        #expect(queue.isScheduled(9) && queue.hasAll && queue.count == 3)
        queue.reload()
        queue.begin(.again)
        // What is out is not loaded a second time.
        queue.loaded([entry(5, 9), entry(90_000_000, 1)], kind: .again, limit: 10)
        #expect(queue.count == 1)
        queue.resolved(9)
        #expect(!queue.isScheduled(9))
    }
    /// The one that all others wait for may have gone behind the horizon, with its failure.
    @Test func whatIsHeldBackKeepsNothingInTheStore() throws {
        var queue = RetryQueue(wantsAll: true)
        queue.hasNo(.first)
        var known: UInt64 = 0
        while known < 40_000 {
            let load = try #require(queue.wantedLoad(nowMillis: 0, aheadMillis: 0), "\(known) are held back")
            queue.beginLoad(load)
            let page = (1...UInt64(RetryQueue.pageCount)).map { entry(0, known + $0) }
            known += UInt64(page.count)
            queue.loaded(page, kind: .again, limit: page.count)
            while queue.popDue(nowMillis: 0) != nil {}
        }
        #expect(queue.nextDueMillis != nil)
    }
    @Test func whatIsDroppedIsGoneWhereverItStood() throws {
        var queue = RetryQueue(storeHasRows: false)
        for sequence in UInt64(1)...5 { queue.schedule(entry(5, sequence)) }
        queue.drop(1)
        queue.drop(4)
        #expect(!queue.isScheduled(1) && !queue.isScheduled(4))
        let isTaken = queue.take(4)
        #expect(!isTaken, "it is not there to be sent by hand")
        // Scheduled anew, it is there once.
        queue.schedule(entry(6, 1))
        var sent: [UInt64] = []
        while let next = queue.popDue(nowMillis: 9) {
            sent.append(next.key.sequence)
            queue.resolved(next.key.sequence)
        }
        #expect(sent == [2, 3, 5, 1] && queue.isEmpty)
        // One that is out when it is dropped, and comes back.
        queue.schedule(entry(5, 7))
        let out = queue.popDue(nowMillis: 5)
        queue.drop(7)
        #expect(out != nil && queue.isEmpty)
        queue.putBack(entry(5, 7))
        let again = queue.popDue(nowMillis: 5)
        #expect(again?.key.sequence == 7)
    }
    @Test func droppedOnesTakeNoRoom() {
        var queue = RetryQueue(storeHasRows: false, wantsAll: true)
        for sequence in UInt64(1)...100_000 {
            queue.schedule(entry(1_000_000, sequence))
            if sequence > 10 { queue.drop(sequence - 10) }
        }
        #expect(queue.count < 200 && queue.hasAll)
        for sequence in UInt64(99_991)...100_000 { queue.drop(sequence) }
        #expect(queue.isEmpty)
    }
    @Test func firstAttemptsGoPastWhatHasFailed() throws {
        var queue = RetryQueue(storeHasRows: false)
        queue.schedule(entry(1, 1))
        queue.schedule(entry(2, 2, attempts: AttemptCount.replayed | 3))
        queue.schedule(entry(3, 3, attempts: 0))
        queue.schedule(entry(4, 4, attempts: AttemptCount.manual))
        queue.schedule(entry(9, 5, attempts: AttemptCount.directed))
        #expect(queue.nextDueMillis == 1 && queue.nextRepeatMillis == 1 && queue.nextFirstMillis == 3)
        #expect(queue.popDue(nowMillis: 5, withRepeats: false)?.key.sequence == 3)
        #expect(queue.popDue(nowMillis: 5)?.key.sequence == 1, "the kinds go in turns")
        #expect(queue.popDue(nowMillis: 5, withRepeats: false)?.key.sequence == 4)
        #expect(queue.popDue(nowMillis: 5, withRepeats: false) == nil)
        #expect(queue.nextFirstMillis == 9 && queue.nextRepeatMillis == 2 && queue.count == 2)
        #expect(queue.take(5) && queue.cancel([2]).isEmpty)
        #expect(queue.nextDueMillis == nil && queue.nextFirstMillis == nil && queue.nextRepeatMillis == nil)
    }
    @Test func bothKindsGoInTurnsWhateverIsDueFirst() throws {
        var queue = RetryQueue(storeHasRows: false)
        for number in UInt64(1)...6 { queue.schedule(entry(Int64(number), number, attempts: number > 4 ? 0 : 2)) }
        func next() -> UInt64? { queue.popDue(nowMillis: 9)?.key.sequence }
        #expect([next(), next(), next()] == [1, 5, 2])
        // One that could not go has its turn yet.
        let other = queue.popDue(nowMillis: 9)
        queue.putBack(try #require(other))
        #expect(other?.key.sequence == 6)
        #expect([next(), next(), next(), next()] == [6, 3, 4, nil])
        queue.schedule(entry(1, 7, attempts: 1))
        queue.schedule(entry(2, 8, attempts: 1))
        queue.schedule(entry(3, 9, attempts: 0))
        queue.schedule(entry(3, 10, attempts: 0))
        func group() -> [UInt64] {
            queue.popGroup(nowMillis: 9, firstsUntil: 0, withRepeats: true, inOrder: false, countMax: 5)
                .map(\.key.sequence)
        }
        #expect([group(), group(), group(), group()] == [[9, 10], [7], [8], []])
    }
    /// What is shed is what is due last of its kind, and of neither for the other's sake.
    @Test func eachKindHasItsHorizon() throws {
        for (many, few) in [(UInt16(1), UInt16(0)), (0, 1)] {
            var queue = RetryQueue(storeHasRows: false)
            let count = UInt64(RetryQueue.entryCountMax) + 1
            for number in 1...count { queue.schedule(entry(Int64(number), number, attempts: many)) }
            let kept = RetryQueue.entryCountMax / 2
            #expect(queue.count == kept)
            queue.schedule(entry(Int64(count) + 5, count + 1, attempts: few))
            #expect(queue.count == kept + 1, "it is due later than what is in the store alone")
            var found: [UInt64] = []
            while let next = queue.popDue(nowMillis: .max) { found.append(next.key.sequence) }
            #expect(found.prefix(2).sorted() == [1, count + 1] && found.count == kept + 1)
            #expect(queue.nextDueMillis == Int64(kept) + 1)
            #expect(queue.nextFirstMillis == (many == 0 ? Int64(kept) + 1 : nil))
        }
    }
    /// However many that have failed wait here, and go nowhere.
    @Test func firstAttemptsAreReadFromTheStoreBesideWhatHasFailed() throws {
        var queue = RetryQueue()
        queue.begin(.again)
        let held = (1...UInt64(RetryQueue.pageCount)).map { entry(0, $0) }
        queue.loaded(held, kind: .again, limit: held.count)
        let load = try #require(queue.wantedLoad(nowMillis: 100, aheadMillis: 0))
        #expect(load == RetryLoad(kind: .first, from: .first))
        queue.beginLoad(load)
        #expect(queue.wantedLoad(nowMillis: 100, aheadMillis: 0) == nil, "of the others enough are here")
        queue.loaded([entry(50, 9000, attempts: 0)], kind: .first, limit: 1)
        #expect(queue.popDue(nowMillis: 100, withRepeats: false)?.key.sequence == 9000)
        let next = RetryKey(dueMillis: 50, sequence: 9001)
        #expect(queue.wantedLoad(nowMillis: 100, aheadMillis: 0) == RetryLoad(kind: .first, from: next))
    }
    @Test func whatIsOutStaysOutOverAReload() throws {
        var queue = RetryQueue()
        queue.hasNo(.first)
        queue.begin(.again)
        queue.loaded([entry(1, 1), entry(1, 2), entry(1, 3), entry(500, 4)], kind: .again, limit: 10)
        let out = (0..<3).compactMap { _ in queue.popDue(nowMillis: 1) }
        #expect(out.count == 3)
        queue.reload()
        queue.begin(.again)
        // While the page is on its way: the first is delivered, the second fails again, the third is still out.
        queue.resolved(1)
        queue.schedule(entry(900, 2, attempts: 2))
        queue.loaded([entry(1, 1), entry(1, 2), entry(1, 3), entry(2, 4)], kind: .again, limit: 10)
        #expect(queue.popDue(nowMillis: 100)?.key.sequence == 4)
        #expect(queue.popDue(nowMillis: 100) == nil)
        let second = queue.popDue(nowMillis: 900)
        #expect(second?.key.sequence == 2 && second?.attempts == 2)
        #expect(queue.isScheduled(3) && !queue.isScheduled(1))
    }
    /// Against a model of the store: rows, pages that are answered late and in order, expedites.
    @Test(arguments: 1...400) func everyRowGoesOutOnceAndNoneIsForgotten(seed: Int) {
        var model = QueueModel(seed: UInt64(seed))
        for _ in 0..<600 { model.step() }
        model.finish()
        #expect(model.rows.isEmpty && model.out.isEmpty)
        #expect(model.isRight)
    }
}

private struct QueueModel {
    /// The store's truth: due and attempts of pending rows.
    var rows: [UInt64: RetryEntry] = [:]
    /// At the endpoint.
    var out: [RetryEntry] = []
    var isRight = true
    private var queue = RetryQueue(storeHasRows: false)
    private var generator: SeededGenerator
    private enum Reply { case page([RetryEntry], RetryKind, Int), expedited }
    private var replies: [Reply] = []
    private var nextSequence: UInt64 = 1
    private var now: Int64 = 1000
    private let limit = 4

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }
    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &generator) < percent }

    mutating func step() {
        now += Int64.random(in: 0...50, using: &generator)
        if chance(40) { add(due: now + Int64.random(in: 0...2000, using: &generator)) }
        if chance(3) { expedite() }
        if chance(50) { takeReply() }
        ask()
        send()
        if chance(60) { complete() }
    }
    mutating func finish() {
        for _ in 0..<20_000 where !(rows.isEmpty && out.isEmpty) {
            now += 50
            takeReply()
            ask()
            send()
            while !out.isEmpty { deliver(0) }
        }
    }
    private mutating func add(due: Int64) {
        let new = entry(due, nextSequence, attempts: chance(50) ? 0 : 1)
        nextSequence += 1
        rows[new.key.sequence] = new
        queue.schedule(new)
    }
    private mutating func expedite() {
        for (sequence, row) in rows where row.key.dueMillis > now {
            rows[sequence]?.key = RetryKey(dueMillis: now, sequence: sequence)
        }
        replies.append(.expedited)
    }
    private mutating func ask() {
        while let load = queue.wantedLoad(nowMillis: now, aheadMillis: 500) {
            let kept = rows.values.filter { ($0.attempts == 0) == (load.kind == .first) && $0.key >= load.from }
            replies.append(.page(Array(kept.sorted { $0.key < $1.key }.prefix(limit)), load.kind, limit))
            queue.beginLoad(load)
        }
    }
    private mutating func takeReply() {
        guard !replies.isEmpty else { return }
        switch replies.removeFirst() {
        case .page(let page, let kind, let limit): queue.loaded(page, kind: kind, limit: limit)
        case .expedited: queue.reload()
        }
    }
    private mutating func send() {
        while out.count < 5, let next = queue.popDue(nowMillis: now) {
            // Never twice at a time, never after it was delivered.
            if rows[next.key.sequence] == nil || out.contains(where: { $0.key.sequence == next.key.sequence }) {
                isRight = false
            }
            if rows[next.key.sequence]?.attempts != next.attempts { isRight = false }
            out.append(next)
        }
    }
    private mutating func complete() {
        guard !out.isEmpty else { return }
        let index = Int.random(in: 0..<out.count, using: &generator)
        if chance(60) { return deliver(index) }
        let failed = out.remove(at: index)
        let due = now + Int64.random(in: 1...3000, using: &generator)
        let again = entry(due, failed.key.sequence, attempts: failed.attempts + 1)
        rows[again.key.sequence] = again
        queue.schedule(again)
    }
    private mutating func deliver(_ index: Int) {
        let sequence = out.remove(at: index).key.sequence
        rows[sequence] = nil
        queue.resolved(sequence)
    }
}
