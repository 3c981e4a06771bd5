// What becomes of a failure by its class: how often it is tried again, with which delays, for how long at most. Presets
// have the figures of the contracts; what a class has no rule for goes by the endpoint's `outcomes` and `retry`. Pure.

import FastPath

package enum ErrorPreset: String, CaseIterable, Codable, Sendable {
    /// Of the contract's error-class policies.
    case contract
    /// Of calls to providers.
    case integrations

    fileprivate func rule(of failure: FailureClass) -> ErrorRule {
        switch (self, failure) {
        case (_, .validation), (_, .authentication): ErrorRule(retries: 0)
        case (.contract, .limit):
            ErrorRule(retries: 3, backoff: ErrorPreset.contractBackoff, atMostMillis: 1_800_000)
        case (.contract, _): ErrorRule(retries: 5, backoff: ErrorPreset.contractBackoff, atMostMillis: 900_000)
        case (.integrations, _):
            ErrorRule(retries: 2, backoff: ErrorBackoff(firstMillis: 100, factor: 2, maxMillis: 5000))
        }
    }
    private static let contractBackoff = ErrorBackoff(firstMillis: 10_000, factor: 2, maxMillis: 300_000)
}

package struct ErrorBackoff: Equatable, Codable, Sendable {
    package var firstMillis = 5000
    package var factor = 2.0
    package var maxMillis = 3_600_000
    /// True: without jitter.
    package var isSteady: Bool?

    package init() {}
    init(firstMillis: Int, factor: Double, maxMillis: Int) {
        (self.firstMillis, self.factor, self.maxMillis) = (firstMillis, factor, maxMillis)
    }
    /// How often it is drawn from is the rule's affair.
    var settings: BackoffSettings {
        var settings = BackoffSettings(
            firstMillis: firstMillis, factor: factor, maxMillis: maxMillis,
            attempts: BackoffSettings.attemptsRange.upperBound)
        settings.isSteady = isSteady
        return settings
    }
}

package struct ErrorRule: Equatable, Codable, Sendable {
    /// Nil: as often as the endpoint's delays say; 0: a dead letter at once.
    package var retries: Int?
    /// Nil: the endpoint's own delays.
    package var backoff: ErrorBackoff?
    /// Since the event came; no retry is planned for later than that.
    package var atMostMillis: Int?

    package init() {}
    init(retries: Int, backoff: ErrorBackoff? = nil, atMostMillis: Int? = nil) {
        (self.retries, self.backoff, self.atMostMillis) = (retries, backoff, atMostMillis)
    }
    package static let retriesRange = 0...64
    package static let atMostRange = 1000...366 * 86_400_000

    var text: String {
        var parts: [String] = []
        if let retries { parts.append("retries \(retries)") }
        if let backoff {
            let (first, most) = (TimeSpan.text(of: backoff.firstMillis), TimeSpan.text(of: backoff.maxMillis))
            parts.append("backoff \(first) × \(backoff.factor) to \(most)\(backoff.isSteady == true ? " steady" : "")")
        }
        if let atMostMillis { parts.append("at most \(TimeSpan.text(of: atMostMillis))") }
        return parts.joined(separator: ", ")
    }
    func issues(at path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        if self == ErrorRule() {
            issues.append(ValidationIssue(path, "needs one of `retries`, `backoff` and `at_most`"))
        }
        if let retries {
            issues += [PolicyRules.issue(retries, ErrorRule.retriesRange, path["retries"])].compactMap(\.self)
        }
        if let backoff { issues += backoff.settings.issues(at: path["backoff"]) }
        if let atMostMillis {
            issues += [PolicyRules.issue(millis: atMostMillis, ErrorRule.atMostRange, path["at_most"])]
                .compactMap(\.self)
        }
        return issues
    }
}

package struct ErrorSettings: Equatable, Codable, Sendable {
    package var preset: ErrorPreset?
    /// By the word of a `FailureClass`, above the preset.
    package var rules: [String: ErrorRule] = [:]
    package init() {}

    package subscript(failure: FailureClass) -> ErrorRule? {
        get { rules[failure.rawValue] }
        set { rules[failure.rawValue] = newValue }
    }
    /// What holds for the class; nil: nothing of its own.
    package func rule(of failure: FailureClass) -> ErrorRule? { self[failure] ?? preset?.rule(of: failure) }

    package var text: String {
        let own = rules.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.text)" }
        return ((preset.map { ["preset \($0.rawValue)"] } ?? []) + own).joined(separator: "; ")
    }
    func issues(at path: FieldPath) -> [ValidationIssue] {
        if preset == nil, rules.isEmpty {
            return [ValidationIssue(path, "needs `preset` or the rule of a class")]
        }
        return rules.sorted { $0.key < $1.key }.flatMap { word, rule in
            rule.issues(at: path[word])
        }
    }
}

/// The rules of every class, ready to be asked.
package struct ErrorTable: Sendable {
    private struct Entry: Sendable {
        let rule: ErrorRule
        let schedule: RetrySchedule?
    }
    private let entries: [FailureClass: Entry]

    package init(_ settings: ErrorSettings) {
        var entries: [FailureClass: Entry] = [:]
        for failure in FailureClass.allCases {
            guard let rule = settings.rule(of: failure) else { continue }
            entries[failure] = Entry(rule: rule, schedule: rule.backoff.map { RetrySchedule($0.settings) })
        }
        self.entries = entries
    }
    /// What `outcomes` call a retry or a dead letter goes by the class; what disables an endpoint still does.
    package func revised(_ decision: OutcomeDecision, _ outcome: DeliveryOutcome) -> OutcomeDecision {
        switch decision.decision {
        case .retry, .deadLetter(.permanentAnswer): break
        case .delivered, .retryAtOnce, .deadLetter, .endpointGone, .notAttempted: return decision
        }
        guard let retries = entries[FailureClass(outcome)]?.rule.retries else { return decision }
        guard retries == 0 else { return OutcomeDecision(.retry, decision.pace) }
        let reason: DeadLetterReason = outcome.result == .answered ? .permanentAnswer : .retriesExhausted
        return OutcomeDecision(.deadLetter(reason), decision.pace)
    }
    /// Nil when the attempts are used up; `own` is the endpoint's schedule.
    package func delayMillis(
        afterAttempts attempts: Int, _ outcome: DeliveryOutcome, own: RetrySchedule,
        using generator: inout some RandomNumberGenerator
    ) -> Int? {
        let entry = entries[FailureClass(outcome)]
        if let retries = entry?.rule.retries, attempts > retries { return nil }
        return (entry?.schedule ?? own).delayMillis(
            afterAttempts: attempts, retryAfterSeconds: outcome.retryAfterSeconds, using: &generator)
    }
    /// Nil: for as long as there are attempts.
    package func atMostMillis(_ outcome: DeliveryOutcome) -> Int64? {
        entries[FailureClass(outcome)]?.rule.atMostMillis.map { Int64($0) }
    }
}
