// Tenants made, changed and removed, through the registry.
import Engine
import Foundation

final class LiveTenants: TenantControl {
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    func create(_ draft: TenantDraft, _ caller: Caller) throws -> TenantResource {
        var profile = TenantProfile()
        profile.rateLimit = draft.rateLimit?.limit
        profile.weight = draft.weight
        try apply(.createTenant(name: draft.name, uid: draft.uid, profile: profile), caller)
        let state = try RegistryLookup(gateway, caller).state
        guard let made = state.tenant(named: draft.name) else {
            throw ControlError(.conflict, "`\(draft.name)` was made, and has been renamed or removed since")
        }
        var resource = TenantResource(made, state)
        resource.signingSecret = made.signingSecret
        return resource
    }
    func update(_ ref: String, _ patch: TenantPatch, _ caller: Caller) throws -> TenantResource {
        let tenant = try RegistryLookup(gateway, caller).tenant(ref)
        var profile: SettingsUpdate<TenantProfile>?
        if patch.rateLimit != nil || patch.weight != nil {
            profile = { known in
                if let limit = patch.rateLimit { known.rateLimit = limit }
                if let weight = patch.weight { known.weight = weight }
            }
        }
        try apply(.updateTenant(tenant.id, name: patch.name, uid: patch.uid, profile: profile), caller)
        let after = try RegistryLookup(gateway, caller)
        return TenantResource(try after.tenant(tenant.publicID.text), after.state)
    }
    func upsert(uid: String, _ draft: TenantDraft, _ caller: Caller) throws -> (tenant: TenantResource, isNew: Bool) {
        guard let known = try RegistryLookup(gateway, caller).state.tenant(uid: uid) else {
            var made = draft
            made.uid = uid
            return (try create(made, caller), true)
        }
        var patch = TenantPatch(.null)
        patch.name = draft.name
        if let limit = draft.rateLimit { patch.rateLimit = .some(limit.limit) }
        if let weight = draft.weight { patch.weight = .some(weight) }
        return (try update(known.publicID.text, patch, caller), false)
    }
    func rotateSecret(_ ref: String, _ caller: Caller) throws -> TenantResource {
        let tenant = try RegistryLookup(gateway, caller).tenant(ref)
        try apply(.rotateSigningSecret(tenant.id), caller)
        let after = try RegistryLookup(gateway, caller)
        let rotated = try after.tenant(tenant.publicID.text)
        var resource = TenantResource(rotated, after.state)
        resource.signingSecret = rotated.signingSecret
        return resource
    }
    func delete(_ ref: String, withResources: Bool, _ caller: Caller) throws {
        let tenant = try RegistryLookup(gateway, caller).tenant(ref)
        do { try apply(.deleteTenant(tenant.id, ifEmpty: !withResources), caller) } catch let error as ControlError {
            guard error.code == .tenantInUse else { throw error }
            throw ControlError(.tenantInUse, error.message + " (`with_resources=true`)")
        }
    }
    private func apply(_ edit: RegistryEdit, _ caller: Caller) throws {
        do { _ = try gateway.apply(.edits([edit]), actor: ChangeActor(caller)) } catch { throw ControlError(error) }
    }
}
