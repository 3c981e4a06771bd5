// Forms, URLs with and without a port, and a body that is signed by its hash: Twilio's rules.
import FastPath
import TestSupport
import Testing

@Suite struct CryptoSchemeFormTests {
    private let form = ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")

    private func trial(_ body: String, _ parameters: String, target: String = "/in/x") -> SchemeTrial {
        var trial = SchemeTrial(signed: "{url}{form}", message: "https://hooks.example.com\(target)\(parameters)") {
            $0.algorithm = .hmac(.sha1)
            $0.encoding = .base64
            $0.bodyHash = "query:bodySHA256"
            $0.triesBothPorts = true
        }
        trial.body = body
        trial.target = target
        trial.headers.append(form)
        return trial
    }

    @Test func sortsByNameThenByValueAndTakesEachPairOnce() throws {
        for (body, parameters) in [
            ("b=2&a=1", "a1b2"), ("a=2&a=1&a=1", "a1a2"), ("a=1&a=1&b=&c", "a1bc"), ("&&a=1&", "a1"),
            ("Reason=x&ReasonConferenceEnded=y", "ReasonxReasonConferenceEndedy"),
            ("a=+%2B%26%3d%E2%99%A5", "a +&=♥"), ("a=1=2&%61=0", "a0a1=2"), ("a=%4&b=%zz&c=%", "a%4b%zzc%"),
            ("aaaaaaaab=1&aaaaaaaaa=2&aaaaaaaa=3", "aaaaaaaa3aaaaaaaaa2aaaaaaaab1"), ("", ""),
        ] {
            #expect(try trial(body, parameters).verdict() == nil, "\(body)")
        }
        try trial("Body=hello&From=x", "BodyhelloFromx").withstandsMutations(of: ["X-Sig"]) {
            $0.changesTarget = true
        }
    }

    @Test func sortsManyAsASlowerSortDoes() throws {
        var random = SeededRandom(11)
        for count in [1, 2, 3, 17, 100, 512] {
            let pairs = (0..<count).map { _ in
                (name: "n\(random.next() % 40)", value: "v\(random.next() % 1000)")
            }
            var wanted: [String] = []
            for pair in pairs.sorted(by: { ($0.name, $0.value) < ($1.name, $1.value) })
            where wanted.last != pair.name + "=" + pair.value {
                wanted.append(pair.name + "=" + pair.value)
            }
            let body = pairs.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
            let parameters = wanted.map { $0.split(separator: "=").joined() }.joined()
            #expect(try trial(body, parameters).verdict() == nil, "\(count)")
        }
    }

