// The policies of one endpoint's lane, compiled: what it goes by and what it remembers for that. Most endpoints have
// none, and cost a look at a nil pointer.
//
// Invariant: what a lane remembers lives no longer than it means something: `isAtRest` says when it can be dropped.

import FastPath

/// What a lane goes by beyond concurrency, time-outs and delays; immutable.
package final class LanePolicies: Sendable {
    package static let deadlineRange = 1000...366 * 86_400_000
    package static let delayRange = 1...30 * 86_400_000
    package static let disableAfterRange = 60_000...366 * 86_400_000

    package let breaker: BreakerSettings?
    package let triggers: BreakerTriggers
    package let schedule: RetrySchedule?
    package let retryBudget: Double?
    /// Between two deliveries, and how many at once.
    package let rate: (intervalNanos: UInt64, burst: Int)?
    package let concurrency: AdaptiveSettings?
    package let deadlineMillis: Int64?
    package let delayMillis: Int64?
    package let shadow: ShadowSettings?
    package let disableAfterMillis: Int64?
    package let errors: ErrorTable?
    /// Its key is the lane's order.
    package let coalesce: CoalesceSettings?
    package let batch: BatchSettings?
    /// For whom access tokens are asked; nil = deliveries need none.
    package let credentials: ClientCredentials?

    /// Nil when the endpoint has none of them.
    package init?(_ policies: EndpointPolicies, credentials: ClientCredentials? = nil) {
        guard policies.hasLanePolicies || credentials != nil else { return nil }
        self.credentials = credentials
        breaker = policies.breaker
        triggers = BreakerTriggers(policies.breaker?.on ?? [])
        schedule = policies.retry?.schedule
        retryBudget = policies.retry?.budget
        rate = policies.rate.flatMap { rate in rate.intervalNanos.map { ($0, rate.burst) } }
        concurrency = policies.concurrency
        deadlineMillis = policies.deadlineMillis.map { Int64($0) }
        delayMillis = policies.delayMillis.map { Int64($0) }
        shadow = policies.shadow
        disableAfterMillis = policies.disableAfterMillis.map { Int64($0) }
        errors = policies.errors.map { ErrorTable($0) }
        coalesce = policies.coalesce
        batch = policies.batch
    }
}

extension EndpointPolicies {
    var hasLanePolicies: Bool {
        breaker != nil || retry != nil || rate != nil || concurrency != nil || deadlineMillis != nil
            || delayMillis != nil || shadow != nil || disableAfterMillis != nil
            || errors != nil || coalesce != nil || batch != nil
    }
}

/// What a lane with policies remembers while it has something to do.
package final class LaneMemory {
    package var breaker = CircuitBreaker()
    package var bucket = TokenBucket()
    /// Made with the first attempt that counts.
    package var budget: RetryBudget?
    package var concurrency: AdaptiveConcurrency?
    package init() {}

    /// True exactly when nothing would be lost with it.
    package func isAtRest(now: UInt64) -> Bool {
        breaker.isAtRest(now: now) && bucket.isFull(now: now) && budget?.isFull(now: now) ?? true
            && concurrency?.isForgotten(now: now) ?? true
    }
    /// Its endpoint goes by other settings. What was found out under those that have changed is forgotten; the rest
    /// holds on, so that no change of something else refills a budget or forgives failures.
    package func settingsChanged(from old: EndpointPolicies, to new: EndpointPolicies) {
        if new.breaker != old.breaker { breaker = CircuitBreaker() }
        if new.rate != old.rate { bucket = TokenBucket() }
        if new.retry?.budget != old.retry?.budget { budget = nil }
        if new.concurrency != old.concurrency { concurrency = nil }
    }
    /// When time alone will have brought it to rest; nil when something else must happen.
    package var restsAt: UInt64? {
        guard breaker.failuresInRow == 0, breaker.probesSucceeded == 0 else { return nil }
        return max(breaker.windowEnd, bucket.idleAt, budget?.idleAt ?? 0, concurrency?.idleAt ?? 0)
    }
}

/// What policies did, for metrics: one counter each.
package enum PolicyEvent: Int, CaseIterable, Sendable {
    case breakerOpened, breakerProbed, breakerClosed, rateHeld, budgetHeld, deadlineExpired, delayed
    case concurrencyRaised, concurrencyLowered, shadowDelivered, shadowFailed, superseded, batchSent
    /// Hundredths of `disable_after` that have passed with nothing but failures; at the last it is disabled.
    case failingAt50, failingAt70, failingAt90, failingAt100
    /// An attempt that was not made: see `RefusalStreak`.
    case refusedUnmade

    package var policy: String {
        switch self {
        case .breakerOpened, .breakerProbed, .breakerClosed: "breaker"
        case .rateHeld: "rate"
        case .budgetHeld: "retry_budget"
        case .deadlineExpired: "deadline"
        case .delayed: "delay"
        case .concurrencyRaised, .concurrencyLowered: "concurrency"
        case .shadowDelivered, .shadowFailed: "shadow"
        case .failingAt50, .failingAt70, .failingAt90, .failingAt100: "disable_after"
        case .refusedUnmade: "refusal"
        case .superseded: "coalesce"
        case .batchSent: "batch"
        }
    }
    package var name: String {
        switch self {
        case .breakerOpened: "opened"
        case .breakerProbed: "half_opened"
        case .breakerClosed: "closed"
        case .rateHeld, .budgetHeld: "held"
        case .deadlineExpired: "expired"
        case .delayed: "delayed"
        case .failingAt50: "at_50_percent"
        case .failingAt70: "at_70_percent"
        case .failingAt90: "at_90_percent"
        case .failingAt100: "disabled"
        case .refusedUnmade: "not_tried"
        case .concurrencyRaised: "raised"
        case .concurrencyLowered: "lowered"
        case .shadowDelivered: "delivered"
        case .shadowFailed: "failed"
        case .superseded: "superseded"
        case .batchSent: "sent"
        }
    }
}
