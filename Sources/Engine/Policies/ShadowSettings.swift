// An endpoint that is given a share of the traffic to look at, and that nothing depends on: chosen by a hash of the
// sequence, each tried once. Pure.

package struct ShadowSettings: Equatable, Codable, Sendable {
    package var share = 1.0
    package init() {}

    package static let shareRange = 0.0001...1.0

    /// Always the same for one event at one endpoint.
    package func wants(_ sequence: UInt64, endpoint: EndpointID) -> Bool {
        var generator = SeededGenerator(seed: sequence ^ UInt64(endpoint.number) << 40)
        return Double(generator.next() >> 11) < share * 0x1p53
    }
    func issues(of endpoint: EndpointConfiguration, at path: FieldPath) -> [ValidationIssue] {
        var issues = [PolicyRules.issue(share: share, ShadowSettings.shareRange, path["share"])].compactMap(\.self)
        if endpoint.ordered {
            issues.append(ValidationIssue(path, "is of no use with `ordered`: what is never retried has no order"))
        }
        if endpoint.policies.delayMillis != nil {
            issues.append(ValidationIssue(path, "is of no use with `delay`"))
        }
        return issues
    }
}
