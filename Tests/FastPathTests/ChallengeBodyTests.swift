// Bodies whose signature a challenge gives away: X signs the token of its GET as it signs the bodies of its events.
import FastPath
import TestSupport
import Testing

@Suite struct ChallengeBodyTests {
    private static let opaque = ["abc-123", "true", "null", "12345", "_", String(repeating: "a", count: 512)]

    private func trial(_ signed: String, _ message: String, _ body: String) -> SchemeTrial {
        var trial = SchemeTrial(signed: signed, message: message) { $0.refusesOpaqueBody = true }
        trial.body = body
        return trial
    }

    @Test func refusesABodyThatAChallengeCouldBe() throws {
        for body in Self.opaque {
            #expect(try trial("{body}", body, body).verdict() == .signatureMismatch, "\(body)")
            var known = trial("{body}", body, body)
            known.definition.refusesOpaqueBody = false
            #expect(try known.verdict() == nil, "\(body)")
            // The general way of reading.
            #expect(try trial("{method}{body}", "POST" + body, body).verdict() == .signatureMismatch, "\(body)")
        }
        for body in [#"{"a":1}"#, "[]", #""a""#, "1.5", " true", "a\n", "é", String(repeating: "a", count: 513)] {
            #expect(try trial("{body}", body, body).verdict() == nil, "\(body)")
            #expect(try trial("{method}{body}", "POST" + body, body).verdict() == nil, "\(body)")
        }
    }

    /// No challenge is empty; but what is signed beside an empty body may be one.
    @Test func refusesAnEmptyBodyBesideSomethingElse() throws {
        #expect(try trial("{body}", "", "").verdict() == nil)
        #expect(try trial("{method}{body}", "POST", "").verdict() == .signatureMismatch)
        var timed = trial("{timestamp}{body}", "\(SchemeTrial.now)", "")
        timed.definition.headers[0].timestamp = "X-Time"
        timed.definition.timestamp = TimestampRule()
        timed.headers.append(("X-Time", "\(SchemeTrial.now)"))
        #expect(try timed.verdict() == .signatureMismatch)
    }

    @Test func knowsWhichSignedStringsAreNoChallenge() {
        func signsNoOpaqueText(_ signed: String, _ change: (inout SchemeDefinition) -> Void = { _ in }) -> Bool {
            var definition = SchemeDefinition(
                algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: "X-S", timestamp: "X-T")])
            definition.signed = signed
            change(&definition)
            return definition.signsNoOpaqueText
        }
        for signed in ["{timestamp}.{body}", "v0:{timestamp}:{body}", "{url}{form}", "{body} "] {
            #expect(signsNoOpaqueText(signed), "\(signed)")
        }
        for signed in ["{body}", "v0-{timestamp}_{body}", "{method}{path}{query}{body}", "{form}", "{header:X-A}"] {
            #expect(!signsNoOpaqueText(signed), "\(signed)")
        }
        #expect(signsNoOpaqueText("{body}") { $0.refusesOpaqueBody = true })
        #expect(signsNoOpaqueText("{body}") { $0.algorithm = .token })
        #expect(signsNoOpaqueText("{timestamp}{body}") { $0.refuseOpaqueBodies() })
        #expect(!signsNoOpaqueText("{header:X-A}") { $0.refuseOpaqueBodies() })
    }

    @Test func refusesOpaqueBodiesOnlyWhereABodyIsSigned() {
        for (algorithm, signed) in [(SchemeAlgorithm.token, "{body}"), (.hmac(.sha256), "{url}{form}")] {
            var definition = SchemeDefinition(algorithm: algorithm, headers: [SchemeHeaders(signature: "X-S")])
            definition.signed = signed
            definition.refusesOpaqueBody = true
            #expect(throws: SchemeError.self) { try definition.check() }
        }
    }
}
