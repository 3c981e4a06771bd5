// How fast an endpoint may be delivered to, as an operator describes it: so many a second or a minute, and how many at
// once beyond that.

package struct RateSettings: Equatable, Codable, Sendable {
    /// Exactly one of the two is there.
    package var perSecond: Int?
    package var perMinute: Int?
    /// What may go at once after a time of quiet.
    package var burst = 1
    package init() {}

    package static let range = 1...1_000_000
    package static let burstRange = 1...1_000_000

    /// Between two deliveries; nil while neither rate is there.
    package var intervalNanos: UInt64? {
        if let perSecond { return 1_000_000_000 / UInt64(max(1, perSecond)) }
        return perMinute.map { 60_000_000_000 / UInt64(max(1, $0)) }
    }
    package var text: String {
        let rate = perSecond.map { "\($0) a second" } ?? perMinute.map { "\($0) a minute" } ?? "none"
        return burst == 1 ? rate : "\(rate), burst \(burst)"
    }
    func issues(at path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        if (perSecond == nil) == (perMinute == nil) {
            issues.append(ValidationIssue(path, "needs one of `per_second` and `per_minute`"))
        }
        let found = [
            perSecond.flatMap { PolicyRules.issue($0, RateSettings.range, path["per_second"]) },
            perMinute.flatMap { PolicyRules.issue($0, RateSettings.range, path["per_minute"]) },
            PolicyRules.issue(burst, RateSettings.burstRange, path["burst"]),
        ]
        issues += found.compactMap(\.self)
        return issues
    }
}
