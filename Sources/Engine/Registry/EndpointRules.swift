// What must hold for an endpoint on its own and against the sources and rules that are in force. Pure: no name is
// resolved here, for whether a host name resolves is a state of the endpoint and not a mistake of the change.
import FastPath

struct EndpointRules {
    let addresses: AddressRules
    let state: RegistryState

    func issues(of endpoint: EndpointConfiguration, at path: FieldPath) -> [ValidationIssue] {
        var issues = NameRules.issues(of: endpoint, at: path)
        issues += urlIssues(endpoint, path["url"])
        if let second = endpoint.extras.contract?.value.failoverURL {
            var copy = endpoint
            copy.url = second
            issues += urlIssues(copy, ContractEntry.failoverPath(under: path))
        }
        issues += tlsIssues(endpoint, path)
        issues += sourceIssues(endpoint, path)
        issues += channelIssues(endpoint, path)
        issues += FilterRules.issues(endpoint, path)
        issues += ExtrasRules.issues(of: endpoint.extras, at: path)
        let family = endpoint.extras.family
        issues += familyIssues(endpoint, path)
        issues += SignatureRules.issues(of: endpoint, at: path)
        issues += AuthorizationRules.issues(of: endpoint, addresses, at: path)
        let isStandard = SignatureRules.takesStandardSecrets(endpoint)
        for (index, secret) in endpoint.secrets.enumerated() where isStandard {
            if let problem = family.problem(ofSecret: secret, index: index) {
                issues.append(ValidationIssue(path["secret"][index], problem, about: .nothing))
            }
        }
        let pairs = (endpoint.secrets + endpoint.extras.oldSecrets.map(\.text)).filter(EndpointSecret.isAsymmetric)
        if isStandard, pairs.count > EndpointSecret.asymmetricCountMax {
            let bound = "at most \(EndpointSecret.asymmetricCountMax), old ones among them"
            issues.append(ValidationIssue(path["secret"], "has \(pairs.count) key pairs (`whsk_`); \(bound)"))
        }
        issues += timeIssues(endpoint, path)
        issues += OutcomeTable.issues(endpoint.outcomes, at: path["outcomes"])
        issues += endpoint.policies.preparationIssues(at: path)
        issues += PolicyRules.laneIssues(of: endpoint, at: path)
        issues += OrderKey.issues(endpoint, at: path["ordered"]["key"])
        if !(1...4096).contains(endpoint.concurrency) {
            issues.append(ValidationIssue(path["concurrency"], "must be from 1 to 4096"))
        }
        return issues
    }

    /// What a family of webhooks fixes, whoever changes one.
    private func familyIssues(_ endpoint: EndpointConfiguration, _ path: FieldPath) -> [ValidationIssue] {
        if endpoint.extras.family == .operational { return operationalIssues(endpoint, path) }
        if endpoint.extras.family == .contract {
            return ContractRules.issues(of: endpoint, certificates: state.live.namedCertificates, at: path)
        }
        guard endpoint.extras.family == .opsCenter, let source = endpoint.extras.family.source else { return [] }
        var issues: [ValidationIssue] = []
        if endpoint.sources != [source] {
            issues.append(ValidationIssue(path["sources"], "must be `\(source)`: that is where a webhook's events are"))
        }
        if endpoint.types.isEmpty { issues.append(ValidationIssue(path["types"], "must have at least one event")) }
        for (index, name) in endpoint.types.enumerated() where !OpsCenterCatalogue.isSubscribable(name) {
            issues.append(ValidationIssue(path["types"][index], "is neither an event's name nor `*`", about: .value))
        }
        if Set(endpoint.types).count != endpoint.types.count {
            issues.append(ValidationIssue(path["types"], "has a name twice"))
        }
        if endpoint.secrets.count != 1 { issues.append(ValidationIssue(path["secret"], "must be one")) }
        if !endpoint.channels.isEmpty { issues.append(ValidationIssue(path["channels"], "is of no use here")) }
        if endpoint.ordered { issues.append(ValidationIssue(path["ordered"], "is of no use here")) }
        return issues
    }
    private func operationalIssues(_ endpoint: EndpointConfiguration, _ path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        if endpoint.sources != [PublishSource.operationalName] {
            issues.append(ValidationIssue(path["sources"], "must be `\(PublishSource.operationalName)`"))
        }
        for (index, name) in endpoint.types.enumerated() where OperationalEventType(rawValue: name) == nil {
            issues.append(ValidationIssue(path["types"][index], "is no type of operational event", about: .value))
        }
        if endpoint.secrets.count != 1 { issues.append(ValidationIssue(path["secret"], "must be one")) }
        return issues
    }
    private func urlIssues(_ endpoint: EndpointConfiguration, _ path: FieldPath) -> [ValidationIssue] {
        let address: EndpointAddress
        do {
            address = try EndpointAddress(endpoint.url)
        } catch {
            return [ValidationIssue(path, error.description, about: error.subject)]
        }
        if let literal = IPAddress(address.host), let reason = addresses.refusal(of: literal) {
            let refused = EndpointAddressError.refused(host: address.host, address: literal.text, reason)
            return [ValidationIssue(path, refused.description, about: .value)]
        }
        if let error = address.unreachable {
            return [ValidationIssue(path, error.description, about: error.subject)]
        }
        let secretCount = endpoint.secrets.count + endpoint.extras.oldSecrets.count
        let formBytes = SignatureRules.form(of: endpoint)?.byteCount(secretCount: secretCount) ?? 0
        let room = EndpointRules.targetBytesMax(address, secretCount: secretCount) - formBytes
        guard address.target.utf8.count <= room else {
            return [
                ValidationIssue(
                    path,
                    "has a path of \(address.target.utf8.count) bytes; with this host and \(secretCount) "
                        + "secrets it may have \(max(room, 0))")
            ]
        }
        return []
    }
    /// What the files hold is looked at when the endpoint is compiled.
    private func tlsIssues(_ endpoint: EndpointConfiguration, _ path: FieldPath) -> [ValidationIssue] {
        guard let tls = endpoint.tls else { return [] }
        var issues: [ValidationIssue] = []
        if let address = try? EndpointAddress(endpoint.url), !address.isSecure {
            issues.append(ValidationIssue(path["tls"], "is only for an https:// URL"))
        }
        if tls.key != nil, tls.certificate == nil {
            issues.append(ValidationIssue(path["tls"]["key"], "is of no use without `certificate`"))
        }
        return issues
    }
    /// Request line, Host and signatures share one buffer of the egress loop.
    static func targetBytesMax(_ address: EndpointAddress, secretCount: Int) -> Int {
        EgressLimits().requestHeadBytesMax - fixedHeadBytes - address.hostField.utf8.count
            - secretCount * signatureBytes
    }
    /// `v1,` and 44 characters of base 64, and a space.
    private static let signatureBytes = 48
    /// Everything around target, host and signatures, rounded up: "POST ", " HTTP/1.1", the names of five fields, a
    /// version, two numbers of 20 digits.
    private static let fixedHeadBytes = 192

