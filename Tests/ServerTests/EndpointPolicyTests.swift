// The policies of a lane as the file spells them and as the API does: both ways, and what is wrong in either.
import Engine
import FastPath
import Foundation
import Server
import Testing

@Suite struct EndpointPolicyTests {
    private static let head = "sources: []\nendpoints:\n  - name: e\n    url: http://hooks.example.com/\n"

    private func policies(_ lines: String) throws -> EndpointConfiguration {
        let read = try ConfigurationFile.parse(Self.head + lines, file: "c.yaml", environment: [:])
        return try #require(read.endpoints.first)
    }
    private func problem(_ lines: String) -> String {
        do {
            _ = try policies(lines)
            return "nothing is wrong"
        } catch let error as ConfigurationError {
            return error.problems.map { "\($0.line): \($0.message)" }.joined(separator: "\n")
        } catch {
            return "\(error)"
        }
    }

    @Test func theFileReadsAllOfThem() throws {
        let endpoint = try policies(
            """
                breaker: { failures: 7, rate: { share: 0.4, of: 30, window: 2m }, cooldown: 30s, probes: 2,
                  on: [5xx, tls] }
                retry: { backoff: { first: 1s, factor: 1.5, max: 1m, attempts: 4 }, budget: 0.2 }
                rate: { per_minute: 90, burst: 5 }
                concurrency: { max: 64, min: 2, target: 250ms }
                deadline: 1d
                disable_after: 5d
            """)
        let breaker = try #require(endpoint.policies.breaker)
        #expect(breaker.failures == 7 && breaker.cooldownMillis == 30_000 && breaker.probes == 2)
        #expect(breaker.on == ["5xx", "tls"])
        #expect(breaker.rate?.share == 0.4 && breaker.rate?.of == 30 && breaker.rate?.windowMillis == 120_000)
        let retry = try #require(endpoint.policies.retry)
        #expect(retry.backoff == BackoffSettings(firstMillis: 1000, factor: 1.5, maxMillis: 60_000, attempts: 4))
        #expect(retry.budget == 0.2 && retry.preset == nil)
        #expect(endpoint.policies.rate?.perMinute == 90 && endpoint.policies.rate?.burst == 5)
        #expect(endpoint.concurrency == 64 && endpoint.policies.concurrency?.min == 2)
        #expect(endpoint.policies.concurrency?.targetMillis == 250)
        #expect(endpoint.policies.deadlineMillis == 86_400_000)
        #expect(endpoint.policies.disableAfterMillis == 5 * 86_400_000)
        #expect(try policies("    delay: 10m\n").policies.delayMillis == 600_000)
        #expect(try policies("    shadow: { share: 0.1 }\n").policies.shadow?.share == 0.1)
        let coalesce = try policies("    coalesce: { key: [group, json:$.a], within: 5s }\n").policies.coalesce
        #expect(coalesce?.key == ["group", "json:$.a"] && coalesce?.withinMillis == 5000)
        #expect(try policies("    coalesce: { key: group }\n").policies.coalesce?.withinMillis == nil)
        let batch = try policies("    batch: { events: 50, within: 2s, bytes: 64KiB, format: ndjson }\n").policies.batch
        #expect(batch?.events == 50 && batch?.withinMillis == 2000 && batch?.bytes == 65_536)
        #expect(batch?.format == .ndjson)
        #expect(try policies("    batch: {}\n").policies.batch == BatchSettings())
        #expect(problem("    coalesce: { within: 5s }\n").contains("key"))
    }
    @Test func theFileReadsErrorClasses() throws {
        #expect(try policies("    errors: contract\n").policies.errors?.preset == .contract)
        let own = try policies(
            """
                errors:
                  preset: integrations
                  blocked-address: { retries: 0 }
                  limit: { retries: 3, backoff: { first: 1s, factor: 3, max: 1m }, at_most: 30m }
            """)
        let errors = try #require(own.policies.errors)
        #expect(errors.preset == .integrations && errors[.blockedAddress]?.retries == 0)
        #expect(errors[.limit]?.backoff?.factor == 3 && errors[.limit]?.atMostMillis == 1_800_000)
        #expect(errors[.server] == nil && errors.rule(of: .server)?.retries == 2)
        // The API spells the same.
        var draft = EndpointDraft()
        draft.show(own.policies)
        let text = APIText.of(draft)
        #expect(text.contains("\"blocked-address\":{\"retries\":0}") && text.contains("\"at_most\":\"30m\""), "\(text)")
        var again = EndpointConfiguration()
        again.take(policiesOf: draft)
        #expect(again.policies.errors == errors)
    }
    @Test(arguments: [("on", true), ("true", true), ("off", false), ("false", false)])
    func aBreakerIsAFlagToo(_ word: String, _ isOn: Bool) throws {
        #expect(try policies("    breaker: \(word)\n").policies.breaker == (isOn ? BreakerSettings() : nil))
    }
    @Test(arguments: RetryPreset.allCases) func presetsHaveTheirWords(_ preset: RetryPreset) throws {
        let endpoint = try policies("    retry: { preset: \(preset.rawValue) }\n")
        #expect(endpoint.policies.retry?.preset == preset)
    }
    @Test(arguments: [
        ("    breaker: maybe\n", "5: `breaker`: `maybe` is none of on, off"),
        ("    breaker: { failures: 0 }\n", "5: `failures`: `0` is out of range; it takes 1 to 10000"),
        ("    breaker: { on: [9xx] }\n", "nor one of network, timeout, tls, blocked-address"),
        ("    breaker: { colldown: 1s }\n", "did you mean `cooldown`?"),
        ("    retry: { preset: slak }\n", "did you mean `slack`?"),
        ("    retry: { budget: 3 }\n", "`budget`: `3` is not a number from 0.001 to 1.0"),
        ("    retry: { preset: svix, delays: [1s] }\n", "is of no use beside `preset`"),
        ("    errors: contrakt\n", "did you mean `contract`?"),
        ("    errors: { validatoin: { retries: 1 } }\n", "did you mean `validation`?"),
        ("    errors: { limit: {} }\n", "needs one of `retries`, `backoff` and `at_most`"),
        ("    errors: {}\n", "needs `preset` or the rule of a class"),
        ("    rate: { burst: 3 }\n", "needs one of `per_second` and `per_minute`"),
        ("    rate: { per_second: 1, per_minute: 1 }\n", "needs one of `per_second` and `per_minute`"),
        ("    concurrency: { min: 2 }\n", "needs `max`"),
        ("    concurrency: { max: 2, min: 3 }\n", "must be from 1 to `max` (2)"),
        ("    deadline: 10ms\n", "out of range"),
        ("    shadow: {}\n", "needs `share`"),
    ])
    func whatIsWrongIsSaidAtItsLine(_ lines: String, _ words: String) {
        #expect(problem(lines).contains(words), "\(problem(lines))")
    }

