// The adapter over a real log in a folder of its own: forward, back, many places at once, over segment ends and
// retention.

import Engine
import FastPath
import Foundation
import TestSupport
import Testing

private func key(_ sequence: UInt64) -> String { "event-\(sequence)" }
private func fill(_ log: RealLog, count: Int) throws {
    var next = 1
    while next <= count {
        let group = min(7, count - next + 1)
        try log.append((next..<next + group).map { key(UInt64($0)) })
        next += group
    }
}
private func expect(_ read: EventRead, _ sequence: UInt64, _ comment: Comment = "") -> StoredEvent? {
    guard case .event(let event) = read else {
        Issue.record("no event \(sequence): \(comment)")
        return nil
    }
    #expect(event.place.sequence == sequence, comment)
    #expect(event.body.text.hasPrefix(key(sequence) + "."), comment)
    #expect(event.source.text == "github" && event.eventType.text == "push", comment)
    return event
}

@Test func readsForwardAndAnyPlaceAgain() throws {
    let temporary = TestSupport.TemporaryFolder()
    let log = try RealLog(path: temporary.path + "/log")
    let readers = LogReaders(folder: log.folder, tail: log.tail)
    #expect(readers.committedEnd.sequence == 1)
    guard case .end = readers.read(at: readers.committedEnd) else { throw RealLog.Refused() }
    try fill(log, count: 1000)
    #expect(try log.folder.segments().count > 3)
    #expect(readers.committedEnd.sequence == 1001 && readers.oldest.sequence == 1)
    var place = EventLocation(sequence: 1, position: 0)
    var places: [EventLocation] = []
    for sequence in UInt64(1)...1000 {
        guard let event = expect(readers.read(at: place), sequence) else { return }
        places.append(event.place)
        place = event.next
    }
    guard case .end = readers.read(at: place) else { throw RealLog.Refused() }
    // Anywhere, with and without the position, and twelve lanes that each go on from where they are.
    var generator = SeededGenerator(seed: 5)
    for _ in 0..<300 {
        let place = places.randomElement(using: &generator)!
        _ = expect(readers.read(at: place), place.sequence)
        _ = expect(readers.read(at: EventLocation(sequence: place.sequence, position: 0)), place.sequence)
    }
    var lanes = (0..<12).map { places[$0 * 75] }
    for round in 0..<50 {
        for index in lanes.indices {
            let wanted = lanes[index].sequence
            guard let event = expect(readers.read(at: lanes[index]), wanted, "lane \(index) round \(round)") else {
                return
            }
            lanes[index] = event.next
        }
    }
    // The one that stood at the end sees what comes later.
    try log.append([key(1001)])
    _ = expect(readers.read(at: place), 1001)
}

@Test func aPlaceSurvivesARestart() throws {
    let temporary = TestSupport.TemporaryFolder()
    var next = EventLocation(sequence: 0, position: 0)
    do {
        let log = try RealLog(path: temporary.path + "/log")
        try fill(log, count: 300)
        let readers = LogReaders(folder: log.folder, tail: log.tail)
        guard let event = expect(readers.read(at: EventLocation(sequence: 150, position: 0)), 150) else { return }
        next = event.next
    }
    let log = try RealLog(path: temporary.path + "/log")
    let readers = LogReaders(folder: log.folder, tail: log.tail)
    #expect(readers.committedEnd.sequence == 301)
    _ = expect(readers.read(at: next), 151)
}

@Test func whatRetentionRemovedIsSteppedOver() throws {
    let temporary = TestSupport.TemporaryFolder()
    let log = try RealLog(path: temporary.path + "/log")
    try fill(log, count: 600)
    let second = try log.folder.segments()[1]
    try FileManager.default.removeItem(at: try log.oldestSegment())
    let readers = LogReaders(folder: log.folder, tail: log.tail)
    #expect(readers.oldest.sequence == second)
    _ = expect(readers.read(at: EventLocation(sequence: 1, position: 0)), second)
}

@Test func damageIsToldAndReadingGoesOnBehindIt() throws {
    let temporary = TestSupport.TemporaryFolder()
    let log = try RealLog(path: temporary.path + "/log")
    try fill(log, count: 40)
    let readers = LogReaders(folder: log.folder, tail: log.tail)
    guard let first = expect(readers.read(at: EventLocation(sequence: 10, position: 0)), 10) else { return }
    let file = try FileHandle(forUpdating: try log.oldestSegment())
    // The position's lower 28 bits count eights from the segment's start.
    try file.seek(toOffset: (first.place.position & 0xFFF_FFFF) * 8 + 100)
    try file.write(contentsOf: Data([0xFF, 0xFE, 0xFD]))
    try file.close()
    let fresh = LogReaders(folder: log.folder, tail: log.tail, clock: RunningClock(step: 150_000_000).look)
    // Not at once: what does not verify may be a page of before the write.
    guard case .unavailable = fresh.read(at: EventLocation(sequence: 10, position: 0)),
        case .unreadable(let next) = fresh.read(at: EventLocation(sequence: 10, position: 0))
    else { throw RealLog.Refused() }
    #expect(next.sequence == 11)
    _ = expect(fresh.read(at: next), 11)
}

