// The sources, or the endpoints, of a registry with the ways to find them: by number, by name or uid within a tenant,
// by public id, and all of a tenant.
//
// Invariant: the indexes say exactly what the table holds. A value like any other: copying it is constant, and changing
// one resource in a copy costs microseconds however many there are.

/// A name or uid within its tenant.
package struct TenantKey: Hashable, Sendable {
    package let tenant: TenantID
    package let text: String
}

package struct ResourceIndex<Settings: ResourceSettings>: Sendable {
    package typealias Spec = ResourceSpec<Settings>
    private var table = PagedTable<Spec>()
    private var numbersByName = NumberIndex()
    private var numbersByUID = NumberIndex()
    private var numbersByPublicID = NumberIndex()
    /// Ascending. A change copies the numbers of one tenant: 4 bytes each.
    private var numbersByTenant: [TenantID: [UInt32]] = [:]
    /// By uid where there is one, else by name.
    private(set) var retired = ShardedMap<TenantKey, RetiredResource>()
    /// The largest number ever given.
    package var lastNumber: UInt32 = 0

    package init() {}

    package var count: Int { table.count }
    package var all: some Sequence<Spec> { table.values }
    package func page(after number: UInt32, limit: Int) -> [Spec] { table.values(after: number, limit: limit) }
    package subscript(_ id: Identifier<Settings.Kind>) -> Spec? { table[id.number] }
    package func named(_ name: String, tenant: TenantID) -> Spec? {
        let key = TenantKey(tenant: tenant, text: name)
        return numbersByName.first(key.hashValue) { table[$0]?.nameKey == key }.flatMap { table[$0] }
    }
    package func with(uid: String, tenant: TenantID) -> Spec? {
        let key = TenantKey(tenant: tenant, text: uid)
        return numbersByUID.first(key.hashValue) { table[$0]?.uidKey == key }.flatMap { table[$0] }
    }
    package func with(publicID: PublicID) -> Spec? {
        numbersByPublicID.first(publicID.hashValue) { table[$0]?.publicID == publicID }.flatMap { table[$0] }
    }
    package func numbers(of tenant: TenantID) -> [UInt32] { numbersByTenant[tenant] ?? [] }
    /// Of those that are, and of those that the manifest may bring back. O(all).
    package var knownNumbers: Set<UInt32> {
        Set(table.values.lazy.map(\.id.number)).union(retired.values.lazy.map(\.number))
    }
    package func all(of tenant: TenantID) -> some Sequence<Spec> {
        numbers(of: tenant).lazy.compactMap { table[$0] }
    }

    mutating func remove(_ specs: [Spec]) {
        var gone: [TenantID: Set<UInt32>] = [:]
        for spec in specs {
            guard let old = table[spec.id.number] else { continue }
            unlink(old)
            unlinkPublicID(old)
            table[old.id.number] = nil
            gone[old.tenant, default: []].insert(old.id.number)
        }
        for (tenant, removed) in gone {
            let numbers = (numbersByTenant[tenant] ?? []).filter { !removed.contains($0) }
            numbersByTenant[tenant] = numbers.isEmpty ? nil : numbers
        }
    }
    /// Sets several at once, so that they may exchange their names.
    mutating func set(_ specs: [Spec]) {
        for spec in specs {
            guard let old = table[spec.id.number] else { continue }
            precondition(old.tenant == spec.tenant, "a resource moved to another tenant")
            unlink(old)
        }
        for spec in specs { link(spec) }
    }
    private mutating func link(_ spec: Spec) {
        let number = spec.id.number
        let isNew = table[number] == nil
        if isNew {
            let place = ResourceIndex.place(of: number, in: numbersByTenant[spec.tenant] ?? [])
            numbersByTenant[spec.tenant, default: []].insert(number, at: place)
        }
        table[number] = spec
        lastNumber = max(lastNumber, number)
        let table = table
        if isNew {
            numbersByPublicID.set(number, spec.publicID.hashValue) {
                table[$0]?.publicID == spec.publicID
            } hashOf: {
                table[$0]?.publicID.hashValue ?? 0
            }
        }
        let name = spec.nameKey
        numbersByName.set(number, name.hashValue) {
            table[$0]?.nameKey == name
        } hashOf: {
            table[$0]?.nameKey.hashValue ?? 0
        }
        guard let uid = spec.uidKey else { return }
        numbersByUID.set(number, uid.hashValue) {
            table[$0]?.uidKey == uid
        } hashOf: {
            table[$0]?.uidKey?.hashValue ?? 0
        }
    }
    /// Another one may have taken the name or the uid already; it keeps them.
    private mutating func unlink(_ spec: Spec) {
        let table = table
        numbersByName.remove(spec.id.number, spec.nameKey.hashValue) { table[$0]?.nameKey.hashValue ?? 0 }
        guard let uid = spec.uidKey else { return }
        numbersByUID.remove(spec.id.number, uid.hashValue) { table[$0]?.uidKey?.hashValue ?? 0 }
    }
    private mutating func unlinkPublicID(_ spec: Spec) {
        let table = table
        numbersByPublicID.remove(spec.id.number, spec.publicID.hashValue) { table[$0]?.publicID.hashValue ?? 0 }
    }
    private static func place(of number: UInt32, in numbers: [UInt32]) -> Int {
        if let last = numbers.last, last < number { return numbers.count }
        return numbers.partitionIndex { $0 < number }
    }

    // MARK: Retired identities

    mutating func retire(_ resource: RetiredResource) {
        retired[ResourceIndex.retiredKey(resource.tenant, uid: resource.uid, name: resource.name)] = resource
        lastNumber = max(lastNumber, resource.number)
    }
    /// The identity that comes back with these settings.
    func retired(_ settings: Settings, tenant: TenantID) -> RetiredResource? {
        if let uid = settings.uid, let found = retired[ResourceIndex.retiredKey(tenant, uid: uid, name: "")] {
            return found
        }
        return retired[ResourceIndex.retiredKey(tenant, uid: nil, name: settings.name)]
    }
    mutating func forget(_ resource: RetiredResource) {
        retired[ResourceIndex.retiredKey(resource.tenant, uid: resource.uid, name: resource.name)] = nil
    }
    private static func retiredKey(_ tenant: TenantID, uid: String?, name: String) -> TenantKey {
        TenantKey(tenant: tenant, text: uid.map { "uid:" + $0 } ?? "name:" + name)
    }
}

extension ResourceSpec {
    fileprivate var nameKey: TenantKey { TenantKey(tenant: tenant, text: name) }
    fileprivate var uidKey: TenantKey? { uid.map { TenantKey(tenant: tenant, text: $0) } }
    var retirement: RetiredResource {
        RetiredResource(
            kind: Settings.kind, number: id.number, publicID: publicID, tenant: tenant, name: name, uid: uid,
            revision: revision, createdMillis: createdMillis, digest: settings.digest)
    }
}
