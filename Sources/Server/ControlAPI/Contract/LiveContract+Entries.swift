// Entries of the contract's registry: endpoints of a family of their own, made and changed through the registry.
import Engine
import FastPath
import Foundation

extension LiveContract {
    func find(_ id: String, _ tenant: TenantSpec) throws -> EndpointSpec {
        if ContractID.isUUID(id), let found = try state().webhook(id, of: tenant.id, .contract) { return found }
        throw EdgeRefusal(.notFound, "there is no webhook `\(id.prefix(64))`")
    }
    private func shown(_ entries: [EndpointSpec], _ tenant: TenantSpec) throws -> [ContractEntryView] {
        let lanes = try gateway.accessNow().delivery.statuses(entries.map(\.id))
        let stopped = Set(lanes.filter { $0.state.condition == .disabled }.map(\.endpoint))
        return entries.map { entry in
            var settings = entry.settings
            if stopped.contains(entry.id) { settings.disabled = true }
            return ContractEntryView(
                id: entry.publicID.uuid, tenant: tenant.publicID.uuid, settings: settings,
                createdMillis: entry.createdMillis, updatedMillis: max(entry.updatedMillis, entry.createdMillis))
        }
    }

    func entries(type: String?, isActive: Bool?, _ paging: ContractPaging, _ caller: Caller) throws -> ContractPage {
        let tenant = try tenant(caller)
        let state = try state()
        let before = try paging.cursor.map { try ContractCursor.parts($0, of: .contractEntries, count: 1)[0] } ?? .max
        var found: [EndpointSpec] = []
        // One more than asked for says that there is another page.
        for number in state.endpoints.numbers(of: tenant.id).reversed() where UInt64(number) < before {
            guard let entry = state.endpoints[EndpointID(number)], entry.settings.extras.family == .contract,
                type.map({ entry.settings.types.contains($0) }) ?? true,
                isActive.map({ $0 == !entry.settings.disabled }) ?? true
            else { continue }
            found.append(entry)
            if found.count > paging.limit { break }
        }
        let page = Array(found.prefix(paging.limit))
        let last = found.count > page.count ? page.last : nil
        return ContractPage(
            try shown(page, tenant).map { $0.json() },
            next: last.map { Cursor(.contractEntries, UInt64($0.id.number)).text })
    }
    func entry(_ id: String, _ caller: Caller) throws -> ContractEntryView {
        let tenant = try tenant(caller)
        return try shown([try find(id, tenant)], tenant)[0]
    }
    func createEntry(_ change: ContractEntryChange, _ caller: Caller) throws -> (ContractEntryView, secret: String?) {
        let tenant = try tenant(caller)
        var settings = EndpointConfiguration()
        settings.tenant = tenant.name
        settings.sources = [PublishSource.contractName]
        settings.forwardsHeaders = false
        settings.extras.family = .contract
        settings.extras.fields = [
            ConfiguredField(name: "X-Zen-Contract-Version", value: EdgeVersion.newest.rawValue),
            ConfiguredField(name: "X-Tenant-Id", value: tenant.publicID.uuid),
        ]
        let made = change.secret == nil ? TextEncoding.hex(RandomBytes.make(32)) : nil
        if let made { settings.secrets = [made] }
        try change.apply(to: &settings)
        let report = try apply(.createEndpoint(settings, isNameless: true), caller)
        guard let id = report.diff.entries.first(where: { $0.effect == .added })?.id,
            let entry = try PublicID(id, prefix: .endpoint).flatMap({ try state().endpoints.with(publicID: $0) })
        else { throw EdgeRefusal(.unavailable, "the webhook was made, and has been removed since") }
        return (try shown([entry], tenant)[0], made)
    }
    func updateEntry(_ id: String, _ change: ContractEntryChange, _ caller: Caller) throws -> ContractEntryView {
        let tenant = try tenant(caller)
        let known = try find(id, tenant)
        var wanted = known.settings
        try change.apply(to: &wanted)
        if wanted != known.settings {
            try apply(.updateEndpoint(known.id) { settings in _ = try? change.apply(to: &settings) }, caller)
        }
        if change.isActive == true { try lift(known, caller) }
        return try entry(id, caller)
    }
    /// An operator has disabled it beside its settings.
    private func lift(_ entry: EndpointSpec, _ caller: Caller) throws {
        let delivery = try gateway.accessNow().delivery
        guard try delivery.statuses([entry.id]).first?.state.condition == .disabled else { return }
        try gateway.note(
            .update, on: entry, of: entry.tenant, [FieldChange(field: "state", before: "", after: "enabled")], caller)
        try delivery.perform(.enable, on: entry.id)
        gateway.tellSwitched(entry, isEnabled: true, by: ChangeActor(caller))
    }
    func deleteEntry(_ id: String, _ caller: Caller) throws {
        try apply(.deleteEndpoint(try find(id, try tenant(caller)).id), caller)
    }
    @discardableResult private func apply(_ edit: RegistryEdit, _ caller: Caller) throws -> ChangeReport {
        do { return try gateway.apply(.edits([edit]), actor: ChangeActor(caller)) } catch {
            switch error {
            case .invalid(let issues):
                throw EdgeRefusal.invalid(
                    issues.issues.map { FieldProblem(path: LiveContract.field("\($0.path)"), reason: $0.reason) })
            case .notFound: throw EdgeRefusal(.notFound, error.description)
            default: throw EdgeRefusal(ControlError(error))
            }
        }
    }
    /// As these routes spell what the registry spells in another way.
    private static func field(_ path: String) -> String {
        for (own, other) in [("url", "target_url"), ("types", "event_types"), ("secret", "secret"), ("name", "name")]
        where path.hasPrefix(own) {
            return other + path.dropFirst(own.count)
        }
        return path
    }
}

/// Cursors of the contract's listings: what is none is a wrong field like any other.
enum ContractCursor {
    static func parts(_ text: String, of listing: Cursor.Listing, count: Int) throws -> [UInt64] {
        do { return try Cursor(text, of: listing, count: count).parts } catch {
            throw EdgeRefusal.invalid([
                FieldProblem(path: "cursor", reason: "takes what `next_cursor` of the same listing said")
            ])
        }
    }
}
