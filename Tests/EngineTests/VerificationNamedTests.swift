// The verifiers that are code, by vectors and by mutation: each byte of what is signed is changed, and nothing changed
// is accepted.
import Engine
import FastPath
import Foundation
import TestSupport
import Testing

@Suite struct VerificationNamedTests {
    private static let schemes = [
        "aws-sns", "paypal", "jira-connect", "adyen-item", "hubspot-v1", "hubspot-v2",
    ]
    /// Two vectors differ from their provider's own files by name: what both have is run by scheme.
    private static let sharedFiles = ["aws-sns", "paypal", "jira-connect", "adyen", "hubspot"]

    @Test(arguments: schemes) func agreesWithOurOwnVectors(scheme: String) throws {
        let vectors = VerificationFixtures.own.vectors.filter { $0.scheme == scheme }
        #expect(vectors.contains { $0.expect == "accept" })
        #expect(vectors.contains { $0.expect != "accept" })
        for vector in vectors {
            let verifier = try #require(try vector.namedVerifier())
            let verdict = RequestParts(vector).verdict(verifier, now: vector.now)
            #expect(verdict == vector.expect, "\(vector.id)")
        }
    }

    @Test(.enabled(if: VerificationFixtures.shared("aws-sns") != nil), arguments: sharedFiles)
    func agreesWithTheSharedVectors(file: String) throws {
        var count = 0
        for vector in try #require(VerificationFixtures.shared(file)) where vector.kind != "sign" {
            if let wanted = vector.expect_qsh {
                let parts = RequestParts(vector)
                let halves = String(decoding: parts.target, as: UTF8.self).split(separator: "?", maxSplits: 1)
                let hash = QueryHash.hash(
                    method: vector.method, path: String(halves[0]), query: halves.count > 1 ? String(halves[1]) : "")
                #expect(hash == wanted, "\(vector.id)")
                count += 1
            } else if let verifier = try vector.namedVerifier() {
                let verdict = RequestParts(vector).verdict(verifier, now: vector.now)
                #expect(vector.matches(verdict), "\(vector.id): \(verdict), expected \(vector.expect)")
                count += 1
            }
        }
        #expect(count >= 3)
    }

    private static let masks: [UInt8] = [0x01, 0x20, 0x80, 0xFF]

    /// The decoded values that a JSON body's signature covers, and the signature itself.
    private func signedValues(_ body: [UInt8], _ scheme: String) -> [String]? {
        guard let object = try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any] else { return nil }
        func text(_ value: Any?) -> String { value.map { "\($0)" } ?? "" }
        if scheme == "aws-sns" {
            let names = [
                "Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "Token", "SubscribeURL",
                "Signature", "SignatureVersion",
            ]
            return names.map { text(object[$0]) }
        }
        let items = object["notificationItems"] as? [[String: Any]] ?? []
        return items.flatMap { item -> [String] in
            let one = item["NotificationRequestItem"] as? [String: Any] ?? [:]
            let amount = one["amount"] as? [String: Any] ?? [:]
            let names = [
                "pspReference", "originalReference", "merchantAccountCode", "merchantReference", "eventCode",
                "success",
            ]
            let signature = (one["additionalData"] as? [String: Any])?["hmacSignature"]
            return names.map { text(one[$0]) } + [text(amount["value"]), text(amount["currency"]), text(signature)]
        }
    }

    @Test(arguments: schemes) func acceptsNoChangedBody(scheme: String) throws {
        for vector in VerificationFixtures.own.vectors
        where vector.scheme == scheme && vector.expect == "accept" && scheme != "jira-connect" {
            let verifier = try #require(try vector.namedVerifier())
            let original = RequestParts(vector)
            let isJSON = scheme == "aws-sns" || scheme == "adyen-item"
            for index in original.body.indices {
                for mask in VerificationNamedTests.masks {
                    var parts = original
                    parts.body[index] ^= mask
                    guard parts.verdict(verifier, now: vector.now) == "accept" else { continue }
                    // What no signature covers may change; what one covers must read the same.
                    let before = signedValues(original.body, scheme)
                    let reads = isJSON && before != nil && signedValues(parts.body, scheme) == before
                    #expect(reads, "\(vector.id) \(index)")
                }
            }
        }
    }

    /// Headers of which each byte is signed or is the signature; by scheme, with what is skipped at the front.
    private static let signedHeaders: [String: [String: Int]] = [
        "paypal": ["paypal-transmission-id": 0, "paypal-transmission-time": 0, "paypal-transmission-sig": 0],
        "jira-connect": ["authorization": 4], "hubspot-v1": ["x-hubspot-signature": 0],
        "hubspot-v2": ["x-hubspot-signature": 0, "x-hubspot-signature-version": 0],
    ]

    @Test(arguments: signedHeaders.keys.sorted()) func acceptsNoChangedHeader(scheme: String) throws {
        let signed = try #require(VerificationNamedTests.signedHeaders[scheme])
        var count = 0
        for vector in VerificationFixtures.own.vectors where vector.scheme == scheme && vector.expect == "accept" {
            let verifier = try #require(try vector.namedVerifier())
            let original = RequestParts(vector)
            for (place, header) in original.headers.enumerated() {
                guard let start = signed[header.name.lowercased()] else { continue }
                let caseless = RequestMutations.caselessDigits(header.value)
                for index in header.value.indices.dropFirst(start) {
                    for mask in VerificationNamedTests.masks where !(mask == 0x20 && caseless.contains(index)) {
                        var parts = original
                        parts.headers[place].value[index] ^= mask
                        #expect(parts.verdict(verifier, now: vector.now) != "accept", "\(vector.id) \(index)")
                        count += 1
                    }
                }
                var doubled = original
                doubled.headers.insert(header, at: place)
                #expect(doubled.verdict(verifier, now: vector.now) == "reject:duplicate_header")
                var dropped = original
                dropped.headers.remove(at: place)
                #expect(dropped.verdict(verifier, now: vector.now) != "accept")
                var recased = original
                recased.headers[place].name = header.name.uppercased()
                recased.headers[place].value = [0x20, 0x09] + header.value + [0x20]
                #expect(recased.verdict(verifier, now: vector.now) == "accept")
            }
        }
        #expect(count > 0)
    }

    @Test(arguments: ["jira-connect", "hubspot-v2"]) func acceptsNoChangedTarget(scheme: String) throws {
        for vector in VerificationFixtures.own.vectors where vector.scheme == scheme && vector.expect == "accept" {
            let verifier = try #require(try vector.namedVerifier())
            let original = RequestParts(vector)
            // What the hash leaves out by its rule may change.
            let end = String(decoding: original.target, as: UTF8.self).components(separatedBy: "&jwt=")[0].utf8.count
            for index in original.target.indices.prefix(end) {
                for mask in VerificationNamedTests.masks {
                    var parts = original
                    parts.target[index] ^= mask
                    #expect(parts.verdict(verifier, now: vector.now) != "accept", "\(vector.id) \(index)")
                }
            }
        }
    }

    @Test func takesTheHashRelativeToTheBaseOfTheApp() throws {
        let vector = try #require(VerificationFixtures.own.vectors.first { $0.id == "jira-connect/valid" })
        var parts = RequestParts(vector)
        parts.target = Array("/base".utf8) + parts.target
        let secrets = vector.secrets.map { SourceSecret($0.value) }
        let bare = try NamedScheme.verifier(.jiraConnect, secrets: secrets)
        let based = try NamedScheme.verifier(
            .jiraConnect, secrets: secrets, parameters: NamedSchemeParameters(basePath: "/base"))
        #expect(parts.verdict(bare, now: vector.now) == "reject:signature_mismatch")
        #expect(parts.verdict(based, now: vector.now) == "accept")
        parts.target = Array("/based".utf8) + Array("/in/jira-connect".utf8)
        #expect(parts.verdict(based, now: vector.now) == "reject:signature_mismatch")
    }

    @Test(arguments: schemes) func takesASecretInItsWindowOnly(scheme: String) throws {
        let vector = try #require(
            VerificationFixtures.own.vectors.first { $0.scheme == scheme && $0.expect == "accept" })
        let scheme = try #require(vector.named)
        func verdict(_ notBefore: UInt64?, _ notAfter: UInt64?) throws -> String {
            let secrets = vector.secrets.map { SourceSecret($0.value, notBefore: notBefore, notAfter: notAfter) }
            let verifier = try NamedScheme.verifier(scheme, secrets: secrets, fetcher: NoFetcher())
            return RequestParts(vector).verdict(verifier, now: vector.now)
        }
        #expect(try verdict(vector.now, vector.now) == "accept")
        #expect(try verdict(vector.now + 1, nil) == "reject:signature_mismatch")
        #expect(try verdict(nil, vector.now - 1) == "reject:signature_mismatch")
    }

    @Test func saysWhichSecretIsNone() throws {
        func error(_ scheme: NamedScheme, _ secrets: [SourceSecret]) -> SchemeError? {
            do throws(SchemeError) {
                _ = try NamedScheme.verifier(scheme, secrets: secrets, fetcher: NoFetcher())
                return nil
            } catch { return error }
        }
        for scheme in NamedScheme.allCases {
            #expect(error(scheme, []) == .noSecret)
            #expect(error(scheme, [""]) == .emptySecret(index: 0))
        }
        let bad: [(NamedScheme, [SourceSecret], Int)] = [
            (.adyenItem, ["0a", "xyz-secret"], 1), (.notificationService, ["arn:aws:sqs:a:1:xyz-secret"], 0),
            (.notificationService, ["-----BEGIN CERTIFICATE-----\nxyz-secret\n-----END CERTIFICATE-----"], 0),
            (.payPal, ["a", "xyz secret"], 1),
        ]
        for (scheme, secrets, place) in bad {
            guard case .badSecret(let index, let wanted) = error(scheme, secrets) else {
                Issue.record("\(scheme) takes what is no secret")
                continue
            }
            #expect(index == place)
            #expect(!wanted.isEmpty && !wanted.contains("xyz"))
        }
        // A certificate alone says nothing of whose webhook it is.
        let certificate = SourceSecret(VerificationFixtures.material("leaf"))
        #expect(error(.payPal, [certificate]) == .noSecret)
    }
}
