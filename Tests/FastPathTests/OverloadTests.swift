// What a loop does when something runs short: whose events still find room, when the refused are told to come again,
// who is hurried. The passive parts by themselves, then a whole loop whose disk does not answer.

import FastPath
import TestSupport
import Testing

private let second: UInt64 = 1_000_000_000
private let start: UInt64 = 1000 * second

/// A schedule that saw `rate` events a second taken while others were refused, up to `start`.
private func schedule(rate: UInt64) -> ReturnSchedule {
    var schedule = ReturnSchedule()
    for step in 0...100 as ClosedRange<UInt64> {
        let now = start - 60 * second + step * second / 5
        schedule.observe(now: now)
        if step < 100 { _ = schedule.refused(now: now) }
        schedule.takenCount += rate / 5
    }
    return schedule
}
/// `#expect` cannot hold a call that changes its value.
private func check(
    _ holds: Bool, _ comment: @autoclosure () -> Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(holds, comment(), sourceLocation: sourceLocation)
}

struct ReturnScheduleTests {
    @Test func whatIsRefusedTogetherComesBackAsFastAsItCanBeTaken() {
        var it = schedule(rate: 100)
        #expect(it.rate == 100)
        let answers = (0..<1000).map { _ in it.refused(now: start + second) }
        // A thousand at a hundred a second: ten seconds, and no second has more than twice its share.
        #expect(answers.min() == 1 && (10...12).contains(answers.max() ?? 0))
        for wait in 1...12 { #expect(answers.count { $0 == wait } <= 200, "\(wait) s") }
        #expect(answers.reduce(0, +) / 1000 >= 5)
    }
    @Test func whoIsRefusedAloneComesBackSoon() {
        var it = schedule(rate: 50_000)
        for _ in 0..<1000 { check((1...2).contains(it.refused(now: start + second))) }
    }
    @Test func aStallIsExpectedToLastAsLongAgain() {
        var it = schedule(rate: 50_000)
        var last = 0
        for age in 0..<100 as Range<UInt64> {
            let now = start + 2 * second + age * second
            it.observe(now: now)
            let wait = it.refused(now: now)
            #expect(wait >= min(Int(age), 60) && wait <= min(Int(age) + 2, 60), "\(age): \(wait)")
            last = wait
        }
        #expect(last == 60)
        // It is over with the first that is taken.
        it.takenCount += 10_000
        it.observe(now: start + 103 * second)
        check(it.refused(now: start + 103 * second) <= 62)
        it.takenCount += 10_000
        it.observe(now: start + 200 * second)
        check(it.refused(now: start + 200 * second) <= 2)
    }
    @Test func theRateFollowsWhatIsTakenAndNotAPauseOfTheSenders() {
        var it = schedule(rate: 1000)
        it.observe(now: start + 2 * second)
        let before = it.rate
        // Less comes: that says nothing of what could be taken.
        it.takenCount += 1
        it.observe(now: start + 3 * second)
        #expect(it.rate >= before - before / 8)
        // Less is taken while more is refused: that does.
        for step in 0..<30 as Range<UInt64> {
            _ = it.refused(now: start + (4 + step) * second)
            it.takenCount += 10
            it.observe(now: start + (5 + step) * second)
        }
        #expect((10...14).contains(it.rate), "\(it.rate)")
    }
    @Test func neverLessThanOneSecondAndNeverMoreThanAMinute() {
        var random = SeededRandom(7)
        var it = ReturnSchedule()
        var now = start
        for _ in 0..<20_000 {
            now += random.next() % (second / 2)
            it.takenCount += random.next() % 1000 < 300 ? random.next() % 5000 : 0
            if random.next() % 3 == 0 { it.observe(now: now) }
            check((1...60).contains(it.refused(now: now)))
        }
    }
}

/// A group that fills, with whoever wants to be in it.
private final class Filling {
    var shares = AdmissionShares()
    let capacity = 1 << 20
    var used = 1 << 19
    var group: UInt64 = 1
    var taken: [Int: Int] = [:]

