// The access token of one client: when it is asked for, how long it is used, what follows a refusal or a failure.
// Passive: the time comes in, decisions go out.
//
// Invariants: at most one request is out; an idle client asks for nothing; after a failure nothing is asked before its
// wait is over, a token that is still good is used meanwhile; an endpoint that refuses every token brings one request a
// minute, not one a delivery.

package struct TokenLease {
    package enum Answer {
        case token(AccessToken)
        /// An answer is on its way.
        case pending
        /// Nothing is asked before a time.
        case failed(TokenFailure)
    }
    /// Nobody's clock is that exact.
    private static let marginNanosMax: UInt64 = 30_000_000_000
    private static let waitNanosMin: UInt64 = 1_000_000_000
    private static let waitNanosMax: UInt64 = 60_000_000_000
    /// A `Retry-After` is heeded up to this.
    private static let retryAfterSecondsMax = 300
    private static let refusalNanos: UInt64 = 60_000_000_000

    package private(set) var token: AccessToken?
    package private(set) var failure: TokenFailure?
    /// From then on another one is asked for, should somebody want it.
    private var renewsAt: UInt64 = 0
    /// From then on it is not used.
    private var endsAt: UInt64 = 0
    package private(set) var isAsked = false
    package private(set) var failureCount = 0
    private var asksAgainAt: UInt64 = 0
    /// When a 401 last ended a token; nil: none has.
    private var refusedAt: UInt64?

    package init() {}

    /// Somebody has something to send. `asks`: a request is to be made now.
    package mutating func look(now: UInt64) -> (answer: Answer, asks: Bool) {
        let mayAsk = !isAsked && now >= asksAgainAt
        if let token, now < endsAt {
            let asks = mayAsk && now >= renewsAt
            if asks { isAsked = true }
            return (.token(token), asks)
        }
        token = nil
        if isAsked { return (.pending, false) }
        if let failure, !mayAsk { return (.failed(failure), false) }
        isAsked = true
        return (.pending, true)
    }
    package mutating func granted(_ token: AccessToken, lifetimeMillis: Int, now: UInt64) {
        let lifetime = UInt64(max(0, lifetimeMillis)) * 1_000_000
        self.token = token
        endsAt = now + lifetime - min(TokenLease.marginNanosMax, lifetime / 10)
        renewsAt = now + lifetime / 4 * 3
        failure = nil
        failureCount = 0
        asksAgainAt = 0
        isAsked = false
    }
    package mutating func failed(_ failure: TokenFailure, now: UInt64) {
        self.failure = failure
        failureCount += 1
        isAsked = false
        let wait = min(TokenLease.waitNanosMin << UInt64(min(failureCount - 1, 6)), TokenLease.waitNanosMax)
        let asked = UInt64(max(0, min(failure.retryAfterSeconds ?? 0, TokenLease.retryAfterSecondsMax)))
        asksAgainAt = now + max(wait, asked * 1_000_000_000)
    }
    /// The endpoint has said 401 to a delivery with `token`. True when the delivery is to be sent again, with another.
    package mutating func refused(_ token: AccessToken, now: UInt64) -> Bool {
        // It has been replaced already, or will be.
        guard self.token === token else { return true }
        if let refusedAt, now - refusedAt < TokenLease.refusalNanos { return false }
        refusedAt = now
        self.token = nil
        return true
    }
    /// The client's secret was changed: the token that the old one brought serves until there is one of the new.
    package mutating func succeed(_ old: TokenLease, now: UInt64) {
        guard token == nil, let inherited = old.token, now < old.endsAt else { return }
        token = inherited
        endsAt = old.endsAt
        renewsAt = now
        refusedAt = old.refusedAt
    }
    /// True exactly when nothing would be lost with it.
    package func isAtRest(now: UInt64) -> Bool {
        guard !isAsked, now >= asksAgainAt else { return false }
        if let refusedAt, now - refusedAt < TokenLease.refusalNanos { return false }
        return token == nil || now >= endsAt
    }
}
