// The load generator's passive parts: schedule, mix, recorder, ledger, request.
import FastPath
import Testing

private let second: UInt64 = 1_000_000_000

/// All times of a schedule, in nanoseconds.
private func times(_ pieces: [LoadPiece]) -> [UInt64] {
    let schedule = LoadSchedule(pieces)
    var cursor = LoadCursor(schedule)
    var times: [UInt64] = []
    while cursor.nextNanos != .max {
        times.append(cursor.nextNanos)
        cursor.advance()
    }
    return times
}
private func entries(_ change: (inout LoadEntryDefinition) -> Void = { _ in }) -> LoadEntries {
    let body = Array("{\"id\":\"".utf8) + [UInt8](repeating: 0x23, count: LoadEventText.byteCount) + Array("\"}".utf8)
    var definition = LoadEntryDefinition(
        head: [
            .literal("POST /x HTTP/1.1\r\nHost: h\r\n"), .malformedLine, .literal("S: t="), .timestamp,
            .literal(",v1="), .signature, .literal("\r\n"), .retryLine("Retry: 1\r\n"), .literal("Content-Length: "),
            .bodyLength, .literal("\r\n\r\n"),
        ], signed: [.timestamp, .literal("."), .body],
        credential: .hmac(secret: Array("key".utf8), .sha256, .hex), bodies: [LoadBody(bytes: body, idOffset: 7)])
    change(&definition)
    return LoadEntries([definition])
}

@Suite struct LoadScheduleTests {
    @Test func aConstantRateIsEvenlySpaced() {
        let all = times([LoadPiece(nanos: second, rateAtStart: 1000, rateAtEnd: 1000)])
        #expect(all.count == 1000)
        #expect(all.indices.allSatisfy { abs(Int(all[$0]) - $0 * 1_000_000) <= 1 })
    }
    @Test func aRampHasTheIntegralOfItsRate() {
        let all = times([LoadPiece(nanos: 10 * second, rateAtStart: 0, rateAtEnd: 200)])
        #expect(all.count == 1000)
        // Half the time has a quarter of the arrivals.
        #expect(abs(all.filter { $0 < 5 * second }.count - 250) <= 1)
        #expect(all == all.sorted())
    }
    @Test func silenceHasNoArrivals() {
        let quiet = LoadPiece(nanos: 2 * second, rateAtStart: 0, rateAtEnd: 0)
        let storm = LoadPiece(nanos: second, rateAtStart: 500, rateAtEnd: 500)
        let all = times([quiet, storm, quiet, storm])
        #expect(all.count == 1000)
        #expect(all.allSatisfy { (2 * second..<3 * second).contains($0) || (5 * second..<6 * second).contains($0) })
    }
    @Test func whatIsDueAgreesWithTheTimes() {
        let pieces = [
            LoadPiece(nanos: second, rateAtStart: 10, rateAtEnd: 300),
            LoadPiece(nanos: second, rateAtStart: 0, rateAtEnd: 0),
            LoadPiece(nanos: second, rateAtStart: 300, rateAtEnd: 50),
        ]
        let all = times(pieces)
        var cursor = LoadCursor(LoadSchedule(pieces))
        for nanos in stride(from: UInt64(0), to: 4 * second, by: 1_234_567) {
            let due = cursor.dueCount(at: nanos)
            let counted = UInt64(all.filter { $0 <= nanos }.count)
            #expect(due >= counted - min(counted, 1) && due <= counted + 1, "at \(nanos): \(due), counted \(counted)")
        }
    }
    @Test func anEmptyScheduleIsOverAtOnce() {
        #expect(times([LoadPiece(nanos: 1, rateAtStart: 0, rateAtEnd: 0)]).isEmpty)
    }
}

@Suite struct LoadRecorderTests {
    @Test func everyValueIsInTheRangeOfItsBucket() throws {
        for bits in [5, 10] {
            let recorder = try LoadRecorder(stepBits: bits)
            var value: UInt64 = 0
            while value < 1 << 41 {
                let bucket = recorder.bucket(of: value)
                let range = recorder.range(ofBucket: bucket)
                #expect(range.contains(value))
                #expect(Double(range.upperBound - range.lowerBound) <= Double(value) / Double(1 << bits))
                value = value * 9 / 8 + 1
            }
        }
    }
    @Test func percentilesAreTheRightOnes() throws {
        var recorder = try LoadRecorder()
        for value in 1...10_000 { recorder.record(nanos: UInt64(value) * 1000) }
        for share in [0.5, 0.9, 0.99, 0.999] {
            let wanted = share * 10_000_000
            let reported = Double(recorder.value(atShare: share))
            #expect(abs(reported - wanted) / wanted < 0.002)
        }
        let ends = [recorder.minimum, recorder.maximum, recorder.count]
        #expect(ends == [1000, 10_000_000, 10_000])
    }
    @Test func whatIsLongerThanAllBucketsIsKeptAsMaximum() throws {
        var recorder = try LoadRecorder(stepBits: 5)
        recorder.record(nanos: .max / 2)
        let maximum = recorder.maximum
        recorder.removeAll()
        let (count, median) = (recorder.count, recorder.value(atShare: 0.5))
        #expect(maximum == .max / 2 && count == 0 && median == 0)
    }
}

