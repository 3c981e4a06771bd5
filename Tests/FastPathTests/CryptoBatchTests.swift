// The batch verifier: both engines give the same digests for every length and batch size, and nothing else is accepted.
import FastPath
import TestSupport
import Testing

@Suite struct CryptoBatchTests {
    static let secret = "a secret"

    /// A scheme that signs the body, or a literal, a timestamp and the body.
    static func definition(_ algorithm: MACAlgorithm, timed: Bool) -> SchemeDefinition {
        var definition = SchemeDefinition(
            algorithm: .hmac(algorithm),
            headers: [SchemeHeaders(signature: "X-Signature", timestamp: timed ? "X-Time" : nil)])
        if timed {
            definition.signed = "v0:{timestamp}:{body}"
            definition.timestamp = TimestampRule()
        }
        return definition
    }

    static func request(_ body: [UInt8], _ key: SigningKey, timed: Bool, isRight: Bool = true) -> GuardedRequest {
        var digest = key.mac(over: (timed ? Array("v0:1000:".utf8) : []) + body)
        if !isRight { digest[digest.count / 2] ^= 1 }
        return GuardedRequest([("X-Time", "1000"), ("X-Signature", TextEncoding.hex(digest))], body: body)
    }

    struct Setting {
        let memory = CompiledMemory()
        let scheme: SignatureScheme
        let key: SigningKey
        let timed: Bool

        init(_ algorithm: MACAlgorithm, timed: Bool, secrets: [String] = [secret]) throws {
            scheme = try SignatureScheme([(definition(algorithm, timed: timed), secrets)], in: memory)
            key = SigningKey(secret: Array(CryptoBatchTests.secret.utf8), algorithm: algorithm, in: memory)
            self.timed = timed
        }
    }

    @Test func computesTheDigestsOfTheStandards() {
        let memory = CompiledMemory()
        func mac(_ algorithm: MACAlgorithm, _ key: [UInt8], _ text: String) -> String {
            TextEncoding.hex(SigningKey(secret: key, algorithm: algorithm, in: memory).mac(over: Array(text.utf8)))
        }
        let jefe = Array("Jefe".utf8)
        let question = "what do ya want for nothing?"
        // RFC 4231 cases 2 and 6 (a key longer than the block), RFC 2202 case 2.
        #expect(mac(.sha256, jefe, question) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(
            mac(.sha256, [UInt8](repeating: 0xAA, count: 131), "Test Using Larger Than Block-Size Key - Hash Key First")
                == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
        #expect(mac(.sha1, jefe, question) == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
        #expect(
            mac(.sha512, jefe, question)
                == "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                + "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737")
    }

