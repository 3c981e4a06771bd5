// Which events are looked at for their arrival, and when they are said to be on disk.

import Engine
import FastPath
import Testing

@Suite struct ArrivalReaderTests {
    private struct Turn: Equatable {
        /// Sequence and time of each.
        var events: [[UInt64]]
        var isBehind: Bool
    }
    private func read(_ reader: inout ArrivalReader, _ log: FakeLog, countMax: Int = 100) -> Turn {
        var events: [[UInt64]] = []
        let isBehind = reader.read(log, countMax: countMax) { events.append([$0.place.sequence, $1]) }
        return Turn(events: events, isBehind: isBehind)
    }
    @Test func eachEventOnceWithTheTimeOfItsCommit() {
        let log = FakeLog()
        log.append(count: 5)
        var reader = ArrivalReader(at: log.place(2))
        #expect(read(&reader, log).events.isEmpty, "nothing is known to be on disk")
        reader.add([CommitNote(end: 1, nanos: 5), CommitNote(end: 4, nanos: 10), CommitNote(end: 5, nanos: 20)])
        #expect(read(&reader, log).events == [[2, 10], [3, 10], [4, 20]])
        #expect(read(&reader, log).events.isEmpty)
        reader.add([CommitNote(end: 6, nanos: 30)])
        #expect(read(&reader, log).events == [[5, 30]])
    }
    @Test func aTurnHasABound() {
        let log = FakeLog()
        log.append(count: 5)
        var reader = ArrivalReader(at: log.place(1))
        reader.add([CommitNote(end: 6, nanos: 1)])
        #expect(read(&reader, log, countMax: 3) == Turn(events: [[1, 1], [2, 1], [3, 1]], isBehind: true))
        #expect(read(&reader, log, countMax: 3) == Turn(events: [[4, 1], [5, 1]], isBehind: false))
    }
    @Test func whatCannotBeReadIsPassedOverOrAwaited() {
        let log = FakeLog()
        log.append(count: 6)
        log.unreadable = [2]
        log.unavailable = [4]
        var reader = ArrivalReader(at: log.place(1))
        reader.add([CommitNote(end: 7, nanos: 1)])
        #expect(read(&reader, log) == Turn(events: [[1, 1], [3, 1]], isBehind: false))
        log.unavailable = []
        log.oldestSequence = 6
        #expect(read(&reader, log) == Turn(events: [[6, 1]], isBehind: false), "retention has taken what lay between")
    }
    @Test func aLogThatCannotBeReadCostsNoMoreThanItsBound() {
        let log = FakeLog()
        log.append(count: 6)
        log.unavailable = [1]
        var reader = ArrivalReader(at: log.place(1))
        let notes = (0..<ArrivalReader.noteCountMax).map { _ in CommitNote(end: 3, nanos: 1) }
        reader.add(notes)
        #expect(read(&reader, log).events.isEmpty)
        reader.add([CommitNote(end: 5, nanos: 2), CommitNote(end: 7, nanos: 3)])
        log.unavailable = []
        #expect(read(&reader, log).events == [[1, 1], [2, 1], [3, 3], [4, 3], [5, 3], [6, 3]])
    }
    @Test func whatIsBehindTheNoteIsLeftForTheNext() {
        let log = FakeLog()
        log.append(count: 6)
        log.oldestSequence = 5
        var reader = ArrivalReader(at: log.place(1))
        reader.add([CommitNote(end: 3, nanos: 1)])
        #expect(read(&reader, log).events.isEmpty)
        reader.add([CommitNote(end: 7, nanos: 2)])
        #expect(read(&reader, log).events == [[5, 2], [6, 2]])
    }
}
