// Keys of the running gateway: listed, shown, made, revoked.
import Engine
import Foundation

final class LiveKeys: KeyControl {
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    private func ring() throws -> KeyRing {
        guard let ring = gateway.keys else { throw ControlError.notRunning }
        return ring
    }

    func keys(tenant ref: String?, _ paging: Paging, _ caller: Caller) throws -> Found<KeyResource, UInt64> {
        let (lookup, uses) = (try RegistryLookup(gateway, caller), try ring().uses)
        let tenant = try ref.map { try lookup.tenant($0).id } ?? lookup.scope
        var after = UInt32(clamping: paging.after ?? 0)
        var found: [KeySpec] = []
        // One more than wanted, to know whether there is more.
        while found.count <= paging.limit {
            let chunk = lookup.state.keys.page(after: after, limit: 500)
            guard let last = chunk.last else { break }
            found += chunk.filter { tenant == nil || $0.tenant == tenant }
            after = last.id.number
        }
        let shown = found.prefix(paging.limit)
        return Found(
            shown.map { KeyResource($0, lookup, lastUse: uses.last($0.id)) },
            next: found.count > paging.limit ? shown.last.map { UInt64($0.id.number) } : nil)
    }
    func key(_ id: String, _ caller: Caller) throws -> KeyResource {
        let lookup = try RegistryLookup(gateway, caller)
        let key = try lookup.key(id)
        return KeyResource(key, lookup, lastUse: try ring().uses.last(key.id))
    }
    func create(_ order: KeyOrder, _ caller: Caller) throws -> KeyResource {
        let lookup = try RegistryLookup(gateway, caller)
        guard let role = KeyRole(name: order.role) else {
            throw ControlError.invalid([FieldProblem(path: "role", reason: "is not a role")])
        }
        let tenant = try lookup.tenant(of: order, role)
        let expires = order.expiresAt.flatMap { TimeText.parse($0) }.map { Int64(clamping: $0 / 1_000_000) }
        do {
            let (key, token) = try ring().make(
                tenant: tenant, role: role, name: order.name ?? "", expiresMillis: expires, actor: ChangeActor(caller))
            var resource = KeyResource(key, try RegistryLookup(gateway, caller), lastUse: nil)
            resource.token = token
            return resource
        } catch let error as RegistryRefusal { throw ControlError(error) }
    }
    /// The last platform key stays: without it nobody could make another.
    func revoke(_ id: String, _ caller: Caller) throws {
        let lookup = try RegistryLookup(gateway, caller)
        let key = try lookup.key(id)
        let others = lookup.state.keys.all.contains {
            $0.role == .platform && $0.expiresMillis == nil && $0.id != key.id
        }
        guard key.role != .platform || others else {
            throw ControlError(.conflict, "this is the last platform key that does not expire; make another one first")
        }
        do { try ring().revoke(key.id, actor: ChangeActor(caller)) } catch let error as RegistryRefusal {
            throw ControlError(error)
        }
    }
}

extension RegistryLookup {
    fileprivate func key(_ id: String) throws -> KeySpec {
        let scope = try scope
        let found = PublicID(id, prefix: .key).flatMap { state.keys.with(publicID: $0) }
        guard let found, scope == nil || scope == found.tenant else {
            throw ControlError(.noSuchKey, "there is no key `\(id)`")
        }
        return found
    }
    fileprivate func tenant(of order: KeyOrder, _ role: KeyRole) throws -> TenantID? {
        switch order.tenantId {
        case nil:
            guard role == .platform else {
                throw ControlError.invalid([
                    FieldProblem(path: "tenant_id", reason: "is required; `*` stands for all tenants")
                ])
            }
            return nil
        case KeyResource.allTenants?: return nil
        case let ref?: return try tenant(ref).id
        }
    }
}

extension KeyResource {
    init(_ key: KeySpec, _ lookup: RegistryLookup, lastUse: Int64?) {
        let tenant = key.tenant.flatMap { lookup.state.tenant($0) }
        self.init(
            keyId: key.publicID.text, name: key.name, role: key.role.name,
            tenantId: tenant?.publicID.uuid ?? KeyResource.allTenants,
            createdAt: TimeText.of(nanoseconds: UInt64(max(0, key.createdMillis)) * 1_000_000))
        self.tenant = tenant.map { Reference(id: $0.publicID.text, name: $0.name) }
        expiresAt = key.expiresMillis.flatMap { TimeText.of(millis: $0) }
        lastUsedAt = lastUse.flatMap { TimeText.of(millis: $0) }
    }
}
