// What must hold for an entry of the contract's registry, whoever changes one. Pure.

enum ContractRules {
    static func issues(
        of endpoint: EndpointConfiguration, certificates: [NamedCertificate], at path: FieldPath
    ) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        if endpoint.sources != [PublishSource.contractName] {
            issues.append(ValidationIssue(path["sources"], "must be `\(PublishSource.contractName)`"))
        }
        if endpoint.types.isEmpty { issues.append(ValidationIssue(path["types"], "must have at least one event type")) }
        if endpoint.secrets.count != 1 { issues.append(ValidationIssue(path["secret"], "must be one")) }
        guard let entry = endpoint.extras.contract?.value else {
            issues.append(ValidationIssue(path, "has no entry of the contract's registry"))
            return issues
        }
        if let name = entry.certificate {
            let isSecure = (try? EndpointAddress(endpoint.url))?.isSecure ?? true
            let problem: String? =
                !isSecure ? "is only for an https:// `target_url`"
                : endpoint.tls != nil ? "is of no use beside `tls`, which has a certificate of its own"
                : certificates.problem(ofName: name, for: endpoint.tenant)
            if let problem { issues.append(ValidationIssue(path["mtls_cert_ref"], problem, about: .nothing)) }
        }
        // What follows from the entry is the entry's to say.
        var wanted = endpoint
        entry.apply(to: &wanted)
        for (key, isEqual) in [
            ("errors", wanted.policies.errors == endpoint.policies.errors),
            ("rate", wanted.policies.rate == endpoint.policies.rate),
            ("transform", wanted.policies.transform == endpoint.policies.transform),
            ("timeouts", wanted.totalMillisMax == endpoint.totalMillisMax),
        ] where !isEqual {
            issues.append(ValidationIssue(path[key], "is changed at `/v1/webhooks/registry` alone"))
        }
        // Each delivery is one event, with a key and a signature of its own.
        for (key, isSet) in [
            ("coalesce", endpoint.policies.coalesce != nil), ("batch", endpoint.policies.batch != nil),
        ] where isSet {
            issues.append(ValidationIssue(path[key], "is fixed by the family `\(endpoint.extras.family.rawValue)`"))
        }
        return issues
    }
}
