// Where requests go: names that resolve late, not at all, or to what is refused; the next address, and the distrust of
// all.

import Engine
import FastPath
import Testing

@Suite struct DispatcherHostTests {
    private func named(
        _ name: String = "a", change: (inout EndpointConfiguration) -> Void = { _ in }
    )
        -> EndpointConfiguration
    {
        endpoint(name) {
            $0.url = "http://hooks.example:9000/1"
            $0.retryDelaysMillis = [5000, 60_000]
            change(&$0)
        }
    }
    private func bench(_ entry: FakeHosts.Entry, count: Int = 1) throws -> Bench {
        let bench = try Bench()
        bench.hosts.set("hooks.example", entry)
        try bench.apply([named()])
        bench.log.append(count: count)
        bench.advance(millis: 1)
        return bench
    }

    @Test func nothingGoesOutBeforeTheNameIsThere() throws {
        let bench = try bench(.silent, count: 3)
        #expect(bench.egress.out.isEmpty)
        // It waits, and asks nobody again by itself.
        let looks = bench.hosts.looks
        for _ in 0..<10 { bench.advance(millis: 1000) }
        #expect(bench.hosts.looks == looks && bench.egress.out.isEmpty)
        bench.hosts.set("hooks.example", .addresses(["127.0.0.1"]))
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.sequence) == [1, 2, 3])
    }
    @Test func aNameThatDoesNotResolveIsRetriedByScheduleAndComesBack() throws {
        let bench = try bench(.failed)
        bench.advance(millis: 30)
        #expect(bench.egress.out.isEmpty)
        let row = try bench.rows("a")[0]
        #expect(row.state == .pending && row.attempts == 1 && row.result == .nameNotResolved)
        #expect(bench.status("a").state.condition == .failing && bench.status("a").state.reason == .unresolved)
        #expect(bench.status("a").state.lastError.contains("hooks.example does not resolve: no such name"))
        #expect(try bench.store.attempts(sequence: 1).map(\.result) == [.nameNotResolved])
        bench.hosts.set("hooks.example", .addresses(["127.0.0.1"]))
        bench.advance(millis: 4000)
        #expect(bench.egress.out.isEmpty, "not before its time")
        bench.advance(millis: 1100)
        #expect(bench.egress.out.map(\.attempt) == [2])
        bench.egress.answerAll()
        bench.advance(millis: 30)
        #expect(bench.status("a").state.condition == .active)
        #expect(try bench.rows("a").map(\.state) == [.delivered])
    }
    @Test func manyEventsForANameThatDoesNotResolveCostOneAttemptAPause() throws {
        let bench = try bench(.failed, count: 100)
        bench.advance(millis: 500)
        #expect(bench.status("a").pending == 1 && bench.status("a").backlog == 99)
    }
    @Test func aNameThatNeverResolvesEndsAsADeadLetter() throws {
        let bench = try bench(.failed)
        for _ in 0..<80 { bench.advance(millis: 1000) }
        let row = try bench.rows("a")[0]
        #expect(row.state == .dead && row.reason == .retriesExhausted && row.attempts == 3)
    }
    @Test func anAddressThatIsRefusedGetsNothing() throws {
        let bench = try bench(.addresses(["127.0.0.1", "10.0.0.1"]))
        bench.advance(millis: 30)
        #expect(bench.egress.submitted == 0)
        #expect(try bench.rows("a")[0].result == .addressRefused)
        #expect(bench.status("a").state.lastError.contains("10.0.0.1"))
        bench.hosts.set("hooks.example", .addresses(["127.0.0.1"]))
        bench.advance(millis: 6000)
        #expect(bench.egress.out.map(\.attempt) == [2])
    }
    @Test func anAddressThatTakesNoConnectionIsFollowedByTheNext() throws {
        let bench = try bench(.addresses(["127.0.0.1", "127.0.0.2", "127.0.0.3"]), count: 2)
        func places() -> [Int] { bench.egress.out.map { Int($0.request.addressIndex) } }
        #expect(places() == [0, 0])
        bench.egress.answer(0, change: failing(.connectFailed))
        bench.advance(millis: 1)
        #expect(places() == [0, 1])
        bench.egress.answer(1, change: failing(.connectTimedOut))
        bench.advance(millis: 1)
        #expect(places() == [0, 2] && !bench.egress.out[1].request.hasAlternative)
        bench.egress.answer(1)
        bench.advance(millis: 1)
        // The address that answered is the first from then on; attempts count by event, not by address.
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        #expect(places() == [0, 2] && bench.egress.out.allSatisfy { $0.attempt == 1 })
        #expect(bench.hosts.distrusted.isEmpty)
    }
    @Test func aQuietEndpointBeginsWithTheAddressThatAnsweredLast() throws {
        let bench = try bench(.addresses(["127.0.0.1", "127.0.0.2"]))
        bench.egress.answerAll(change: failing(.connectFailed))
        bench.advance(millis: 1)
        bench.egress.answerAll()
        bench.advance(millis: 600_000)
        #expect(bench.egress.out.isEmpty)
        for _ in 0..<3 {
            bench.log.append(count: 1)
            bench.advance(millis: 1)
            #expect(bench.egress.out.map { Int($0.request.addressIndex) } == [1])
            bench.egress.answerAll()
            bench.advance(millis: 600_000)
        }
    }
    @Test func afterTheLastAddressTheNameIsDistrustedAndTheAttemptCounted() throws {
        let bench = try bench(.addresses(["127.0.0.1", "127.0.0.2"]))
        for _ in 0..<2 {
            #expect(bench.egress.out.count == 1)
            bench.egress.answerAll(change: failing(.connectFailed))
            bench.advance(millis: 1)
        }
        #expect(bench.egress.out.isEmpty && bench.egress.submitted == 2)
        #expect(bench.hosts.distrusted == ["hooks.example:9000"])
        bench.advance(millis: 50)
        #expect(try bench.rows("a").map(\.attempts) == [1])
        #expect(try bench.store.attempts(sequence: 1).count == 1)
    }
    private func refused(_ status: Int32) -> (inout DeliveryOutcome) -> Void {
        { outcome in
            failing(.proxyRefused)(&outcome)
            outcome.systemError = status
        }
    }
    @Test func aProxysNameIsResolvedAsAnEndpointsAndEachOfItsAddressesIsTried() throws {
        let bench = try Bench()
        bench.proxy = ProxySettings(url: "http://proxy.example:3128")
        bench.hosts.set("hooks.example", .addresses(["127.0.0.1"]))
        bench.hosts.set("proxy.example", .silent)
        try bench.apply([named()])
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        #expect(bench.egress.out.isEmpty)
        bench.hosts.set("proxy.example", .addresses(["10.0.0.1", "10.0.0.2"]))
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.request.addressIndex) == [0])
        bench.egress.answerAll(change: failing(.connectFailed))
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.request.addressIndex) == [1])
        bench.egress.answerAll(change: refused(503))
        bench.advance(millis: 1)
        #expect(bench.egress.out.isEmpty && bench.egress.submitted == 2)
        #expect(bench.hosts.distrusted == ["hooks.example:9000", "proxy.example:3128"])
        // Other addresses from the next attempt on; without any the endpoint fails for that reason.
        bench.hosts.set("proxy.example", .addresses(["10.0.0.3"]))
        bench.advance(millis: 5100)
        #expect(bench.egress.out.map(\.request.addressIndex) == [0])
        #expect(bench.egress.out.allSatisfy { !$0.request.hasAlternative })
        bench.egress.answerAll()
        bench.hosts.set("proxy.example", .failed)
        bench.log.append(count: 1)
        bench.advance(millis: 30)
        #expect(bench.egress.out.isEmpty)
        #expect(bench.status("a").state.lastError.contains("the proxy proxy.example does not resolve"))
    }
    @Test func aProxyThatReachesNoAddressIsAskedForTheNextOneAndWhatItForbidsIsNot() throws {
        for (status, wanted) in [(Int32(502), 2), (504, 2), (403, 1), (407, 1), (0, 1)] {
            let bench = try Bench()
            bench.proxy = ProxySettings(url: "http://10.0.0.1:3128")
            bench.hosts.set("hooks.example", .addresses(["127.0.0.1", "127.0.0.2"]))
            try bench.apply([named()])
            bench.log.append(count: 1)
            bench.advance(millis: 1)
            bench.egress.answerAll(change: refused(status))
            bench.advance(millis: 1)
            #expect(bench.egress.submitted == wanted, "\(status)")
        }
    }
    @Test func otherFailuresStayWithTheAddress() throws {
        let bench = try bench(.addresses(["127.0.0.1", "127.0.0.2"]))
        bench.egress.answerAll(change: failing(.headTimedOut))
        bench.advance(millis: 50)
        #expect(bench.egress.out.isEmpty && bench.hosts.distrusted.isEmpty)
    }
    @Test func IPv4IsTriedAfterIPv6() throws {
        let bench = try Bench()
        bench.hosts.set("hooks.example", .addresses(["::ffff:127.0.0.1", "127.0.0.1"]))
        try bench.apply([named()])
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        bench.egress.answerAll(change: failing(.connectFailed))
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.request.addressIndex) == [1])
    }
    @Test func newAddressesAreTakenFromTheNextRequestOn() throws {
        let bench = try bench(.addresses(["127.0.0.1"]))
        bench.hosts.set("hooks.example", .addresses(["127.0.0.2", "127.0.0.3"]))
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.request.hasAlternative) == [false, true])
        #expect(bench.egress.answer(0) && bench.egress.answer(0))
    }
    @Test func lanesWaitForAHostOnceEach() throws {
        let bench = try Bench()
        bench.hosts.set("hooks.example", .silent)
        try bench.apply((0..<3).map { named("e\($0)") })
        bench.log.append(count: 50)
        for _ in 0..<3 { bench.advance(millis: 100) }
        bench.hosts.set("hooks.example", .addresses(["127.0.0.1"]))
        bench.advance(millis: 1)
        #expect(bench.egress.out.count == 3 * 16)
    }
}
