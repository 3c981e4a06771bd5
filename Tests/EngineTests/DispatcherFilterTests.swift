// Endpoints with a filter: what it keeps away is passed over and counted, wherever the lane reads; what it let through
// once is sent whatever comes after.
import Engine
import FastPath
import Testing

private func filtered(_ name: String, _ json: String, change: (inout EndpointConfiguration) -> Void = { _ in })
    throws -> EndpointConfiguration
{
    let filter = try filterValue(json)
    return endpoint(name) {
        $0.policies.filter = filter
        change(&$0)
    }
}
private func amount(_ amount: Int) -> FakeEvent { FakeEvent(body: "{\"data\":{\"amount\":\(amount)}}") }
private let large = #"{"body":{"data":{"amount":{"$gte":100}}}}"#

extension Bench {
    fileprivate var sentTo: [String: [UInt64]] {
        settle()
        let names = Dictionary(uniqueKeysWithValues: ids.map { (Int($0.value.number), $0.key) })
        return egress.out.reduce(into: [:]) { $0[names[$1.endpoint]!, default: []].append($1.sequence) }
    }
}

@Suite struct DispatcherFilterTests {
    @Test func passesOverWhatDoesNotMatchAndCountsIt() throws {
        let bench = try Bench()
        try bench.apply([endpoint("all"), filtered("large", large)])
        for value in [50, 100, 7, 250] { bench.log.append(amount(value)) }
        bench.log.append(FakeEvent(body: "no JSON"))
        #expect(bench.sentTo == ["all": [1, 2, 3, 4, 5], "large": [2, 4]])
        while !bench.egress.out.isEmpty { bench.egress.answer(0, status: 200) }
        bench.advance(millis: 50)
        #expect(bench.counters("large").filtered == 3 && bench.counters("large").delivered == 2)
        #expect(bench.counters("all").filtered == 0 && bench.counters("all").delivered == 5)
        #expect(try bench.rows("large").map(\.place.sequence) == [2, 4])
        // Nothing of what was passed over holds its mark back.
        bench.advance(millis: 2000)
        #expect(try bench.resume("large") == 6)
    }
    /// Two hundred endpoints whose filters cost more together than a step may: the rest is asked in later steps, in the
    /// order of the events, and one without a filter does not wait for them.
    @Test func manyCostlyFiltersShareTheBudgetOfAStep() throws {
        var limits = DispatcherLimits()
        limits.filterWorkPerStep = 20_000
        let bench = try Bench(poolBytes: 16 << 20, limits: limits)
        let costly = try (0..<200).map { index in
            try filtered("f\(index)", #"{"body":{"$.list[*]":{"$gt":\#(index % 2 == 0 ? 100 : 5000)}}}"#)
        }
        try bench.apply(costly + [endpoint("plain")])
        let list = (0..<1000).map(String.init).joined(separator: ",")
        for _ in 0..<5 { bench.log.append(FakeEvent(body: "{\"list\":[\(list)]}")) }
        _ = bench.dispatcher.step(now: bench.now)
        #expect(bench.egress.out.count { $0.endpoint == Int(bench.id("plain").number) } == 5)
        for _ in 0..<20 {
            bench.settle()
            bench.egress.answerAll()
            bench.advance(millis: 30)
        }
        for index in 0..<200 {
            let rows = try bench.rows("f\(index)")
            #expect(rows.map(\.place.sequence) == (index % 2 == 0 ? [1, 2, 3, 4, 5] : []), "f\(index)")
        }
        #expect(try bench.rows("plain").count { $0.state == .delivered } == 5)
        // One event at one endpoint takes a thousand comparisons and more.
        #expect(bench.dispatcher.filterWorkMax < 20_000 + 10_000, "\(bench.dispatcher.filterWorkMax)")
        bench.advance(millis: 2000)
        #expect(try bench.resume("f0") == 6)
    }
    @Test func asksItAlsoWhileTheLaneReadsAlone() throws {
        let bench = try Bench()
        try bench.apply([filtered("large", large) { $0.disabled = true }])
        for value in [1, 100, 2, 300] { bench.log.append(amount(value)) }
        bench.advance(millis: 2000)
        let after = try Bench(after: bench)
        try after.apply([endpoint("other"), filtered("large", large)])
        #expect(after.sentTo["large"] == [2, 4])
    }
    @Test func whatItLetThroughIsSentWhateverItSaysLater() throws {
        let bench = try Bench()
        try bench.apply([filtered("large", large) { ($0.concurrency, $0.retryDelaysMillis) = (1, [100]) }])
        for value in [100, 200, 300] { bench.log.append(amount(value)) }
        #expect(bench.sentTo == ["large": [1]])
        // Two are noted; the filter changes, and the first one fails.
        try bench.apply([
            filtered("large", #"{"type":"nothing"}"#) { ($0.concurrency, $0.retryDelaysMillis) = (1, [100]) }
        ])
        bench.log.append(amount(400))
        bench.egress.answer(0, status: 500)
        var seen: [UInt64] = []
        for _ in 0..<20 {
            bench.advance(millis: 100)
            while let first = bench.egress.out.first {
                seen.append(first.sequence)
                bench.egress.answer(0, status: 200)
            }
        }
        #expect(seen.sorted() == [1, 2, 3])
        #expect(bench.counters("large").filtered == 1)
    }
    @Test func aReplayOfOneEventIsSentWhateverTheFilterSays() throws {
        let bench = try Bench()
        try bench.apply([filtered("large", large)])
        bench.log.append(amount(1))
        bench.log.append(amount(100))
        #expect(bench.sentTo == ["large": [2]])
        bench.egress.answer(0, status: 200)
        bench.advance(millis: 50)
        #expect(try bench.replay("large", 1) == .accepted)
        #expect(bench.sentTo == ["large": [1]])
    }
    @Test func whatItNeverHadIsWhatTheFilterLetsThrough() throws {
        let bench = try Bench()
        for value in [1, 100, 200] { bench.log.append(amount(value)) }
        try bench.apply([filtered("large", large)])
        var filter = ReplayFilter()
        filter.endpoints = [bench.id("large")]
        filter.includesMissed = true
        filter.states = []
        filter.filter = try CompiledFilter(try filterValue(large))
        var walk = ReplayWalk(
            filter, endpoint: bench.id("large"), tenant: .main, store: bench.store, log: bench.log)
        var found: [UInt64] = []
        while let page = try walk.next() { found += page.replays.map(\.place.sequence) }
        #expect(found == [2, 3])
    }
    @Test func aFilterThatIsStoredAndCompilesNoMoreIsNamed() throws {
        #expect(throws: EndpointError.self) {
            _ = try compiled(try filtered("a", "{}") { $0.url = "http://127.0.0.1/" }, id: EndpointID(1))
        }
    }
}
