// What the signer signs as a provider, the verifier takes; and nothing that differs from it in one byte.
import Engine
import FastPath
import TestSupport
import Testing

@Suite struct RequestSignerTests {
    private static let now: UInt64 = 1_760_000_000
    private static let body = Array(#"{"type":"order.paid","id":"evt_7","event":"order.paid","event_id":"evt_7"}"#.utf8)
    private static let profiles: [(String, [String])] = [
        ("standard-webhooks", ["whsec_AAECAwQF"]), ("svix", ["whsec_AAECAwQF"]), ("github", ["s"]),
        ("github-sha1", ["s"]), ("gitlab", ["token"]),
        ("gitlab", ["whsec_AAECAwQF"]), ("stripe", ["whsec_x"]), ("slack", ["s"]), ("zoom", ["s"]), ("shopify", ["s"]),
        ("fireflies", ["s"]),
        ("otter", ["s"]),
    ]

    private func raw(_ headers: [(name: String, value: String)], _ body: [UInt8] = body) -> [UInt8] {
        let lines = headers.map { "\($0.name): \($0.value)\r\n" }.joined()
        return Array("POST /in/x HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.count)\r\n\(lines)\r\n".utf8) + body
    }
    private func isAccepted(_ outcome: CapturedOutcome) -> Bool {
        if case .accepted = outcome { true } else { false }
    }

    @Test(arguments: VerifierEngine.available) func isAcceptedAsEveryProvider(engine: VerifierEngine) throws {
        for (provider, secrets) in RequestSignerTests.profiles {
            let signer = try RequestSigner(provider: provider, secrets: secrets)
            let headers = signer.headers(
                body: RequestSignerTests.body, type: "order.paid", id: "evt_7", timestamp: RequestSignerTests.now)
            let outcome = VectorRunner.verify(
                provider: provider, secrets: secrets,
                now: RequestSignerTests.now, rawRequest: raw(headers), engine: engine)
            guard case .accepted(.none, let event) = outcome else {
                Issue.record("\(provider): \(outcome)")
                continue
            }
            #expect(event.type == "order.paid", "\(provider)")
            let hasNoID = ["zoom", "fireflies", "otter", "calendly", "meta", "x"].contains(provider)
            #expect(event.id == (hasNoID ? nil : "evt_7"), "\(provider)")
            #expect((event.dedupKey == nil) == hasNoID, "\(provider)")
        }
    }

    @Test func acceptsNoSignatureThatDiffersInOneByte() throws {
        for (provider, secrets) in RequestSignerTests.profiles {
            let signer = try RequestSigner(provider: provider, secrets: secrets)
            let headers = signer.signatureHeaders(
                body: RequestSignerTests.body, id: "evt_7", timestamp: RequestSignerTests.now)
            for (place, header) in headers.enumerated() {
                let value = Array(header.value.utf8)
                let caseless = RequestMutations.caselessDigits(value)
                for index in value.indices {
                    for byte in 0x21...0x7E as ClosedRange<UInt8>
                    where byte != value[index] && !(byte == value[index] ^ 0x20 && caseless.contains(index)) {
                        var changed = value
                        changed[index] = byte
                        var all = headers
                        all[place].value = String(decoding: changed, as: UTF8.self)
                        let outcome = VectorRunner.verify(
                            provider: provider, secrets: secrets, now: RequestSignerTests.now, rawRequest: raw(all),
                            engine: .openssl)
                        if isAccepted(outcome) { Issue.record("\(provider): accepted \(all[place])") }
                    }
                }
                // Every beginning of the value, and the value with a byte more.
                for text in value.indices.map({ Array(value[..<$0]) }) + [
                    value + [0x30], value + [0x3D], value + [0x2C, 0x30],
                ] {
                    var all = headers
                    all[place].value = String(decoding: text, as: UTF8.self)
                    let outcome = VectorRunner.verify(
                        provider: provider, secrets: secrets, now: RequestSignerTests.now, rawRequest: raw(all),
                        engine: .openssl)
                    // A list may end in an empty entry or one that does not count.
                    let isLonger = text.count > value.count
                    let isList = header.value.contains("v1=")
                    if isAccepted(outcome), !(isLonger && isList) {
                        Issue.record("\(provider): accepted \(all[place])")
                    }
                }
            }
        }
    }

    @Test func acceptsNoBodyThatDiffersInOneByte() throws {
        for (provider, secrets) in RequestSignerTests.profiles where secrets != ["token"] {
            let signer = try RequestSigner(provider: provider, secrets: secrets)
            let headers = signer.signatureHeaders(
                body: RequestSignerTests.body, id: "evt_7", timestamp: RequestSignerTests.now)
            for index in RequestSignerTests.body.indices {
                var changed = RequestSignerTests.body
                changed[index] ^= 0x01
                let outcome = VectorRunner.verify(
                    provider: provider, secrets: secrets, now: RequestSignerTests.now,
                    rawRequest: raw(headers, changed), engine: .openssl)
                guard case .rejected(.signatureMismatch) = outcome else {
                    Issue.record("\(provider) byte \(index): \(outcome)")
                    continue
                }
            }
        }
    }

    @Test func signsEverySchemeThatTheConfigurationCanSpell() throws {
        for algorithm in ["hmac-sha256", "hmac-sha1", "hmac-sha512"] {
            for encoding in ["hex", "base64", "base64url"] {
                for list in ["none", "space", "comma", "semicolon"] {
                    for unit in ["seconds", "milliseconds"] {
                        var scheme = SchemeConfiguration()
                        scheme.algorithm = algorithm
                        scheme.header = "X-Signature"
                        scheme.prefix = list == "none" ? "sig=" : ""
                        scheme.encoding = encoding
                        scheme.list = list
                        scheme.listKey = list == "none" ? "" : "h1"
                        scheme.idHeader = "X-Id"
                        scheme.signed = "{id}/{timestamp}/{body}/end"
                        var timestamp = TimestampConfiguration()
                        timestamp.unit = unit
                        if list == "comma" || list == "semicolon" {
                            timestamp.listKey = "ts"
                        } else {
                            timestamp.header = "X-Time"
                        }
                        scheme.timestamp = timestamp
                        let signer = try RequestSigner(provider: "generic", secrets: ["s"], scheme: scheme)
                        let headers = signer.headers(
                            body: RequestSignerTests.body, type: "t", id: "i", timestamp: RequestSignerTests.now)
                        func outcome(_ now: UInt64) -> CapturedOutcome {
                            VectorRunner.verify(
                                provider: "generic", secrets: ["s"], scheme: scheme, now: now, rawRequest: raw(headers))
                        }
                        let words = "\(algorithm) \(encoding) \(list) \(unit)"
                        #expect(isAccepted(outcome(RequestSignerTests.now + 300)), "\(words)")
                        guard case .rejected(.staleTimestamp) = outcome(RequestSignerTests.now + 301) else {
                            Issue.record("not stale: \(words)")
                            continue
                        }
                    }
                }
            }
        }
    }

    @Test func readsCapturesWithChunksAndWithoutALength() throws {
        let signer = try RequestSigner(provider: "github", secrets: ["s"])
        let body = Array("{}".utf8)
        let lines = signer.headers(body: body, type: "push", id: "d", timestamp: 0).map {
            "\($0.name): \($0.value)\r\n"
        }.joined()
        func verify(_ text: String) -> CapturedOutcome {
            VectorRunner.verify(provider: "github", secrets: ["s"], now: 0, rawRequest: Array(text.utf8))
        }
        #expect(
            isAccepted(
                verify("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\(lines)\r\n2\r\n{}\r\n0\r\n\r\n")))
        #expect(isAccepted(verify("POST / HTTP/1.1\r\nHost: h\r\n\(lines)\r\n{}")))
        guard
            case .unreadable("incomplete") = verify("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\(lines)\r\n{}")
        else {
            Issue.record("took a cut body")
            return
        }
        guard case .unreadable = verify("nonsense") else {
            Issue.record("took what is no request")
            return
        }
    }
}
