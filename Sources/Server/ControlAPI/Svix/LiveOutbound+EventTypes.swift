// Event types of the running gateway, declared through the registry.
import Engine
import Foundation

extension LiveOutbound {
    func eventTypes(
        _ paging: SvixPaging, includesArchived: Bool, _ caller: Caller
    ) throws -> SvixPage<SvixEventType> {
        let found = try state().eventTypes.walk(from: paging.iterator, isBackward: paging.isBackward).lazy.filter {
            (includesArchived || !$0.settings.isArchived) && $0.isSeen(by: caller)
        }.prefix(paging.limit + 1)
        return SvixPage(walked: found.map { SvixEventType($0) }, paging) { $0.name }
    }
    func eventType(_ name: String, _ caller: Caller) throws -> SvixEventType {
        SvixEventType(try known(name, caller))
    }
    func create(_ type: SvixEventType, _ caller: Caller) throws -> SvixEventType {
        guard let old = try state().eventTypes.named(type.name) else {
            try apply(.createEventType(name: type.name, EventTypeSettings(type)), caller)
            return try eventType(type.name, caller)
        }
        guard old.settings.isArchived else {
            throw SvixError(409, "event_type_exists", "there is an event type `\(type.name)` already")
        }
        return try set(old, type, caller)
    }
    func replace(_ type: SvixEventType, _ caller: Caller) throws -> (type: SvixEventType, isNew: Bool) {
        guard let old = try state().eventTypes.named(type.name) else { return (try create(type, caller), true) }
        return (try set(old, type, caller), false)
    }
    private func set(_ old: EventTypeSpec, _ type: SvixEventType, _ caller: Caller) throws -> SvixEventType {
        var settings = EventTypeSettings(type)
        settings.enforcesSchema = type.enforcesSchema ?? old.settings.enforcesSchema
        let made = settings
        try apply(.updateEventType(old.id) { $0 = made }, caller)
        return try eventType(old.name, caller)
    }
    func patch(_ name: String, _ patch: SvixEventTypePatch, _ caller: Caller) throws -> SvixEventType {
        let old = try known(name, caller)
        var type = SvixEventType(old)
        type.about = patch.about ?? type.about
        type.isArchived = patch.isArchived ?? type.isArchived
        type.isDeprecated = patch.isDeprecated ?? type.isDeprecated
        type.featureFlag = patch.featureFlag.over(type.featureFlag)
        type.schemas = patch.schemas.over(type.schemas)
        type.enforcesSchema = patch.enforcesSchema ?? type.enforcesSchema
        return try set(old, type, caller)
    }
    func deleteEventType(_ name: String, expunge: Bool, _ caller: Caller) throws {
        let old = try known(name, caller)
        try apply(expunge ? .deleteEventType(old.id) : .updateEventType(old.id) { $0.isArchived = true }, caller)
    }
    private static let storedBytesMax = 2 * OpenAPIWebhooks.bytesMax
    /// What stands there already in other words only stays; other versions of a schema do too.
    func importTypes(_ order: SvixImportOrder, _ caller: Caller) throws -> SvixImportReport {
        let known = try state().eventTypes
        // Other versions stay, and are read and written with the new one.
        let stored = order.types.reduce(0) { $0 + (known.named($1.name)?.settings.schemas?.utf8.count ?? 0) }
        guard stored <= LiveOutbound.storedBytesMax else {
            throw SvixError.invalid(
                ["body"],
                "the schemas that these types have already are \(stored) bytes long, and at most "
                    + "\(LiveOutbound.storedBytesMax) are taken in one step: import fewer at a time")
        }
        var report = SvixImportReport()
        var edits: [RegistryEdit] = []
        for type in order.types {
            let old = known.named(type.name)
            var wanted = old.map { SvixEventType($0) } ?? SvixEventType(name: type.name)
            (wanted.about, wanted.isDeprecated, wanted.isArchived) = (type.about, type.isDeprecated, false)
            if let schema = type.schema {
                var versions: [String: JSONValue] = [:]
                if case .object(let own)? = wanted.schemas { versions = own }
                versions[SvixEventType.importVersion] = schema
                wanted.schemas = .object(versions)
            }
            let settings = EventTypeSettings(wanted)
            guard settings != old?.settings else { continue }
            report.changed.append(type)
            edits.append(
                old.map { .updateEventType($0.id) { $0 = settings } } ?? .createEventType(name: type.name, settings))
        }
        if order.replacesAll {
            let kept = Set(order.types.map(\.name))
            let others = known.walk(from: nil, isBackward: false).filter { !kept.contains($0.name) }
            for old in others where !old.settings.isArchived {
                report.archived.append(old.name)
                edits.append(.updateEventType(old.id) { $0.isArchived = true })
            }
        }
        guard !edits.isEmpty else { return report }
        do { _ = try gateway.apply(.edits(edits), actor: ChangeActor(caller), dryRun: order.isDry) } catch {
            throw SvixError(error)
        }
        return report
    }
    private func known(_ name: String, _ caller: Caller) throws -> EventTypeSpec {
        guard let found = try state().eventTypes.named(name), found.isSeen(by: caller) else {
            throw SvixError.notFound("there is no event type `\(name.prefix(300))`")
        }
        return found
    }
}

extension EventTypeSpec {
    /// Those of the platform see everything.
    fileprivate func isSeen(by caller: Caller) -> Bool {
        guard let flag = settings.featureFlag, caller.principal.tenant != nil else { return true }
        return caller.principal.featureFlags.contains(flag)
    }
}

extension SvixEventType {
    init(_ type: EventTypeSpec) {
        self.init(name: type.name)
        about = type.settings.about
        isArchived = type.settings.isArchived
        isDeprecated = type.settings.isDeprecated
        featureFlag = type.settings.featureFlag
        schemas = type.settings.schemas.flatMap {
            // As deep as an import may have made it.
            try? JSONReading.value(Array($0.utf8), depthMax: 512)
        }
        enforcesSchema = type.settings.enforcesSchema
        createdMillis = type.createdMillis
        updatedMillis = type.updatedMillis
    }
}

extension EventTypeSettings {
    init(_ type: SvixEventType) {
        self.init()
        about = type.about
        isArchived = type.isArchived
        isDeprecated = type.isDeprecated
        featureFlag = type.featureFlag
        schemas = type.schemas.map { JSONText.of($0) }
        enforcesSchema = type.enforcesSchema ?? false
    }
}
