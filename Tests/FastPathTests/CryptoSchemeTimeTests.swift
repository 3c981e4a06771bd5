// Times: each form, each boundary, each place; and the time in which a secret counts.
import FastPath
import TestSupport
import Testing

@Suite struct CryptoSchemeTimeTests {
    private func timed(_ text: String, _ rule: TimestampRule) -> SchemeTrial {
        var trial = SchemeTrial(signed: "{timestamp}.{body}", message: "\(text).{}") {
            $0.headers = [SchemeHeaders(signature: "X-Sig", timestamp: "X-Time")]
            $0.timestamp = rule
        }
        trial.headers.append(("X-Time", text))
        trial.body = "{}"
        return trial
    }

    @Test(arguments: TimestampForm.allCases) func aDifferenceOfTheToleranceStillPasses(form: TimestampForm) throws {
        func text(_ seconds: UInt64) -> String {
            switch form {
            case .seconds: "\(seconds)"
            case .milliseconds: "\(seconds * 1000)"
            case .iso8601: Timestamp.iso8601(seconds)
            }
        }
        for (past, future) in [(true, true), (true, false), (false, true), (false, false)] {
            let rule = TimestampRule(form: form, toleranceSeconds: 60, checksFuture: future, checksPast: past)
            func verdict(_ seconds: UInt64) throws -> SignatureRejection? { try timed(text(seconds), rule).verdict() }
            #expect(try verdict(SchemeTrial.now) == nil)
            #expect(try verdict(SchemeTrial.now - 60) == nil)
            #expect(try verdict(SchemeTrial.now + 60) == nil)
            #expect(try verdict(SchemeTrial.now - 61) == (past ? .staleTimestamp : nil))
            #expect(try verdict(SchemeTrial.now + 61) == (future ? .futureTimestamp : nil))
        }
        let trial = timed(text(SchemeTrial.now), TimestampRule(form: form))
        try trial.withstandsMutations(of: ["X-Sig", "X-Time"])
    }

    @Test func aFractionCountsAgainstTheSender() throws {
        let rule = TimestampRule(form: .iso8601, toleranceSeconds: 60)
        func verdict(_ seconds: UInt64, _ fraction: String) throws -> SignatureRejection? {
            try timed(String(Timestamp.iso8601(seconds).dropLast()) + fraction + "Z", rule).verdict()
        }
        #expect(try verdict(SchemeTrial.now + 60, ".000") == nil)
        #expect(try verdict(SchemeTrial.now + 60, ".001") == .futureTimestamp)
        #expect(try verdict(SchemeTrial.now - 61, ".999") == .staleTimestamp)
        #expect(try verdict(SchemeTrial.now - 60, ".0") == nil)
    }

