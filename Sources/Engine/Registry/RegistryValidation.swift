// All rules over a plan, and the way to check a manifest without a registry: what the command line, a start, a reload
// and the API find is the same, because it is found here.

import FastPath

package struct RegistryValidation {
    /// See `SourceRules`.
    var bodyBytesMax: Int?

    /// Adds what is wrong with the plan of a manifest.
    func check(_ plan: inout RegistryPlan, manifest: GatewayConfiguration) {
        plan.issues += GatewayRules.issues(of: manifest)
        plan.issues += GatewayRules.publicationIssues(manifest.live, beside: plan.after)
        let sourceRules = SourceRules(bodyBytesMax: bodyBytesMax)
        for (index, source) in manifest.sources.enumerated() {
            plan.issues += sourceRules.issues(of: source, at: FieldPath("sources")[index])
        }
        let endpointRules = EndpointRules(addresses: AddressRules(valid: manifest.live.allow), state: plan.after)
        for (index, endpoint) in manifest.endpoints.enumerated() {
            plan.issues += endpointRules.issues(of: endpoint, at: FieldPath("endpoints")[index])
        }
    }
    /// Adds what is wrong with the resources that one edit made or changed.
    func check(_ plan: inout RegistryPlan, sources: [SourceSpec], endpoints: [EndpointSpec], at path: FieldPath) {
        let sourceRules = SourceRules(bodyBytesMax: bodyBytesMax)
        for source in sources {
            plan.issues += sourceRules.issues(of: source.settings, at: path)
            plan.issues += GatewayRules.publicationIssues(plan.after.live, source.settings, at: path)
        }
        guard !endpoints.isEmpty else { return }
        let rules = EndpointRules(addresses: AddressRules(valid: plan.after.live.allow), state: plan.after)
        for endpoint in endpoints { plan.issues += rules.issues(of: endpoint.settings, at: path) }
    }

    /// Everything that `serve` would refuse about a manifest on its own; nothing is kept or started.
    package static func issues(of manifest: GatewayConfiguration) -> [ValidationIssue] {
        var plan = RegistryPlan(RegistryState.fresh(nowMillis: 0), nowMillis: 0)
        plan.plan(manifest: manifest)
        RegistryValidation().check(&plan, manifest: manifest)
        // What else is wrong with a source is the compiler's to say, once its fields are sound.
        let faulty = Set(plan.issues.compactMap(\.path.sourceIndex))
        for (index, source) in manifest.sources.enumerated() where !faulty.contains(index) {
            let path = FieldPath("sources")[index]
            do {
                _ = try SourceCompiler.compile(source)
            } catch {
                plan.issues.append(SourceRules.issue(error.problem, at: path))
            }
        }
        plan.issues += fileIssues(of: manifest, beside: plan.issues)
        plan.issues += ListenerCertificates.issues(of: manifest.process)
        if !plan.issues.contains(where: { $0.path.hasPrefix(FieldPath("identity")) }) {
            plan.issues += IdentityProvider.issues(of: manifest.live)
        }
        return plan.issues
    }
    /// What is wrong with the files that sound endpoints name.
    private static func fileIssues(
        of manifest: GatewayConfiguration, beside known: [ValidationIssue]
    ) -> [ValidationIssue] {
        do throws(ValidationIssue) { _ = try NamedContexts(manifest.live.namedCertificates) } catch { return [error] }
        // Held to the end, so that endpoints with the same files share a context here, too, and it is made once.
        var contexts: [TLSContext] = []
        return manifest.endpoints.enumerated().compactMap { index, endpoint in
            let path = FieldPath("endpoints")[index]
            guard let tls = endpoint.tls, !known.contains(where: { $0.path.hasPrefix(path) }) else { return nil }
            do throws(EndpointTLSError) { contexts.append(try ClientContexts.context(for: tls)) } catch {
                return EndpointError.tls(error).issue(at: path)
            }
            return nil
        }
    }
}

extension AddressRules {
    /// Ranges that are none are reported where they stand, and open nothing here.
    init(valid texts: [String]) { self.init(ranges: texts.compactMap { CIDR($0) }) }
}

extension RegistryState {
    /// With the default tenant and nothing else.
    package static func fresh(nowMillis: Int64) -> RegistryState {
        var state = RegistryState()
        state.set(
            TenantSpec(
                id: .main, publicID: .make(.tenant), name: TenantSpec.defaultName,
                origin: .manifest, revision: 1, createdMillis: nowMillis))
        return state
    }
}

extension FieldPath {
    /// Of a path into one of the manifest's sources.
    var sourceIndex: Int? {
        guard components.count > 1, components[0] == .key("sources"), case .index(let index) = components[1] else {
            return nil
        }
        return index
    }
}
