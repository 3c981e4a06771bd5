// Endpoints of operational webhooks in the registry of the running gateway, and what its delivery has counted.
import Engine
import FastPath
import Foundation

/// Thin: what is allowed is the registry's to say. A caller that is confined to no tenant acts for `default`.
final class LiveOperational: OperationalWebhooks {
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    private struct Place {
        let state: RegistryState
        let tenant: TenantID
    }
    private func place(_ caller: Caller) throws -> Place {
        let lookup = try RegistryLookup(gateway, caller)
        return Place(state: lookup.state, tenant: try lookup.scope ?? .main)
    }
    private func find(_ id: String, in place: Place) throws -> EndpointSpec {
        if let found = place.state.webhook(id, of: place.tenant, .operational) { return found }
        throw ControlError(.noSuchWebhook, "there is no operational webhook `\(id.prefix(64))`")
    }

    func operationalEndpoints(_ caller: Caller) throws -> [OperationalEndpoint] {
        let place = try place(caller)
        return place.state.endpoints.all(of: place.tenant).filter { $0.settings.extras.family == .operational }
            .reversed().map { OperationalEndpoint($0) }
    }
    func operationalEndpoint(_ id: String, _ caller: Caller) throws -> OperationalEndpoint {
        OperationalEndpoint(try find(id, in: place(caller)))
    }
    func createOperationalEndpoint(_ draft: OperationalDraft, _ caller: Caller) throws -> OperationalEndpoint {
        let place = try place(caller)
        guard let tenant = place.state.tenant(place.tenant) else { throw ControlError.notRunning }
        var settings = EndpointConfiguration.operational(in: tenant)
        try settings.take(draft)
        let secret = SvixSecret.make()
        settings.secrets = [secret]
        let report = try apply(.createEndpoint(settings, isNameless: true), caller)
        let after = try self.place(caller)
        guard let id = report.diff.entries.first(where: { $0.effect == .added })?.id,
            let made = PublicID(id, prefix: .endpoint).flatMap({ after.state.endpoints.with(publicID: $0) })
        else { throw ControlError(.conflict, "the endpoint was removed as it was made") }
        var answer = OperationalEndpoint(made)
        answer.secret = secret
        return answer
    }
    func replaceOperationalEndpoint(
        _ id: String, _ draft: OperationalDraft, _ caller: Caller
    ) throws -> OperationalEndpoint {
        let known = try find(id, in: place(caller))
        var settings = known.settings
        try settings.take(draft)
        let replacement = settings
        try apply(.updateEndpoint(known.id, ifRevision: known.revision) { $0 = replacement }, caller)
        return try operationalEndpoint(id, caller)
    }
    func deleteOperationalEndpoint(_ id: String, _ caller: Caller) throws {
        try apply(.deleteEndpoint(find(id, in: place(caller)).id), caller)
    }
    @discardableResult private func apply(_ edit: RegistryEdit, _ caller: Caller) throws -> ChangeReport {
        do { return try gateway.apply(.edits([edit]), actor: ChangeActor(caller)) } catch {
            if case .notFound(.endpoint, _) = error { throw ControlError(.noSuchWebhook, error.description) }
            throw ControlError(error)
        }
    }

    func operationalStats(_ period: Range<Int64>, _ caller: Caller) throws -> OperationalStats {
        let place = try place(caller)
        let regular = place.state.endpoints.all(of: place.tenant).filter { $0.settings.extras.family != .operational }
        let store = try gateway.accessNow().delivery.store
        let found: [EndpointID: DeliverySummary]
        do { found = try store.summaries(of: Set(regular.map(\.id)), updated: period) } catch {
            throw ControlError(.storeUnavailable, "the delivery store cannot be read at the moment; try again")
        }
        return OperationalStats(
            period: period,
            endpoints: regular.map { spec in
                OperationalStats.Endpoint(
                    id: spec.outsideID, kind: spec.outsideKind,
                    counts: OperationalStats.Counts(found[spec.id] ?? DeliverySummary()))
            })
    }
}

extension EndpointConfiguration {
    /// What endpoints of operational webhooks have in common; their form, their schedule and what answers mean are
    /// their family's.
    static func operational(in tenant: TenantSpec) -> EndpointConfiguration {
        var settings = EndpointConfiguration()
        settings.tenant = tenant.name
        settings.sources = [PublishSource.operationalName]
        settings.forwardsHeaders = false
        settings.extras.family = .operational
        return settings
    }
    mutating func take(_ draft: OperationalDraft) throws {
        let (plain, user) = OutboundURL.split(draft.url)
        url = plain
        extras.userInformation = user
        extras.about = draft.about
        types = draft.types
        extras.fields = draft.headers.sorted { $0.key < $1.key }.map { ConfiguredField(name: $0.key, value: $0.value) }
        extras.throttleRate = draft.rate
        disabled = !draft.isEnabled
    }
}

extension OperationalEndpoint {
    init(_ spec: EndpointSpec) {
        let settings = spec.settings
        var draft = OperationalDraft(url: OutboundURL.joined(settings.url, user: settings.extras.userInformation))
        draft.about = settings.extras.about
        draft.types = settings.types
        draft.headers = Dictionary(settings.extras.fields.map { ($0.name, $0.value) }) { first, _ in first }
        draft.rate = settings.extras.throttleRate
        draft.isEnabled = !settings.disabled
        self.init(
            id: spec.outsideID, draft: draft, createdMillis: spec.createdMillis,
            updatedMillis: max(spec.updatedMillis, spec.createdMillis))
    }
}