/// A segment that the disk cannot read for now: a folder stands in its place, whose bytes no read gives (EISDIR).
private func whileUnreadable(_ segment: URL, _ body: () throws -> Void) throws {
    let aside = segment.appendingPathExtension("aside")
    try FileManager.default.moveItem(at: segment, to: aside)
    try FileManager.default.createDirectory(at: segment, withIntermediateDirectories: false)
    try body()
    try FileManager.default.removeItem(at: segment)
    try FileManager.default.moveItem(at: aside, to: segment)
}

/// Seconds that pass by themselves: each look at the clock is `step` nanoseconds later.
private final class RunningClock {
    private var now: UInt64 = 0
    private let step: UInt64

    init(step: UInt64) { self.step = step }
    func look() -> UInt64 {
        now += step
        return now
    }
}

@Test func headerThatCannotBeReadNowLosesNoEvent() throws {
    let temporary = TestSupport.TemporaryFolder()
    let log = try RealLog(path: temporary.path + "/log")
    try fill(log, count: 40)
    let clock = RunningClock(step: 200_000_000)
    let readers = LogReaders(folder: log.folder, tail: log.tail, clock: clock.look)
    try whileUnreadable(try log.oldestSegment()) {
        for _ in 0..<70 {
            guard case .unavailable = readers.read(at: EventLocation(sequence: 10, position: 0)) else {
                throw RealLog.Refused()
            }
        }
    }
    _ = expect(readers.read(at: EventLocation(sequence: 10, position: 0)), 10)
}

@Test func placesThatFailInTurnsAreAllGivenUpAfterHalfAMinute() throws {
    let temporary = TestSupport.TemporaryFolder()
    let log = try RealLog(path: temporary.path + "/log")
    try fill(log, count: 600)
    let second = try log.folder.segments()[1]
    let clock = RunningClock(step: 110_000_000)
    let readers = LogReaders(folder: log.folder, tail: log.tail, clock: clock.look)
    try whileUnreadable(try log.oldestSegment()) {
        var givenUp: Set<UInt64> = []
        var reads = 0
        while givenUp.count < 2, reads < 1000 {
            for sequence in [UInt64(3), 7] {
                reads += 1
                guard case .unreadable(let next) = readers.read(at: EventLocation(sequence: sequence, position: 0))
                else {
                    continue
                }
                #expect(next.sequence == second)
                givenUp.insert(sequence)
            }
        }
        // Two looks at the clock a read.
        #expect(givenUp == [3, 7] && reads > 130 && reads < 300)
    }
    _ = expect(readers.read(at: EventLocation(sequence: second, position: 0)), second)
}

@Test func aPlaceWithoutAPositionIsFoundFromALandmark() throws {
    let temporary = TestSupport.TemporaryFolder()
    let log = try RealLog(path: temporary.path + "/log")
    let landmarks = LogLandmarks()
    #expect(landmarks.nearest(to: 1) == nil)
    try fill(log, count: 3000)
    let readers = LogReaders(folder: log.folder, tail: log.tail, landmarks: landmarks)
    var place = EventLocation(sequence: 1, position: 0)
    while case .event(let event) = readers.read(at: place) { place = event.next }
    for sequence: UInt64 in [64, 100, 1500, 3000] {
        #expect(landmarks.nearest(to: sequence)?.sequence == sequence / 64 * 64)
    }
    #expect(landmarks.nearest(to: 63) == nil && landmarks.nearest(to: 1_000_000) == nil)
    // Others find what these have read, and one whose segment is gone is told so as ever.
    let others = LogReaders(folder: log.folder, tail: log.tail, landmarks: landmarks)
    for sequence: UInt64 in [3000, 100, 2111, 64, 1] {
        _ = expect(others.read(at: EventLocation(sequence: sequence, position: 0)), sequence)
    }
    let second = try log.folder.segments()[1]
    try FileManager.default.removeItem(at: try log.oldestSegment())
    let fresh = LogReaders(folder: log.folder, tail: log.tail, landmarks: landmarks)
    _ = expect(fresh.read(at: EventLocation(sequence: 70, position: 0)), second)
}