@Suite struct LoadMixTests {
    @Test func weightsAndSharesAreKept() {
        var shares = LoadShares()
        shares.badSignatures = 0.1
        shares.duplicates = 0.2
        var mix = LoadMix(weights: [3, 1], shares: [shares, LoadShares()], seed: 7)
        var counts: [Int: Int] = [:]
        var bad = 0
        var duplicates = 0
        for _ in 0..<100_000 {
            let draw = mix.next(nowSeconds: 100)
            counts[draw.entry, default: 0] += 1
            if draw.kind == .badSignature { bad += 1 }
            if draw.kind == .duplicate { duplicates += 1 }
            if draw.kind == .fresh { mix.accepted(event: draw.event, entry: draw.entry, seconds: 100) }
        }
        #expect(abs(counts[0, default: 0] - 75_000) < 1000)
        #expect(abs(bad - 7500) < 500 && abs(duplicates - 15_000) < 700)
        let eventCount = mix.eventCount
        #expect(eventCount == UInt64(100_000 - duplicates))
    }
    @Test func aDuplicateNamesAnAcceptedEventOfItsEntry() {
        var shares = LoadShares()
        shares.duplicates = 0.5
        var mix = LoadMix(weights: [1, 1], shares: [shares, shares], seed: 3)
        let start = mix.next(nowSeconds: 1)
        #expect(start.kind == .fresh)
        var accepted: [UInt64: Int] = [:]
        for number in 0..<10_000 {
            let draw = mix.next(nowSeconds: 1)
            if draw.kind == .duplicate {
                #expect(accepted[draw.event] == draw.entry)
            } else if number % 3 == 0 {
                accepted[draw.event] = draw.entry
                mix.accepted(event: draw.event, entry: draw.entry, seconds: 1)
            }
        }
    }
    @Test func theSameSeedGivesTheSameTraffic() {
        var shares = LoadShares()
        shares.stale = 0.3
        var first = LoadMix(weights: [1, 2], shares: [shares, shares], seed: 11)
        var second = LoadMix(weights: [1, 2], shares: [shares, shares], seed: 11)
        for _ in 0..<1000 {
            let (one, other) = (first.next(nowSeconds: 5), second.next(nowSeconds: 5))
            #expect(one == other)
        }
    }
}

@Suite struct LoadLedgerTests {
    @Test func anAcceptedEventStaysAccepted() throws {
        let ledger = try LoadLedger(capacity: 10)
        let writer = ledger.writer
        writer.note(3, .unknown)
        writer.note(3, .accepted)
        writer.note(3, .refused)
        writer.note(10, .accepted)
        #expect(ledger.state(of: 3) == .accepted && ledger.state(of: 4) == .unsent && ledger.state(of: 10) == nil)
    }
    @Test func anEventIsFoundByItsText() {
        let text = LoadEventText.text(run: 0xDEAD_BEEF, event: 0x12_3456_789A)
        #expect(text == "sluiceload-deadbeef-00123456789a" && text.utf8.count == LoadEventText.byteCount)
        for bytes in [text, "{\"x\":\"sluiceload-no\",\"id\":\"\(text)\"}", "sluiceload-\(text)"] {
            let found = Array(bytes.utf8).withView { LoadEventText.find(in: $0) }
            #expect(found?.run == 0xDEAD_BEEF && found?.event == 0x12_3456_789A, "\(bytes)")
        }
        for bytes in ["", String(text.dropLast()), "nothing", text.uppercased()] {
            #expect(Array(bytes.utf8).withView { LoadEventText.find(in: $0) } == nil)
        }
    }
}

@Suite struct LoadRequestTests {
    private func text(_ entries: LoadEntries, _ kind: LoadKind, seconds: UInt64 = 1_700_000_000) -> String {
        String(
            decoding: LoadPreview(entries).bytes(entry: 0, kind: kind, run: 1, event: 5, seconds: seconds),
            as: UTF8.self)
    }
    private func signature(_ text: String) -> Substring { text.split(separator: "v1=")[1].prefix(64) }

    @Test func aFreshRequestIsSignedOverItsOwnBody() {
        let request = text(entries(), .fresh)
        let body = "{\"id\":\"\(LoadEventText.text(run: 1, event: 5))\"}"
        #expect(request.hasSuffix("Content-Length: \(body.utf8.count)\r\n\r\n\(body)"))
        let memory = CompiledMemory()
        let key = SigningKey(secret: Array("key".utf8), algorithm: .sha256, in: memory)
        let wanted = TextEncoding.hex(key.mac(over: Array("1700000000.\(body)".utf8)))
        #expect(signature(request) == wanted)
        withExtendedLifetime(memory) {}
    }
    @Test func longBodiesAreTheSameBytesAsShortOnesWouldBe() {
        let filling = [UInt8](repeating: 0x61, count: 50_000)
        let long = entries { $0.bodies[0].bytes += filling }
        let request = text(long, .fresh)
        #expect(
            request.hasSuffix("\(LoadEventText.text(run: 1, event: 5))\"}" + String(decoding: filling, as: UTF8.self))
        )
        let body = String(request[request.firstRange(of: "\r\n\r\n")!.upperBound...])
        let memory = CompiledMemory()
        let key = SigningKey(secret: Array("key".utf8), algorithm: .sha256, in: memory)
        #expect(signature(request) == TextEncoding.hex(key.mac(over: Array("1700000000.\(body)".utf8))))
        withExtendedLifetime(memory) {}
    }
    @Test func badRequestsAreBadInTheirOneWay() {
        let good = text(entries(), .fresh)
        let spoiled = text(entries(), .badSignature)
        #expect(
            signature(spoiled) != signature(good) && signature(spoiled).dropFirst() == signature(good).dropFirst())
        let stale = text(entries { $0.staleBySeconds = 4000 }, .stale)
        #expect(stale.contains("t=1699996000,"))
        #expect(text(entries(), .malformed).utf8.count > good.utf8.count)
        #expect(text(entries(), .retry).contains("Retry: 1\r\n") && !good.contains("Retry"))
        #expect(text(entries(), .duplicate) == good)
    }
}
