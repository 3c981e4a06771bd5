// The keys of a running gateway: made, told by their tokens, revoked. Every change goes through the registry; a key
// that is revoked is refused from the moment that the change is in force.
import Foundation

package final class KeyRing: Sendable {
    package enum Verdict: Equatable, Sendable {
        case key(KeySpec)
        /// Not a token's form, or nobody's.
        case unknown
        case expired(KeySpec)
    }
    private let registry: RegistryService
    private let digester: TokenDigester
    package let uses: KeyUses
    private let nowMillis: @Sendable () -> Int64

    package init(
        registry: RegistryService, digester: TokenDigester, uses: KeyUses,
        nowMillis: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
    ) {
        self.registry = registry
        self.digester = digester
        self.uses = uses
        self.nowMillis = nowMillis
    }

    /// The ring of a data folder, and the token of the platform's key when this start made it.
    package static func open(
        _ registry: RegistryService, uses: any KeyUseStore, folder: String
    ) throws -> (ring: KeyRing, newPlatformKey: String?) {
        let digester = try TokenDigester(folder: folder)
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        let token = try PlatformKey.ensure(registry, digester, folder: folder, nowMillis: now)
        return (KeyRing(registry: registry, digester: digester, uses: try KeyUses(uses)), token)
    }

    /// Notes the use of a key that is valid.
    package func verdict(on token: String) -> Verdict {
        guard APIToken.isWellFormed(token) else { return .unknown }
        guard let key = registry.state.keys.with(digest: digester.digest(of: token)) else { return .unknown }
        let now = nowMillis()
        guard !key.isExpired(nowMillis: now) else { return .expired(key) }
        uses.note(key.id, nowMillis: now)
        return .key(key)
    }
    /// Whether a key that a token was found to be is in force still; notes its use. A key's number is never given
    /// twice, and what it may is never changed.
    package func isInForce(_ key: KeySpec) -> Bool {
        let now = nowMillis()
        guard registry.state.keys[key.id] != nil, !key.isExpired(nowMillis: now) else { return false }
        uses.note(key.id, nowMillis: now)
        return true
    }
    /// The token is nowhere but in the answer. A portal's key takes the place of others of its tenant's portals, as
    /// `KeyBounds` say.
    package func make(
        tenant: TenantID?, role: KeyRole, name: String, expiresMillis: Int64?, featureFlags: [String] = [],
        isPortal: Bool = false, actor: ChangeActor
    ) throws(RegistryRefusal) -> (key: KeySpec, token: String) {
        let token = APIToken.make()
        let digest = digester.digest(of: token)
        let draft = KeyDraft(
            tenant: tenant, role: role, name: name, digest: digest, expiresMillis: expiresMillis,
            featureFlags: featureFlags, isPortal: isPortal)
        let known = isPortal ? tenant.map { registry.state.keys.portals(of: $0) } ?? [] : []
        _ = try registry.apply(.edits([.createKey(draft)]), actor: actor)
        let left = registry.state.keys
        for old in known where left[old.id] == nil { uses.forget(old.id) }
        guard let key = registry.state.keys.with(digest: digest) else {
            throw .storeFailed("the key was revoked as it was made")
        }
        return (key, token)
    }
    /// All keys of a tenant's portals, in one step.
    package func revokePortals(of tenant: TenantID, actor: ChangeActor) throws(RegistryRefusal) {
        let known = registry.state.keys.portals(of: tenant)
        guard !known.isEmpty else { return }
        _ = try registry.apply(.edits(known.map { .deleteKey($0.id) }), actor: actor)
        for key in known { uses.forget(key.id) }
    }
    package func revoke(_ id: KeyID, actor: ChangeActor) throws(RegistryRefusal) {
        _ = try registry.apply(.edits([.deleteKey(id)]), actor: actor)
        uses.forget(id)
    }
}
