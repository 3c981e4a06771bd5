// Deliveries that need an access token: what they do without one, with one, and after a 401; with a token endpoint that
// only the test moves. And the real threads.
import Engine
import FastPath
import Foundation
import Synchronization
import Testing

/// An endpoint that asks for a token.
func asking(
    _ name: String, _ change: (inout ClientCredentialsSettings) -> Void = { _ in }
) -> EndpointConfiguration {
    endpoint(name) {
        var oauth = ClientCredentialsSettings()
        oauth.tokenURL = "http://127.0.0.1:9100/token"
        oauth.clientID = "client"
        oauth.clientSecret = "secret"
        change(&oauth)
        var authorization = EndpointAuthorization()
        authorization.oauth2 = oauth
        $0.policies.authorization = authorization
        $0.retryDelaysMillis = [5000, 60_000]
    }
}

/// What it asks with.
func credentials(of asking: EndpointConfiguration, tenant: TenantID = .main) throws -> ClientCredentials {
    var endpoint = asking
    endpoint.url = "http://127.0.0.1:9000/1"
    return try #require(compiled(endpoint, id: EndpointID(1), tenant: tenant).policies?.credentials)
}

/// Answers when it is told. Faults: failures, answers that never come.
private final class FakeTokens: TokenPort {
    private(set) var asked: [ClientCredentials] = []
    private(set) var count = 0
    private var answers: [TokenAnswer] = []

    func ask(_ credentials: ClientCredentials) {
        asked.append(credentials)
        count += 1
    }
    func nextAnswer() -> TokenAnswer? { answers.isEmpty ? nil : answers.removeFirst() }
    var hasAnswer: Bool { !answers.isEmpty }
    func grant(_ text: String, seconds: Int = 3600) {
        answers.append(
            TokenAnswer(asked.removeFirst(), .success(GrantedToken(text: text, lifetimeMillis: seconds * 1000))))
    }
    func fail(_ failure: TokenFailure) { answers.append(TokenAnswer(asked.removeFirst(), .failure(failure))) }
}

@Suite struct DispatcherAuthorizationTests {
    private let port = FakeTokens()
    private func made(_ endpoints: [EndpointConfiguration], count: Int = 1) throws -> Bench {
        let bench = try Bench()
        bench.dispatcher.tokenPort = port
        try bench.apply(endpoints)
        bench.log.append(count: count)
        bench.advance(millis: 1)
        return bench
    }
    private func tokens(_ bench: Bench) -> [String] {
        bench.egress.out.map { sent in
            let lines = sent.fieldLines.split(separator: "\r\n").filter { $0.hasPrefix("Authorization: ") }
            return lines.map { String($0.dropFirst("Authorization: Bearer ".count)) }.joined(separator: "+")
        }
    }