    @Test func readsRFC3339AndNothingElse() {
        func seconds(_ text: String) -> UInt64? { Array(text.utf8).withView { Timestamp.iso8601($0)?.seconds } }
        #expect(seconds("1970-01-01T00:00:00Z") == 0)
        #expect(seconds("2025-10-09T08:53:20Z") == 1_760_000_000)
        #expect(seconds("2025-10-09T10:53:20.5+02:00") == 1_760_000_000)
        #expect(seconds("2025-10-09t02:23:20.123456789-06:30") == 1_760_000_000)
        #expect(seconds("2024-02-29T23:59:60z") == 1_709_251_200)
        for bad in [
            "", "2025-10-09", "2025-10-09T08:53:20", "2025-10-09 08:53:20Z", "2025-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z", "2025-00-01T00:00:00Z", "2025-01-00T00:00:00Z", "2025-01-32T00:00:00Z",
            "2025-01-01T24:00:00Z", "2025-01-01T00:60:00Z", "2025-01-01T00:00:61Z", "2025-01-01T00:00:00.Z",
            "2025-01-01T00:00:00.1234567890Z", "2025-01-01T00:00:00+0100", "2025-01-01T00:00:00+24:00",
            "2025-01-01T00:00:00Zx", "2025-01-01T00:00:00+01:00x", "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "+025-01-01T00:00:00Z", "2025-01-01T00:00:00.5", "20250101T000000Z0000",
        ] { #expect(seconds(bad) == nil, "\(bad)") }
        for time in stride(from: 0 as UInt64, to: 253_402_300_799, by: 86_399 * 911) {
            #expect(seconds(Timestamp.iso8601(time)) == time)
        }
    }

    @Test func refusesWhatIsNoTime() throws {
        for (form, texts) in [
            (TimestampForm.seconds, ["x", "-1", "1.5", "0x1", "99999999999999999"]),
            (.milliseconds, ["1e12", "1 2"]),
            (.iso8601, ["1760000000", "2025-10-09"]),
        ] {
            for text in texts {
                #expect(try timed(text, TimestampRule(form: form)).verdict() == .malformedTimestamp, "\(text)")
            }
        }
    }

    @Test func aTimeInTheSignedBodyMayBeMissing() throws {
        var trial = SchemeTrial(signed: "{body}", message: "") {
            $0.headers = [SchemeHeaders(signature: "X-Sig", timestamp: "json:$.at")]
            $0.timestamp = TimestampRule(form: .milliseconds, toleranceSeconds: 60, isOptional: true)
        }
        func verdict(_ body: String) throws -> SignatureRejection? {
            trial.body = body
            trial.message = body
            return try trial.verdict()
        }
        #expect(try verdict(#"{"at":\#(SchemeTrial.now)000}"#) == nil)
        #expect(try verdict(#"{"at":"\#(SchemeTrial.now)000"}"#) == nil)
        #expect(try verdict(#"{"at":\#(SchemeTrial.now - 61)000}"#) == .staleTimestamp)
        #expect(try verdict(#"{"at":\#(SchemeTrial.now + 61)000}"#) == .futureTimestamp)
        #expect(try verdict(#"{"b":1}"#) == nil)
        #expect(try verdict(#"{"at":null}"#) == nil)
        #expect(try verdict(#"{"at":{}}"#) == .malformedHeader)
        #expect(try verdict(#"{"at":"soon"}"#) == .malformedTimestamp)
        trial.definition.timestamp?.isOptional = false
        #expect(try verdict(#"{"b":1}"#) == .missingHeader)
    }

    @Test func aSecretCountsInItsTimeAlone() throws {
        let now = SchemeTrial.now
        let windows: [(UInt64?, UInt64?, Bool)] = [
            (nil, nil, true), (now, now, true), (now, nil, true), (nil, now, true), (now + 1, nil, false),
            (nil, now - 1, false), (now - 9, now + 9, true), (now + 1, now + 9, false),
        ]
        for (first, last, counts) in windows {
            let secret = SourceSecret("key", notBefore: first, notAfter: last)
            for secrets in [[secret], ["other", secret], [secret, SourceSecret("other", notAfter: 1)]] {
                var trial = SchemeTrial(signed: "{body}", message: "{}")
                trial.body = "{}"
                trial.secrets = secrets
                #expect(try trial.verdict() == (counts ? nil : .signatureMismatch))
                var general = SchemeTrial(signed: "{method}{body}", message: "POST{}")
                general.body = "{}"
                general.secrets = secrets
                #expect(try general.verdict() == (counts ? nil : .signatureMismatch))
                var token = SchemeTrial(signed: "{body}", message: "") { $0.algorithm = .token }
                token.headers = [("X-Sig", "key")]
                token.secrets = secrets
                #expect(try token.verdict() == (counts ? nil : .tokenMismatch))
            }
        }
        #expect("\(SourceSecret("hidden"))".contains("hidden") == false)
        #expect(String(reflecting: [SourceSecret("hidden")]).contains("hidden") == false)
        var text = ""
        dump(SourceSecret("hidden"), to: &text)
        #expect(!text.contains("hidden"))
    }
}
