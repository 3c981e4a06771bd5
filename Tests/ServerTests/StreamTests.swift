// The stream of events in parts: what waits for one reader, how items are spelled, what the rounds tell to whom.
import Engine
import FastPath
import Foundation
import NIOCore
import Server
import Synchronization
import TestSupport
import Testing

@Suite struct StreamReaderTests {
    private func bytes(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

    @Test func givesAllThatWaitsAtOnceAndThenTheEnd() async {
        let reader = StreamReader()
        #expect(reader.offer(bytes("a"), byteCountMax: 3) && reader.offer(bytes("b"), byteCountMax: 3))
        #expect(await reader.next() == bytes("ab"))
        reader.end(bytes("c"))
        #expect(reader.offer(bytes("d"), byteCountMax: 3), "what nobody wants any more is no reason to drop")
        #expect(await reader.next() == bytes("c"))
        #expect(await reader.next() == nil)
        #expect(await reader.next() == nil)
    }
    @Test func refusesWhatIsMoreThanMayWait() async {
        let reader = StreamReader()
        #expect(reader.offer(bytes("abc"), byteCountMax: 3) && !reader.offer(bytes("d"), byteCountMax: 3))
        #expect(await reader.next() == bytes("abc"))
        #expect(reader.offer(bytes("d"), byteCountMax: 3))
    }
    @Test func whoWaitsIsWoken() async {
        let reader = StreamReader()
        async let first = reader.next()
        #expect(reader.offer(bytes("a"), byteCountMax: 1))
        #expect(await first == bytes("a"))
        async let last = reader.next()
        reader.end()
        #expect(await last == nil)
    }
    @Test func aCancelledTaskLeavesThePlace() async {
        let reader = StreamReader()
        let task = Task { await reader.next() }
        task.cancel()
        #expect(await task.value == nil && reader.isClosed)
    }
    @Test func aPlaceThatNobodyHoldsIsFree() {
        let reader = StreamReader()
        do { _ = StreamPlace(reader) }
        #expect(reader.isClosed)
    }
    @Test func saysSinceWhenItWaits() async {
        let now = Mutex<UInt64>(5)
        let reader = StreamReader(clock: { now.withLock { $0 } })
        #expect(reader.offer(bytes("a"), byteCountMax: 9))
        now.withLock { $0 = 25 }
        #expect(reader.offer(bytes("b"), byteCountMax: 9))
        #expect(reader.waiting.byteCount == 2 && reader.waiting.nanos == 20)
        _ = await reader.next()
        #expect(reader.waiting.byteCount == 0 && reader.waiting.nanos == 0)
    }
    @Test func givesSoMuchAtATimeAndWaitsAnewForTheRest() async {
        let now = Mutex<UInt64>(5)
        let reader = StreamReader(clock: { now.withLock { $0 } })
        let (size, rest) = (StreamReader.takenBytesMax, 10)
        let all = [UInt8]((0..<(2 * size + rest)).map { UInt8(truncatingIfNeeded: $0 / 7) })
        #expect(reader.offer(ByteBuffer(bytes: all), byteCountMax: all.count))
        now.withLock { $0 = 100 }
        #expect(await reader.next() == ByteBuffer(bytes: all[..<size]))
        #expect(reader.waiting.byteCount == size + rest && reader.waiting.nanos == 0)
        #expect(reader.offer(bytes("x"), byteCountMax: all.count))
        #expect(await reader.next() == ByteBuffer(bytes: all[size..<(2 * size)]))
        let last = Array(all[(2 * size)...]) + Array("x".utf8)
        #expect(await reader.next() == ByteBuffer(bytes: last))
        #expect(reader.waiting.byteCount == 0)
    }
}

@Suite struct StreamFrameTests {
    /// `data` of a frame of one item, and its other lines.
    private func parts(_ frame: [UInt8]) throws -> (data: String, lines: [String]) {
        let text = String(decoding: frame, as: UTF8.self)
        #expect(text.hasSuffix("\n\n"))
        var lines = text.dropLast(2).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let data = try #require(lines.last)
        lines.removeLast()
        return (String(data.dropFirst("data: ".count)), lines)
    }
    private func same(_ data: String, _ value: some Encodable) throws {
        let decoder = JSONDecoder()
        let told = try decoder.decode(JSONValue.self, from: Data(data.utf8))
        let listed = try decoder.decode(JSONValue.self, from: Data(APIText.of(value).utf8))
        #expect(told == listed)
    }

