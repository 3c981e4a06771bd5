// The scheme language: each piece of a signed string, each place of a value, several signatures, credentials. Signed
// strings are written down by hand; every accepted request is then changed byte by byte.
import FastPath
import TestSupport
import Testing

@Suite struct CryptoSchemeLanguageTests {
    private static let url = "https://hooks.example.com/in/x?b=2&a=%41+c"

    @Test func signsEveryPieceOfARequest() throws {
        let body = #"{"id":"evt_1","n":7}"#
        for (signed, message) in [
            ("{body}", body), ("{method}:{body}", "POST:\(body)"), ("{url}{body}", "\(Self.url)\(body)"),
            ("{path}|{body}", "/in/x|\(body)"), ("{query}|{body}", "b=2&a=%41+c|\(body)"),
            ("{header:X-Event}.{body}", "paid.\(body)"), ("{query:a}.{body}", "A+c.\(body)"),
            ("{json:$.id}.{json:$.n}.{body}.end", "evt_1.7.\(body).end"),
            ("{method}{url}{body}{header:x-event}", "POST\(Self.url)\(body)paid"),
        ] {
            var trial = SchemeTrial(signed: signed, message: message)
            trial.headers.append(("X-Event", "paid"))
            let names = signed.lowercased().contains("x-event") ? ["X-Sig", "X-Event"] : ["X-Sig"]
            try trial.withstandsMutations(of: names)
        }
        for algorithm in MACAlgorithm.allCases {
            let trial = SchemeTrial(signed: "{method} {url}\n{body}", message: "POST \(Self.url)\n\(body)") {
                $0.algorithm = .hmac(algorithm)
                $0.encoding = .base64
            }
            try trial.withstandsMutations(of: ["X-Sig"]) { $0.changesTarget = true }
        }
    }