    @Test func theAPISpellsWhatItReads() throws {
        let body = """
            {"name":"e","url":"http://127.0.0.1/","breaker":{"failures":7,"rate":{"share":0.4,"of":30,"window":"2m"},\
            "cooldown":"30s","probes":2,"on":["5xx"]},"retry":{"preset":"svix","budget":0.25},\
            "rate":{"per_second":3,"burst":9},"concurrency":{"max":40,"min":4,"target":"1s"},"deadline":"1d",\
            "delay":"1m","shadow":{"share":0.5},"disable_after":"5d"}
            """
        let json = try JSONDecoder().decode(JSONValue.self, from: Data(body.utf8))
        #expect(SchemaCheck.errors(json, EndpointDraft.schema).isEmpty)
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let draft = try decoder.decode(EndpointDraft.self, from: Data(body.utf8))
        var settings = EndpointConfiguration()
        settings.take(policiesOf: draft)
        #expect(settings.concurrency == 40 && settings.policies.concurrency?.min == 4)
        #expect(settings.policies.retry?.preset == .svix && settings.policies.retry?.budget == 0.25)
        #expect(settings.policies.rate?.perSecond == 3 && settings.policies.rate?.burst == 9)
        #expect(settings.policies.delayMillis == 60_000 && settings.policies.shadow?.share == 0.5)
        // And back again.
        var shown = EndpointDraft()
        shown.show(settings.policies)
        shown.retry = draft.retry
        shown.concurrency = draft.concurrency
        var again = EndpointConfiguration()
        again.take(policiesOf: shown)
        #expect(again == settings)
    }
    @Test func theAPITakesFlagsAndNumbers() throws {
        for (text, isOn) in [("true", true), ("false", false)] {
            let json = try JSONDecoder().decode(
                JSONValue.self, from: Data("{\"name\":\"e\",\"url\":\"u\",\"breaker\":\(text),\"concurrency\":5}".utf8))
            #expect(SchemaCheck.errors(json, EndpointDraft.schema).isEmpty)
            var draft = EndpointDraft()
            (draft.breaker, draft.concurrency) = (.flag(isOn), 5)
            var settings = EndpointConfiguration()
            settings.take(policiesOf: draft)
            #expect((settings.policies.breaker != nil) == isOn && settings.concurrency == 5)
            #expect(settings.policies.concurrency == nil)
        }
        let wrong = try JSONDecoder().decode(
            JSONValue.self,
            from: Data(
                "{\"name\":\"e\",\"url\":\"u\",\"breaker\":7,\"concurrency\":\"x\",\"rate\":{\"per_second\":0}}".utf8))
        let found = SchemaCheck.errors(wrong, EndpointDraft.schema).map { "\($0.path): \($0.reason)" }
        #expect(
            found == [
                "concurrency: must be a whole number from 1 to 4096 or an object",
                "breaker: must be true, false or an object, not a number",
                "rate.per_second: must be a whole number from 1 to 1000000",
            ], "\(found)")
    }
}