    @Test func eventsAreSpelledAsTheListingHasThem() throws {
        let scratch = TemporaryFolder()
        let log = try RealLog(path: scratch.path)
        let types = ["push", "a \"b\" \\ \n\u{1}", "ü…", ""]
        for (place, type) in types.enumerated() {
            try log.append(["k\(place)"], type: type, tenant: UInt32(place + 1)) { event in
                event.receivedAt = 1_700_000_000_987_654_321 + UInt64(place) * 400_000_000
                event.sourceNumber = UInt32(place)
                event.verdict = place == 1 ? .unverified : .verified
                event.keyIsBody = place == 2
                if place == 3 { event.clientSubject = ByteView("CN=\"x\"") }
            }
        }
        var frames = StreamFrames(logIdentity: log.folder.identity.identity)
        var reader = LogReader(folder: log.folder, from: 1)
        for _ in types {
            guard case .record(let record, _) = reader.next(through: log.tail.snapshot) else {
                Issue.record("no record")
                return
            }
            let row = EventRow(record, logIdentity: log.folder.identity.identity)
            let (data, lines) = try parts(frames.event(record))
            #expect(lines == ["id: \(row.id)", "event: event"])
            try same(data, row)
        }
    }
    @Test func deliveriesAreSpelledAsTheListingHasThem() throws {
        let endpoint = Reference(id: "ep_1", name: "acme/\"a\"")
        var frames = StreamFrames(logIdentity: 7)
        var timing = AttemptTiming()
        (timing.totalMicros, timing.connectMicros, timing.firstByteMicros) = (1_234_007, 20, 3000)
        let place = EventLocation(sequence: 9, position: 0)
        let id = EventID(logIdentity: 7, sequence: 9).text
        let full = DeliveryRow(
            endpoint: EndpointID(1), place: place, state: .pending, attempts: 2, status: 503, result: .answered,
            dueMillis: 1_700_000_000_001, updatedMillis: 1_699_999_999_999, timing: timing)
        var resource = DeliveryResource(
            event: id, endpoint: endpoint, state: .pending, attempts: 2, result: "answered",
            updatedAt: "2023-11-14T22:13:19.999Z")
        (resource.status, resource.nextAttemptAt) = (503, "2023-11-14T22:13:20.001Z")
        resource.timing = TimingResource(totalMillis: 1234.007, connectMillis: 0.02, firstByteMillis: 3)
        (resource.source, resource.type, resource.receivedAt) = ("s", "t\n", "2023-11-14T22:13:20.000Z")
        let event = StreamedEvent(
            sequence: 9, source: Array("s".utf8), type: Array("t\n".utf8), receivedAt: 1_700_000_000_000_000_000)
        let told = try parts(frames.delivery(full, event, at: endpoint))
        #expect(told.lines == ["event: delivery"])
        try same(told.data, resource)
        let bare = DeliveryRow(
            endpoint: EndpointID(1), place: place, state: .dead, attempts: 1, result: .connectFailed,
            reason: .retriesExhausted, updatedMillis: 1_700_000_000_000)
        resource = DeliveryResource(
            event: id, endpoint: endpoint, state: .dead, attempts: 1, result: "connect_failed",
            updatedAt: "2023-11-14T22:13:20.000Z")
        resource.reason = "retries_exhausted"
        resource.class = "network"
        try same(try parts(frames.delivery(bare, nil, at: endpoint)).data, resource)
    }
    @Test func endpointsHaveTheFieldsOfTheirSchema() throws {
        var change = EndpointChange(endpoint: Reference(id: "ep_1", name: "a"), was: .active, state: .paused)
        (change.reason, change.since, change.until, change.lastError) = ("gone", "t", "u", "no")
        let told = try parts(StreamFrames.endpoint(change))
        #expect(told.lines == ["event: endpoint"])
        guard case .object(let members) = try JSONDecoder().decode(JSONValue.self, from: Data(told.data.utf8)) else {
            Issue.record("no object")
            return
        }
        #expect(Set(members.keys) == Set(EndpointChange.schema.fields.map(\.name)))
    }
}

/// The rounds over a real log, step by step, with a clock that a test moves.
private final class Bench {
    let scratch = TemporaryFolder()
    let log: RealLog
    let feed = StreamFeed()
    let now = SharedClock()
    let rounds: StreamRounds
    private(set) var hungUp = SharedCount()

