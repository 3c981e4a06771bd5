// A circuit breaker as an operator describes it, and what of an outcome trips it. Defaults are those of the contracts:
// five failures in a row, a minute, three probes.

import FastPath

package struct BreakerSettings: Equatable, Codable, Sendable {
    /// So many failures among the attempts that ended within a time.
    package struct Rate: Equatable, Codable, Sendable {
        package var share = 0.5
        /// Fewer attempts than this say nothing.
        package var of = 20
        package var windowMillis = 60_000
        package init() {}
    }
    /// In a row.
    package var failures = 5
    package var rate: Rate?
    package var cooldownMillis = 60_000
    /// All of them must succeed.
    package var probes = 3
    /// What counts as a failure: see `BreakerTriggers`.
    package var on = BreakerTriggers.wordsDefault
    package init() {}

    package var text: String {
        var parts = ["failures \(failures)"]
        if let rate {
            parts.append("rate \(rate.share) of \(rate.of) in \(TimeSpan.text(of: rate.windowMillis))")
        }
        parts += [
            "cooldown \(TimeSpan.text(of: cooldownMillis))", "probes \(probes)", "on \(on.joined(separator: " "))",
        ]
        return parts.joined(separator: ", ")
    }

    // MARK: Rules

    package static let failuresRange = 1...10_000
    package static let shareRange = 0.01...1.0
    package static let ofRange = 2...100_000
    package static let windowRange = 1000...3_600_000
    package static let cooldownRange = 100...86_400_000
    package static let probesRange = 1...100

    func issues(at path: FieldPath) -> [ValidationIssue] {
        var issues = [
            PolicyRules.issue(failures, BreakerSettings.failuresRange, path["failures"]),
            PolicyRules.issue(millis: cooldownMillis, BreakerSettings.cooldownRange, path["cooldown"]),
            PolicyRules.issue(probes, BreakerSettings.probesRange, path["probes"]),
        ].compactMap(\.self)
        if let rate {
            let path = path["rate"]
            issues += [
                PolicyRules.issue(share: rate.share, BreakerSettings.shareRange, path["share"]),
                PolicyRules.issue(rate.of, BreakerSettings.ofRange, path["of"]),
                PolicyRules.issue(millis: rate.windowMillis, BreakerSettings.windowRange, path["window"]),
            ].compactMap(\.self)
        }
        return issues + BreakerTriggers.issues(on, at: path["on"])
    }
}

/// What trips a breaker, as data: classes of failures by their word, statuses and classes of statuses as in `outcomes`.
/// What the endpoint's `outcomes` call delivered never does.
package struct BreakerTriggers: Equatable, Sendable {
    package static let wordsDefault = ["429", "5xx", "timeout", "network", "tls"]
    package static let countMax = 32
    /// Those that no status tells.
    private static let classes: [FailureClass] = [.network, .timeout, .tls, .blockedAddress]
    private var classes: [FailureClass] = []
    private var statuses: [OutcomeRule] = []

    /// What is no trigger is left out; `issues` says so before anything runs by it.
    package init(_ words: [String]) {
        for word in words {
            if let known = FailureClass(rawValue: word), BreakerTriggers.classes.contains(known) {
                classes.append(known)
            } else if let rule = OutcomeRule(word, .retry) {
                statuses.append(rule)
            }
        }
    }
    package func contains(_ outcome: DeliveryOutcome) -> Bool {
        guard outcome.result == .answered else { return classes.contains(FailureClass(outcome)) }
        return statuses.contains { ($0.first...$0.last).contains(outcome.status) }
    }

    static func issues(_ words: [String], at path: FieldPath) -> [ValidationIssue] {
        if words.isEmpty { return [ValidationIssue(path, "must name what counts as a failure")] }
        if words.count > countMax {
            return [ValidationIssue(path, "has \(words.count) entries; at most \(countMax)")]
        }
        let known = classes.map(\.rawValue)
        return words.enumerated().compactMap { index, word in
            guard !known.contains(word), OutcomeRule(word, .retry) == nil else { return nil }
            return ValidationIssue(
                path[index],
                "is neither a status such as `429`, a class such as `5xx`, nor one of \(known.joined(separator: ", "))",
                about: .value)
        }
    }
}