    @Test(arguments: VerifierEngine.available, MACAlgorithm.allCases)
    func givesTheSameDigestForEveryLength(engine: VerifierEngine, algorithm: MACAlgorithm) throws {
        for timed in [false, true] {
            let setting = try Setting(algorithm, timed: timed)
            var random = SeededRandom(7)
            let lengths =
                Array(0...300) + [1023, 1024, 4095, 16_384, 61_431, 61_432, 61_439, 61_440, 61_441, 65_535, 65_536]
            // Each length in a batch of its own kind, so that no length is too long for its company.
            for length in lengths {
                let copies = length <= 300 ? 10 : 20
                let requests = (0..<copies).map { place in
                    CryptoBatchTests.request(random.bytes(length), setting.key, timed: timed, isRight: place != 3)
                }
                var verifier = BatchVerifier(engine: engine, jobCountMax: copies, scratchBytes: copies * (length + 64))
                for request in requests { _ = request.add(to: &verifier, setting.scheme, now: 1000) }
                withExtendedLifetime((requests, setting)) { verifier.run() }
                for place in 0..<copies {
                    #expect(
                        verifier.verdict(job: place) == (place == 3 ? .signatureMismatch : nil),
                        "\(algorithm) length \(length) place \(place) timed \(timed)")
                }
            }
        }
    }

    @Test(arguments: VerifierEngine.available, [0, 700, 1 << 20])
    func givesTheRightVerdictsForEveryBatchSize(engine: VerifierEngine, scratchBytes: Int) throws {
        let settings = try MACAlgorithm.allCases.flatMap {
            [try Setting($0, timed: false), try Setting($0, timed: true)]
        }
        var random = SeededRandom(11)
        // Lengths far apart: some are thrown out of the lanes.
        let pool = (0..<400).map { place -> (request: GuardedRequest, setting: Setting, isRight: Bool) in
            let setting = settings.randomElement(using: &random)!
            let length =
                place % 20 == 0 ? Int.random(in: 0...9000, using: &random) : Int.random(in: 0...400, using: &random)
            let isRight = Bool.random(using: &random)
            let request = CryptoBatchTests.request(
                random.bytes(length), setting.key, timed: setting.timed, isRight: isRight)
            return (request, setting, isRight)
        }
        var verifier = BatchVerifier(engine: engine, jobCountMax: 200, scratchBytes: scratchBytes)
        #expect(verifier.engine == engine)
        for size in 1...200 {
            verifier.removeAll()
            let first = Int.random(in: 0...(pool.count - size), using: &random)
            let cases = pool[first..<(first + size)]
            for (place, item) in cases.enumerated() {
                #expect(item.request.add(to: &verifier, item.setting.scheme, now: 1000) == .queued(job: place))
            }
            withExtendedLifetime(pool) { verifier.run() }
            for (place, item) in cases.enumerated() {
                #expect(
                    verifier.verdict(job: place) == (item.isRight ? nil : .signatureMismatch),
                    "size \(size) place \(place)")
            }
        }
    }

    @Test(arguments: VerifierEngine.available) func takesAnyOfSeveralSecretsAndSaysWhich(engine: VerifierEngine) throws
    {
        let secrets = ["first", "second", CryptoBatchTests.secret, "fourth"]
        let setting = try Setting(.sha256, timed: true, secrets: secrets)
        var requests: [GuardedRequest] = []
        for place in 0..<40 {
            let key = SigningKey(secret: Array(secrets[place % 4].utf8), algorithm: .sha256, in: setting.memory)
            requests.append(
                CryptoBatchTests.request(Array("body \(place)".utf8), key, timed: true, isRight: place % 5 != 4))
        }
        var verifier = BatchVerifier(engine: engine, jobCountMax: 40, scratchBytes: 4096)
        for request in requests { _ = request.add(to: &verifier, setting.scheme, now: 1000) }
        withExtendedLifetime((requests, setting)) { verifier.run() }
        for place in 0..<40 {
            let message = Array("which".utf8)
            guard place % 5 != 4 else {
                #expect(verifier.verdict(job: place) == .signatureMismatch)
                #expect(verifier.matchedKey(job: place) == nil)
                continue
            }
            #expect(verifier.verdict(job: place) == nil)
            let key = SigningKey(secret: Array(secrets[place % 4].utf8), algorithm: .sha256, in: setting.memory)
            #expect(verifier.matchedKey(job: place)?.mac(over: message) == key.mac(over: message))
        }
    }

    @Test(arguments: VerifierEngine.available) func saysWhenItIsFullAndTakesMoreAfterwards(
        engine: VerifierEngine
    )
        throws
    {
        let setting = try Setting(.sha256, timed: false)
        let request = CryptoBatchTests.request([1, 2, 3], setting.key, timed: false)
        var verifier = BatchVerifier(engine: engine, jobCountMax: 2, scratchBytes: 64)
        #expect(request.add(to: &verifier, setting.scheme) == .queued(job: 0))
        #expect(request.add(to: &verifier, setting.scheme) == .queued(job: 1))
        #expect(request.add(to: &verifier, setting.scheme) == .full)
        withExtendedLifetime((request, setting)) { verifier.run() }
        #expect(verifier.verdict(job: 1) == nil)
        verifier.removeAll()
        #expect(request.add(to: &verifier, setting.scheme) == .queued(job: 0))
    }

    @Test(arguments: VerifierEngine.available) func acceptsNothingBeforeItHasRun(engine: VerifierEngine) throws {
        let setting = try Setting(.sha256, timed: false)
        var verifier = BatchVerifier(engine: engine, jobCountMax: 4, scratchBytes: 64)
        let right = CryptoBatchTests.request([1], setting.key, timed: false)
        let wrong = CryptoBatchTests.request([1], setting.key, timed: false, isRight: false)
        _ = right.add(to: &verifier, setting.scheme)
        withExtendedLifetime((right, setting)) { verifier.run() }
        #expect(verifier.verdict(job: 0) == nil)
        verifier.removeAll()
        // The place of an accepted job, used again: nothing of it is left.
        _ = wrong.add(to: &verifier, setting.scheme)
        #expect(verifier.verdict(job: 0) == .signatureMismatch)
        withExtendedLifetime((right, wrong, setting)) { verifier.run() }
        #expect(verifier.verdict(job: 0) == .signatureMismatch)
    }

    @Test func checksByTheFirstSchemeWhoseHeaderTheRequestHas() throws {
        let memory = CompiledMemory()
        var token = SchemeDefinition(algorithm: .token, headers: [SchemeHeaders(signature: "X-Token")])
        token.prefix = "Bearer "
        let scheme = try SignatureScheme(
            [(CryptoBatchTests.definition(.sha256, timed: false), [CryptoBatchTests.secret]), (token, ["t1", "t2"])],
            in: memory)
        var verifier = BatchVerifier(engine: .openssl, jobCountMax: 2, scratchBytes: 0)
        func add(_ headers: [(String, String)]) -> AddResult {
            GuardedRequest(headers, body: []).add(to: &verifier, scheme)
        }
        #expect(add([("X-Token", "Bearer t2")]) == .accepted)
        #expect(add([("X-Token", "Bearer t3")]) == .rejected(.tokenMismatch))
        #expect(add([("X-Token", "Bearer ")]) == .rejected(.malformedHeader))
        #expect(add([("X-Token", "t2")]) == .rejected(.malformedHeader))
        #expect(add([("X-Token", "Bearer t2"), ("X-Signature", "00")]) == .rejected(.signatureMismatch))
        #expect(add([]) == .rejected(.missingHeader))
        #expect(verifier.jobCount == 0)
    }
}
