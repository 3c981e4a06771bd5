// Keys of the control API as plain values: whose, what for, until when; and all of them, found by number, public id,
// digest or tenant.
//
// Invariants: no token is here, only its digest (see `TokenDigester`); a number and a public id are never given twice.

/// What a key's bearer may do. Each role of the ladder may what those below it may; raw values are stored.
package enum KeyRole: UInt8, CaseIterable, Sendable {
    /// Beside the ladder: puts events in, as operators and those above may, and reads nothing.
    case publisher = 1
    case viewer = 2
    case `operator` = 3
    case admin = 4
    /// The operator of the gateway itself; belongs to no tenant.
    case platform = 5

    package var name: String {
        switch self {
        case .publisher: "publisher"
        case .viewer: "viewer"
        case .operator: "operator"
        case .admin: "admin"
        case .platform: "platform"
        }
    }
    package init?(name: String) {
        guard let role = KeyRole.allCases.first(where: { $0.name == name }) else { return nil }
        self = role
    }
    package func includes(_ least: KeyRole) -> Bool {
        if least == .publisher { return self == .publisher || rawValue >= KeyRole.operator.rawValue }
        return self != .publisher && rawValue >= least.rawValue
    }
}

/// HMAC-SHA256 of a token.
package struct KeyDigest: Hashable, Sendable {
    package let bytes: [UInt8]

    package init(_ bytes: [UInt8]) { self.bytes = bytes }
}

/// A key that is to be made.
package struct KeyDraft: Equatable, Sendable {
    /// Nil = of all tenants.
    package var tenant: TenantID?
    package var role: KeyRole
    /// A label; may be empty.
    package var name: String
    package var digest: KeyDigest
    package var expiresMillis: Int64?
    /// Labels: event types that ask for one of these are seen.
    package var featureFlags: [String]
    /// For the tenant's own people: it opens the Svix-shaped API and nothing else.
    package var isPortal: Bool

    package init(
        tenant: TenantID?, role: KeyRole, name: String = "", digest: KeyDigest, expiresMillis: Int64? = nil,
        featureFlags: [String] = [], isPortal: Bool = false
    ) {
        self.tenant = tenant
        self.role = role
        self.name = name
        self.digest = digest
        self.expiresMillis = expiresMillis
        self.featureFlags = featureFlags
        self.isPortal = isPortal
    }
}

package struct KeySpec: Equatable, Sendable {
    package let id: KeyID
    package let publicID: PublicID
    /// Nil = of all tenants.
    package let tenant: TenantID?
    package let role: KeyRole
    package let name: String
    package let digest: KeyDigest
    package let createdMillis: Int64
    package let expiresMillis: Int64?
    package let featureFlags: [String]
    package let isPortal: Bool

    package init(id: KeyID, publicID: PublicID, draft: KeyDraft, createdMillis: Int64) {
        self.id = id
        self.publicID = publicID
        tenant = draft.tenant
        role = draft.role
        name = draft.name
        digest = draft.digest
        self.createdMillis = createdMillis
        expiresMillis = draft.expiresMillis
        featureFlags = draft.featureFlags
        isPortal = draft.isPortal
    }
    package func isExpired(nowMillis: Int64) -> Bool { expiresMillis.map { $0 <= nowMillis } ?? false }
    /// For the audit log.
    var shownFields: [FieldChange] {
        var fields = [FieldChange(field: "role", before: "none", after: role.name)]
        if let expiresMillis {
            fields.append(FieldChange(field: "expires", before: "never", after: "\(expiresMillis) ms since 1970"))
        }
        if isPortal { fields.append(FieldChange(field: "portal", before: "no", after: "yes")) }
        return fields
    }
}

/// Of the keys of portals, which are made with each visit; of others an operator makes as many as there are.
package enum KeyBounds {
    /// Of a tenant; the oldest gives way.
    package static let portalCountMax = 1000
    /// That have ended and go with a new one.
    package static let portalEndedCountMax = 16
}

package struct KeyIndex: Sendable {
    private var table = PagedTable<KeySpec>()
    private var byDigest = ShardedMap<KeyDigest, KeyID>()
    private var byPublicID = ShardedMap<PublicID, KeyID>()
    private var byTenant = ShardedMap<TenantID, [KeyID]>()
    package internal(set) var lastNumber: UInt32 = 0

    package var count: Int { table.count }
    package var all: [KeySpec] { Array(table.values) }
    package subscript(_ id: KeyID) -> KeySpec? { table[id.number] }
    package func with(publicID: PublicID) -> KeySpec? { byPublicID[publicID].flatMap { self[$0] } }
    /// What the lookup's time tells is of a digest that only the gateway can compute, not of a token.
    package func with(digest: KeyDigest) -> KeySpec? { byDigest[digest].flatMap { self[$0] } }
    package func page(after number: UInt32, limit: Int) -> [KeySpec] { table.values(after: number, limit: limit) }
    /// The oldest first.
    package func all(of tenant: TenantID) -> [KeySpec] { (byTenant[tenant] ?? []).compactMap { self[$0] } }
    package func portals(of tenant: TenantID) -> [KeySpec] { all(of: tenant).filter(\.isPortal) }

    mutating func set(_ key: KeySpec) {
        table[key.id.number] = key
        byDigest[key.digest] = key.id
        byPublicID[key.publicID] = key.id
        lastNumber = max(lastNumber, key.id.number)
        updateList(of: key.tenant) { ids in
            let place = ids.partitionIndex { $0 < key.id }
            if place == ids.count || ids[place] != key.id { ids.insert(key.id, at: place) }
        }
    }
    mutating func remove(_ key: KeySpec) {
        table[key.id.number] = nil
        byDigest[key.digest] = nil
        byPublicID[key.publicID] = nil
        updateList(of: key.tenant) { ids in
            let place = ids.partitionIndex { $0 < key.id }
            if place < ids.count, ids[place] == key.id { ids.remove(at: place) }
        }
    }
    private mutating func updateList(of tenant: TenantID?, _ update: (inout [KeyID]) -> Void) {
        guard let tenant else { return }
        var ids = byTenant[tenant] ?? []
        // Held once while it changes, so that a start, which sets all keys, copies none of the lists.
        byTenant[tenant] = nil
        update(&ids)
        if !ids.isEmpty { byTenant[tenant] = ids }
    }
}
