// What is said outside of a fact: its members, its names, and no secret.

import Engine
import FastPath
import Foundation
import Testing

@Suite struct OperationalPayloadTests {
    private static let secrets = ["whsec_c2VjcmV0", "user:geheim1", "geheim2", "geheim3", "geheim4"]

    private func spec(
        _ family: EndpointFamily = .opsCenter, _ change: (inout EndpointConfiguration) -> Void = { _ in }
    ) -> EndpointSpec {
        var settings = EndpointConfiguration()
        settings.name = "ep"
        settings.url = "https://user:geheim4@a.example/hook?token=geheim2#geheim3"
        settings.types = ["user.created", "credit.low"]
        settings.extras.family = family
        settings.secrets = [Self.secrets[0]]
        settings.extras.userInformation = Self.secrets[1]
        settings.extras.fields = [ConfiguredField(name: "X-Key", value: "geheim3")]
        change(&settings)
        return EndpointSpec(
            id: EndpointID(7), publicID: PublicID(1 << 100 | 4 << 76 | 2 << 62, .endpoint), tenant: .main, origin: .api,
            revision: 1, createdMillis: 0, settings: settings)
    }
    private func json(_ value: PayloadValue) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(value.bytes)) as? [String: Any])
    }
    private func endpoint(_ change: EndpointFact.Change, _ spec: EndpointSpec) -> OperationalPayload {
        OperationalPayload(
            EndpointFact(change: change, spec: spec, tenantID: "t", actor: "key_1", atMillis: 1_769_860_800_123))
    }

    @Test func aNewEndpointIsDescribed() throws {
        let body = try json(endpoint(.created, spec()).value)
        #expect(Set(body.keys) == ["type", "timestamp", "data"])
        #expect(body["type"] as? String == "endpoint.created")
        #expect(body["timestamp"] as? String == "2026-01-31T12:00:00.123Z")
        let data = try #require(body["data"] as? [String: Any])
        #expect(
            Set(data.keys) == [
                "tenant_id", "endpoint_id", "endpoint_kind", "url", "event_types", "enabled", "actor",
            ])
        #expect(data["url"] as? String == "https://a.example/hook")
        #expect(data["endpoint_kind"] as? String == "ops-center" && data["actor"] as? String == "key_1")
        #expect(data["endpoint_id"] as? String == spec().publicID.uuid)
        #expect(data["enabled"] as? Bool == true)
    }
    @Test func aChangeSaysOldAndNewUnderTheSurfacesNames() throws {
        let new = spec {
            $0.types = ["credit.low"]
            $0.extras.about = "after"
            $0.disabled = true
        }
        let body = try json(endpoint(.updated(spec { $0.extras.about = "before" }.settings), new).value)
        let data = try #require(body["data"] as? [String: Any])
        let changes = try #require(data["changes"] as? [String: [String: Any]])
        #expect(Set(changes.keys) == ["events", "description", "enabled"])
        #expect(changes["description"] as? [String: String] == ["old": "before", "new": "after"])
        #expect(changes["events"]?["new"] as? [String] == ["credit.low"])
        #expect(changes["enabled"] as? [String: Bool] == ["old": true, "new": false])
    }
    @Test func eachSurfaceHasItsNames() {
        let change: (inout EndpointConfiguration) -> Void = {
            $0.types = []
            $0.disabled = true
            $0.extras.fields = []
            $0.secrets = []
        }
        func names(_ family: EndpointFamily, _ names: SignatureNames) -> [String] {
            let set: (inout EndpointConfiguration) -> Void = { $0.extras.signatureNames = names }
            let (old, new) = (spec(family, set), spec(family) { set(&$0); change(&$0) })
            return EndpointChanges(from: old.settings, to: new.settings).members.map(\.name)
        }
        #expect(names(.opsCenter, .webhook) == ["events", "enabled"])
        #expect(names(.registry, .svix) == ["filterTypes", "disabled", "headers", "secret"])
        #expect(names(.registry, .webhook) == ["types", "disabled", "secret", "headers"])
        #expect(EndpointChanges(from: spec().settings, to: spec().settings).isEmpty)
    }
    @Test func noPayloadHasASecret() {
        var bodies: [PayloadValue] = []
        for family in EndpointFamily.allCases {
            for names in [SignatureNames.webhook, .svix] {
                let old = spec(family) { $0.extras.signatureNames = names }
                let new = spec(family) {
                    $0.extras.signatureNames = names
                    $0.url = "https://user:geheim1@b.example/?q=geheim2"
                    $0.secrets = ["whsec_c2VjcmV0", "whsec_c2VjcmV0"]
                    $0.extras.userInformation = "geheim4:geheim4"
                    $0.extras.fields = [ConfiguredField(name: "X-Key", value: "geheim2")]
                    $0.extras.oldSecrets = [EndingSecret("whsec_c2VjcmV0", endSeconds: 5)]
                }
                bodies += [endpoint(.created, old), endpoint(.updated(old.settings), new), endpoint(.deleted, new)]
                    .map(\.value)
            }
        }
        for body in bodies {
            let text = String(decoding: body.bytes, as: UTF8.self)
            for secret in Self.secrets + ["c2VjcmV0"] { #expect(!text.contains(secret), "\(text)") }
        }
    }

    private func attempt(_ kind: AttemptFact.Kind, _ result: DeliveryResult = .answered, status: UInt16) throws
        -> [String: Any]
    {
        var outcome = DeliveryOutcome(token: 0, result: result)
        (outcome.status, outcome.durationMicros) = (status, 12_900)
        let place = EventLocation(sequence: 3, position: 0)
        var fact = AttemptFact(
            kind, tenant: .main, endpoint: EndpointID(7), delivery: TriedDelivery(place: place, attempts: 2),
            outcome: outcome, atMillis: 1_769_860_800_000)
        (fact.nextMillis, fact.sinceMillis) = (1_769_860_860_000, 1_769_857_200_000)
        let payload = OperationalPayload(
            fact, spec(), tenantID: "t", message: .init(id: "m", type: "user.created"), attemptCountMax: 6)
        let body = try json(payload.value)
        var data = try #require(body["data"] as? [String: Any])
        data["type"] = body["type"]
        return data
    }
    @Test func attemptsSayWhatBecameOfTheMessage() throws {
        let failing = try attempt(.failing, status: 500)
        #expect(failing["type"] as? String == "message.attempt.failing")
        #expect(failing["message_id"] as? String == "m" && failing["event_type"] as? String == "user.created")
        #expect(failing["attempt"] as? Int == 2 && failing["max_attempts"] as? Int == 6)
        #expect(failing["next_attempt_at"] as? String == "2026-01-31T12:01:00.000Z")
        let last = try #require(failing["last_attempt"] as? [String: Any])
        #expect(Set(last.keys) == ["status_code", "error", "duration_ms", "at"])
        #expect(last["status_code"] as? Int == 500 && last["error"] as? String == "Internal Server Error")
        #expect(last["duration_ms"] as? Int == 12 && last["at"] as? String == "2026-01-31T12:00:00.000Z")
        let lost = try #require(try attempt(.exhausted, .connectionLost, status: 0)["last_attempt"] as? [String: Any])
        #expect(lost["status_code"] is NSNull && (lost["error"] as? String)?.contains("closed") == true)
        let recovered = try attempt(.recovered, status: 204)
        #expect(recovered["failing_since"] as? String == "2026-01-31T11:00:00.000Z")
        #expect((recovered["last_attempt"] as? [String: Any])?["error"] is NSNull)
        let near = try attempt(.failingFor(percent: 70), status: 500)
        #expect(near["type"] as? String == "endpoint.failing" && near["percent"] as? Int == 70)
        #expect(near["failing_since"] as? String == "2026-01-31T11:00:00.000Z")
        #expect(near["disabled_at"] as? String == "2026-01-31T12:01:00.000Z" && near["last_attempt"] != nil)
        #expect(near["message_id"] == nil)
        for (kind, reason) in [(AttemptFact.Kind.gone, "gone"), (.failedForDays, "failing")] {
            let disabled = try attempt(kind, status: 410)
            #expect(disabled["type"] as? String == "endpoint.disabled" && disabled["reason"] as? String == reason)
            #expect(disabled["message_id"] == nil && disabled["last_attempt"] != nil)
        }
    }
    @Test func everyTypeHasAnExampleThatIsABodyOfIt() throws {
        for type in OperationalEventType.allCases {
            let body = try json(OperationalPayload.example(of: type))
            #expect(body["type"] as? String == type.rawValue)
            #expect((body["data"] as? [String: Any])?["tenant_id"] != nil && !type.about.isEmpty)
        }
        #expect(OperationalEventType.usual.count == 7 && OperationalEventType.allCases.count == 12)
    }
    @Test func textsAreEscapedAsJSONAsksFor() throws {
        let text = "a\"b\\c\u{0}\u{1F}\nü😀/"
        let list = PayloadValue.list([.null, .flag(false), .number(-3)])
        let value = PayloadValue.object([.init("k\"", .text(text)), .init("l", list)])
        let read = try json(value)
        #expect(read["k\""] as? String == text)
        #expect(String(decoding: value.bytes, as: UTF8.self).hasSuffix("\"l\":[null,false,-3]}"))
    }
    @Test(arguments: [
        ("http://a/b", "http://a/b"), ("http://u:p@a:1/b?c=d", "http://a:1/b"), ("https://a/b@c#d", "https://a/b@c"),
        ("http://u@v@a", "http://a"), ("http://a?x=http://u:p@b/", "http://a"),
    ]) func aPublicURLHasNeitherCredentialsNorAQuery(_ url: String, _ shown: String) {
        #expect(PublicURL.of(url) == shown)
    }
    @Test func ownEndpointsHaveTheirOwnIDs() {
        #expect(spec(.registry).outsideID == spec().publicID.text && spec(.registry).outsideKind == "endpoint")
        let outbound = spec(.registry) { $0.extras.signatureNames = .svix }
        #expect(outbound.outsideKind == "outbound" && outbound.outsideID.hasPrefix("ep_"))
        #expect(outbound.outsideID.utf8.count == 30)
    }
}
