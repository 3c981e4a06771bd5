// One endpoint, ready to be delivered to: what an operator said of it, checked. Immutable; a change makes a new one.
// Names are not resolved here: that is the lane's affair while it has something to send.
//
// Most endpoints are idle most of the time, so this holds the settings that the registry holds, and no copy of them;
// what follows from them in a microsecond is worked out when it is asked for.

import FastPath

/// What all endpoints of a compilation share.
package final class EndpointEnvironment: Sendable {
    package let rules: AddressRules
    /// Fields that carry a source's secret itself: never forwarded.
    package let withheld: [HeaderName]
    let schedules: FamilySchedules
    let proxy: EgressProxy?
    let certificates: NamedContexts
    /// What `User-Agent: Sluice/…` says.
    let version: String
    let requestHeadBytesMax: Int

    package init(
        _ compilation: EndpointCompilation, version: String,
        requestHeadBytesMax: Int = EgressLimits().requestHeadBytesMax
    ) throws(ValidationIssue) {
        do throws(ProxyError) {
            proxy = if let settings = compilation.proxy { try EgressProxy(settings) } else { nil }
        } catch {
            throw ValidationIssue(FieldPath("delivery", "proxy", "url"), error.message, about: .value)
        }
        certificates = try NamedContexts(compilation.certificates)
        rules = compilation.rules
        schedules = compilation.schedules
        withheld = compilation.withheldHeaders.map { HeaderName($0) }
        self.version = version
        self.requestHeadBytesMax = requestHeadBytesMax
    }
}

/// Why an endpoint cannot be compiled.
package enum EndpointError: Error, Equatable, Sendable {
    case address(EndpointAddressError)
    case tls(EndpointTLSError)
    /// The name of a certificate.
    case certificate(String)
    /// Of the second URL.
    case failover(EndpointAddressError)
    case filter(ValidationIssue)
    /// Of the place where access tokens are asked for.
    case authorization(String)

    package func issue(at path: FieldPath) -> ValidationIssue {
        switch self {
        case .address(let error): return ValidationIssue(path["url"], error.description, about: error.subject)
        case .tls(let error):
            let field = error.file.map { path["tls"][$0.rawValue] } ?? path["url"]
            return ValidationIssue(field, error.message, about: .nothing)
        case .failover(let error):
            return ValidationIssue(ContractEntry.failoverPath(under: path), error.description, about: error.subject)
        case .certificate(let reason): return ValidationIssue(path["mtls_cert_ref"], reason, about: .nothing)
        case .filter(let issue): return issue.under(path["filter"])
        case .authorization(let reason):
            return ValidationIssue(path["authorization"]["oauth2"]["token_url"], reason, about: .nothing)
        }
    }
}