    @Test func aValueThatTheSignedStringNeedsMustBeThereOnce() throws {
        var trial = SchemeTrial(signed: "{header:X-Event}{body}", message: #"{"id":"evt_1","n":7}"#)
        #expect(try trial.verdict() == .missingHeader)
        trial.headers += [("X-Event", ""), ("X-Event", "")]
        #expect(try trial.verdict() == .duplicateHeader)
        var query = SchemeTrial(signed: "{query:c}{body}", message: #"{"id":"evt_1","n":7}"#)
        #expect(try query.verdict() == .missingHeader)
        for twice in ["/?c=&c=", "/?%63=&c=", "/?c=&%63="] {
            query.target = twice
            #expect(try query.verdict() == .duplicateHeader, "\(twice)")
        }
        for once in ["/?c=", "/?%63="] {
            query.target = once
            #expect(try query.verdict() == nil, "\(once)")
        }
        var json = SchemeTrial(signed: "{json:$.a}{body}", message: "{}")
        for (body, reason) in [
            ("{}", SignatureRejection.missingHeader), (#"{"a":null}"#, .missingHeader),
            (#"{"a":[]}"#, .malformedHeader),
            (#"{"a""#, .malformedHeader), (#"{"a":"\ud800"}"#, .malformedHeader), (#"{"a":"\x"}"#, .malformedHeader),
        ] {
            json.body = body
            #expect(try json.verdict() == reason, "\(body)")
        }
    }

    @Test func decodesEscapesOfJSONStrings() throws {
        let body = #"{"a":"x\/\u00e9\ud83d\ude00\n\"","b":true}"#
        let trial = SchemeTrial(signed: "{json:$.a}|{json:$.b}|{body}", message: "x/é😀\n\"|true|\(body)")
        var changed = trial
        changed.body = body
        try changed.withstandsMutations(of: ["X-Sig"])
    }

    @Test func readsSignaturesFromEveryPlace() throws {
        var query = SchemeTrial(signed: "{path}{body}", message: #"/in/x{"id":"evt_1","n":7}"#) {
            $0.headers = [SchemeHeaders(signature: "query:sig")]
        }
        query.headers = []
        query.target = "/in/x?sig=@SIG@"
        try query.withstandsMutations(of: [])
        query.target = "/in/x?sig=@SIG@&sig=@SIG@"
        #expect(try query.verdict() == .duplicateHeader)
        query.target = "/in/x"
        #expect(try query.verdict() == .missingHeader)

        // Mailgun: all of it in the body, which is not signed as a whole.
        var json = SchemeTrial(signed: "{timestamp}{json:$.s.token}", message: "\(SchemeTrial.now)abc") {
            $0.headers = [SchemeHeaders(signature: "json:$.s.signature", timestamp: "json:$.s.timestamp")]
            $0.timestamp = TimestampRule()
            $0.signsPartOnly = true
        }
        json.headers = []
        json.body = #"{"s":{"timestamp":"\#(SchemeTrial.now)","token":"abc","signature":"@SIG@"},"event":"x"}"#
        #expect(try json.verdict() == nil)
        #expect(try json.verdict(now: SchemeTrial.now + 301) == .staleTimestamp)
        for (from, to) in [("abc", "abd"), ("timestamp", "timestamq"), ("signature", "signaturf")] {
            var changed = json
            changed.body = json.body.split(separator: from, omittingEmptySubsequences: false).joined(separator: to)
            #expect(try changed.verdict() != nil, "\(from)")
        }
        json.definition.signsPartOnly = false
        #expect(throws: SchemeError.self) { try json.verdict() }
    }

    @Test func anyOfSeveralSignaturesMayMatchWhereAllAreRead() throws {
        var trial = SchemeTrial(signed: "{body}", message: #"{"id":"evt_1","n":7}"#) {
            $0.headers = (1...16).map { SchemeHeaders(signature: "X-Sig-\($0)") }
            $0.takesEverySet = true
        }
        let wrong = String(repeating: "0", count: 64)
        trial.headers = [("X-Sig-1", wrong), ("X-Sig-7", "@SIG@")]
        try trial.withstandsMutations(of: ["X-Sig-7"])
        trial.headers = [("X-Sig-1", wrong), ("X-Sig-2", wrong)]
        #expect(try trial.verdict() == .signatureMismatch)
        trial.headers = []
        #expect(try trial.verdict() == .missingHeader)
        trial.headers = [("X-Sig-1", "@SIG@"), ("X-Sig-2", wrong), ("X-Sig-2", wrong)]
        #expect(try trial.verdict() == .duplicateHeader)
        trial.definition.takesEverySet = false
        trial.headers = [("X-Sig-1", wrong), ("X-Sig-7", "@SIG@")]
        #expect(try trial.verdict() == .signatureMismatch)
    }

    @Test func comparesCredentialsAndTokens() throws {
        var basic = SchemeTrial(signed: "{body}", message: "") {
            $0.algorithm = .basic
            $0.headers = [SchemeHeaders(signature: "Authorization")]
        }
        basic.secrets = ["svc:p:wü", "other:x"]
        basic.headers = [("Authorization", "Basic " + TextEncoding.base64(Array("svc:p:wü".utf8)))]
        try basic.withstandsMutations(of: ["Authorization"]) {
            $0.changesBody = false
            $0.caselessBytes = 5
        }
        basic.headers = [("Authorization", "BASIC " + TextEncoding.base64(Array("other:x".utf8)))]
        #expect(try basic.verdict() == nil)
        for (value, reason) in [
            ("Basic " + TextEncoding.base64(Array("svc:wrong".utf8)), SignatureRejection.invalidCredentials),
            ("Basic %%%", .malformedHeader), ("Basic ", .malformedHeader), ("Bearer abcd", .malformedHeader),
            ("", .malformedHeader),
        ] {
            basic.headers = [("Authorization", value)]
            #expect(try basic.verdict() == reason, "\(value)")
        }
        basic.secrets = ["no colon"]
        #expect(throws: SchemeError.badSecret(index: 0, wanted: "user:password")) { try basic.verdict() }

        var bearer = SchemeTrial(signed: "{body}", message: "") {
            $0.algorithm = .token
            $0.headers = [SchemeHeaders(signature: "Authorization")]
            $0.prefix = "Bearer "
            $0.prefixIgnoresCase = true
        }
        bearer.headers = [("Authorization", "bearer key")]
        try bearer.withstandsMutations(of: ["Authorization"]) {
            $0.changesBody = false
            $0.caselessBytes = 7
        }
        bearer.definition.prefixIgnoresCase = false
        #expect(try bearer.verdict() == .malformedHeader)
        bearer.definition.headers = [SchemeHeaders(signature: "query:access_token")]
        bearer.definition.prefix = ""
        bearer.target = "/?access_token=k%65y"
        #expect(try bearer.verdict() == nil)
        bearer.target = "/?access_token=keyx"
        #expect(try bearer.verdict() == .tokenMismatch)
    }

    @Test func choosesAmongAlternativesOfEveryKind() throws {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        var shared = SchemeTrial(signed: "{url}{body}", message: "\(Self.url)x") {
            $0.algorithm = .hmac(.sha256)
            $0.appliesWhen = "X-Settings"
        }
        var plain = SchemeTrial(signed: "{body}", message: "x") { $0.algorithm = .hmac(.sha1) }
        shared.body = "x"
        plain.body = "x"
        let scheme = try SignatureScheme(
            [(shared.definition, shared.secrets), (plain.definition, plain.secrets)], in: memory)
        #expect(try plain.verdict(scheme, plain.raw, SchemeTrial.now) == nil)
        #expect(try shared.verdict(scheme, shared.raw, SchemeTrial.now) != nil)
        shared.headers.append(("X-Settings", "1"))
        plain.headers.append(("X-Settings", "1"))
        #expect(try shared.verdict(scheme, shared.raw, SchemeTrial.now) == nil)
        #expect(try plain.verdict(scheme, plain.raw, SchemeTrial.now) != nil)
    }

    @Test func readsCostlySchemesButNeverAcceptsThemOnALoop() throws {
        let key = try #require(PrivateKey.generate(.ed25519))
        var trial = SchemeTrial(signed: "{timestamp}{body}", message: "") {
            $0.algorithm = .ed25519
            $0.secretEncoding = .ed25519
            $0.headers = [SchemeHeaders(signature: "X-Sig", timestamp: "X-Time")]
            $0.timestamp = TimestampRule()
        }
        trial.secrets = [SourceSecret(key.publicKey.text)]
        let message = Array("\(SchemeTrial.now)\(trial.body)".utf8)
        let signature = key.signature(of: message)
        trial.headers = [("X-Sig", TextEncoding.hex(signature)), ("X-Time", "\(SchemeTrial.now)")]
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        let scheme = try SignatureScheme([(trial.definition, trial.secrets)], in: memory)
        let request = try CapturedRequest(trial.raw)
        guard case .success(let reading) = scheme.read(request, origin: nil, nowSeconds: SchemeTrial.now) else {
            Issue.record("not read")
            return
        }
        #expect(reading.signatures == [signature] && reading.message == message)
        #expect(key.publicKey.verifies(reading.signatures[0], of: reading.message))
        guard case .rejected = request.verify(scheme, nowSeconds: SchemeTrial.now, engine: .openssl) else {
            Issue.record("a loop accepted a public key's signature")
            return
        }
        guard case .failure(.staleTimestamp) = scheme.read(request, origin: nil, nowSeconds: SchemeTrial.now + 301)
        else {
            Issue.record("not stale")
            return
        }
        trial.secrets = ["whsk_AAAA"]
        #expect(throws: SchemeError.self) { try trial.verdict() }
    }
}