    @Test func refusesWhatItDoesNotSign() throws {
        let many = (0..<513).map { "a=\($0)" }.joined(separator: "&")
        #expect(try trial(many, "").verdict() == .malformedHeader)
        #expect(try trial("a=" + String(repeating: "x", count: 65_536), "").verdict() == .malformedHeader)
        // A body that is no form would be signed by nothing.
        for type in ["application/json", "application/x-www-form-urlencodedx", "text/plain"] {
            var other = trial(#"{"a":1}"#, "")
            other.headers[1].1 = type
            #expect(try other.verdict() == .malformedHeader, "\(type)")
        }
        var none = trial("a=1", "")
        none.headers.removeLast()
        #expect(try none.verdict() == .malformedHeader)
    }

    @Test func triesTheURLWithAndWithoutItsPort() throws {
        for (origin, signed, isAccepted) in [
            ("https://h", "https://h", true), ("https://h", "https://h:443", true), ("http://h", "http://h:80", true),
            ("https://h:1234", "https://h", true), ("https://h:1234", "https://h:1234", true),
            ("https://[::1]", "https://[::1]:443", true), ("https://[::1]:8", "https://[::1]", true),
            ("https://10.0.0.1", "https://10.0.0.1:443", true), ("https://h", "https://h:80", false),
            ("https://h:1234", "https://h:443", false), ("https://h", "http://h", false),
        ] {
            var trial = trial("a=1", "a1")
            trial.origin = origin
            trial.message = "\(signed)/in/xa1"
            trial.secrets = ["other", "key", "third"]
            #expect(try trial.verdict() == (isAccepted ? nil : .signatureMismatch), "\(origin) \(signed)")
            trial.definition.triesBothPorts = false
            #expect(try trial.verdict() == (origin == signed ? nil : .signatureMismatch), "\(origin) \(signed)")
        }
        var unknown = trial("a=1", "a1")
        unknown.origin = nil
        #expect(try unknown.verdict() == .signatureMismatch)
    }

    @Test func takesAHashThatIsSignedForTheBody() throws {
        let body = #"{"property": "value", "boolean": true}"#
        let hash = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
        var trial = trial(body, "", target: "/in/x?bodySHA256=\(hash)")
        trial.headers[1].1 = "application/json"
        try trial.withstandsMutations(of: ["X-Sig"]) { $0.changesTarget = true }
        trial.body = body + " "
        #expect(try trial.verdict() == .bodyHashMismatch)
        var upper = self.trial(body, "", target: "/in/x?bodySHA256=\(hash.uppercased())")
        upper.headers[1].1 = "application/json"
        #expect(try upper.verdict() == nil)
        upper.target = "/in/x?bodySHA256="
        #expect(try upper.verdict() == .bodyHashMismatch)

        var header = SchemeTrial(signed: "{header:X-Hash}", message: hash) { $0.bodyHash = "X-Hash" }
        header.body = body
        header.headers.append(("X-Hash", hash))
        try header.withstandsMutations(of: ["X-Sig", "X-Hash"])
        header.headers.removeLast()
        #expect(try header.verdict() == .missingHeader)
    }

    @Test func keepsBatchesOfComposedRequestsApart() throws {
        // More than the memory for composing takes at once: some requests wait for the next run.
        let trials = (0..<12).map { index in
            let value = String(repeating: "\(index % 10)", count: 40_000)
            return trial("a=\(value)", "a" + (index == 5 ? "forged" : value))
        }
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        let scheme = try SignatureScheme([(trials[0].definition, trials[0].secrets)], in: memory)
        for engine in VerifierEngine.available {
            var verifier = BatchVerifier(engine: engine, jobCountMax: 64, scratchBytes: 1 << 20)
            var runs = 0
            var verdicts: [Int: Bool] = [:]
            var waiting: [(index: Int, job: Int)] = []
            func settle(_ verifier: inout BatchVerifier) {
                verifier.run()
                runs += 1
                for (index, job) in waiting { verdicts[index] = verifier.verdict(job: job) == nil }
                waiting = []
                verifier.removeAll()
            }
            let raws = trials.map(\.raw).map { GuardedBytes($0) }
            for (index, raw) in raws.enumerated() {
                let bytes = ByteView(raw.start(count: raw.capacity), count: raw.capacity)
                var parser = HeadParser()
                var head = RequestHead()
                var fields = FieldTable()
                guard case .complete = parser.parse(bytes, into: &head, fields: &fields, limits: IngestLimits())
                else {
                    Issue.record("no request")
                    return
                }
                let origin = Array("https://hooks.example.com".utf8)
                for _ in 0..<2 {
                    let added = origin.withView { origin in
                        verifier.add(
                            scheme: scheme, request: bytes, head: head, fields: fields,
                            body: bytes.slice(head.byteCount, bytes.count - head.byteCount), origin: origin,
                            nowSeconds: SchemeTrial.now)
                    }
                    if case .queued(let job) = added {
                        waiting.append((index, job))
                        break
                    }
                    #expect(added == .full)
                    settle(&verifier)
                }
            }
            settle(&verifier)
            #expect(runs > 1)
            for index in trials.indices { #expect(verdicts[index] == (index != 5), "\(index)") }
        }
    }

    /// HubSpot's table: these characters are decoded in what is signed, `%20` and all others stay.
    @Test func decodesTheEscapesOfSomeCharactersOfTheURLAlone() throws {
        for (target, signed) in [
            ("/in/x?e=a%40b.com", "/in/x?e=a@b.com"), ("/in/x?u=https%3A%2F%2fh%3Fa", "/in/x?u=https://h?a"),
            ("/in/x?a=%20%25%26%3D%2B", "/in/x?a=%20%25%26%3D%2B"),
            ("/in/x?a=%21%24%27%28%29%2A%2C%3B", "/in/x?a=!$'()*,;"),
            ("/in/x?a=%254%30", "/in/x?a=%254%30"), ("/in/x%3ay", "/in/x:y"),
        ] {
            var trial = SchemeTrial(signed: "{url}{body}", message: "https://hooks.example.com\(signed){}") {
                $0.urlDecodes = ":/?@!$'()*,;"
            }
            trial.target = target
            trial.body = "{}"
            #expect(try trial.verdict() == nil, "\(target)")
            trial.definition.urlDecodes = ""
            #expect(try trial.verdict() == (target == signed ? nil : .signatureMismatch), "\(target)")
        }
        for (signed, characters) in [("{body}", ":"), ("{url}{body}", "%"), ("{url}{body}", "é")] {
            let trial = SchemeTrial(signed: signed, message: "") { $0.urlDecodes = characters }
            #expect(throws: SchemeError.self) { try trial.verdict() }
        }
    }

    @Test func readsSignatureTimeAndTokenFromAForm() throws {
        let multi = "--B\r\nContent-Disposition: form-data; name=\""
        for (type, body) in [
            ("application/x-www-form-urlencoded", "timestamp=1760000000&token=a%2Bb&signature=@SIG@"),
            (
                "multipart/form-data; boundary=B",
                "\(multi)timestamp\"\r\n\r\n1760000000\r\n\(multi)token\"\r\n\r\na+b\r\n"
                    + "\(multi)signature\"\r\n\r\n@SIG@\r\n--B--\r\n"
            ),
        ] {
            var trial = SchemeTrial(signed: "{timestamp}{form:token}", message: "1760000000a+b") {
                $0.headers = [SchemeHeaders(signature: "form:signature", timestamp: "form:timestamp")]
                $0.timestamp = TimestampRule()
                $0.signsPartOnly = true
            }
            trial.headers = [("Content-Type", type)]
            trial.body = body
            #expect(try trial.verdict() == nil, "\(type)")
            trial.message = "1760000000a b"
            #expect(try trial.verdict() == .signatureMismatch)
            trial.headers = []
            #expect(try trial.verdict() == .missingHeader)
        }
        var twice = SchemeTrial(signed: "{form:token}{body}", message: "") { _ in }
        twice.headers.append(form)
        twice.body = "token=1&token=2"
        #expect(try twice.verdict() == .duplicateHeader)
    }
}
