// How many requests an endpoint may have in flight, found out by itself: one more for each round that was quick and
// used what there was, half as many after one that failed or was slow (additive increase, multiplicative decrease).
// Passive; the time comes in.
//
// Invariant: the limit is from `min` to `max`; it falls once a round at most, because what was out when it fell says
// nothing about the limit after that.

package struct AdaptiveSettings: Equatable, Codable, Sendable {
    package var min = 1
    /// An answer that takes longer is one too many.
    package var targetMillis = 500
    package init() {}

    package static let targetRange = 1...600_000

    func issues(max: Int, at path: FieldPath) -> [ValidationIssue] {
        var issues = [PolicyRules.issue(millis: targetMillis, AdaptiveSettings.targetRange, path["target"])]
            .compactMap(\.self)
        if min < 1 || min > max {
            issues.append(ValidationIssue(path["min"], "must be from 1 to `max` (\(max))"))
        }
        return issues
    }
}

package struct AdaptiveConcurrency: Equatable, Sendable {
    private var limit: Double
    /// Nothing that went out before says anything.
    private var fellAt: UInt64 = 0
    private var lastAt: UInt64

    package init(max: Int, now: UInt64) {
        limit = Double(max)
        lastAt = now
    }
    package var allowance: Int { Int(limit) }

    /// How the limit moved.
    package enum Change: Equatable, Sendable { case same, raised, lowered }

    /// An attempt has ended that took `micros`. `inFlight`: with it, as it ended.
    package mutating func ended(
        isFailure: Bool, micros: UInt32, inFlight: Int, max: Int, by settings: AdaptiveSettings, now: UInt64
    ) -> Change {
        lastAt = now
        let before = allowance
        let began = now - Swift.min(UInt64(micros) * 1000, now)
        if isFailure || Int(micros) / 1000 > settings.targetMillis {
            guard began >= fellAt else { return .same }
            limit = Swift.max(Double(settings.min), (limit / 2).rounded(.down))
            fellAt = now
        } else if inFlight * 2 > before {
            // A round of so many brings one.
            limit = Swift.min(Double(max), limit + 1 / limit)
        }
        limit = Swift.min(limit, Double(max))
        return allowance == before ? .same : allowance > before ? .raised : .lowered
    }
    /// What it found out is forgotten after a minute without an attempt.
    package func isForgotten(now: UInt64) -> Bool { idleAt <= now }
    package var idleAt: UInt64 { lastAt + 60_000_000_000 }
}