    func offer(_ source: Int, tenant: UInt32 = 1, _ bytes: Int = 1024, never: Bool = false) -> Bool {
        guard used + bytes <= capacity else { return false }
        let claim = AdmissionShares.Claim(
            source: source, tenant: tenant, byteCount: bytes, isNeverRepeated: never)
        let room = AdmissionShares.Room(used: used, capacity: capacity, group: group)
        guard shares.admits(claim, in: room, nowMillis: 5000) else { return false }
        used += bytes
        taken[source, default: 0] += bytes
        return true
    }
}

struct AdmissionSharesTests {
    @Test func whoHasLittleFindsRoomBesideWhoWantsEverything() {
        let filling = Filling()
        // A source that floods, whose first thousand comes before anyone else's.
        for _ in 0..<1000 { _ = filling.offer(1) }
        #expect((filling.taken[1] ?? 0) < filling.capacity / 2 * 9 / 10)
        for source in 2..<12 { for _ in 0..<2 { check(filling.offer(source), "\(source)") } }
        check(!filling.offer(1))
    }
    @Test func equalsGetEqualShares() {
        let filling = Filling()
        for _ in 0..<400 { for source in 0..<8 { _ = filling.offer(source, tenant: UInt32(source)) } }
        let got = (0..<8).map { Double(filling.taken[$0] ?? 0) }
        let jain = got.reduce(0, +) * got.reduce(0, +) / (8 * got.map { $0 * $0 }.reduce(0, +))
        #expect(jain > 0.99, "\(got)")
        #expect(got.reduce(0, +) > Double(filling.capacity / 2) * 0.75)
    }
    @Test func manySourcesOfATenantDoNotTakeAnotherTenantsShare() {
        let filling = Filling()
        for round in 0..<40 {
            for source in 0..<100 { _ = filling.offer(source, tenant: 1) }
            if round % 4 == 0 { check(filling.offer(500, tenant: 2), "round \(round)") }
        }
        let many = (0..<100).map { filling.taken[$0] ?? 0 }.reduce(0, +)
        #expect(many <= filling.capacity / 2 * 9 / 10, "\(many)")
    }
    @Test func aSenderThatNeverComesAgainIsRefusedLast() {
        let filling = Filling()
        for _ in 0..<1000 { for source in 0..<6 { _ = filling.offer(source, tenant: UInt32(source)) } }
        for source in 0..<6 { check(!filling.offer(source, tenant: UInt32(source))) }
        var kept = 0
        while filling.offer(9, tenant: 9, never: true) { kept += 1 }
        // The part that is kept for them, and what the others had to leave free.
        #expect(kept * 1024 >= filling.capacity / 16 * 9 / 10, "\(kept)")
    }
    @Test func aNewGroupAndAPauseForgetWhatWas() {
        let filling = Filling()
        while filling.offer(1) {}
        filling.group = 2
        filling.used = filling.capacity / 2
        check(filling.offer(1))
        let later = Filling()
        while later.offer(1) {}
        let claim = AdmissionShares.Claim(source: 1, tenant: 1, byteCount: 1024)
        let room = AdmissionShares.Room(used: 600_000, capacity: 1 << 20, group: 1)
        let full = AdmissionShares.Room(used: 980_000, capacity: 1 << 20, group: 1)
        let soon = later.shares.admits(claim, in: full, nowMillis: 5050)
        let after = later.shares.admits(claim, in: room, nowMillis: 5151)
        #expect(!soon && after)
    }
    @Test func aRingThatIsNeverEmptyForgetsSlowly() {
        // Under pressure for long: what was taken ages with what is taken since.
        let filling = Filling()
        var admitted = 0
        for _ in 0..<20_000 {
            if filling.offer(1) { admitted += 1 }
            filling.used = filling.capacity * 3 / 4
        }
        #expect(admitted > 15_000, "\(admitted)")
    }
}

// MARK: a loop whose disk does not answer

private func request(_ source: String, _ number: Int, bytes: Int) -> String {
    post(source, String(repeating: "x", count: bytes), "X-Id: \(source)\(number)\r\n")
}
/// How one request is answered while the disk holds: what is there, empty while it waits for the disk.
private func ask(_ ingest: SimulatedIngest, _ text: String) throws -> SimulatedSocket {
    let socket = try #require(ingest.world.connect())
    ingest.tick()
    socket.inbound += Array(text.utf8)
    ingest.ticks(3)
    return socket
}

struct OverloadTests {
    private static let sources: [HarnessSource] = {
        var sources = ["flood", "quiet", "never"].enumerated().map {
            HarnessSource(name: $1, check: .none, number: UInt32($0 + 1))
        }
        sources[2].isNeverRepeated = true
        return sources
    }()

