// Of the deliveries of one key that wait for an endpoint only the newest is made; `docs/configuration.md` says what
// that means beside the other policies. What is of it in a lane is `LaneCoalescing`. Pure.

package struct CoalesceSettings: Equatable, Codable, Sendable {
    /// As `OrderKey` spells it: the first place that has a value.
    package var key: [String] = []
    /// The first of a key waits so long for newer ones before it goes; nil: it goes as soon as it can.
    package var withinMillis: Int?
    package init() {}

    package static let withinRange = 10...3_600_000

    package var text: String {
        let within = withinMillis.map { ", within \(TimeSpan.text(of: $0))" } ?? ""
        return "by \(key.joined(separator: ", "))\(within)"
    }
    func issues(of endpoint: EndpointConfiguration, at path: FieldPath) -> [ValidationIssue] {
        var issues = OrderKey.keyIssues(of: key, at: path["key"])
        if key.isEmpty {
            issues.append(
                ValidationIssue(path["key"], "is missing: `header:NAME`, `json:$.PATH`, `group`, or a list of them"))
        }
        if let withinMillis {
            issues += [PolicyRules.issue(millis: withinMillis, CoalesceSettings.withinRange, path["within"])]
                .compactMap(\.self)
        }
        let policies = endpoint.policies
        if endpoint.ordered {
            issues.append(
                ValidationIssue(path, "contradicts `ordered`: it keeps the order of each key and leaves the rest out"))
        }
        if policies.delayMillis != nil {
            issues.append(
                ValidationIssue(
                    path, "contradicts `delay`: each newer event would begin to wait anew; `within` has an end"))
        }
        if policies.shadow != nil { issues.append(ValidationIssue(path, "is of no use with `shadow`")) }
        return issues
    }
}
