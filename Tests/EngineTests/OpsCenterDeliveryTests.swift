// Webhooks of Ops-Center's family in the dispatcher: which events they get, when again, what a disabled one misses, and
// what is counted.

import Engine
import FastPath
import Foundation
import Testing

@Suite struct OpsCenterDeliveryTests {
    private func webhook(
        _ name: String, _ types: [String] = ["*"], change: (inout EndpointConfiguration) -> Void = { _ in }
    ) -> EndpointConfiguration {
        endpoint(name) {
            $0.sources = [PublishSource.opsCenterName]
            $0.types = types
            $0.secrets = ["0123456789abcdef0123456789abcdef"]
            $0.extras.family = .opsCenter
            change(&$0)
        }
    }
    private func event(_ type: String, from source: SourceID = .opsCenter) -> FakeEvent {
        FakeEvent(
            sourceID: source, source: PublishSource.opsCenterName, type: type,
            fieldLines: "Content-Type: application/json\r\n")
    }
    private func tally(_ bench: Bench, _ name: String) throws -> EndpointTally {
        try bench.store.tallies([bench.id(name)]).first ?? EndpointTally(bench.id(name))
    }
    private static let minute: UInt64 = 60_000

    @Test func eachFamilyGetsItsOwnEventsAlone() throws {
        let bench = try Bench()
        try bench.apply([
            endpoint("regular"), webhook("all"), webhook("users", ["user.created"]), webhook("other", ["credit.low"]),
        ])
        bench.log.append(event("user.created"))
        bench.log.append(FakeEvent())
        bench.log.append(event("user.created", from: .opsCenterTests))
        bench.log.append(event("user.created", from: .messages))
        bench.advance(millis: 1)
        let sent = bench.egress.out.map { "\($0.endpoint) \($0.sequence)" }.sorted()
        #expect(sent == ["1 2", "1 4", "2 1", "3 1"])
        let lines = try #require(bench.egress.out.first { $0.endpoint == 2 }).fieldLines
        #expect(lines == "Content-Type: application/json\r\nX-Webhook-Event: user.created\r\n")
        let count = bench.dispatcher.subscriberCount(tenant: .main, source: .opsCenter, type: Array("credit.low".utf8))
        #expect(count == 2)
    }
    @Test func sixAttemptsByTheScheduleThenItIsGivenUp() throws {
        let bench = try Bench()
        try bench.apply([webhook("a")])
        bench.log.append(event("user.created"))
        bench.advance(millis: 1)
        for minutes in [1, 5, 15, 60, 120] as [UInt64] {
            bench.egress.answerAll(status: 503) { $0.retryAfterSeconds = 7200 }
            bench.advance(millis: 50)
            #expect(try tally(bench, "a").givenUp == 0)
            bench.advance(millis: minutes * Self.minute - 100)
            #expect(bench.egress.out.isEmpty, "before \(minutes) minutes")
            bench.advance(millis: minutes * Self.minute / 20 + 200)
            #expect(bench.egress.out.count == 1, "after \(minutes) minutes")
        }
        bench.egress.answerAll(status: 302)
        bench.advance(millis: 50)
        #expect(try bench.rows("a").map(\.state) == [.dead])
        #expect(try bench.store.attempts(sequence: 1).map(\.number) == [1, 2, 3, 4, 5, 6])
        let tally = try tally(bench, "a")
        #expect((tally.delivered, tally.givenUp) == (0, 1) && tally.triggeredMillis > 0)
        let attempts = try bench.store.attemptTallies([bench.id("a")])
        #expect(attempts.map(\.count) == [6] && attempts.map(\.retries) == [5] && attempts[0].type == "user.created")
    }
    @Test(arguments: [400, 404, 408, 429, 499] as [UInt16]) func everyClientErrorIsFinal(_ status: UInt16) throws {
        let bench = try Bench()
        try bench.apply([webhook("a")])
        bench.log.append(count: 2, event("user.created"))
        bench.advance(millis: 1)
        bench.egress.answerAll(status: status) { $0.retryAfterSeconds = 60 }
        bench.advance(millis: 50)
        #expect(try bench.rows("a").map(\.state) == [.dead, .dead])
        #expect(bench.status("a").state.condition == .active && !bench.status("a").isSlowed)
        #expect(try tally(bench, "a").givenUp == 2)
    }
    @Test func whatComesWhileAWebhookIsDisabledIsNeverSent() throws {
        let bench = try Bench()
        try bench.apply([webhook("a"), webhook("b")])
        bench.log.append(event("user.created"))
        bench.advance(millis: 1)
        bench.egress.answerAll()
        try bench.apply([webhook("a") { $0.disabled = true }, webhook("b")])
        bench.log.append(event("user.updated"))
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.endpoint) == [2])
        let count = bench.dispatcher.subscriberCount(tenant: .main, source: .opsCenter, type: Array("x.y".utf8))
        #expect(count == 1)
        bench.egress.answerAll()
        // Also what the dispatcher has not read yet.
        bench.log.append(event("user.updated"))
        try bench.apply([webhook("a"), webhook("b")])
        bench.log.append(event("user.deleted"))
        bench.advance(millis: 1)
        #expect(bench.egress.out.filter { $0.endpoint == 1 }.map(\.sequence) == [4])
        bench.egress.answerAll()
        bench.advance(millis: 3000)
        #expect(try bench.rows("a").map(\.place.sequence) == [1, 4] && bench.resume("a") == 5)
    }
    @Test func aRetryThatFallsDueWhileAWebhookIsDisabledIsGivenUp() throws {
        let bench = try Bench()
        try bench.apply([webhook("a")])
        bench.log.append(event("user.created"))
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 50)
        try bench.apply([webhook("a") { $0.disabled = true }])
        bench.advance(millis: 30_000)
        #expect(try bench.rows("a").map(\.state) == [.pending])
        // Enabled in time, it goes.
        try bench.apply([webhook("a")])
        bench.advance(millis: 40_000)
        #expect(bench.egress.out.count == 1)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 50)
        try bench.apply([webhook("a") { $0.disabled = true }])
        bench.advance(millis: 6 * Self.minute)
        #expect(bench.egress.out.isEmpty)
        let rows = try bench.rows("a")
        #expect(rows.map(\.state) == [.dead] && rows[0].reason == .endpointDisabled)
        #expect(try tally(bench, "a").givenUp == 1)
    }
    @Test func anAnswerOf410DisablesItAndANewAddressDoesNotLiftThat() throws {
        let bench = try Bench()
        try bench.apply([webhook("a")])
        bench.log.append(event("user.created"))
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 410)
        bench.advance(millis: 50)
        #expect(bench.status("a").state.condition == .disabled && bench.status("a").state.reason == .gone)
        try bench.apply([webhook("a") { $0.url = "http://127.0.0.1:9001/1" }])
        bench.log.append(event("user.created"))
        bench.advance(millis: 1)
        #expect(bench.status("a").state.condition == .disabled && bench.egress.out.isEmpty)
        bench.perform(.enable, "a")
        bench.log.append(event("user.created"))
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.sequence) == [3])
    }
    @Test func aDirectedEventGoesToADisabledWebhookByTheSchedule() throws {
        let bench = try Bench()
        try bench.apply([webhook("a", ["credit.low"]) { $0.disabled = true }, webhook("b")])
        bench.log.append(event("test.webhook", from: .opsCenterTests))
        var replay = bench.again("a", 1, nil)
        replay.isDirected = true
        #expect(bench.dispatcher.replay([replay], now: bench.now) == [.accepted])
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.endpoint) == [1])
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 50)
        #expect(try bench.rows("a").map(\.state) == [.pending])
        bench.advance(millis: Self.minute + 3500)
        #expect(bench.egress.out.count == 1)
        bench.egress.answerAll()
        bench.advance(millis: 50)
        let rows = try bench.rows("a")
        #expect(rows.map(\.state) == [.delivered] && AttemptCount.number(of: rows[0].attempts) == 2)
        #expect(try bench.store.attempts(sequence: 1).map { AttemptCount.number(of: $0.number) } == [1, 2])
        let tally = try tally(bench, "a")
        #expect((tally.delivered, tally.givenUp) == (1, 0) && tally.triggeredMillis > 0)
        // A restart forgets neither what was sent nor that the webhook is disabled.
        let later = try Bench(after: bench)
        try later.apply([webhook("a", ["credit.low"]) { $0.disabled = true }, webhook("b")])
        later.advance(millis: 100)
        #expect(later.egress.out.isEmpty)
    }
    @Test func oneThatWaitsForItsPlaceIsCountedOnce() throws {
        let bench = try Bench()
        try bench.apply([webhook("a") { $0.concurrency = 1 }])
        bench.log.append(count: 3, event("user.created"))
        for _ in 0..<3 {
            bench.advance(millis: 1)
            #expect(bench.egress.out.count == 1)
            bench.egress.answerAll(status: 204)
        }
        bench.advance(millis: 50)
        #expect(try tally(bench, "a").delivered == 3)
        let attempts = try bench.store.attemptTallies([bench.id("a")])
        #expect(attempts.map(\.count) == [3] && attempts[0].isSuccess && attempts[0].retries == 0)
    }
}

