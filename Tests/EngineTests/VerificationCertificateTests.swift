// Certificates that are fetched: whose are taken, how often one is asked for, and what an answer must be like.
import Engine
import FastPath
import Foundation
import Synchronization
import Testing

@Suite struct VerificationCertificateTests {
    private static let now: UInt64 = 1_760_000_000

    /// Brings the same text each time and counts; nil for "cannot be had".
    private final class CountingFetcher: CertificateFetcher {
        private let text: String?
        private let asked = Mutex<[String]>([])
        init(_ text: String?) { self.text = text }
        var addresses: [String] { asked.withLock { $0 } }
        func certificates(host: String, path: String) -> [UInt8]? {
            asked.withLock { $0.append("https://\(host)\(path)") }
            return text.map { Array($0.utf8) }
        }
    }

    private static let trust = CertificateTrust(
        nameSuffixes: ["paypal.com"], checksChain: true,
        roots: Certificate.all(inPEM: VerificationFixtures.material("root")))

    /// A vector whose certificate comes from the fetcher.
    private func verdicts(
        _ fetcher: any CertificateFetcher, _ id: String = "paypal/valid", trust: CertificateTrust? = trust,
        secrets: [SourceSecret]? = nil, at times: [UInt64] = [now]
    ) throws -> [String] {
        let vector = try #require(VerificationFixtures.own.vectors.first { $0.id == id })
        let others = vector.secrets.filter { !$0.value.contains("BEGIN") }.map { SourceSecret($0.value) }
        let verifier = try NamedScheme.verifier(
            try #require(vector.named), secrets: secrets ?? others, fetcher: fetcher, trust: trust)
        return times.map { RequestParts(vector).verdict(verifier, now: $0) }
    }
    private func material(_ names: String...) -> String { names.map(VerificationFixtures.material).joined() }

    @Test func takesACertificateWithItsChain() throws {
        let fetcher = CountingFetcher(material("leaf", "middle"))
        #expect(try verdicts(fetcher) == ["accept"])
        #expect(
            fetcher.addresses == ["https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"])
    }

    @Test(arguments: [["leaf"], ["past", "middle"], ["otherName", "middle"], ["alone"], ["rsaPublic"], []])
    func refusesACertificateThatProvesNothing(names: [String]) throws {
        let fetcher = CountingFetcher(names.map(VerificationFixtures.material).joined())
        #expect(try verdicts(fetcher) == ["reject:untrusted_cert_url"])
    }

    @Test func refusesAChainToARootThatTheSystemDoesNotKnow() throws {
        #expect(
            try verdicts(CountingFetcher(material("leaf", "middle")), trust: nil) == ["reject:untrusted_cert_url"])
    }

    @Test func asksOnceAndKeepsWhatItGot() throws {
        let fetcher = CountingFetcher(material("leaf", "middle"))
        let start = VerificationCertificateTests.now
        let times = [start, start + 1, start + 86_399, start + 86_400]
        #expect(try verdicts(fetcher, at: times) == ["accept", "accept", "accept", "accept"])
        #expect(fetcher.addresses.count == 2)
    }

    @Test func waitsBeforeItAsksAgainForWhatFailed() throws {
        let fetcher = CountingFetcher(nil)
        let start = VerificationCertificateTests.now
        let verdicts = try verdicts(fetcher, at: [start, start + 59, start + 60])
        #expect(verdicts == ["undecided", "undecided", "undecided"])
        #expect(fetcher.addresses.count == 2)
    }

    @Test func asksForFewUnknownAddressesAMinute() throws {
        let fetcher = CountingFetcher(nil)
        let vector = try #require(VerificationFixtures.own.vectors.first { $0.id == "paypal/valid" })
        let verifier = try NamedScheme.verifier(.payPal, secrets: ["1JE4291016473214C"], fetcher: fetcher)
        for index in 0..<200 {
            var parts = RequestParts(vector)
            for place in parts.headers.indices where parts.headers[place].name == "PAYPAL-CERT-URL" {
                parts.headers[place].value += Array(String(index).utf8)
            }
            #expect(parts.verdict(verifier, now: vector.now) == "undecided")
        }
        #expect(fetcher.addresses.count == 20)
    }

    @Test func asksNobodyForACertificateElsewhere() throws {
        let fetcher = CountingFetcher(material("leaf", "middle"))
        #expect(try verdicts(fetcher, "paypal/certificate-elsewhere") == ["reject:untrusted_cert_url"])
        for vector in VerificationFixtures.own.vectors where vector.id.hasPrefix("aws-sns/certificate-elsewhere") {
            #expect(
                try verdicts(fetcher, vector.id, secrets: [SourceSecret(material("topic"))])
                    == ["reject:untrusted_cert_url"])
        }
        // Nor for a topic that is not the source's, whoever signed.
        let other: [SourceSecret] = ["arn:aws:sns:eu-west-1:210987654321:orders"]
        #expect(try verdicts(fetcher, "aws-sns/version-2", secrets: other) == ["reject:origin_not_allowed"])
        #expect(fetcher.addresses.isEmpty)
    }

    @Test func takesTheCertificateOfANotificationByItsName() throws {
        let topic: [SourceSecret] = [SourceSecret(material("topic"))]
        let good = CountingFetcher(material("sns"))
        #expect(try verdicts(good, "aws-sns/version-1", trust: nil, secrets: topic) == ["accept"])
        #expect(try verdicts(good, "aws-sns/confirmation", trust: nil, secrets: topic) == ["accept"])
        // The certificate's own address and nothing else: what the confirmation asks to visit is left alone.
        #expect(good.addresses.allSatisfy { $0.hasSuffix(".pem") })
        let other = CountingFetcher(material("otherName"))
        #expect(try verdicts(other, "aws-sns/version-2", trust: nil, secrets: topic) == ["reject:untrusted_cert_url"])
    }

    @Test func readsAnAnswerOfStatedLengthAlone() {
        func content(_ text: String) -> SecureFetch.Content { SecureFetch.content(of: Array(text.utf8)) }
        #expect(content("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab") == .complete([0x61, 0x62]))
        #expect(content("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na") == .incomplete)
        #expect(content("HTTP/1.1 200 OK\r\nContent-Le") == .incomplete)
        #expect(
            content("HTTP/1.1 302 Found\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n") == .failed)
        #expect(content("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") == .failed)
        #expect(content("HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n") == .failed)
        #expect(content("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab") == .failed)
        #expect(content("SSH-2.0-x\r\n\r\n") == .failed)
    }
}
