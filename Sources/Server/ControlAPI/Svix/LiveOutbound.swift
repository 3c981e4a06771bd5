// The registry of the running gateway as the Svix-shaped API sees it: who is found under an id or a uid, as far as the
// caller may see it, and the registry's refusals in the API's own form.
//
// Invariants: what belongs to another tenant than the caller's is `not_found`; it is never refused. A tenant's name
// finds nothing here: names are the operator's, uids the callers' own, and a caller's uid opens no tenant of the
// operator's.
import Engine
import Foundation

/// Thin: what is allowed is the registry's to say. Its subjects are in the files beside this one.
final class LiveOutbound: SvixApplications, SvixEventTypes, SvixEndpoints {
    let gateway: Gateway
    /// Of the endpoints.
    let family: EndpointFamily

    init(gateway: Gateway, family: EndpointFamily = .registry) {
        self.gateway = gateway
        self.family = family
    }

    func state() throws -> RegistryState {
        guard let registry = gateway.registry else { throw ControlError.notRunning }
        return registry.state
    }
    /// Public ids of what the change made.
    @discardableResult func apply(_ edit: RegistryEdit, _ caller: Caller) throws -> [String] {
        do {
            let report = try gateway.apply(.edits([edit]), actor: ChangeActor(caller))
            return report.diff.entries.filter { $0.effect == .added }.map(\.id)
        } catch { throw SvixError(error) }
    }
}

/// What is found in one version of the registry.
package struct OutboundLookup: Sendable {
    let state: RegistryState
    let caller: Caller
    /// Of the endpoints that are found.
    let family: EndpointFamily

    package init(state: RegistryState, caller: Caller, family: EndpointFamily = .registry) {
        self.state = state
        self.caller = caller
        self.family = family
    }

    /// By id or uid. Operational webhooks are the caller's tenant's, whatever is named.
    package func application(_ ref: String) throws -> TenantSpec {
        if family == .operational {
            let own = caller.principal.tenant
            if let found = own.map({ tenant($0) }) ?? state.tenant(.main) { return found }
            throw SvixError.notFound("the caller's application no longer exists")
        }
        if let found = tenant(ref), caller.principal.tenant == nil || caller.principal.tenant == found.publicID.text {
            return found
        }
        throw SvixError.notFound("there is no application `\(ref.prefix(300))`")
    }
    /// Whosever it is.
    func tenant(_ ref: String) -> TenantSpec? {
        if let (number, id) = SvixID.resource(ref, .tenant) {
            return state.tenant(TenantID(number)).flatMap { $0.publicID == id ? $0 : nil }
        }
        return PublicID(ref, prefix: .tenant).flatMap { state.tenant(publicID: $0) } ?? state.tenant(uid: ref)
    }
    /// Refuses a uid that is another's, or that another is called by where names do count.
    package func needFree(uid: String?, except id: TenantID? = nil) throws {
        guard let uid, let other = state.tenant(uid: uid) ?? state.tenant(named: uid), other.id != id else { return }
        throw SvixError.conflict("another application has `\(uid)` as its uid, or another tenant as its name")
    }
    /// Of the application, by id or uid.
    func endpoint(_ application: String, _ ref: String) throws -> EndpointSpec {
        let tenant = try self.application(application)
        guard let found = endpoint(of: tenant, ref) else {
            throw SvixError.notFound("this application has no endpoint `\(ref.prefix(300))`")
        }
        return found
    }
    func endpoint(of tenant: TenantSpec, _ ref: String) -> EndpointSpec? {
        var found: EndpointSpec?
        if let (number, id) = SvixID.resource(ref, .endpoint) {
            found = state.endpoints[EndpointID(number)].flatMap { $0.publicID == id ? $0 : nil }
        } else if let id = PublicID(ref, prefix: .endpoint) {
            found = state.endpoints.with(publicID: id)
        } else {
            found = state.endpoints.with(uid: ref, tenant: tenant.id)
        }
        return found.flatMap { $0.tenant == tenant.id && $0.settings.extras.family == family ? $0 : nil }
    }
}

extension LiveOutbound {
    func lookup(_ caller: Caller) throws -> OutboundLookup {
        OutboundLookup(state: try state(), caller: caller, family: family)
    }
}

extension SvixError {
    init(_ refusal: RegistryRefusal) {
        switch refusal {
        case .invalid(let issues):
            let items = issues.issues.map { issue in
                SvixIssue(["body"] + SvixError.place(issue.path), issue.reason)
            }
            self = .invalid(items)
        case .notFound: self = .notFound(refusal.description)
        case .managedByManifest, .changedMeanwhile, .defaultTenant, .tenantInUse: self = .conflict(refusal.description)
        case .storeFailed: self.init(503, "unavailable", refusal.description)
        }
    }
    /// As the API spells what the registry spells in another way.
    private static func place(_ path: FieldPath) -> [String] {
        let names = ["types": "eventTypes", "feature_flag": "featureFlag", "retry": "url", "timeouts": "url"]
        return path.components.compactMap { component in
            if case .key(let key) = component { names[key] ?? key } else { nil }
        }
    }
}