    @Test func nothingGoesOutBeforeTheTokenIsThere() throws {
        let bench = try made([asking("a"), asking("b")], count: 3)
        #expect(bench.egress.out.isEmpty && port.count == 1, "both have the same client")
        let asked = bench.dispatcher.trace(1, at: [bench.id("a")], now: bench.now)
        #expect(asked[bench.id("a")]?.holds == [.authorization])
        for _ in 0..<10 { bench.advance(millis: 1000) }
        #expect(bench.egress.out.isEmpty && port.count == 1)
        #expect(try bench.rows("a").isEmpty, "nothing was attempted")
        port.grant("one")
        bench.advance(millis: 1)
        #expect(tokens(bench) == Array(repeating: "one", count: 6))
        #expect(Set(bench.egress.out.map(\.endpoint)) == [1, 2])
        bench.egress.answerAll()
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        #expect(tokens(bench) == ["one", "one"] && port.count == 1, "it is used again")
    }
    @Test func fixedCredentialsGoAtOnce() throws {
        let basic = endpoint("a") {
            var authorization = EndpointAuthorization()
            var pair = BasicCredentials()
            (pair.username, pair.password) = ("user", "päss:word")
            authorization.basic = pair
            $0.policies.authorization = authorization
            $0.extras.fields = [ConfiguredField(name: "X-Api-Key", value: "k e y")]
        }
        let bearer = endpoint("b") {
            var authorization = EndpointAuthorization()
            authorization.bearer = "fixed"
            $0.policies.authorization = authorization
        }
        let bench = try Bench()
        try bench.apply([basic, bearer])
        bench.log.append(FakeEvent(fieldLines: "Authorization: Basic theirs\r\nX-API-key: theirs\r\nX-B: c\r\n"))
        bench.advance(millis: 1)
        let pair = TextEncoding.base64(Array("user:päss:word".utf8))
        let sent = Dictionary(uniqueKeysWithValues: bench.egress.out.map { ($0.endpoint, $0.fieldLines) })
        let (first, second) = (try #require(sent[1]), try #require(sent[2]))
        #expect(first.contains("Authorization: Basic \(pair)\r\n") && first.contains("X-Api-Key: k e y\r\n"))
        #expect(second.contains("Authorization: Bearer fixed\r\n") && second.contains("X-B: c\r\n"))
        #expect(!first.contains("theirs") && !second.contains("Basic theirs"))
    }
    @Test func withoutATokenItsDeliveriesWaitAndEndByTheirSchedule() throws {
        let bench = try made([asking("a"), endpoint("plain")], count: 100)
        #expect(bench.egress.out.allSatisfy { $0.endpoint == 2 } && !bench.egress.out.isEmpty)
        port.fail(TokenFailure(.refused, status: 401, detail: "invalid_client"))
        bench.advance(millis: 30)
        // One delivery of each pause is told why; the others wait where they are.
        #expect(bench.status("a").pending == 1 && bench.status("a").backlog == 99)
        let row = try bench.rows("a")[0]
        #expect(row.state == .pending && row.attempts == 1 && row.result == .authorizationFailed)
        let attempt = try #require(try bench.store.attempts(sequence: 1).first { $0.endpoint == bench.id("a") })
        #expect(attempt.systemError == 401 << 8 | 10 && attempt.answer == Array("invalid_client".utf8))
        let state = bench.status("a").state
        #expect(state.condition == .failing && state.reason == .authorizationFailed)
        #expect(state.lastError.contains("the token endpoint refuses, 401: invalid_client"))
        // New ones are told in turn with it, so it takes its time.
        for second in 1...600 {
            bench.advance(millis: 1000)
            if !port.asked.isEmpty { port.fail(TokenFailure(.refused, status: 401)) }
            bench.egress.answerAll()
            if second == 200 { #expect(port.count < 15, "\(port.count) requests in 200 s") }
        }
        let first = try bench.rows("a")[0]
        #expect(first.state == .dead && first.reason == .authorizationFailed && first.attempts == 3)
        #expect(DeadLetterClass(first) == .failure(.authorizationFailed))
        #expect(bench.egress.submitted == 100, "nothing went to it")
    }
    @Test func goesOnWhenTheTokenEndpointIsThereAgain() throws {
        let bench = try made([asking("a")], count: 3)
        port.fail(TokenFailure(.connectFailed))
        bench.advance(millis: 30)
        #expect(bench.egress.out.isEmpty && bench.status("a").pending == 1)
        bench.advance(millis: 1100)
        #expect(port.count == 2)
        port.grant("late")
        for _ in 0..<10 {
            bench.advance(millis: 1000)
            bench.egress.answerAll()
        }
        #expect(try bench.rows("a").map(\.state) == [.delivered, .delivered, .delivered])
        #expect(bench.status("a").state.condition == .active)
        #expect(bench.dispatcher.metrics(now: bench.now).tokens.granted == 1)
    }
    @Test func aProbeThatHasNoTokenClosesNoBreaker() throws {
        var broken = asking("a")
        var breaker = BreakerSettings()
        (breaker.failures, breaker.probes, breaker.cooldownMillis) = (1, 1, 20_000)
        broken.policies.breaker = breaker
        let bench = try made([broken])
        port.grant("short", seconds: 10)
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 30)
        #expect(bench.status("a").state.reason == .breakerOpen)
        bench.advance(millis: 25_000)
        #expect(port.asked.count == 1, "the token has ended, and the probe wants one")
        port.fail(TokenFailure(.connectFailed))
        bench.advance(millis: 30)
        #expect(try bench.rows("a").map(\.attempts) == [2])
        #expect(bench.status("a").state.reason == .breakerProbing && bench.egress.submitted == 1)
        for _ in 0..<90 where bench.egress.out.isEmpty {
            bench.advance(millis: 1000)
            if !port.asked.isEmpty { port.grant("late") }
        }
        #expect(tokens(bench) == ["late"])
        bench.egress.answerAll()
        bench.advance(millis: 30)
        #expect(bench.status("a").state.condition == .active)
    }
    @Test func aDeadlineEndsWhatWaitsForAToken() throws {
        var waiting = asking("a")
        waiting.policies.deadlineMillis = 20_000
        let bench = try Bench()
        bench.dispatcher.tokenPort = port
        try bench.apply([waiting])
        bench.log.append(FakeEvent(receivedAt: 1_700_000_000_000_000_000))
        bench.advance(millis: 1)
        port.fail(TokenFailure(.timedOut))
        for _ in 0..<40 {
            bench.advance(millis: 1000)
            if !port.asked.isEmpty { port.fail(TokenFailure(.timedOut)) }
        }
        #expect(try bench.rows("a").map(\.reason) == [.expired])
    }
    @Test func a401BringsOneTokenAndTheDeliveryGoesAgain() throws {
        let bench = try made([asking("a")], count: 3)
        port.grant("one")
        bench.advance(millis: 1)
        #expect(bench.egress.out.count == 3)
        bench.egress.answerAll(status: 401)
        bench.advance(millis: 1)
        #expect(bench.egress.out.isEmpty && port.count == 2, "one request for all of them")
        #expect(bench.dispatcher.reauthorizedCount == 3)
        port.grant("two")
        bench.advance(millis: 1)
        #expect(tokens(bench) == ["two", "two", "two"])
        #expect(bench.egress.out.map(\.attempt) == [1, 1, 1], "the first ones count for nothing")
        bench.egress.answerAll()
        bench.advance(millis: 30)
        #expect(try bench.rows("a").map(\.attempts) == [1, 1, 1])
        #expect(bench.dispatcher.reauthorizedCount == 0 && bench.pool.leasedCount == 0)
        #expect(bench.dispatcher.metrics(now: bench.now).tokens.refused == 3)
    }
    @Test func anEndpointThatTakesNoTokenFailsLikeEveryOther() throws {
        var refusing = asking("a")
        refusing.outcomes = ["401": "retry"]
        let bench = try made([refusing])
        port.grant("one")
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 401)
        bench.advance(millis: 1)
        port.grant("two")
        for _ in 0..<80 {
            bench.advance(millis: 1000)
            if !port.asked.isEmpty { port.grant("more") }
            bench.egress.answerAll(status: 401)
        }
        bench.advance(millis: 30)
        let row = try bench.rows("a")[0]
        #expect(row.state == .dead && row.attempts == 3 && row.status == 401 && row.reason == .retriesExhausted)
        // The third attempt is more than a minute after the first refusal, and may bring one more.
        #expect(port.count <= 3 && bench.dispatcher.reauthorizedCount == 0)
    }
    @Test func aDeliveryGoesAgainOnceForA401() throws {
        let bench = try made([asking("a")])
        port.grant("one")
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 401)
        bench.advance(millis: 1)
        port.grant("two")
        bench.advance(millis: 1)
        bench.advance(millis: 120_000)
        bench.egress.answerAll(status: 401)
        bench.advance(millis: 30)
        // Another token might be asked for by now, but it has had its chance: by default a 401 is final.
        #expect(try bench.rows("a").map(\.reason) == [.permanentAnswer])
        #expect(bench.egress.submitted == 2)
    }
    private func batching() -> EndpointConfiguration {
        var settings = asking("a")
        var batch = BatchSettings()
        (batch.events, batch.withinMillis) = (2, 1000)
        settings.policies.batch = batch
        return settings
    }
    @Test func aBatchGoesAgainForA401AndSaysWhyItHasNoToken() throws {
        let bench = try made([batching()], count: 4)
        port.grant("one", seconds: 10)
        bench.advance(millis: 1)
        #expect(tokens(bench) == ["one", "one"])
        let ids = bench.egress.out.map(\.eventID)
        bench.egress.answerAll(status: 401)
        bench.advance(millis: 1)
        #expect(bench.egress.out.isEmpty && bench.dispatcher.reauthorizedCount == 2)
        port.grant("two", seconds: 10)
        bench.advance(millis: 1)
        #expect(tokens(bench) == ["two", "two"] && bench.egress.out.map(\.eventID) == ids)
        bench.egress.answerAll()
        bench.advance(millis: 20_000)
        #expect(bench.dispatcher.reauthorizedCount == 0 && bench.pool.leasedCount == 0)
        bench.log.append(count: 2)
        for _ in 0..<200 {
            bench.advance(millis: 1000)
            if !port.asked.isEmpty { port.fail(TokenFailure(.refused, status: 401, detail: "invalid_client")) }
        }
        let dead = try bench.rows("a").filter { $0.state == .dead }
        #expect(dead.count == 2 && dead.allSatisfy { $0.reason == .authorizationFailed })
        let attempts = try bench.store.attempts(sequence: 5)
        #expect(attempts.count == 3 && attempts.allSatisfy { $0.systemError == 401 << 8 | 10 })
        #expect(attempts.allSatisfy { $0.answer == Array("invalid_client".utf8) })
    }
    @Test func oneThatIsCancelledAfterA401IsForgotten() throws {
        let bench = try made([asking("a")])
        port.grant("one")
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 10_000)
        bench.egress.answerAll(status: 401)
        bench.advance(millis: 30)
        #expect(bench.egress.out.isEmpty && bench.dispatcher.reauthorizedCount == 1)
        let key = DeliveryKey(sequence: 1, endpoint: bench.id("a"))
        let results = bench.dispatcher.cancel([key], now: bench.now, tell: { _ in })
        #expect(results == [.asked])
        bench.advance(millis: 30)
        bench.advance(millis: 30)
        #expect(try bench.rows("a").map(\.reason) == [.cancelled])
        #expect(bench.dispatcher.reauthorizedCount == 0)
    }
    @Test func anotherSecretIsAskedWithWhileTheOldTokenServes() throws {
        let bench = try made([asking("a")])
        port.grant("one")
        bench.advance(millis: 1)
        bench.egress.answerAll()
        try bench.apply([asking("a") { $0.clientSecret = "new secret" }])
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        #expect(tokens(bench) == ["one"] && port.asked.map(\.settings.clientSecret) == ["new secret"])
        bench.egress.answerAll()
        port.grant("two")
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        #expect(tokens(bench) == ["two"])
        // Another client has to ask first.
        bench.egress.answerAll()
        try bench.apply([asking("a") { $0.clientID = "another" }])
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        #expect(bench.egress.out.isEmpty && port.count == 3)
        // And one that asks for none waits for nobody.
        try bench.apply([endpoint("a")])
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.sequence) == [4])
    }
    @Test func anEndpointThatIsRemovedWhileItWaitsIsGone() throws {
        let bench = try made([asking("a"), asking("b")])
        try bench.apply([asking("b")])
        port.grant("one")
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.endpoint) == [2])
    }
    @Test func afterARestartItIsAskedForAgain() throws {
        let before = try made([asking("a")], count: 2)
        port.grant("one")
        before.advance(millis: 1)
        let fresh = FakeTokens()
        let bench = try Bench(after: before)
        bench.dispatcher.tokenPort = fresh
        try bench.apply([asking("a")])
        bench.advance(millis: 1)
        #expect(bench.egress.out.isEmpty && fresh.count == 1)
        fresh.grant("two")
        bench.advance(millis: 1)
        #expect(tokens(bench) == ["two", "two"])
    }
}

