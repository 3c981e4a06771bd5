// An endpoint that gets many events in one request: how many, how long the first of them waits, how large it grows, and
// how it is written. Pure.

package enum BatchFormat: String, CaseIterable, Codable, Sendable { case json, ndjson }

package struct BatchSettings: Equatable, Codable, Sendable {
    package var events = 100
    /// The first of a batch waits so long for others, from when it was met.
    package var withinMillis = 1000
    /// Of the body; one event that is larger goes alone.
    package var bytes = 256 << 10
    package var format = BatchFormat.json
    package init() {}

    package static let eventsRange = 2...1000
    package static let withinRange = 10...300_000
    package static let bytesRange = (1 << 10)...(4 << 20)

    package var text: String {
        "\(events) events, within \(TimeSpan.text(of: withinMillis)), \(ByteSize.text(of: bytes)), \(format.rawValue)"
    }
    func issues(of endpoint: EndpointConfiguration, at path: FieldPath) -> [ValidationIssue] {
        var issues = [
            PolicyRules.issue(events, BatchSettings.eventsRange, path["events"]),
            PolicyRules.issue(millis: withinMillis, BatchSettings.withinRange, path["within"]),
        ].compactMap(\.self)
        if !BatchSettings.bytesRange.contains(bytes) {
            let (low, high) = (BatchSettings.bytesRange.lowerBound, BatchSettings.bytesRange.upperBound)
            issues.append(
                ValidationIssue(path["bytes"], "must be from \(ByteSize.text(of: low)) to \(ByteSize.text(of: high))"))
        }
        let policies = endpoint.policies
        if !endpoint.orderKey.isEmpty {
            issues.append(
                ValidationIssue(
                    path, "contradicts `ordered` by a key: a batch fails as one, and would hold back every key in it; "
                        + "`ordered: true` goes with it"))
        }
        if policies.coalesce != nil {
            issues.append(ValidationIssue(path, "contradicts `coalesce`, which sends one event of a key at a time"))
        }
        if policies.delayMillis != nil {
            issues.append(ValidationIssue(path, "contradicts `delay`; `within` says how long events wait for others"))
        }
        if policies.shadow != nil { issues.append(ValidationIssue(path, "is of no use with `shadow`")) }
        return issues
    }
}
