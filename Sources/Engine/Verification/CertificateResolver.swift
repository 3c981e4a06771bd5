// Where the verifiers of a process get fetched certificates: one cache a provider, shared by all of its sources and
// kept over reloads, and what is done for a certificate that is not here.
//
// Invariant: a resolver of another mode has the same caches, so that what one has fetched serves all.

import FastPath

package struct CertificateResolver: Sendable {
    private let notificationService: CertificateCache
    private let payPal: CertificateCache
    private let mode: CertificateFetchMode

    /// `trust` says when a certificate is good, instead of each provider's own rule: for tests.
    package init(
        fetcher: any CertificateFetcher = SecureFetcher(), trust: CertificateTrust? = nil, mode: CertificateFetchMode
    ) {
        notificationService = CertificateCache(fetcher: fetcher, trust: trust ?? .notificationService)
        payPal = CertificateCache(fetcher: fetcher, trust: trust ?? .payPal)
        self.mode = mode
    }
    private init(_ other: CertificateResolver, _ mode: CertificateFetchMode) {
        notificationService = other.notificationService
        payPal = other.payPal
        self.mode = mode
    }
    package func with(_ mode: CertificateFetchMode) -> CertificateResolver { CertificateResolver(self, mode) }

    /// For whoever may wait for the network: commands, and a request that is verified again.
    package static let waiting = CertificateResolver(mode: .blocking)

    enum Provider { case notificationService, payPal }
    func source(_ provider: Provider) -> any CertificateSource {
        switch provider {
        case .notificationService: FetchedCertificates(cache: notificationService, mode: mode)
        case .payPal: FetchedCertificates(cache: payPal, mode: mode)
        }
    }

    package func open() {
        notificationService.open()
        payPal.open()
    }
    /// Nothing is fetched from now on.
    package func close() {
        notificationService.close()
        payPal.close()
    }
    /// After `close`: waits for the threads that fetch, each no longer than that.
    package func join(withinMillis: Int) {
        notificationService.join(withinMillis: withinMillis)
        payPal.join(withinMillis: withinMillis)
    }
}

private struct FetchedCertificates: CertificateSource {
    let cache: CertificateCache
    let mode: CertificateFetchMode
    func keys(at url: PinnedURL, nowSeconds: UInt64) -> CertificateLookup {
        cache.keys(at: url, nowSeconds: nowSeconds, mode)
    }
}
