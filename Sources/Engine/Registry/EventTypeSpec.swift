// Event types that the platform declares: what a type means, what its payload looks like, whether it is still in use.
// They belong to no tenant. What is not declared may be sent all the same.
//
// Invariants: a name is one type's; what is archived keeps its name.

package struct EventTypeSettings: Equatable, Codable, Sendable {
    package var about = ""
    package var isArchived = false
    package var isDeprecated = false
    /// Tenants without this flag do not see the type.
    package var featureFlag: String?
    /// JSON: an object of version to JSON Schema. Nil = none were ever given.
    package var schemas: String?
    /// Nil, as in what earlier versions stored, is no.
    private var enforces: Bool?
    /// True exactly when what is published of the type is held against its newest schema.
    package var enforcesSchema: Bool {
        get { enforces ?? false }
        set { enforces = newValue ? true : nil }
    }

    package init() {}
}

package struct EventTypeSpec: Equatable, Sendable {
    package let id: EventTypeID
    package let publicID: PublicID
    package let name: String
    package var revision: UInt64
    package let createdMillis: Int64
    package var updatedMillis: Int64
    package var settings: EventTypeSettings

    package init(
        id: EventTypeID, publicID: PublicID, name: String, revision: UInt64 = 1, createdMillis: Int64,
        updatedMillis: Int64, settings: EventTypeSettings
    ) {
        self.id = id
        self.publicID = publicID
        self.name = name
        self.revision = revision
        self.createdMillis = createdMillis
        self.updatedMillis = updatedMillis
        self.settings = settings
    }
}

package enum EventTypeBounds {
    package static let countMax = 10_000
    package static let aboutBytesMax = 16 << 10
    /// All versions of one type.
    package static let schemasBytesMax = 1 << 20
}

extension EventTypeSettings {
    static let fields: [SettingsField<EventTypeSettings>] = [
        SettingsField("description") { $0.about },
        SettingsField("archived") { $0.isArchived },
        SettingsField("deprecated") { $0.isDeprecated },
        SettingsField("feature_flag") { $0.featureFlag },
        SettingsField("schemas", { $0.schemas }, text: { $0.map { "\($0.utf8.count) bytes" } ?? "none" }),
        SettingsField("enforce_schema") { $0.enforcesSchema },
    ]
    func changes(from old: EventTypeSettings) -> [FieldChange] {
        EventTypeSettings.fields.filter { !$0.isEqual(old, self) }.map {
            FieldChange(field: $0.key, before: $0.text(old), after: $0.text(self))
        }
    }
}

/// All event types, by number and by name.
package struct EventTypeIndex: Sendable {
    private var table = PagedTable<EventTypeSpec>()
    private var byName = ShardedMap<String, EventTypeID>()
    /// Sorted by bytes. A change copies it.
    private var names: [String] = []
    package internal(set) var lastNumber: UInt32 = 0
    /// How many enforce their schema.
    package private(set) var enforcedCount = 0

    package var count: Int { table.count }
    package var all: [EventTypeSpec] { Array(table.values) }
    package subscript(_ id: EventTypeID) -> EventTypeSpec? { table[id.number] }
    package func named(_ name: String) -> EventTypeSpec? { byName[name].flatMap { self[$0] } }
    /// Those behind (`isBackward`: before) a name, from it on.
    package func walk(from name: String?, isBackward: Bool) -> some Sequence<EventTypeSpec> {
        let start = name.map { self.place(of: $0) } ?? (isBackward ? names.count : 0)
        let own = name.map { start < names.count && names[start] == $0 } ?? false
        let walked = isBackward ? Array(names[..<start].reversed()) : Array(names[(own ? start + 1 : start)...])
        return walked.lazy.compactMap { self.named($0) }
    }

    mutating func set(_ type: EventTypeSpec) {
        enforcedCount += (type.settings.enforcesSchema ? 1 : 0) - (enforces(type.id) ? 1 : 0)
        table[type.id.number] = type
        lastNumber = max(lastNumber, type.id.number)
        let place = place(of: type.name)
        if place == names.count || names[place] != type.name { names.insert(type.name, at: place) }
        byName[type.name] = type.id
    }
    mutating func remove(_ type: EventTypeSpec) {
        if enforces(type.id) { enforcedCount -= 1 }
        table[type.id.number] = nil
        byName[type.name] = nil
        let place = place(of: type.name)
        if place < names.count, names[place] == type.name { names.remove(at: place) }
    }
    private func enforces(_ id: EventTypeID) -> Bool { table[id.number]?.settings.enforcesSchema ?? false }
    private func place(of name: String) -> Int { names.partitionIndex { EventTypeIndex.isBefore($0, name) } }
    private static func isBefore(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }
}
