// Where an event stands at a lane and what holds it there; and why an endpoint does not want one.

import Engine
import FastPath
import Testing

@Suite struct DispatcherTraceTests {
    private func trace(_ bench: Bench, _ sequence: UInt64) -> LaneTrace? {
        bench.dispatcher.trace(sequence, at: [bench.id("a"), EndpointID(99)], now: bench.now)[bench.id("a")]
    }

    @Test func fromNotReachedToBehind() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.concurrency = 1 }])
        #expect(trace(bench, 1) == LaneTrace(standing: .notReached, holds: []))
        bench.log.append(count: 3)
        bench.advance(millis: 1)
        #expect(trace(bench, 1) == LaneTrace(standing: .attempting, holds: [.concurrency]))
        #expect(trace(bench, 2) == LaneTrace(standing: .queued, holds: [.concurrency]))
        #expect(bench.dispatcher.trace(1, at: [EndpointID(99)], now: bench.now).isEmpty)
        for _ in 0..<3 {
            bench.egress.answerAll()
            bench.advance(millis: 30)
        }
        #expect(trace(bench, 1)?.standing == .behind && trace(bench, 3)?.standing == .behind)
        #expect(trace(bench, 4)?.standing == .notReached)
    }
    @Test func whatHoldsALaneIsSaid() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.retryDelaysMillis = [60_000] }])
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        bench.egress.answer(0, status: 429) { $0.retryAfterSeconds = 3 }
        bench.advance(millis: 30)
        let slowed = trace(bench, 1)
        #expect(slowed?.standing == .scheduled)
        guard case .pace(let until)? = slowed?.holds.first else { Issue.record("\(slowed as Any)"); return }
        #expect((1_700_000_002_000...1_700_000_004_000).contains(until))
        bench.perform(.pause(millis: 60_000), "a")
        #expect(trace(bench, 1)?.holds.contains { if case .paused = $0 { true } else { false } } == true)
        bench.perform(.disable, "a")
        #expect(trace(bench, 2)?.holds.contains(.disabled) == true && trace(bench, 2)?.standing == .notReached)
    }
    @Test func oneProbeAtATimeIsAllThatItTakes() throws {
        let bench = try Bench()
        try bench.apply([
            endpoint("a") {
                $0.concurrency = 8
                $0.retryDelaysMillis = [Int](repeating: 1000, count: 5)
                $0.policies.breaker = BreakerSettings()
                $0.policies.breaker?.failures = 1
                $0.policies.breaker?.cooldownMillis = 1000
            }
        ])
        bench.log.append(count: 8)
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 500)
        for _ in 0..<15 where bench.egress.out.isEmpty { bench.advance(millis: 100) }
        #expect(bench.egress.out.count == 1)
        #expect(trace(bench, 8)?.holds.contains(.concurrency) == true)
    }
    @Test func oneBehindOthersInAnOrderWaitsForThem() throws {
        let bench = try Bench()
        try bench.apply([
            endpoint("a") {
                $0.ordered = true
                $0.orderKey = ["header:X-Customer"]
            }
        ])
        bench.log.append(count: 2, FakeEvent(fieldLines: "X-Customer: 1\r\n"))
        bench.advance(millis: 30)
        #expect(trace(bench, 1)?.standing == .attempting && trace(bench, 2)?.standing == .heldByOrder)
    }
    @Test func everyReasonNotToWantAnEventIsNamed() throws {
        func spec(_ sources: [SourceID], _ change: (inout EndpointConfiguration) -> Void) -> EndpointSpec {
            EndpointSpec(
                id: EndpointID(1), publicID: PublicID.make(.endpoint), tenant: .main, origin: .api, revision: 1,
                createdMillis: 0, settings: endpoint("a", change: change), sourceIDs: sources)
        }
        func reasons(
            _ spec: EndpointSpec, from source: SourceID = SourceID(1), type: String = "push", channels: [String] = [],
            isRequestOfSeveral: Bool = false
        ) -> [MatchRefusal] {
            let all = MatchRefusal.all(
                spec, sourceID: source, type: type, channels: channels, isRequestOfSeveral: isRequestOfSeveral)
            // As the matcher itself says.
            let subscription = Subscription(
                sources: spec.sourceIDs, types: spec.settings.types, channels: spec.settings.channels)
            let list = Array(channels.joined(separator: ",").utf8)
            let wants = list.withView { subscription.wants(source: source, type: Array(type.utf8), channels: $0) }
            #expect(isRequestOfSeveral || wants == all.isEmpty)
            for reason in all { #expect(!reason.text(spec).isEmpty) }
            return all
        }
        let open = spec([]) { _ in }
        #expect(reasons(open).isEmpty && reasons(open, isRequestOfSeveral: true) == [.requestOfSeveral])
        #expect(reasons(open, from: .operational) == [.closedSource])
        let narrow = spec([SourceID(2)]) {
            $0.sources = ["stripe"]
            $0.types = ["invoice.*"]
            $0.channels = ["eu"]
        }
        #expect(reasons(narrow) == [.source, .type, .channel])
        #expect(reasons(narrow, from: SourceID(2), type: "invoice.paid", channels: ["us", "eu"]).isEmpty)
        #expect(reasons(narrow, from: SourceID(2), type: "invoice.paid", channels: ["us"]) == [.channel])
        #expect(narrow.settings.types.contains { MatchRefusal.type.text(narrow).contains($0) })
    }
}