    final class SharedClock: Sendable {
        let nanos = Mutex<UInt64>(1_000_000_000)
        var value: UInt64 { nanos.withLock { $0 } }
    }
    final class SharedCount: Sendable {
        let count = Mutex(0)
        var value: Int { count.withLock { $0 } }
    }
    final class Flag: Sendable {
        let value = Mutex(true)
    }
    let serving = Flag()

    init(_ keys: [String] = []) throws {
        log = try RealLog(path: scratch.path)
        if !keys.isEmpty { try log.append(keys) }
        let (folder, tail, clock, serving) = (log.folder, log.tail, self.now, self.serving)
        rounds = StreamRounds(
            StreamWorld(
                folder: folder, tail: tail, feed: feed, makeReaders: { LogReaders(folder: folder, tail: tail) },
                endpoint: { Reference(id: "ep_\($0.number)", name: "e\($0.number)") },
                isServing: { serving.value.withLock { $0 } },
                stored: { key in
                    DeliveryRow(
                        endpoint: key.endpoint, place: EventLocation(sequence: key.sequence, position: 0),
                        state: .pending, attempts: 2, status: 503, result: .answered)
                }, clock: { clock.value }))
    }
    func seat(
        _ filter: StreamFilter = StreamFilter(), tenant: UInt32? = nil, after: UInt64? = nil,
        isAllowed: @escaping @Sendable () -> Bool = { true }
    ) -> StreamSeat {
        let hungUp = hungUp
        return StreamSeat(
            reader: StreamReader(clock: { [now] in now.value }), filter: filter, tenant: tenant.map { TenantID($0) },
            after: after ?? log.tail.snapshot.sequence, isAllowed: isAllowed,
            hangUp: { hungUp.count.withLock { $0 += 1 } })
    }
    func step(_ arrivals: StreamSeat..., seconds: Double = 0.01) {
        now.nanos.withLock { $0 += UInt64(seconds * 1e9) }
        _ = rounds.step(admitting: arrivals, now: now.value)
    }
    /// What has been told since the last call: `event 3`, `delivery 3`, `gap`, `end REASON`.
    func told(_ seat: StreamSeat) async -> [String] {
        var bytes = ByteBuffer()
        while seat.reader.waiting.byteCount > 0, let more = await seat.reader.next() {
            bytes.writeImmutableBuffer(more)
        }
        return String(buffer: bytes).components(separatedBy: "\n\n").compactMap { block in
            let lines = block.split(separator: "\n")
            guard let kind = lines.first(where: { $0.hasPrefix("event: ") })?.dropFirst(7),
                let data = lines.last?.dropFirst(6),
                case .object(let members)? = try? JSONDecoder().decode(JSONValue.self, from: Data(data.utf8))
            else { return nil }
            switch (members["sequence"], members["event"], members["reason"]) {
            case (.integer(let sequence)?, _, _): return "\(kind) \(sequence)"
            case (_, .text(let id)?, _): return "\(kind) \(EventID(id)?.sequence ?? 0)"
            case (_, _, .text(let reason)?) where kind == "end": return "\(kind) \(reason)"
            default: return String(kind)
            }
        }
    }
    func delivery(_ sequence: UInt64, endpoint: UInt32 = 1, tenant: UInt32 = 1) {
        guard feed.isWanted else { return }
        feed.add(
            .delivery(
                TenantID(tenant),
                DeliveryRow(
                    endpoint: EndpointID(endpoint), place: EventLocation(sequence: sequence, position: 0),
                    state: .delivered)))
    }
}

@Suite struct StreamRoundTests {
    @Test func tellsWhatComesInOrderAndOnce() async throws {
        let bench = try Bench(["a", "b"])
        let seat = bench.seat()
        bench.step(seat)
        #expect(await bench.told(seat).isEmpty)
        try bench.log.append(["c", "d"])
        bench.step()
        try bench.log.append(["e"])
        bench.step()
        bench.step()
        #expect(await bench.told(seat) == ["event 3", "event 4", "event 5"])
    }
    @Test func goesOnFromAnyPlaceWithoutLossOrRepetition() async throws {
        let bench = try Bench((1...40).map { "k\($0)" })
        let first = bench.seat()
        bench.step(first)
        for after in UInt64(0)...40 {
            let seat = bench.seat(after: after)
            bench.step(seat)
            bench.step()
            #expect(await bench.told(seat) == (after..<40).map { "event \($0 + 1)" }, "\(after)")
            seat.reader.close()
        }
        // A place that nobody gave.
        let seat = bench.seat(after: .max)
        bench.step(seat)
        try bench.log.append(["next"])
        bench.step()
        #expect(await bench.told(seat) == ["event 41"])
    }
    @Test func whatWasCommittedBehindTheOpeningIsTold() async throws {
        let bench = try Bench(["a"])
        let early = bench.seat()
        bench.step(early)
        // Both are opened between two rounds: events come before the next one.
        try bench.log.append(["b"])
        let late = bench.seat()
        try bench.log.append(["c"])
        bench.step(late)
        bench.step()
        #expect(await bench.told(early) == ["event 2", "event 3"])
        #expect(await bench.told(late) == ["event 3"])
    }
    @Test func eachTenantIsToldItsOwn() async throws {
        let bench = try Bench()
        let (one, two, all) = (bench.seat(tenant: 1), bench.seat(tenant: 2), bench.seat())
        bench.step(one, two, all)
        try bench.log.append(["a"], tenant: 2)
        try bench.log.append(["b"], tenant: 1)
        bench.delivery(1, tenant: 2)
        bench.step()
        #expect(await bench.told(one) == ["event 2"])
        #expect(await bench.told(two) == ["event 1", "delivery 1"])
        #expect(await bench.told(all) == ["event 1", "event 2", "delivery 1"])
    }
    /// Whoever lets it expire has not made its last attempt, and does not know what came of it.
    @Test func whatExpiresAfterFailuresIsToldWithTheLastOfThem() async throws {
        let bench = try Bench(["a"])
        let seat = bench.seat()
        bench.step(seat)
        for attempts in [UInt16(2), 0] {
            bench.feed.add(
                .delivery(
                    TenantID(1),
                    DeliveryRow(
                        endpoint: EndpointID(1), place: EventLocation(sequence: 1, position: 0), state: .dead,
                        attempts: attempts, result: .abandoned, reason: .expired)))
        }
        bench.step()
        var bytes = ByteBuffer()
        while seat.reader.waiting.byteCount > 0, let more = await seat.reader.next() {
            bytes.writeImmutableBuffer(more)
        }
        let told = String(buffer: bytes).components(separatedBy: "\n\n").filter { $0.contains("event: delivery") }
        #expect(told.count == 2)
        #expect(told.first?.contains(#""status":503,"result":"answered""#) == true, "\(told)")
        #expect(told.last?.contains(#""result":"abandoned""#) == true, "of one that was never tried: \(told)")
    }
    @Test func filtersLeaveOutWhatDoesNotHaveWhatTheyAskFor() async throws {
        let bench = try Bench()
        var (types, kinds, source, endpoint) = (StreamFilter(), StreamFilter(), StreamFilter(), StreamFilter())
        types.types = [TypePattern("pu*"), TypePattern("x")]
        kinds.kinds = [.endpoint]
        source.source = Array("gitlab".utf8)
        endpoint.endpoint = EndpointID(2)
        let seats = [types, kinds, source, endpoint].map { bench.seat($0) }
        bench.step(seats[0], seats[1], seats[2], seats[3])
        try bench.log.append(["a"], type: "push")
        try bench.log.append(["b"], type: "star")
        for number in UInt32(1)...2 { for sequence in UInt64(1)...2 { bench.delivery(sequence, endpoint: number) } }
        bench.step()
        #expect(await bench.told(seats[0]) == ["event 1", "delivery 1", "delivery 1"])
        #expect(await bench.told(seats[1]).isEmpty)
        #expect(await bench.told(seats[2]).isEmpty)
        #expect(await bench.told(seats[3]) == ["delivery 1", "delivery 2"])
    }
    @Test func deliveriesOfOldEventsHaveTheirTypeToo() async throws {
        let bench = try Bench(["a", "b"])
        var filter = StreamFilter()
        filter.types = [TypePattern("push")]
        let seat = bench.seat(filter)
        bench.step(seat)
        bench.delivery(1)
        bench.step()
        #expect(await bench.told(seat) == ["delivery 1"])
    }
    @Test func nobodyWantsOutcomesNothingIsKept() async throws {
        let bench = try Bench()
        var filter = StreamFilter()
        filter.kinds = [.event]
        let (events, all) = (bench.seat(filter), bench.seat())
        bench.step(events)
        #expect(!bench.feed.isWanted)
        bench.step(all)
        #expect(bench.feed.isWanted)
        all.reader.close()
        bench.step()
        #expect(!bench.feed.isWanted && bench.rounds.seatCount == 1)
    }
    @Test func aFullReaderIsDroppedAndTheOthersGoOn() async throws {
        let bench = try Bench()
        let (slow, good) = (bench.seat(), bench.seat())
        bench.step(slow, good)
        var count = 0
        while bench.rounds.seatCount == 2, count < 10_000 {
            try bench.log.append((0..<20).map { "k\(count + $0)" })
            bench.step()
            #expect(await bench.told(good).count == 20)
            count += 20
        }
        #expect(bench.rounds.takeEnded() == [.slow: 1] && bench.hungUp.value == 1)
        try bench.log.append(["last"])
        bench.step()
        #expect(await bench.told(good) == ["event \(count + 1)"])
    }
    @Test func whoTakesAllAtOnceIsNeverDropped() async throws {
        let bench = try Bench()
        let seats = [bench.seat(), bench.seat(tenant: 1)]
        bench.step(seats[0], seats[1])
        for part in 0..<250 { try bench.log.append((0..<20).map { "k\(part)-\($0)" }) }
        var told: [[String]] = [[], []]
        for _ in 0..<100 {
            bench.step()
            for (place, seat) in seats.enumerated() {
                #expect(seat.reader.waiting.byteCount <= 1 << 19, "a round is bounded")
                told[place] += await bench.told(seat)
            }
        }
        let wanted = (1...5000).map { "event \($0)" }
        #expect(told[0] == wanted && told[1] == wanted && bench.rounds.seatCount == 2)
        #expect(bench.rounds.takeEnded().isEmpty)
    }
    /// It reads a bit of what is told it, all the time: nothing is lost, and it is told how many outcomes are.
    @Test func whoIsSlowCatchesUpFromTheLog() async throws {
        let bench = try Bench()
        let seat = bench.seat()
        bench.step(seat)
        var text = ""
        for part in 0..<400 {
            try bench.log.append((0..<20).map { "k\(part)-\($0)" })
            bench.delivery(1)
            bench.step()
            if part % 40 == 0, let bytes = await seat.reader.next() { text += String(buffer: bytes) }
            #expect(seat.reader.waiting.byteCount <= 1 << 20)
        }
        for _ in 0..<400 {
            bench.step()
            while seat.reader.waiting.byteCount > 0, let bytes = await seat.reader.next() {
                text += String(buffer: bytes)
            }
        }
        #expect(bench.rounds.seatCount == 1 && bench.rounds.takeEnded().isEmpty)
        let ids = text.components(separatedBy: "\n\n").filter { $0.contains("event: event\n") }
        let sequences = ids.compactMap { block in
            block.firstRange(of: "\"sequence\":").flatMap { Int(block[$0.upperBound...].prefix { $0.isNumber }) }
        }
        #expect(sequences == Array(1...8000))
        let deliveries = text.components(separatedBy: "event: delivery\n").count - 1
        let gaps = text.components(separatedBy: "\"outcomes\":").dropFirst().compactMap {
            Int($0.prefix { $0.isNumber })
        }
        #expect(!gaps.isEmpty && deliveries + gaps.reduce(0, +) == 400)
    }
    @Test func aDeliveryWaitsForItsEvent() async throws {
        let bench = try Bench(["a"])
        let seat = bench.seat()
        bench.step(seat)
        bench.delivery(2)
        bench.delivery(1)
        bench.step()
        #expect(await bench.told(seat) == ["delivery 1"])
        try bench.log.append(["b"])
        bench.delivery(2)
        bench.step()
        #expect(await bench.told(seat) == ["event 2", "delivery 2", "delivery 2"])
    }
    @Test func thoseBehindAreToldByOneReadingWhereverTheyAre() async throws {
        let bench = try Bench()
        for part in 0..<15 { try bench.log.append((0..<20).map { "k\(part)-\($0)" }, tenant: part < 10 ? 1 : 2) }
        let places: [(after: UInt64, tenant: UInt32?)] = [(150, nil), (0, nil), (40, 1), (0, 2), (299, nil)]
        let seats = places.map { bench.seat(tenant: $0.tenant, after: $0.after) }
        bench.step(seats[0], seats[1], seats[2], seats[3], seats[4])
        for _ in 0..<5 { bench.step() }
        for (place, seat) in seats.enumerated() {
            let (after, tenant) = places[place]
            let wanted = (after..<300).filter { tenant == nil || (tenant == 2) == ($0 >= 200) }
            #expect(await bench.told(seat) == wanted.map { "event \($0 + 1)" }, "\(place)")
        }
    }
    @Test func aSourceOfOneTenantIsThatOneAlone() async throws {
        let bench = try Bench()
        var filter = StreamFilter()
        (filter.source, filter.tenant) = (Array("github".utf8), TenantID(2))
        let seat = bench.seat(filter)
        bench.step(seat)
        for tenant in UInt32(1)...3 { try bench.log.append(["k\(tenant)"], tenant: tenant) }
        bench.step()
        #expect(await bench.told(seat) == ["event 2"])
    }
    @Test func aReaderThatTakesNothingIsDropped() async throws {
        let bench = try Bench()
        let seat = bench.seat()
        bench.step(seat)
        bench.step(seconds: 14)
        #expect(bench.rounds.seatCount == 1)
        bench.step(seconds: 2)
        #expect(bench.rounds.seatCount == 0 && bench.rounds.takeEnded() == [.slow: 1] && bench.hungUp.value == 1)
    }
    @Test func anIdleReaderHearsEveryFifteenSecondsHowFarItIs() async throws {
        let bench = try Bench(["a"])
        let seat = bench.seat(tenant: 9)
        bench.step(seat)
        func text() async -> String {
            guard seat.reader.waiting.byteCount > 0, let bytes = await seat.reader.next() else { return "" }
            return String(buffer: bytes)
        }
        #expect(await text() == String(decoding: StreamFrames.opening(1), as: UTF8.self))
        try bench.log.append(["b", "c"])
        bench.step(seconds: 14)
        #expect(await text().isEmpty)
        bench.step(seconds: 2)
        #expect(await text() == String(decoding: StreamFrames.place(3), as: UTF8.self))
        bench.step(seconds: 14)
        #expect(await text().isEmpty)
    }
    @Test func aStreamEndsWithItsKeyAndWithTheGateway() async throws {
        let bench = try Bench()
        let flag = Bench.Flag()
        let (brief, other) = (bench.seat(isAllowed: { flag.value.withLock { $0 } }), bench.seat())
        bench.step(brief, other)
        flag.value.withLock { $0 = false }
        bench.step(seconds: 1.5)
        #expect(await bench.told(brief) == ["end key_ended"])
        #expect(await brief.reader.next() == nil)
        #expect(bench.rounds.seatCount == 1)
        bench.serving.value.withLock { $0 = false }
        bench.step()
        #expect(await bench.told(other) == ["end draining"])
        #expect(bench.rounds.takeEnded() == [.keyEnded: 1, .draining: 1] && !bench.rounds.isIdle)
        other.reader.close()
        // One that does not take its farewell is not waited for.
        bench.step(seconds: 3)
        #expect(bench.rounds.isIdle && bench.hungUp.value == 1)
    }
    @Test func whatHasLeftTheLogIsSaid() async throws {
        let bench = try Bench()
        for number in 0..<30 { try bench.log.append((0..<10).map { "k\(number)-\($0)" }, bodyBytes: 1000) }
        try FileManager.default.removeItem(at: bench.log.oldestSegment())
        let oldest = try bench.log.folder.segments()[0]
        let seat = bench.seat(after: 0)
        bench.step(seat)
        for _ in 0..<20 { bench.step() }
        var told: [String] = []
        while seat.reader.waiting.byteCount > 0 { told += await bench.told(seat) }
        #expect(told == ["gap"] + (oldest...300).map { "event \($0)" })
        // The same to one that comes later and catches up.
        let late = bench.seat(after: 0)
        bench.step(late)
        #expect(await bench.told(late) == told)
    }
    @Test func outcomesThatFoundNoRoomAreSaid() async throws {
        let bench = try Bench(["a"])
        let seat = bench.seat(tenant: 1)
        bench.step(seat)
        for _ in 0...StreamFeed.factCountMax { bench.delivery(1) }
        let (facts, lost) = bench.feed.take()
        #expect(facts.count == StreamFeed.factCountMax && lost == [1: 1])
        for _ in 0...StreamFeed.factCountMax { bench.delivery(1, tenant: 5) }
        bench.step()
        #expect(bench.rounds.takeLostOutcomes() == 1)
        #expect(await bench.told(seat).isEmpty, "it is another tenant's")
        for _ in 0..<StreamFeed.factCountMax { bench.delivery(1, tenant: 5) }
        bench.delivery(1)
        bench.step()
        #expect(await bench.told(seat) == ["gap"])
    }
    @Test func nobodyIsToldWhatWasAddedBeforeTheFirstOneCame() {
        let feed = StreamFeed()
        let row = DeliveryRow(
            endpoint: EndpointID(1), place: EventLocation(sequence: 1, position: 0), state: .delivered)
        feed.setWanted(true)
        feed.setWanted(false)
        // Whoever adds had asked before.
        feed.add(.delivery(TenantID(1), row))
        feed.setWanted(true)
        #expect(feed.take().facts.isEmpty)
    }
}

@Suite struct StreamRouteTests {
    @Test func theQueryAndTheHeaderReachTheService() async throws {
        try await ControlServer.run { server in
            let query = "kinds=event,endpoint&types=a.*,b&source=s&endpoint=e"
            let answer = try await server.get("/api/v1/events/stream?\(query)")
            #expect(answer.status == 200 && answer.field("content-type") == "text/event-stream")
            #expect(answer.field("cache-control") == "no-store" && answer.body.contains("id: "))
            #expect(server.gateway.calls.last == "stream endpoint+event [\"a.*\", \"b\"] s e - platform")
            _ = try await server.get("/api/v1/events/stream?after=evt_1", ["Last-Event-ID: evt_2"])
            #expect(server.gateway.calls.last == "stream delivery+endpoint+event [] - - evt_2 platform")
            _ = try await server.get("/api/v1/events/stream?after=evt_1")
            #expect(server.gateway.calls.last?.contains("- - evt_1") == true)
        }
    }
    @Test func unknownKindsAreRefusedWithTheKnownOnes() async throws {
        try await ControlServer.run { server in
            let answer = try await server.get("/api/v1/events/stream?kinds=event,endpoints")
            #expect(answer.status == 400 && answer.text("code") == "bad_parameter")
            #expect(answer.text("detail")?.contains("did you mean `endpoint`") == true)
            let none = try await server.get("/api/v1/events/stream?kinds=,")
            #expect(none.status == 400)
        }
    }
}
