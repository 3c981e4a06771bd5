// How many requests a source or a tenant may send, as an operator says it.

import FastPath

/// Each part counts by itself; a request needs room in all of them.
package struct RateLimitConfiguration: Equatable, Codable, Sendable {
    /// Tokens: so many at once, and `perSecond` in the long run. Nil = as many as come back in a second.
    package var capacity: Int?
    package var perSecond: Int?
    /// Within any stretch of 60 seconds.
    package var perMinute: Int?
    /// Within any stretch of 3,600 seconds.
    package var perHour: Int?
    package init() {}
}

package enum RateLimitPreset: String, CaseIterable, Sendable {
    case tokenBucket = "token-bucket"
    case slidingWindows = "sliding-windows"

    package var limit: RateLimitConfiguration {
        var limit = RateLimitConfiguration()
        switch self {
        case .tokenBucket:
            limit.capacity = 100
            limit.perSecond = 10
        case .slidingWindows:
            limit.perMinute = 100
            limit.perHour = 1000
        }
        return limit
    }
}

extension RateLimitConfiguration {
    package static let perSecondRange = 1...1_000_000
    package static let capacityRange = 1...1_000_000
    package static let windowRange = 1...1_000_000_000

    package init(capacity: Int? = nil, perSecond: Int? = nil, perMinute: Int? = nil, perHour: Int? = nil) {
        self.capacity = capacity
        self.perSecond = perSecond
        self.perMinute = perMinute
        self.perHour = perHour
    }

    /// What the loops count by. The limit has passed `problems`.
    var settings: RateLimiter.Settings {
        let rate = UInt32(perSecond ?? 0)
        return RateLimiter.Settings(
            capacity: rate == 0 ? 0 : UInt32(capacity ?? Int(rate)), perSecond: rate,
            perMinute: UInt32(perMinute ?? 0), perHour: UInt32(perHour ?? 0))
    }
    package var text: String {
        let parts: [(String, Int?)] = [
            ("capacity", capacity), ("per_second", perSecond), ("per_minute", perMinute), ("per_hour", perHour),
        ]
        return parts.compactMap { name, value in value.map { "\(name) \($0)" } }.joined(separator: ", ")
    }

    /// What is wrong, by key; `nil` is the limit as a whole.
    package var problems: [(key: String?, reason: String)] {
        var problems: [(key: String?, reason: String)] = []
        for (key, value, range) in [
            ("capacity", capacity, RateLimitConfiguration.capacityRange),
            ("per_second", perSecond, RateLimitConfiguration.perSecondRange),
            ("per_minute", perMinute, RateLimitConfiguration.windowRange),
            ("per_hour", perHour, RateLimitConfiguration.windowRange),
        ] {
            guard let value, !range.contains(value) else { continue }
            problems.append((key, "is out of range; it takes \(range.lowerBound) to \(range.upperBound)"))
        }
        if perSecond == nil, perMinute == nil, perHour == nil {
            problems.append(
                (
                    capacity == nil ? nil : "capacity",
                    "limits nothing by itself; give `per_second`, `per_minute` or `per_hour`"
                ))
        } else if capacity != nil, perSecond == nil {
            problems.append(("capacity", "says how many tokens there are; `per_second` says how many come back"))
        }
        if let perMinute, let perHour, perHour < perMinute {
            problems.append(("per_hour", "is less than `per_minute`, which would never count; leave that out"))
        }
        return problems
    }
    func issues(at path: FieldPath) -> [ValidationIssue] {
        problems.map { key, reason in
            ValidationIssue(key.map { path[$0] } ?? path, reason, about: .nothing)
        }
    }
}

/// A tenant of the manifest that says something of its own.
package struct TenantSettings: Equatable, Sendable {
    /// Of `name`: each tenant without a limit of its own.
    package static let everyone = "*"
    package var name = ""
    package var rateLimit: RateLimitConfiguration?
    /// Its part of what all deliver by: see docs/why/fair-shares.md. Nil = as the API says, else that of `everyone`,
    /// else 1.
    package var weight: Int?
    package init() {}
}
