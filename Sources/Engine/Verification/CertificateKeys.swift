// Where the certificates of SNS and PayPal come from: given by the operator, or fetched once and kept. A fetched one is
// taken only when it proves itself; a request never chooses a host (PinnedURL) and never waits twice for one.
//
// Invariants: at most `countMax` addresses are kept; one fetch at a time, so a flood of unknown addresses holds at most
// one worker thread; a failed address is not tried again for `failureSeconds`; at most `fetchesPerMinute` fetches. What
// asks meanwhile is answered "undecided", and the sender comes again.

import FastPath
import Synchronization

package enum CertificateAnswer: Sendable {
    /// Any may match.
    case keys([PublicKey])
    /// What is at the address is not the provider's.
    case untrusted
    /// It cannot be had now.
    case unavailable
}

protocol CertificateSource: Sendable {
    func keys(at url: PinnedURL, nowSeconds: UInt64) -> CertificateAnswer
}

/// Given with the configuration: trusted as they are, whatever their dates say, as the operator's choice.
struct GivenCertificates: CertificateSource {
    let keys: [TimedKey<PublicKey>]
    func keys(at url: PinnedURL, nowSeconds: UInt64) -> CertificateAnswer { .keys(keys.usable(at: nowSeconds)) }
}

/// Brings what is at an address, as PEM; nil when it cannot be had. Blocks.
package protocol CertificateFetcher: Sendable {
    func certificates(host: String, path: String) -> [UInt8]?
}

package struct SecureFetcher: CertificateFetcher {
    package init() {}
    package func certificates(host: String, path: String) -> [UInt8]? { SecureFetch.get(host: host, path: path) }
}

/// When a fetched certificate is the provider's.
package struct CertificateTrust: Sendable {
    /// One of the certificate's names is this or ends with it, a dot before.
    package let nameSuffixes: [String]
    /// True when its chain must lead to a root. SNS shows the leaf alone: there the connection's own certificate and
    /// the name say whose it is.
    package let checksChain: Bool
    /// Nil: the system's.
    package let roots: [Certificate]?

    package init(nameSuffixes: [String], checksChain: Bool, roots: [Certificate]? = nil) {
        self.nameSuffixes = nameSuffixes
        self.checksChain = checksChain
        self.roots = roots
    }
    package static let notificationService = CertificateTrust(
        nameSuffixes: ["amazonaws.com", "amazonaws.com.cn"], checksChain: false)
    package static let payPal = CertificateTrust(nameSuffixes: ["paypal.com"], checksChain: true)

    func accepts(_ certificates: [Certificate], nowSeconds: UInt64) -> Bool {
        guard let leaf = certificates.first, leaf.isValid(atSeconds: nowSeconds) else { return false }
        let isNamed = leaf.names.contains { name in
            nameSuffixes.contains { name == $0 || name.hasSuffix("." + $0) }
        }
        guard isNamed else { return false }
        guard checksChain else { return true }
        return leaf.isTrusted(between: Array(certificates.dropFirst()), roots: roots, atSeconds: nowSeconds)
    }
}

package final class CertificateCache: CertificateSource {
    private struct Entry {
        /// Nil: the fetch failed or what came is not trusted.
        let answer: CertificateAnswer
        let untilSeconds: UInt64
        let leaf: Certificate?
    }
    private struct State {
        var entries: [PinnedURL: Entry] = [:]
        var isFetching = false
        var minute: UInt64 = 0
        var fetchesInMinute = 0
    }
    static let countMax = 64
    static let keptSeconds: UInt64 = 86_400
    static let failureSeconds: UInt64 = 60
    static let fetchesPerMinute = 20

    private let fetcher: any CertificateFetcher
    private let trust: CertificateTrust
    private let state = Mutex(State())

    package init(fetcher: any CertificateFetcher = SecureFetcher(), trust: CertificateTrust) {
        self.fetcher = fetcher
        self.trust = trust
    }

    func keys(at url: PinnedURL, nowSeconds: UInt64) -> CertificateAnswer {
        let known = state.withLock { state -> CertificateAnswer? in
            if let entry = state.entries[url], nowSeconds < entry.untilSeconds,
                entry.leaf?.isValid(atSeconds: nowSeconds) ?? true
            {
                return entry.answer
            }
            if state.minute != nowSeconds / 60 {
                state.minute = nowSeconds / 60
                state.fetchesInMinute = 0
            }
            guard !state.isFetching, state.fetchesInMinute < CertificateCache.fetchesPerMinute else {
                return .unavailable
            }
            state.isFetching = true
            state.fetchesInMinute += 1
            return nil
        }
        if let known { return known }
        let entry = fetch(url, nowSeconds)
        state.withLock { state in
            state.isFetching = false
            if state.entries.count >= CertificateCache.countMax, state.entries[url] == nil {
                // What failed goes before what serves, and of these the oldest.
                let oldest = state.entries.min {
                    ($0.value.leaf == nil ? 0 : 1, $0.value.untilSeconds)
                        < ($1.value.leaf == nil ? 0 : 1, $1.value.untilSeconds)
                }
                if let oldest { state.entries[oldest.key] = nil }
            }
            state.entries[url] = entry
        }
        return entry.answer
    }

    private func fetch(_ url: PinnedURL, _ nowSeconds: UInt64) -> Entry {
        func failed(_ answer: CertificateAnswer) -> Entry {
            Entry(answer: answer, untilSeconds: nowSeconds + CertificateCache.failureSeconds, leaf: nil)
        }
        guard let text = fetcher.certificates(host: url.host, path: url.path) else { return failed(.unavailable) }
        let certificates = Certificate.all(inPEM: String(decoding: text, as: UTF8.self))
        guard trust.accepts(certificates, nowSeconds: nowSeconds), let leaf = certificates.first,
            let key = try? leaf.publicKey(for: .rsaSHA256)
        else { return failed(.untrusted) }
        return Entry(answer: .keys([key]), untilSeconds: nowSeconds + CertificateCache.keptSeconds, leaf: leaf)
    }
}