package final class CompiledEndpoint: Sendable {
    package let id: EndpointID
    package let tenant: TenantID
    private let box: SettingsBox<EndpointConfiguration>
    private let sourceIDs: [SourceID]
    package let environment: EndpointEnvironment
    package let outcomes: OutcomeTable
    /// Nil = in any order.
    package let order: DeliveryOrder?
    /// Nil = whatever the events say.
    package let filter: CompiledFilter?
    /// Lines of its own, as they are sent.
    let fieldLines: [UInt8]
    let names: SignatureNames
    package let family: EndpointFamily
    /// Between two deliveries; nil = as fast as it takes them.
    let spacingNanos: UInt64?
    /// Nil = events are sent as they came.
    let preparation: Preparation?
    /// Nil for most, and for families whose own rules hold.
    package let policies: LanePolicies?
    /// Nil = the egress loop signs.
    let signer: AheadSigner?
    /// Nil = by Standard Webhooks.
    let signature: EndpointSignature?
    /// What the resolver is asked for; nil when the URL has a literal address.
    let host: Host?
    /// Nil when the URL's scheme is http.
    private let tls: TLSContext?

    /// Where a delivery goes that would be a dead letter; nil for nearly all.
    let failover: FailoverTarget?

    struct Host: Sendable {
        let name: String
        let port: UInt16
    }

    package init(_ spec: EndpointSpec, _ environment: EndpointEnvironment) throws(EndpointError) {
        id = spec.id
        tenant = spec.tenant
        box = spec.box
        sourceIDs = spec.sourceIDs
        self.environment = environment
        family = spec.settings.extras.family
        spacingNanos = spec.settings.extras.throttleRate.map { DeliverySpacing.intervalNanos(perSecond: $0) }
        let authorization = family == .registry ? spec.settings.policies.authorization : nil
        let credentials = try authorization?.oauth2.map { (settings) throws(EndpointError) in
            do throws(EndpointError) { return try ClientCredentials(settings, of: spec, environment) } catch {
                throw .authorization(error.issue(at: FieldPath([])).reason)
            }
        }
        policies = family.takesPolicies ? LanePolicies(spec.settings.policies, credentials: credentials) : nil
        outcomes = family.outcomes.map { OutcomeTable($0) } ?? OutcomeTable(spec.settings.outcomes)
        order = DeliveryOrder(spec.settings)
        fieldLines = spec.settings.extras.fieldLines + Array((authorization?.fieldLine ?? "").utf8)
        names =
            spec.settings.policies.signature?.form == .svix
            ? .svix : family.signatureNames ?? spec.settings.extras.signatureNames
        let form = SignatureRules.form(of: spec.settings)
        signature = form.map { EndpointSignature($0) }
        signer =
            names == .opsCenter || names == .contract || form != nil
            ? nil : AheadSigner(spec.settings, nowSeconds: CompiledEndpoint.nowSeconds)
        do throws(ValidationIssue) {
            filter = try spec.settings.policies.filter.map { (filter) throws(ValidationIssue) in
                try CompiledFilter(filter, withheld: environment.withheld)
            }
        } catch { throw .filter(error) }
        preparation = Preparation(spec.settings.policies)
        let address: EndpointAddress
        do throws(EndpointAddressError) { address = try EndpointAddress(spec.settings.url) } catch {
            throw .address(error)
        }
        tls = address.isSecure ? try CompiledEndpoint.context(spec.settings, environment) : nil
        failover = try FailoverTarget(spec.settings, environment)
        guard let literal = address.literal else {
            host = Host(name: address.host, port: address.port)
            return
        }
        if let reason = environment.rules.refusal(of: literal.address) {
            throw .address(.refused(host: address.host, address: literal.address.text, reason))
        }
        host = nil
    }
    static func context(
        _ settings: EndpointConfiguration, _ environment: EndpointEnvironment
    ) throws(EndpointError) -> TLSContext {
        if let name = settings.extras.contract?.value.certificate {
            return try environment.certificates.context(of: name, for: settings.tenant)
        }
        do throws(EndpointTLSError) { return try ClientContexts.context(for: settings.tls) } catch {
            throw .tls(error)
        }
    }
    /// All its regular expressions; nil where it has neither a filter nor any of its own to take out.
    var patterns: [LinearPattern]? {
        let custom = box.settings.policies.redaction?.custom ?? []
        guard filter != nil || !custom.isEmpty else { return nil }
        // The redactor holds them: a look-up each.
        return (filter?.patterns ?? []) + custom.compactMap { try? LinearPattern.shared($0.pattern) }
    }
    /// Nil = it is sent as it came.
    func preparation(of event: StoredEvent) -> Preparation? {
        preparation ?? (family == .contract && event.isEnveloped ? .plain : nil)
    }
    private static var nowSeconds: UInt64 { ProcessResources.wallNanos / 1_000_000_000 }
    package var configuration: EndpointConfiguration { box.settings }
    /// Unique over all tenants; what log lines and metrics say.
    package var name: String { box.settings.qualifiedName }
    /// Conditions of the gateway go to those alone that name them.
    private var wantedTypes: [String] {
        guard family == .operational, box.settings.types.isEmpty else { return box.settings.types }
        return OperationalEventType.usual.map(\.rawValue)
    }
    package var subscription: Subscription {
        Subscription(sources: sourceIDs, types: wantedTypes, channels: box.settings.channels)
    }
    package var schedule: RetrySchedule {
        if let fixed = environment.schedules.schedule(of: family) {
            return RetrySchedule(delaysMillis: fixed.delaysMillis, spread: FamilySchedule.spread)
        }
        if let own = policies?.schedule { return own }
        return RetrySchedule(delaysMillis: box.settings.retryDelaysMillis, jitter: box.settings.retryJitter)
    }
    /// One where the order is of all deliveries, whatever the settings say.
    package var concurrency: Int {
        if case .ofAll? = order { return 1 }
        return max(1, box.settings.concurrency)
    }
    package var forwarding: FieldForwarding {
        family == .registry && box.settings.forwardsHeaders ? .all : .ofBody
    }
    /// Taken apart anew: a lane needs it when its requests are to go somewhere else, and no idle one ever does.
    private var address: EndpointAddress {
        guard let address = try? EndpointAddress(box.settings.url) else {
            preconditionFailure("a URL was sound when its endpoint was compiled, and is no more")
        }
        return address
    }
    /// Where a literal address leads; empty for a host name.
    var literals: [SocketAddress] { address.literal.map { [$0] } ?? [] }

    /// The proxy that leads to these addresses of its host; nil when none does.
    func proxy(to addresses: [SocketAddress], of failover: FailoverTarget? = nil) -> EgressProxy? {
        guard let proxy = environment.proxy, !proxy.exempts((failover?.address ?? address).host, addresses) else {
            return nil
        }
        return proxy
    }
    /// Where requests go once the addresses are known. They have been checked against the rules. `proxy`: its
    /// addresses, empty where there is none.
    func destination(
        _ addresses: [SocketAddress], proxy: [SocketAddress] = [], predecessor: Destination?,
        of failover: FailoverTarget? = nil
    ) throws(DestinationError) -> Destination {
        let (address, settings) = (failover?.address ?? address, box.settings)
        var description = DestinationDescription(
            addresses: addresses.compactMap(EgressAddress.init),
            authority: address.hostField, target: address.target, secrets: settings.secrets)
        // A key pair that has ended by the time of compiling is nothing to the loop, whatever the clock says now.
        description.endingSecrets = settings.oldSecretsInForce(at: CompiledEndpoint.nowSeconds).filter {
            signer != nil || !EndpointSecret.isAsymmetric($0.text)
        }
        // One of the contract's that does not sign keeps its secret for when it does.
        if names == .contract, signature == nil { description.secrets = [] }
        description.names = names
        description.form = signature?.form
        description.userAgent = family.userAgent
        description.isSignedAhead = signer != nil
        let proxies = proxy.compactMap(EgressAddress.init)
        if !proxies.isEmpty {
            description.proxy = DestinationProxy(addresses: proxies, targets: addresses.map(\.text))
        }
        if let tls = failover.map({ $0.tls }) ?? tls {
            let isAddress = address.literal != nil
            description.tls = DestinationTLS(context: tls, name: address.host, isAddress: isAddress)
        }
        description.concurrency = concurrency
        description.connectMillisMax = settings.connectMillisMax
        description.headMillisMax = settings.headMillisMax
        description.totalMillisMax = settings.totalMillisMax
        if let millis = environment.schedules.schedule(of: family)?.attemptMillisMax {
            description.connectMillisMax = min(millis, settings.connectMillisMax)
            description.headMillisMax = millis
            description.totalMillisMax = millis
        }
        return try Destination(
            description, version: environment.version, requestHeadBytesMax: environment.requestHeadBytesMax,
            predecessor: predecessor)
    }
}
