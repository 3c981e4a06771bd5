// The load loop in a simulated world: it counts the same however bytes are cut, times what stalls from when it was
// meant to leave, and brings everything home whatever the server does.

import FastPath
import TestSupport
import Testing

private let accepted = EndpointAnswer(text: "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok")
private let refused = EndpointAnswer(
    text: "HTTP/1.1 503 Busy\r\nContent-Length: 21\r\n\r\n{\"reason\":\"too_busy\"}")
private let millis: UInt64 = 1_000_000

private func failures(_ report: LoadReport) -> [LoadResult: UInt64] {
    Dictionary(uniqueKeysWithValues: report.failures.map { ($0.result, $0.count) })
}
private func sum(_ report: LoadReport) -> LoadCell {
    report.cells.joined().reduce(into: LoadCell()) { sum, cell in
        sum.sent += cell.sent
        sum.accepted += cell.accepted
        sum.refused += cell.refused
        sum.failed += cell.failed
    }
}
/// How many took at least so long.
private func count(_ times: LoadDistribution, from nanos: UInt64) -> UInt64 {
    times.buckets.filter { $0.range.lowerBound >= nanos }.reduce(0) { $0 + $1.count }
}
private func constant(_ rate: Double, nanos: UInt64) -> LoadSchedule {
    LoadSchedule([LoadPiece(nanos: nanos, rateAtStart: rate, rateAtEnd: rate)])
}

