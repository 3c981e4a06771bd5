// Where the verifiers of a process get fetched certificates: one cache a provider, shared by all of its sources and
// kept over reloads, and what is done for a certificate that is not here.
//
// Invariant: a desk of another manner has the same caches, so that what one has fetched serves all.

import FastPath

package struct CertificateDesk: Sendable {
    private let notificationService: CertificateCache
    private let payPal: CertificateCache
    private let manner: CertificateManner

    /// `trust` says when a certificate is good, instead of each provider's own rule: for tests.
    package init(
        fetcher: any CertificateFetcher = SecureFetcher(), trust: CertificateTrust? = nil, manner: CertificateManner
    ) {
        notificationService = CertificateCache(fetcher: fetcher, trust: trust ?? .notificationService)
        payPal = CertificateCache(fetcher: fetcher, trust: trust ?? .payPal)
        self.manner = manner
    }
    private init(_ other: CertificateDesk, _ manner: CertificateManner) {
        notificationService = other.notificationService
        payPal = other.payPal
        self.manner = manner
    }
    package func with(_ manner: CertificateManner) -> CertificateDesk { CertificateDesk(self, manner) }

    /// For whoever may wait for the network: commands, and a request that is verified again.
    package static let waiting = CertificateDesk(manner: .waits)

    enum Provider { case notificationService, payPal }
    func source(_ provider: Provider) -> any CertificateSource {
        switch provider {
        case .notificationService: FetchedCertificates(cache: notificationService, manner: manner)
        case .payPal: FetchedCertificates(cache: payPal, manner: manner)
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
    let manner: CertificateManner
    func keys(at url: PinnedURL, nowSeconds: UInt64) -> CertificateAnswer {
        cache.keys(at: url, nowSeconds: nowSeconds, manner)
    }
}
