// Applications of the running gateway: tenants, made and changed through the registry.
import Engine
import Foundation

extension LiveOutbound {
    func applications(_ paging: SvixPaging, _ caller: Caller) throws -> SvixPage<SvixApplication> {
        let lookup = try lookup(caller)
        let mark = paging.iterator.flatMap { SvixID.resource($0, .tenant)?.number }
        if let own = caller.principal.tenant {
            let tenant = try lookup.application(own)
            let isPast = mark.map { paging.walksUp ? tenant.id.number <= $0 : tenant.id.number >= $0 } ?? false
            return SvixPage(walked: isPast ? [] : [SvixApplication(tenant)], paging) { $0.id }
        }
        let walked =
            paging.walksUp
            ? lookup.state.tenants(after: mark ?? 0, limit: paging.limit + 1)
            : lookup.state.tenants(before: mark ?? .max, limit: paging.limit + 1)
        return SvixPage(walked: walked.map { SvixApplication($0) }, paging) { $0.id }
    }
    func application(_ ref: String, _ caller: Caller) throws -> SvixApplication {
        SvixApplication(try lookup(caller).application(ref))
    }
    func create(
        _ draft: SvixApplicationDraft, getsExisting: Bool, _ caller: Caller
    ) throws -> (application: SvixApplication, isNew: Bool) {
        let lookup = try lookup(caller)
        if getsExisting, let known = draft.uid.flatMap({ lookup.state.tenant(uid: $0) }) {
            return (SvixApplication(known), false)
        }
        try lookup.needFree(uid: draft.uid)
        let made = try apply(.createTenant(name: nil, uid: draft.uid, profile: TenantProfile(draft)), caller)
        guard let id = made.first else { throw SvixError.conflict("the application was removed as it was made") }
        return (try application(id, caller), true)
    }
    func replace(
        _ ref: String, _ draft: SvixApplicationDraft, _ caller: Caller
    ) throws -> (application: SvixApplication, isNew: Bool) {
        guard let known = try lookup(caller).tenant(ref) else {
            return try create(draft, getsExisting: false, caller)
        }
        let profile = TenantProfile(draft)
        return (try update(known, uid: draft.uid, caller) { $0 = profile }, false)
    }
    func patch(_ ref: String, _ patch: SvixApplicationPatch, _ caller: Caller) throws -> SvixApplication {
        let known = try lookup(caller).application(ref)
        return try update(known, uid: patch.uid.over(known.uid), caller) { profile in
            profile.title = patch.name ?? profile.title
            profile.throttleRate = patch.throttleRate.over(profile.throttleRate)
            profile.metadata = patch.metadata.over(profile.metadata) ?? [:]
        }
    }
    private func update(
        _ known: TenantSpec, uid: String?, _ caller: Caller, _ update: @escaping SettingsUpdate<TenantProfile>
    ) throws -> SvixApplication {
        try lookup(caller).needFree(uid: uid, except: known.id)
        try apply(.updateTenant(known.id, name: nil, uid: .some(uid), profile: update), caller)
        return try application(known.publicID.text, caller)
    }
    func deleteApplication(_ ref: String, _ caller: Caller) throws {
        try apply(.deleteTenant(try lookup(caller).application(ref).id), caller)
    }

    // MARK: tokens

    private static let portalKeyName = "app-portal"

    func portalToken(_ ref: String, _ order: SvixPortalOrder, _ caller: Caller) throws -> String {
        let tenant = try lookup(caller).application(ref)
        guard let ring = gateway.keys else { throw ControlError.notRunning }
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        do {
            return try ring.make(
                tenant: tenant.id, role: order.isReadOnly ? .viewer : .admin, name: LiveOutbound.portalKeyName,
                expiresMillis: now + Int64(order.seconds) * 1000, featureFlags: order.featureFlags,
                isPortal: true, actor: ChangeActor(caller)
            ).token
        } catch { throw SvixError(error) }
    }
    func endPortalTokens(_ ref: String, _ caller: Caller) throws {
        let tenant = try lookup(caller).application(ref)
        guard let ring = gateway.keys else { throw ControlError.notRunning }
        do { try ring.revokePortals(of: tenant.id, actor: ChangeActor(caller)) } catch { throw SvixError(error) }
    }
}

extension SvixApplication {
    init(_ tenant: TenantSpec) {
        self.init(
            id: SvixID.text(tenant.publicID, number: tenant.id.number), uid: tenant.uid,
            name: tenant.profile.title ?? tenant.name, throttleRate: tenant.profile.throttleRate,
            metadata: tenant.profile.metadata, createdMillis: tenant.createdMillis,
            updatedMillis: max(tenant.updatedMillis, tenant.createdMillis))
    }
}

extension TenantProfile {
    init(_ draft: SvixApplicationDraft) {
        self.init()
        title = draft.name
        metadata = draft.metadata
        throttleRate = draft.throttleRate
    }
}