@Suite struct OpsCenterRulesTests {
    private func sound(_ name: String) -> EndpointConfiguration {
        endpointSettings(name) {
            $0.sources = [PublishSource.opsCenterName]
            $0.types = ["user.created", "*"]
            $0.secrets = ["0123456789abcdef0123456789abcdef"]
            $0.extras.family = .opsCenter
        }
    }
    @Test func theCatalogueHasThirtyOneNamesAndNoneTwice() {
        let names = OpsCenterCatalogue.events.map(\.name)
        #expect(names.count == 31 && Set(names).count == 31)
        #expect(OpsCenterCatalogue.events.allSatisfy { !$0.about.isEmpty && $0.about.hasSuffix(".") })
        #expect(Set(OpsCenterCatalogue.events.map(\.category)).count == 9)
        #expect(!OpsCenterCatalogue.isSubscribable("test.webhook") && !OpsCenterCatalogue.isEvent("*"))
        for (name, isRight) in [("a", true), ("my.own_test.2", true), ("", false), ("A", false), ("a-b", false)] {
            #expect(OpsCenterCatalogue.isTestName(name) == isRight, "\(name)")
        }
        #expect(OpsCenterCatalogue.isTestName(String(repeating: "x", count: 100)))
        #expect(!OpsCenterCatalogue.isTestName(String(repeating: "x", count: 101)))
    }
    @Test func whatTheFamilyFixesNobodyChanges() {
        let mistakes: [FieldMistake<EndpointConfiguration>] = [
            FieldMistake("sources") { $0.sources = [] },
            FieldMistake("sources") { $0.sources = [PublishSource.name] },
            FieldMistake("types") { $0.types = [] },
            FieldMistake("types[1]") { $0.types = ["user.created", "user.*"] },
            FieldMistake("types") { $0.types = ["user.created", "user.created"] },
            FieldMistake("secret") { $0.secrets = [] },
            FieldMistake("secret[0]") { $0.secrets = ["short"] },
            FieldMistake("secret[0]") { $0.secrets = [String(repeating: "é", count: 40)] },
            FieldMistake("channels") { $0.channels = ["c"] },
            FieldMistake("ordered") { $0.ordered = true },
        ]
        #expect(RegistryValidation.issues(of: manifest([source("github")], [sound("a")])).isEmpty)
        for mistake in mistakes {
            var endpoint = sound("a")
            mistake.change(&endpoint)
            let found = RegistryValidation.issues(of: manifest([source("github")], [endpoint])).map(\.description)
            #expect(
                found.count == 1 && found[0].hasPrefix("endpoints[0].\(mistake.field): "),
                "\(mistake.field): \(found)")
        }
    }
    @Test func settingsOfBeforeThereWereFamiliesAreOfTheRegistrys() throws {
        let extras = try JSONText.read(EndpointExtras.self, "{\"about\":\"x\"}")
        #expect(extras.family == .registry && extras.about == "x")
        #expect(try JSONText.read(EndpointExtras.self, "{\"family\":\"ops-center\"}").family == .opsCenter)
    }
}

private enum JSONText {
    static func read<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }
}
