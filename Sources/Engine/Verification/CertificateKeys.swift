// What a certificate of SNS or PayPal is to a verifier: keys that may match, given by the operator or fetched, and when
// a fetched one is the provider's. A fetched one is taken only when it proves itself; a request never chooses a host or
// a path (PinnedURL).

import FastPath

package enum CertificateLookup: Sendable {
    /// Any may match.
    case keys([PublicKey])
    /// What is at the address is not the provider's.
    case untrusted
    /// It cannot be had now.
    case unavailable
}

protocol CertificateSource: Sendable {
    func keys(at url: PinnedURL, nowSeconds: UInt64) -> CertificateLookup
}

/// Given with the configuration: trusted as they are, whatever their dates say, as the operator's choice.
struct GivenCertificates: CertificateSource {
    let keys: [TimedKey<PublicKey>]
    func keys(at url: PinnedURL, nowSeconds: UInt64) -> CertificateLookup { .keys(keys.usable(at: nowSeconds)) }
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
