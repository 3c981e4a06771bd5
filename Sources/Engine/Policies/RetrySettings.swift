// When a failed delivery is tried again, where an endpoint says it otherwise than by a list of delays: a preset of the
// field, an exponential backoff, a budget. Pure.

package enum RetryPreset: String, CaseIterable, Codable, Sendable {
    case standardWebhooks = "standard-webhooks"
    case svix
    case opsCenter = "ops-center"
    /// What Slack's own API is given: five attempts within seconds.
    case slack

    package var schedule: RetrySchedule {
        switch self {
        case .standardWebhooks:
            RetrySchedule(delaysMillis: EndpointConfiguration().retryDelaysMillis, jitter: 0.1)
        case .svix:
            RetrySchedule(delaysMillis: [5, 300, 1800, 7200, 18_000, 36_000, 36_000].map { $0 * 1000 }, jitter: 0.2)
        case .opsCenter:
            RetrySchedule(delaysMillis: FamilySchedule.opsCenter.delaysMillis, spread: FamilySchedule.spread)
        case .slack: RetrySchedule(BackoffSettings(firstMillis: 200, factor: 2, maxMillis: 10_000, attempts: 5))
        }
    }
}

/// Each delay at random between nothing and an upper bound that grows by a factor: full jitter.
package struct BackoffSettings: Equatable, Codable, Sendable {
    package var firstMillis: Int
    package var factor: Double
    package var maxMillis: Int
    /// The first one among them.
    package var attempts: Int
    /// True: each delay is its bound, and nothing is left to chance.
    package var isSteady: Bool?

    package init(firstMillis: Int = 5000, factor: Double = 2, maxMillis: Int = 3_600_000, attempts: Int = 10) {
        self.firstMillis = firstMillis
        self.factor = factor
        self.maxMillis = maxMillis
        self.attempts = attempts
    }
    package static let firstRange = 1...86_400_000
    package static let factorRange = 1.0...100.0
    package static let maxRange = 1...30 * 86_400_000
    package static let attemptsRange = 1...65

    /// The upper bound of the delay behind so many attempts.
    package func boundMillis(afterAttempts attempts: Int) -> Int {
        var bound = Double(firstMillis)
        for _ in 1..<max(attempts, 1) where bound < Double(maxMillis) { bound *= factor }
        return Int(min(bound, Double(maxMillis)))
    }
    var text: String {
        "\(TimeSpan.text(of: firstMillis)) × \(factor) to \(TimeSpan.text(of: maxMillis)), \(attempts) attempts"
    }
    func issues(at path: FieldPath) -> [ValidationIssue] {
        var issues = [
            PolicyRules.issue(millis: firstMillis, BackoffSettings.firstRange, path["first"]),
            PolicyRules.issue(share: factor, BackoffSettings.factorRange, path["factor"]),
            PolicyRules.issue(millis: maxMillis, BackoffSettings.maxRange, path["max"]),
            PolicyRules.issue(attempts, BackoffSettings.attemptsRange, path["attempts"]),
        ].compactMap(\.self)
        if issues.isEmpty, maxMillis < firstMillis {
            issues.append(
                ValidationIssue(path["max"], "must be at least `first` (\(TimeSpan.text(of: firstMillis)))"))
        }
        return issues
    }
}

package struct RetrySettings: Equatable, Codable, Sendable {
    /// Each takes the place of the delays; at most one of the two.
    package var preset: RetryPreset?
    package var backoff: BackoffSettings?
    /// Retries at most, as a share of first attempts: see `RetryBudget`.
    package var budget: Double?
    package init() {}

    package static let budgetRange = 0.001...1.0

    /// Nil: as the endpoint's delays say.
    package var schedule: RetrySchedule? { preset?.schedule ?? backoff.map { RetrySchedule($0) } }
    package var text: String {
        var parts: [String] = []
        if let preset { parts.append("preset \(preset.rawValue)") }
        if let backoff { parts.append("backoff \(backoff.text)") }
        if let budget { parts.append("budget \(budget)") }
        return parts.isEmpty ? "none" : parts.joined(separator: ", ")
    }
    func issues(of endpoint: EndpointConfiguration, at path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        if preset != nil, backoff != nil {
            issues.append(ValidationIssue(path["backoff"], "is of no use beside `preset`; choose one of the two"))
        }
        let hasDelays = endpoint.retryDelaysMillis != EndpointConfiguration().retryDelaysMillis
        if schedule != nil, hasDelays {
            let other = preset == nil ? "backoff" : "preset"
            issues.append(ValidationIssue(path["delays"], "is of no use beside `\(other)`; choose one of the two"))
        }
        if let backoff { issues += backoff.issues(at: path["backoff"]) }
        if budget != nil, endpoint.policies.delayMillis != nil {
            issues.append(ValidationIssue(path["budget"], "cannot be had together with `delay`"))
        }
        if let budget {
            issues += [PolicyRules.issue(share: budget, RetrySettings.budgetRange, path["budget"])].compactMap(\.self)
        }
        return issues
    }
}