@Suite struct TokenWorkersTests {
    /// A gate that requests wait behind.
    private final class Gate: Sendable {
        let state = Mutex<(began: [String], isOpen: Bool)>(([], false))
        func pass(_ name: String) {
            state.withLock { $0.began.append(name) }
            while !state.withLock({ $0.isOpen }) { Thread.sleep(forTimeInterval: 0.001) }
        }
    }

    @Test func noTenantHasAllOfTheThreads() throws {
        let (gate, wakeup) = (Gate(), try #require(Wakeup()))
        let workers = TokenWorkers(wakeup: wakeup) { (credentials) throws(TokenFailure) in
            if credentials.tenant == .main { gate.pass(credentials.settings.clientID) }
            return GrantedToken(text: credentials.settings.clientID, lifetimeMillis: 1000)
        }
        for index in 0..<10 { workers.ask(try credentials(of: asking("a") { $0.clientID = "slow-\(index)" })) }
        workers.ask(try credentials(of: asking("a") { $0.clientID = "quick" }, tenant: TenantID(9)))
        var answers: [String] = []
        func take(_ count: Int) {
            while answers.count < count {
                guard let answer = workers.nextAnswer() else {
                    Thread.sleep(forTimeInterval: 0.001)
                    continue
                }
                answers.append(answer.credentials.settings.clientID)
            }
        }
        take(1)
        #expect(answers == ["quick"] && gate.state.withLock { $0.began.count } <= TokenWorkers.tenantThreadCountMax)
        gate.state.withLock { $0.isOpen = true }
        take(11)
        #expect(Set(answers).count == 11)
        workers.stop()
    }
    /// A gate that lets through as many as it is told.
    private final class Turnstile: Sendable {
        let state = Mutex<(began: [String], passes: Int)>(([], 0))
        func pass(_ name: String) {
            state.withLock { $0.began.append(name) }
            while !isLetThrough() { Thread.sleep(forTimeInterval: 0.001) }
        }
        private func isLetThrough() -> Bool {
            state.withLock { state in
                guard state.passes > 0 else { return false }
                state.passes -= 1
                return true
            }
        }
        func open(_ count: Int) { state.withLock { $0.passes += count } }
        func began(_ count: Int) -> [String] {
            while true {
                let began = state.withLock { $0.began }
                if began.count >= count { return began }
                Thread.sleep(forTimeInterval: 0.001)
            }
        }
    }
    /// Two tenants have all threads and many more questions: the next thread that is free asks for the third.
    @Test func aTenantThatHasNoneOutGoesFirst() throws {
        let (gate, wakeup) = (Turnstile(), try #require(Wakeup()))
        let workers = TokenWorkers(wakeup: wakeup) { (credentials) throws(TokenFailure) in
            gate.pass(credentials.settings.clientID)
            return GrantedToken(text: credentials.settings.clientID, lifetimeMillis: 1000)
        }
        for index in 0..<20 {
            let tenant = TenantID(index % 2 == 0 ? 7 : 8)
            workers.ask(try credentials(of: asking("a") { $0.clientID = "slow-\(index)" }, tenant: tenant))
        }
        #expect(gate.began(TokenWorkers.threadCountMax).count == TokenWorkers.threadCountMax)
        workers.ask(try credentials(of: asking("a") { $0.clientID = "third" }, tenant: TenantID(9)))
        gate.open(1)
        #expect(gate.began(TokenWorkers.threadCountMax + 1).last == "third")
        gate.open(20)
        #expect(Set(gate.began(21)).count == 21)
        workers.stop()
    }
    @Test func aNameThatDoesNotResolveIsSaidToBeThat() throws {
        let one = try credentials(of: asking("a") { $0.tokenURL = "https://no-such-host.invalid/token" })
        do throws(TokenFailure) {
            _ = try TokenWorkers.request(one)
            Issue.record("a name under .invalid has an address")
        } catch { #expect(error.fault == .nameNotResolved && error.detail.contains("no-such-host.invalid")) }
    }
}
