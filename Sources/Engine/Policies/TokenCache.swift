// The tokens of all clients. Passive: who asks the token endpoints is told here whom to ask, and says what came of it.
//
// Invariant: a client that wants nothing any more is forgotten when its token has ended; what is kept grows with the
// clients that were used since, never with their deliveries.

package struct TokenCache {
    /// A client whose requests began to fail, or succeed again.
    package struct Notice: Equatable, Sendable {
        package let credentials: ClientCredentials
        /// Nil: it has a token again.
        package let failure: TokenFailure?
    }
    private static let sweepCountMin = 64

    private var leases: [ClientCredentials: TokenLease] = [:]
    private var sweepCount = TokenCache.sweepCountMin
    /// Requests that are out.
    package private(set) var askedCount = 0
    package private(set) var figures = TokenFigures()
    package var notices: [Notice] = []

    package init() {}
    package var count: Int { leases.count }

    package mutating func look(
        _ credentials: ClientCredentials, now: UInt64
    ) -> (answer: TokenLease.Answer, asks: Bool) {
        if leases[credentials] == nil, leases.count >= sweepCount { sweep(now: now) }
        let look = leases[credentials, default: TokenLease()].look(now: now)
        if look.asks { askedCount += 1 }
        return look
    }
    /// As it is, without asking for another.
    package func token(of credentials: ClientCredentials) -> AccessToken? { leases[credentials]?.token }
    package func failure(of credentials: ClientCredentials) -> TokenFailure? { leases[credentials]?.failure }

    package mutating func took(
        _ result: Result<GrantedToken, TokenFailure>, for credentials: ClientCredentials, now: UInt64
    ) {
        askedCount -= 1
        let before = leases[credentials]?.failureCount ?? 0
        switch result {
        case .success(let granted):
            figures.granted += 1
            leases[credentials, default: TokenLease()].granted(
                AccessToken(granted.text), lifetimeMillis: granted.lifetimeMillis, now: now)
            if before > 0 { notices.append(Notice(credentials: credentials, failure: nil)) }
        case .failure(let failure):
            figures.failures[Int(failure.fault.rawValue)] += 1
            leases[credentials, default: TokenLease()].failed(failure, now: now)
            if before == 0 { notices.append(Notice(credentials: credentials, failure: failure)) }
        }
    }
    package mutating func refused(_ token: AccessToken, of credentials: ClientCredentials, now: UInt64) -> Bool {
        guard leases[credentials, default: TokenLease()].refused(token, now: now) else { return false }
        figures.refused += 1
        return true
    }
    package mutating func succeed(_ old: ClientCredentials, by new: ClientCredentials, now: UInt64) {
        guard let lease = leases[old], new.succeeds(old) else { return }
        leases[new, default: TokenLease()].succeed(lease, now: now)
    }
    /// O(all), once for as many new ones as there were.
    private mutating func sweep(now: UInt64) {
        leases = leases.filter { !$0.value.isAtRest(now: now) }
        sweepCount = max(TokenCache.sweepCountMin, 2 * leases.count)
    }
}

/// Counts since the start.
package struct TokenFigures: Equatable, Sendable {
    package var granted: UInt64 = 0
    /// Tokens, or deliveries with one, that an endpoint has answered 401, where another token was to help.
    package var refused: UInt64 = 0
    /// `AccessTokenFault.rawValue` is the index; 0 is unused.
    package var failures = [UInt64](repeating: 0, count: AccessTokenFault.allCases.count + 1)
    package init() {}
}