    private func sourceIssues(_ endpoint: EndpointConfiguration, _ path: FieldPath) -> [ValidationIssue] {
        guard !endpoint.sources.isEmpty, let tenant = state.tenant(named: endpoint.tenant)?.id else { return [] }
        return endpoint.sources.enumerated().compactMap { index, name in
            if name == PublishSource.operationalName, endpoint.extras.family != .operational {
                return ValidationIssue(path["sources"][index], "reaches operational webhooks alone", about: .value)
            }
            guard PublishSource.ids(of: name) == nil, state.sources.named(name, tenant: tenant) == nil else {
                return nil
            }
            return ValidationIssue(
                path["sources"][index], "is not the name of a source; \(advice(name, tenant))", about: .value)
        }
    }
    private func channelIssues(_ endpoint: EndpointConfiguration, _ path: FieldPath) -> [ValidationIssue] {
        if endpoint.channels.count > PublishRules.endpointChannelCountMax {
            return [
                ValidationIssue(
                    path["channels"],
                    "has \(endpoint.channels.count) entries; at most \(PublishRules.endpointChannelCountMax)")
            ]
        }
        return endpoint.channels.enumerated().compactMap { index, channel in
            PublishRules.isLabel(channel)
                ? nil : ValidationIssue(path["channels"][index], PublishRules.labelForm, about: .value)
        }
    }
    private func advice(_ name: String, _ tenant: TenantID) -> String {
        let known = state.sources.numbers(of: tenant).prefix(EndpointRules.suggestionCountMax).compactMap {
            state.sources[SourceID($0)]?.name
        }
        if let nearest = NearestName.of(name, among: known) { return "did you mean `\(nearest)`?" }
        guard !known.isEmpty else { return "this tenant has none" }
        let shown = known.prefix(10).joined(separator: ", ")
        return "known sources: \(shown)\(known.count > 10 ? ", …" : "")"
    }
    /// So many are compared with a mistyped name: a manifest of thousands of mistakes stays quick.
    private static let suggestionCountMax = 200

    private func timeIssues(_ endpoint: EndpointConfiguration, _ path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        let times = [
            ("connect", endpoint.connectMillisMax), ("head", endpoint.headMillisMax),
            ("total", endpoint.totalMillisMax),
        ]
        for (key, millis) in times where !(10...600_000).contains(millis) {
            issues.append(ValidationIssue(path["timeouts"][key], "must be from 10ms to 10m"))
        }
        if endpoint.connectMillisMax > endpoint.totalMillisMax || endpoint.headMillisMax > endpoint.totalMillisMax {
            issues.append(
                ValidationIssue(
                    path["timeouts"],
                    "`connect` and `head` are part of `total` (\(TimeSpan.text(of: endpoint.totalMillisMax))) and "
                        + "cannot be longer"))
        }
        if endpoint.retryDelaysMillis.count > 64 {
            issues.append(
                ValidationIssue(
                    path["retry"]["delays"], "has \(endpoint.retryDelaysMillis.count) entries; at most 64"))
        }
        if endpoint.retryDelaysMillis.contains(where: { !(0...(30 * 86_400_000)).contains($0) }) {
            issues.append(ValidationIssue(path["retry"]["delays"], "must be times from 0s to 30d"))
        }
        if !(0.0...1.0).contains(endpoint.retryJitter) {
            issues.append(ValidationIssue(path["retry"]["jitter"], "must be from 0 to 1"))
        }
        return issues
    }
}
