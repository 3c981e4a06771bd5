// What the rules of several policies have in common: a number, a share or a time within its range, and all rules of an
// endpoint's policies together. Pure.

enum PolicyRules {
    static func issue(_ number: Int, _ range: ClosedRange<Int>, _ path: FieldPath) -> ValidationIssue? {
        guard !range.contains(number) else { return nil }
        return ValidationIssue(path, "must be from \(range.lowerBound) to \(range.upperBound)")
    }
    static func issue(share: Double, _ range: ClosedRange<Double>, _ path: FieldPath) -> ValidationIssue? {
        guard !range.contains(share) else { return nil }
        return ValidationIssue(path, "must be from \(range.lowerBound) to \(range.upperBound)")
    }
    static func issue(millis: Int, _ range: ClosedRange<Int>, _ path: FieldPath) -> ValidationIssue? {
        guard !range.contains(millis) else { return nil }
        let (low, high) = (TimeSpan.text(of: range.lowerBound), TimeSpan.text(of: range.upperBound))
        return ValidationIssue(path, "must be from \(low) to \(high)")
    }

    /// Of the policies that a lane goes by.
    static func laneIssues(of endpoint: EndpointConfiguration, at path: FieldPath) -> [ValidationIssue] {
        let policies = endpoint.policies
        var issues: [ValidationIssue] = []
        if let breaker = policies.breaker { issues += breaker.issues(at: path["breaker"]) }
        if let retry = policies.retry { issues += retry.issues(of: endpoint, at: path["retry"]) }
        if let errors = policies.errors { issues += errors.issues(at: path["errors"]) }
        if let rate = policies.rate { issues += rate.issues(at: path["rate"]) }
        if let adaptive = policies.concurrency {
            issues += adaptive.issues(max: endpoint.concurrency, at: path["concurrency"])
        }
        if let deadline = policies.deadlineMillis {
            issues += [issue(millis: deadline, LanePolicies.deadlineRange, path["deadline"])].compactMap(\.self)
        }
        if let delay = policies.delayMillis {
            issues += [issue(millis: delay, LanePolicies.delayRange, path["delay"])].compactMap(\.self)
            if let deadline = policies.deadlineMillis, deadline <= delay {
                issues.append(
                    ValidationIssue(
                        path["deadline"],
                        "must be longer than `delay` (\(TimeSpan.text(of: delay))), or nothing is ever delivered"))
            }
        }
        if let after = policies.disableAfterMillis {
            issues += [issue(millis: after, LanePolicies.disableAfterRange, path["disable_after"])].compactMap(\.self)
        }
        if let coalesce = policies.coalesce { issues += coalesce.issues(of: endpoint, at: path["coalesce"]) }
        if let batch = policies.batch { issues += batch.issues(of: endpoint, at: path["batch"]) }
        if let shadow = policies.shadow { issues += shadow.issues(of: endpoint, at: path["shadow"]) }
        return issues + familyIssues(endpoint, path)
    }
    /// What a family of webhooks fixes is not an endpoint's to choose.
    private static func familyIssues(_ endpoint: EndpointConfiguration, _ path: FieldPath) -> [ValidationIssue] {
        let policies = endpoint.policies
        guard !endpoint.extras.family.takesPolicies else {
            return []
        }
        let set = [
            ("breaker", policies.breaker != nil), ("retry", policies.retry != nil), ("rate", policies.rate != nil),
            ("concurrency", policies.concurrency != nil), ("deadline", policies.deadlineMillis != nil),
            ("delay", policies.delayMillis != nil), ("shadow", policies.shadow != nil),
            ("disable_after", policies.disableAfterMillis != nil), ("errors", policies.errors != nil),
            ("coalesce", policies.coalesce != nil), ("batch", policies.batch != nil),
        ]
        return set.filter(\.1).map { key, _ in
            ValidationIssue(path[key], "is fixed by the family `\(endpoint.extras.family.rawValue)`")
        }
    }
}
