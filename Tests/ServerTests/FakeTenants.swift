// The tenants and keys of the gateway that only remembers what it was asked.
import Server

extension FakeGateway: TenantControl, KeyControl {
    private static func tenant(_ name: String, uid: String? = nil) -> TenantResource {
        TenantResource(
            id: "app_9", tenantId: "00000000-0000-4000-8000-000000000009", name: name, uid: uid, origin: .api,
            sources: 0, endpoints: 0)
    }

    func create(_ draft: TenantDraft, _ caller: Caller) throws -> TenantResource {
        try note("create tenant \(draft.name) \(draft.uid ?? "-")", caller)
        var made = FakeGateway.tenant(draft.name, uid: draft.uid)
        made.signingSecret = "whsec_secret"
        return made
    }
    func update(_ ref: String, _ patch: TenantPatch, _ caller: Caller) throws -> TenantResource {
        let uid =
            switch patch.uid {
            case .none: "-"
            case .some(.none): "none"
            case .some(.some(let text)): text
            }
        try note("update tenant \(ref) \(patch.name ?? "-") \(uid)", caller)
        return FakeGateway.tenant(patch.name ?? ref)
    }
    func upsert(uid: String, _ draft: TenantDraft, _ caller: Caller) throws -> (tenant: TenantResource, isNew: Bool) {
        try note("upsert tenant \(uid) \(draft.name)", caller)
        return (FakeGateway.tenant(draft.name, uid: uid), uid == "new")
    }
    func rotateSecret(_ ref: String, _ caller: Caller) throws -> TenantResource {
        try note("rotate secret of \(ref)", caller)
        var rotated = FakeGateway.tenant(ref)
        rotated.signingSecret = "whsec_other"
        return rotated
    }
    func delete(_ ref: String, withResources: Bool, _ caller: Caller) throws {
        try note("delete tenant \(ref) \(withResources)", caller)
    }

    private static func key(_ number: Int) -> KeyResource {
        KeyResource(
            keyId: "key_\(number)", name: "ci", role: "viewer", tenantId: "*", createdAt: "2026-01-01T00:00:00.000Z")
    }
    func keys(tenant: String?, _ paging: Paging, _ caller: Caller) throws -> Found<KeyResource, UInt64> {
        try note("keys \(tenant ?? "-")", caller)
        let first = Int(paging.after ?? 0) + 1
        return Found([FakeGateway.key(first)], next: first < 3 ? UInt64(first) : nil)
    }
    func key(_ id: String, _ caller: Caller) throws -> KeyResource {
        try note("key \(id)", caller)
        return FakeGateway.key(1)
    }
    func create(_ order: KeyOrder, _ caller: Caller) throws -> KeyResource {
        try note("create key \(order.role) \(order.tenantId ?? "-") \(order.expiresAt ?? "-")", caller)
        var made = FakeGateway.key(1)
        made.token = "sluice_token"
        return made
    }
    func revoke(_ id: String, _ caller: Caller) throws { try note("revoke \(id)", caller) }
}
