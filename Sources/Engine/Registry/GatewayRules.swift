// What must hold between the settings of the gateway as a whole: listeners, addresses, bounds that fit each other.
// Pure.
import FastPath

enum GatewayRules {
    static func issues(of configuration: GatewayConfiguration) -> [ValidationIssue] {
        listenerIssues(configuration.process) + boundIssues(configuration) + edgeIssues(configuration)
            + healthIssues(configuration) + publicationIssues(configuration)
            + liveIssues(configuration.live) + NamedCertificate.issues(of: configuration.live.namedCertificates)
            + (configuration.process.traces?.issues(at: FieldPath("traces")) ?? [])
    }

    private static func listenerIssues(_ process: ProcessSettings) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        let listen = FieldPath("listen")
        if process.listen.isEmpty { issues.append(ValidationIssue(listen, "needs at least one address")) }
        for (index, address) in process.listen.enumerated() {
            if !AddressText.isListener(address) {
                issues.append(
                    ValidationIssue(
                        listen[index], "is not HOST:PORT, [IPV6]:PORT or unix:PATH, such as 127.0.0.1:8080",
                        about: .value))
            }
            let isTaken = process.listen[..<index].contains(address) || address == process.admin
            if isTaken, !address.hasSuffix(":0") {
                issues.append(
                    ValidationIssue(
                        listen[index], "is used more than once; each listener needs its own address",
                        about: .value))
            }
        }
        if AddressText.host(of: process.admin) == nil {
            issues.append(
                ValidationIssue(FieldPath("admin"), "is not HOST:PORT, such as 127.0.0.1:8081", about: .value))
        }
        let words = process.proxyProtocol
        for (index, word) in words.enumerated() where words != ["true"] && words != ["false"] {
            guard !process.listen.contains(word) else { continue }
            issues.append(
                ValidationIssue(
                    FieldPath("proxy_protocol")[index],
                    "is neither true, false, nor a listener as `listen` spells it", about: .value))
        }
        return issues
    }

    static func healthIssues(_ configuration: GatewayConfiguration) -> [ValidationIssue] {
        guard let path = configuration.live.healthPath else { return [] }
        guard NameRules.isPath(path), !path.contains("*") else {
            return [ValidationIssue(FieldPath("health_path"), "is not a path such as /health", about: .value)]
        }
        guard let taken = configuration.sources.firstIndex(where: { $0.pathsInForce.contains(path) }) else { return [] }
        return [ValidationIssue(FieldPath("health_path"), "is already the path of sources[\(taken)]", about: .value)]
    }

    static func publicationIssues(_ configuration: GatewayConfiguration) -> [ValidationIssue] {
        guard configuration.live.takesPublications else { return [] }
        var issues: [ValidationIssue] = []
        for (index, source) in configuration.sources.enumerated() {
            issues += publicationIssues(configuration.live, source, at: FieldPath("sources")[index])
        }
        if let path = configuration.live.healthPath, IngestPublications.takes(path: path) {
            issues.append(ValidationIssue(FieldPath("health_path"), publicationsAreThere, about: .value))
        }
        return issues
    }
    private static let publicationsAreThere = "is where `publish: true` takes publications"
    static func publicationIssues(
        _ live: LiveSettings, _ source: SourceConfiguration, at path: FieldPath
    ) -> [ValidationIssue] {
        guard live.takesPublications, source.pathsInForce.contains(where: IngestPublications.takes) else { return [] }
        return [ValidationIssue(path["path"], publicationsAreThere, about: .value)]
    }

    /// Sources that the API made: `publish: true` may come after them.
    static func publicationIssues(_ live: LiveSettings, beside state: RegistryState) -> [ValidationIssue] {
        guard live.takesPublications else { return [] }
        return state.sources.all.filter {
            $0.origin == .api && $0.settings.pathsInForce.contains(where: IngestPublications.takes)
        }.map { source in
            ValidationIssue(
                FieldPath("publish"),
                "takes publications at a path of the source `\(source.qualifiedName)`, which the API made: "
                    + "give that another path or delete it first")
        }
    }

    private static func boundIssues(_ configuration: GatewayConfiguration) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        let limits = configuration.process.limits
        let log = configuration.process.log
        if limits.requestLineBytesMax > limits.headBytesMax {
            issues.append(
                ValidationIssue(
                    FieldPath("limits", "request_line"), "is larger than the whole head (`limits.head`)"))
        }
        let largest = SourceTopology.bodyBytesMax(configuration)
        if limits.assemblyBytes < largest + limits.headBytesMax {
            issues.append(
                ValidationIssue(
                    FieldPath("limits", "assembly"),
                    "cannot hold even one request of \(ByteSize.text(of: largest)); give it several times that"))
        }
        if log.groupBytes < largest + limits.headBytesMax {
            issues.append(
                ValidationIssue(
                    FieldPath("log", "group"),
                    "(\(ByteSize.text(of: log.groupBytes))) must hold the largest request: a body of "
                        + "\(ByteSize.text(of: largest)) and a head of \(ByteSize.text(of: limits.headBytesMax))"))
        }
        let bodies = BodyLimits(configuration.process)
        let split = configuration.sources.filter { $0.split != nil }.map(bodies.bytesMax).max() ?? 0
        if split > 0, log.groupBytes < 2 * (split + limits.headBytesMax) {
            issues.append(
                ValidationIssue(
                    FieldPath("log", "group"),
                    "(\(ByteSize.text(of: log.groupBytes))) must hold a request that is split twice, its events and "
                        + "itself: bodies of \(ByteSize.text(of: split)) and heads of "
                        + "\(ByteSize.text(of: limits.headBytesMax))"))
        }
        if log.segmentBytes < 2 * log.groupBytes {
            issues.append(
                ValidationIssue(
                    FieldPath("log", "segment"),
                    "must be at least twice `log.group` (\(ByteSize.text(of: log.groupBytes)))"))
        }
        if let kept = log.retentionBytes, kept < 2 * log.segmentBytes {
            issues.append(
                ValidationIssue(
                    FieldPath("log", "retention", "size"),
                    "must be at least two segments (\(ByteSize.text(of: log.segmentBytes)) each)"))
        }
        return issues
    }

    private static func edgeIssues(_ configuration: GatewayConfiguration) -> [ValidationIssue] {
        certificateIssues(configuration) + revocationIssues(configuration) + addressIssues(configuration)
            + originIssues(configuration)
    }
    private static func certificateIssues(_ configuration: GatewayConfiguration) -> [ValidationIssue] {
        let asks = configuration.process.listenTLS.values.contains { $0.clientAuthorities != nil }
        guard !asks else { return [] }
        return configuration.sources.enumerated().filter { $1.clientCertificate != nil }.map { index, _ in
            ValidationIssue(
                FieldPath("sources")[index]["client_certificate"],
                "is never shown, for no listener asks for one; give a listener "
                    + "`tls: { certificate: …, client_ca: FILE }`")
        }
    }
    private static func revocationIssues(_ configuration: GatewayConfiguration) -> [ValidationIssue] {
        let ingest = configuration.process.listen.enumerated().map { index, address in
            (FieldPath("listen")[index], configuration.process.listenTLS[address])
        }
        return (ingest + [(FieldPath("admin"), configuration.process.adminTLS)]).compactMap { path, tls in
            guard let tls, tls.clientRevoked != nil, tls.clientAuthorities == nil else { return nil }
            return ValidationIssue(
                path["tls"]["client_crl"],
                "is of no use without `client_ca`, the authorities whose certificates it revokes")
        }
    }
    /// Of browsers that may call the contract edge: each is named, and never all of them.
    private static func originIssues(_ configuration: GatewayConfiguration) -> [ValidationIssue] {
        configuration.process.contract.origins.enumerated().filter { (try? EdgeCompiler.origin($1)) == nil }.map {
            ValidationIssue(
                FieldPath("contract", "cors_origins")[$0.offset],
                "is not a scheme and host such as https://console.example.com, without a path", about: .value)
        }
    }
    private static func addressIssues(_ configuration: GatewayConfiguration) -> [ValidationIssue] {
        let usesList = configuration.sources.contains { !$0.allowAddresses.isEmpty }
        guard configuration.process.proxyProtocol != ["false"], configuration.live.trustedProxies.isEmpty, usesList
        else { return [] }
        return [
            ValidationIssue(
                FieldPath("proxy_protocol"),
                "lets whoever connects choose the address that `allow_addresses` checks; list your proxies in "
                    + "`trusted_proxies`")
        ]
    }

    static func liveIssues(_ live: LiveSettings) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        if let url = live.publicURL {
            do {
                _ = try EdgeCompiler.origin(url)
            } catch {
                issues.append(
                    ValidationIssue(
                        FieldPath("public_url"),
                        "is not a scheme and host such as https://hooks.example.com, without a path",
                        about: .value))
            }
        }
        for (index, text) in live.trustedProxies.enumerated()
        where text != EdgeCompiler.localWord && CIDR(text) == nil {
            issues.append(badRange(FieldPath("trusted_proxies")[index]))
        }
        for (index, text) in live.allow.enumerated() where CIDR(text) == nil {
            issues.append(badRange(FieldPath("delivery", "allow")[index]))
        }
        issues += tenantIssues(live.tenants)
        if let identity = live.identity { issues += identity.issues(at: FieldPath("identity")) }
        if let proxy = live.proxy { issues += EgressProxy.issues(of: proxy, at: FieldPath("delivery", "proxy")) }
        return issues
    }
    private static func tenantIssues(_ tenants: [TenantSettings]) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        var known: [String: Int] = [:]
        for (index, tenant) in tenants.enumerated() {
            let path = FieldPath("tenants")[index]
            if tenant.name != TenantSettings.everyone, !tenant.name.isEmpty, !NameRules.isName(tenant.name) {
                issues.append(
                    ValidationIssue(
                        path["name"],
                        "must be 1 to 64 of the characters a-z A-Z 0-9 . _ -, or \"*\" for each tenant without a "
                            + "limit of its own", about: .value))
            }
            if let first = known.updateValue(index, forKey: tenant.name) {
                issues.append(ValidationIssue(path["name"], "is already the name of tenants[\(first)]", about: .value))
            }
            issues += tenant.rateLimit?.issues(at: path["rate_limit"]) ?? []
            issues += [TenantWeights.issue(tenant.weight, at: path)].compactMap(\.self)
        }
        return issues
    }
    private static func badRange(_ path: FieldPath) -> ValidationIssue {
        ValidationIssue(
            path, "is not a range of addresses such as 10.0.0.0/8 or fd00::/8 (the bits after the prefix must be zero)",
            about: .value)
    }
}