@Suite struct LoadDriverSimulationTests {
    @Test func countsTheSameHoweverBytesAreCut() throws {
        var wanted: [String]?
        for (answer, isAccepted) in [(accepted, true), (refused, false)] {
            for (pieceBytes, sendBytesMax, bufferBytes) in [
                (Int.max, Int.max, 4096), (1, Int.max, 4096), (7, 5, 4096), (1, 1, 16), (Int.max, 1, 16),
            ] {
                let load = try SimulatedLoad(bufferBytes: bufferBytes) { plan in
                    plan.requestCountMax = 12
                    plan.nanos = 60_000 * millis
                    plan.timeoutNanos = 30_000 * millis
                }
                load.world.sendBytesMax = sendBytesMax
                let endpoint = SimulatedEndpoint(load.world, answer, pieceBytes: pieceBytes)
                let report = load.run { _ in endpoint.step() }
                let all = sum(report)
                #expect(all.sent == 12 && all.failed == 0 && all.accepted == (isAccepted ? 12 : 0))
                #expect(report.statuses.map(\.status) == [isAccepted ? 202 : 503])
                #expect(report.reasons.reduce(0) { $0 + $1.count } == (isAccepted ? 0 : 12))
                #expect(report.bytesReceived == UInt64(12 * answer.text.utf8.count))
                #expect(report.bytesSent == endpoint.requests.reduce(0) { $0 + UInt64($1.utf8.count) })
                #expect(report.connectionsOpened == 1)
                wanted = wanted ?? endpoint.requests
                #expect(endpoint.requests == wanted && Set(endpoint.requests).count == 12)
            }
        }
    }
    /// Two connections, a thousand arrivals a second, and a server that stands still for 300 ms. A loop that waits for
    /// answers before it counts would see two slow ones (coordinated omission).
    @Test func whatWaitsBehindAStallIsTimedFromWhenItWasMeantToLeave() throws {
        let load = try SimulatedLoad { plan in
            plan.connectionCount = 2
            plan.schedule = constant(1000, nanos: 1000 * millis)
            plan.timeoutNanos = 5000 * millis
        }
        let endpoint = SimulatedEndpoint(load.world, accepted, pieceBytes: .max)
        let report = load.run { elapsed in
            endpoint.isStalled = (300..<600).contains(elapsed)
            endpoint.step()
        }
        #expect(report.intended == 1000 && report.unsent == 0 && sum(report).accepted == 1000)
        #expect(report.latency.count == 1000 && report.service.count == 1000)
        // Each that was due in the stall's first 200 ms took the 100 ms and more that were left of it.
        #expect(count(report.latency, from: 100 * millis) >= 200)
        #expect(count(report.service, from: 100 * millis) == 2)
        #expect(report.latency.maximum >= 295 * millis && report.queued >= 290 && report.backlogMax >= 290)
        #expect(report.latency.minimum < 5 * millis)
        // What was due is told of the interval it was due in, not of the one it left in.
        let stalled = report.intervals.filter { (400..<500).contains($0.start / millis) }
        #expect(stalled.allSatisfy { $0.intended >= 95 && $0.sent == 0 } && stalled.count == 1)
    }
    @Test func whatNeverLeftCountsWithItsAge() throws {
        let load = try SimulatedLoad { plan in
            plan.connectionCount = 2
            plan.schedule = constant(500, nanos: 400 * millis)
            plan.nanos = 400 * millis
            plan.timeoutNanos = 60_000 * millis
            plan.drainNanos = 100 * millis
        }
        let report = load.run { _ in }
        #expect(report.intended == 200 && report.unsent == 198 && sum(report).sent == 2)
        #expect(failures(report) == [.abandoned: 2])
        #expect(report.latency.count == 200, "none is left out")
        #expect(report.latency.maximum >= 495 * millis && count(report.latency, from: 100 * millis) == 200)
        #expect(report.service.count == 0)
    }
    @Test func anAnswerThatDoesNotComeIsTimedOutOnItsConnection() throws {
        let load = try SimulatedLoad { $0.requestCountMax = 3 }
        let endpoint = SimulatedEndpoint(load.world, accepted, pieceBytes: .max)
        // The first stalls; the others have another connection.
        endpoint.isStalled = true
        let report = load.run { elapsed in
            if elapsed > 210 { endpoint.isStalled = false }
            endpoint.step()
        }
        #expect(failures(report) == [.timedOut: 1] && sum(report).accepted == 2)
        #expect(report.connectionsOpened == 2)
        #expect(report.latency.count == 3 && count(report.latency, from: 195 * millis) == 1)
    }
    @Test func aConnectionThatBreaksCostsItsOwnRequest() throws {
        for (answer, result) in [
            (EndpointAnswer(text: "", end: .reset), LoadResult.connectionLost),
            (EndpointAnswer(text: "HTTP/1.1 202 Acc", end: .reset), .connectionLost),
            (
                EndpointAnswer(text: "HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\ncut", end: .closed),
                .connectionLost
            ),
            (EndpointAnswer(text: "no HTTP at all\r\n\r\n"), .badAnswer),
        ] {
            let load = try SimulatedLoad { plan in
                plan.requestCountMax = 4
                plan.nanos = 10_000 * millis
            }
            let endpoint = SimulatedEndpoint(load.world, answer, pieceBytes: 5)
            let report = load.run { _ in endpoint.step() }
            #expect(failures(report) == [result: 4] && sum(report).sent == 4, "\(answer.text)")
            #expect(report.connectionsOpened >= 4)
        }
    }
    @Test func nobodyThereIsSaidAndEnds() throws {
        let load = try SimulatedLoad()
        load.world.connectResult = -111
        let report = load.run { _ in }
        #expect(report.connectErrno == 111 && report.connectFailures > 2)
        #expect(sum(report).sent == 0 && report.latency.count == 0)
    }
    @Test func whoeverStopsItGetsWhatIsUnderWay() throws {
        let load = try SimulatedLoad { plan in
            plan.connectionCount = 4
            plan.nanos = 100_000 * millis
        }
        let endpoint = SimulatedEndpoint(load.world, accepted, pieceBytes: .max)
        let report = load.run { elapsed in
            if elapsed == 50 { load.shared.stop() }
            endpoint.step()
        }
        #expect(report.isInterrupted && sum(report).sent == sum(report).accepted && sum(report).sent > 50)
    }
    @Test(arguments: 1...12) func randomWorldsAddUp(_ seed: UInt64) throws {
        var random = SeededRandom(seed)
        let load = try SimulatedLoad(seed: seed, bufferBytes: [16, 64, 4096][Int(seed % 3)]) { plan in
            plan.connectionCount = 6
            plan.schedule = seed % 2 == 0 ? constant(800, nanos: 1000 * millis) : nil
        }
        let answers = [accepted, refused, EndpointAnswer(text: "HTTP/1.1 2", end: .reset), EndpointAnswer(text: "x")]
        let endpoints = answers.map { SimulatedEndpoint(load.world, $0, pieceBytes: Int(1 + random.next() % 60)) }
        let report = load.run { _ in
            switch random.next() % 10 {
            case 0: load.world.holdsConnects = random.next() % 4 == 0
            case 1: load.world.sendBytesMax = Int(1 + random.next() % 200)
            case 2: load.world.connectResult = random.next() % 6 == 0 ? -111 : 0
            case 3 where random.next() % 3 == 0: load.world.connected.last { !$0.isClosed }?.isReset = true
            default: endpoints[Int(random.next() % UInt64(endpoints.count))].step()
            }
        }
        let all = sum(report)
        #expect(all.sent > 0 && all.sent == all.accepted + all.refused + all.failed)
        #expect(report.intended == all.sent + report.unsent)
        if seed % 2 == 0 { #expect(report.intended == 800) }
        #expect(report.failures.reduce(0) { $0 + $1.count } == all.failed)
        #expect(report.statuses.reduce(0) { $0 + $1.count } == all.accepted + all.refused)
    }
}
