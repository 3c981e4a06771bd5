// Fetched certificates under attack: whoever invents addresses must not hold a verifier's thread, grow anything, or
// take away a certificate that is known.
import Engine
import FastPath
import Foundation
import Synchronization
import Testing

@Suite struct VerificationResolverTests {
    private static let now: UInt64 = 1_760_000_000
    private static let known = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"
    private static let trust = CertificateTrust(
        nameSuffixes: ["paypal.com"], checksChain: true,
        roots: Certificate.all(inPEM: VerificationFixtures.material("root")))
    private static let good = VerificationFixtures.material("leaf") + VerificationFixtures.material("middle")

    /// Brings the good certificate or nothing, at once or when it is told to.
    private final class HeldFetcher: CertificateFetcher {
        private struct State {
            var isHeld = false
            var isBroken = false
            var asked: [String] = []
        }
        private let state = Mutex(State())

        var asked: [String] { state.withLock { $0.asked } }
        func set(isHeld: Bool? = nil, isBroken: Bool? = nil) {
            state.withLock { state in
                state.isHeld = isHeld ?? state.isHeld
                state.isBroken = isBroken ?? state.isBroken
            }
        }
        func certificates(host: String, path: String) -> [UInt8]? {
            let url = "https://\(host)\(path)"
            state.withLock { $0.asked.append(url) }
            while state.withLock({ $0.isHeld }) { Thread.sleep(forTimeInterval: 0.001) }
            let isGood = url == VerificationResolverTests.known && !state.withLock { $0.isBroken }
            return isGood ? Array(VerificationResolverTests.good.utf8) : nil
        }
    }
    private let fetcher = HeldFetcher()
    private let resolver: CertificateResolver
    private let vector: VerificationVector

    init() throws {
        resolver = CertificateResolver(fetcher: fetcher, trust: VerificationResolverTests.trust, mode: .background)
        vector = try #require(VerificationFixtures.own.vectors.first { $0.id == "paypal/valid" })
    }

    private func verifier(_ resolver: CertificateResolver) throws -> any RequestVerifier {
        try NamedScheme.verifier(.payPal, secrets: ["1JE4291016473214C"], certificates: resolver)
    }
    /// The good request, or one that names an invented address.
    private func verdict(_ verifier: any RequestVerifier, invented: Int? = nil, at now: UInt64 = now) -> String {
        var parts = RequestParts(vector)
        for place in parts.headers.indices where parts.headers[place].name == "PAYPAL-CERT-URL" {
            if let invented { parts.headers[place].value += Array("-\(invented)".utf8) }
        }
        return parts.verdict(verifier, now: now)
    }
    private func becomes(_ wanted: String, _ verdict: () -> String) -> Bool {
        for _ in 0..<10_000 {
            if verdict() == wanted { return true }
            Thread.sleep(forTimeInterval: 0.001)
        }
        return false
    }

    @Test func aVerifierDoesNotWaitForTheNetwork() throws {
        fetcher.set(isHeld: true)
        let verifier = try verifier(resolver)
        // Each would wait forever here.
        for _ in 0..<100 { #expect(verdict(verifier) == "undecided") }
        fetcher.set(isHeld: false)
        #expect(becomes("accept") { verdict(verifier) })
        #expect(fetcher.asked == [VerificationResolverTests.known])
    }

    @Test func whatIsWantedIsBoundedAndTheKnownComesFirst() throws {
        #expect(verdict(try verifier(resolver.with(.blocking))) == "accept")
        fetcher.set(isHeld: true)
        let verifier = try verifier(resolver)
        let later = VerificationResolverTests.now + 86_400
        for number in 0..<500 {
            #expect(verdict(verifier, invented: number, at: later) == "undecided")
            // The first is under way before the others are wanted.
            if number == 0 { #expect(becomes("2") { "\(fetcher.asked.count)" }) }
        }
        // Known, and served while it is fetched again.
        #expect(verdict(verifier, at: later) == "accept")
        fetcher.set(isHeld: false)
        resolver.join(withinMillis: 10_000)
        let asked = fetcher.asked
        #expect(asked.count <= 2 + 1 + 16 && asked.count > 3)
        #expect(asked.dropFirst(2).first == VerificationResolverTests.known)
        #expect(asked.filter { $0 == VerificationResolverTests.known }.count == 2)
    }

    @Test func aKnownCertificateServesWhileItIsValid() throws {
        let verifier = try verifier(resolver.with(.blocking))
        let start = VerificationResolverTests.now
        #expect(verdict(verifier) == "accept")
        let later = start + 86_400
        // The minute's fetches are used up, and the provider cannot be reached.
        fetcher.set(isBroken: true)
        for number in 0..<100 { #expect(verdict(verifier, invented: number, at: later) == "undecided") }
        #expect(fetcher.asked.count == 21)
        #expect(verdict(verifier, at: later) == "accept")
        #expect(fetcher.asked.count == 22 && fetcher.asked.last == VerificationResolverTests.known)
        #expect(verdict(verifier, at: later + 59) == "accept")
        #expect(fetcher.asked.count == 22)
        #expect(verdict(verifier, at: later + 60) == "accept")
        #expect(fetcher.asked.count == 23)
        // The certificate ends with the year 2039.
        #expect(verdict(verifier, at: 2_300_000_000) == "undecided")
        fetcher.set(isBroken: false)
        #expect(verdict(verifier, at: later + 200) == "accept")
    }

    @Test func allSourcesShareWhatIsFetched() throws {
        #expect(verdict(try verifier(resolver.with(.blocking))) == "accept")
        #expect(verdict(try verifier(resolver.with(.blocking))) == "accept")
        #expect(verdict(try verifier(resolver)) == "accept")
        #expect(fetcher.asked.count == 1)
    }

    @Test func aLookFetchesNothing() throws {
        let looking = try verifier(resolver.with(.cachedOnly))
        #expect(verdict(looking) == "undecided")
        #expect(fetcher.asked.isEmpty)
        #expect(verdict(try verifier(resolver.with(.blocking))) == "accept")
        #expect(verdict(looking) == "accept")
        #expect(verdict(looking, at: VerificationResolverTests.now + 86_400) == "accept")
        #expect(fetcher.asked.count == 1)
    }

    @Test func aClosedResolverFetchesNothing() throws {
        let verifier = try verifier(resolver)
        resolver.close()
        #expect(verdict(verifier) == "undecided")
        resolver.join(withinMillis: 100)
        #expect(fetcher.asked.isEmpty)
        resolver.open()
        #expect(becomes("accept") { verdict(verifier) })
        resolver.close()
        resolver.join(withinMillis: 10_000)
        #expect(verdict(verifier) == "accept")
    }
}