    @Test func aFloodIsRefusedBeforeTheQuietAndTheQuietBeforeThoseThatNeverComeAgain() throws {
        let ingest = try SimulatedIngest(OverloadTests.sources)
        ingest.world.holdsDisk = true
        // The first is on its way to the disk; the rest fill the group of 64 KiB behind it.
        let first = try ask(ingest, request("quiet", 0, bytes: 100))
        let flood = try (0..<22).map { try ask(ingest, request("flood", $0, bytes: 3000)) }
        let refused = flood.filter { $0.text.hasPrefix("HTTP/1.1 503") }
        #expect(!refused.isEmpty && refused.count < 12, "\(refused.count)")
        for socket in refused {
            #expect(socket.text.contains("log_busy") && socket.text.contains("\r\nRetry-After: "))
        }
        let quiet = try ask(ingest, request("quiet", 1, bytes: 1000))
        #expect(quiet.text.isEmpty)
        // What the log knows is a duplicate however little room there is.
        let repeated = try ask(ingest, request("flood", 0, bytes: 3000))
        #expect(repeated.text.isEmpty)
        let never = try (0..<2).map { try ask(ingest, request("never", $0, bytes: 1500)) }
        #expect(never.allSatisfy { $0.text.isEmpty })
        ingest.world.holdsDisk = false
        ingest.ticks(60)
        for socket in [first, quiet] + never { #expect(socket.text.hasPrefix("HTTP/1.1 202")) }
        #expect(repeated.text.contains("\"duplicate\""))
        #expect(flood.count { $0.text.hasPrefix("HTTP/1.1 202") } == flood.count - refused.count)
        ingest.finish()
    }
    @Test func whileMemoryIsShortASlowBodyHasATenthOfItsTime() throws {
        let ingest = try SimulatedIngest(OverloadTests.sources, assemblyBytes: 256 << 10)
        var slow: [SimulatedSocket] = []
        // Beginnings of bodies that never end; a sixteenth of the memory is left.
        let beginning =
            "POST /in/flood HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
            + String(repeating: "y", count: 3500)
        for _ in 0..<15 {
            let socket = try #require(ingest.world.connect())
            ingest.tick()
            socket.inbound += Array(beginning.utf8)
            ingest.ticks(2)
            slow.append(socket)
        }
        ingest.tick(1500)
        #expect(slow.allSatisfy { !$0.isClosed })
        ingest.tick(1200)
        ingest.ticks(3)
        let ended = slow.filter { $0.text.hasPrefix("HTTP/1.1 408") }
        #expect(!ended.isEmpty && ingest.count(.connectionsHurried) > 0)
        let quiet = try ask(ingest, request("quiet", 7, bytes: 3000))
        #expect(quiet.text.hasPrefix("HTTP/1.1 202"))
        for socket in slow { socket.isDone = true }
        ingest.finish()
    }
    @Test func untilPlacesAreThereIdleConnectionsHaveATenthOfTheirTime() throws {
        let ingest = try SimulatedIngest(OverloadTests.sources)
        let idle = try (0..<31).map { _ in
            let socket = try #require(ingest.world.connect())
            ingest.tick()
            return socket
        }
        ingest.tick(800)
        #expect(idle.allSatisfy { !$0.isClosed })
        ingest.tick(400)
        ingest.ticks(3)
        // Those whose places are enough.
        let ended = idle.count { $0.isClosed }
        #expect(ended > 0 && ended < idle.count && ingest.count(.connectionsHurried) == ended)
        ingest.finish()
    }
    @Test func withRoomNobodyIsHurried() throws {
        let ingest = try SimulatedIngest(OverloadTests.sources)
        let idle = try (0..<8).map { _ in
            let socket = try #require(ingest.world.connect())
            ingest.tick()
            return socket
        }
        ingest.tick(9000)
        #expect(idle.allSatisfy { !$0.isClosed } && ingest.count(.connectionsHurried) == 0)
        ingest.tick(2000)
        ingest.ticks(3)
        #expect(idle.allSatisfy { $0.isClosed } && ingest.count(.connectionsHurried) == 0)
        ingest.finish()
    }
}
