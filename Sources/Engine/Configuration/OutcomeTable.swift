// What the statuses of an endpoint's answers mean, as data: a preset, and above it what the endpoint's own rules say.
// Pure and total: every status has a meaning.
//
// A rule speaks of one status (`404`) or of a class (`4xx`); an endpoint's own rules outrank the preset's, and among
// rules of one origin the single status outranks the class. What no rule names is retried.

import FastPath

package enum OutcomeMeaning: String, CaseIterable, Sendable {
    case delivered
    /// By the schedule, or a dead letter when that is used up.
    case retry
    /// As `retry`, and the endpoint is slowed.
    case slow
    /// As `retry` when the answer has a `Retry-After`, else as `dead`.
    case retryIfAsked = "retry-if-asked"
    case dead
    /// A dead letter, and the endpoint is disabled.
    case disable
}

package enum OutcomePreset: String, CaseIterable, Sendable {
    case standard = "default"
    /// Every failure but 410 may pass.
    case standardWebhooks = "standard-webhooks"
    /// Every 4xx is final, 408 and 429 too.
    case opsCenter = "ops-center"
    /// Every failure, a 410 too.
    case anyFailureMayPass = "retry-all"

    fileprivate var rules: [OutcomeRule] {
        switch self {
        case .standard: OutcomePreset.standardRules
        case .standardWebhooks: OutcomePreset.standardWebhooksRules
        case .opsCenter: OutcomePreset.opsCenterRules
        case .anyFailureMayPass: OutcomePreset.retryAllRules
        }
    }
    private static let standardRules = [
        OutcomeRule(408, .retry), OutcomeRule(410, .disable), OutcomeRule(413, .retryIfAsked), OutcomeRule(421, .retry),
        OutcomeRule(423, .retry), OutcomeRule(425, .retry), OutcomeRule(429, .slow), OutcomeRule(502, .slow),
        OutcomeRule(504, .slow), OutcomeRule(class: 2, .delivered), OutcomeRule(class: 4, .dead),
    ]
    private static let standardWebhooksRules = [
        OutcomeRule(410, .disable), OutcomeRule(429, .slow), OutcomeRule(502, .slow), OutcomeRule(504, .slow),
        OutcomeRule(class: 2, .delivered),
    ]
    /// What no rule names is retried.
    private static let retryAllRules = [OutcomeRule(class: 2, .delivered)]
    private static let opsCenterRules = [
        OutcomeRule(410, .disable), OutcomeRule(class: 2, .delivered), OutcomeRule(class: 4, .dead),
    ]
}

struct OutcomeRule: Equatable, Sendable {
    let first: UInt16
    let last: UInt16
    let meaning: OutcomeMeaning

    init(_ status: UInt16, _ meaning: OutcomeMeaning) { self.init(status, status, meaning) }
    init(class digit: UInt16, _ meaning: OutcomeMeaning) { self.init(digit * 100, digit * 100 + 99, meaning) }
    private init(_ first: UInt16, _ last: UInt16, _ meaning: OutcomeMeaning) {
        self.first = first
        self.last = last
        self.meaning = meaning
    }
    /// `404` or `4xx`, of a final status; nil for anything else.
    init?(_ text: String, _ meaning: OutcomeMeaning) {
        let bytes = Array(text.utf8)
        guard bytes.count == 3, (0x32...0x35).contains(bytes[0]) else { return nil }
        if text.hasSuffix("xx") {
            self.init(class: UInt16(bytes[0] - 0x30), meaning)
        } else {
            guard let status = UInt16(text), bytes.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            self.init(status, meaning)
        }
    }
    var isClass: Bool { first != last }
}

package struct OutcomeTable: Equatable, Sendable {
    /// As in the manifest, beside the statuses.
    package static let presetKey = "preset"
    package static let ruleCountMax = 64
    private var preset = OutcomePreset.standard
    /// Single statuses before classes.
    private var rules: [OutcomeRule] = []

    package init() {}
    package init(_ preset: OutcomePreset) { self.preset = preset }
    /// From `preset`, `404` and `4xx` to words, as an operator wrote them. What is wrong there is left out; `issues`
    /// says so before anything runs by it.
    package init(_ written: [String: String]) {
        for (key, word) in written {
            if key == OutcomeTable.presetKey {
                preset = OutcomePreset(rawValue: word) ?? preset
            } else if let meaning = OutcomeMeaning(rawValue: word), let rule = OutcomeRule(key, meaning) {
                rules.append(rule)
            }
        }
        rules.sort { ($0.isClass ? 1 : 0, $0.first) < ($1.isClass ? 1 : 0, $1.first) }
    }

    package func meaning(of status: UInt16) -> OutcomeMeaning {
        let own = rules.first { ($0.first...$0.last).contains(status) }
        return (own ?? preset.rules.first { ($0.first...$0.last).contains(status) })?.meaning ?? .retry
    }

    static func issues(_ written: [String: String], at path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        if written.count > ruleCountMax {
            issues.append(ValidationIssue(path, "has \(written.count) entries; at most \(ruleCountMax)"))
        }
        for (key, word) in written.sorted(by: { $0.key < $1.key }) {
            if key == presetKey {
                let presets = OutcomePreset.allCases.map(\.rawValue)
                if !presets.contains(word) { issues.append(unknown(word, presets, path[key])) }
            } else if OutcomeRule(key, .retry) == nil {
                issues.append(
                    ValidationIssue(
                        path[key],
                        "is neither `preset` nor a status such as `404` or a class such as `4xx`, from 2xx to 5xx"))
            } else if OutcomeMeaning(rawValue: word) == nil {
                issues.append(unknown(word, OutcomeMeaning.allCases.map(\.rawValue), path[key]))
            }
        }
        return issues
    }
    private static func unknown(_ word: String, _ words: [String], _ path: FieldPath) -> ValidationIssue {
        let nearest = NearestName.of(word, among: words).map { "; did you mean `\($0)`?" } ?? ""
        return ValidationIssue(path, "must be one of \(words.joined(separator: ", "))\(nearest)")
    }
}
