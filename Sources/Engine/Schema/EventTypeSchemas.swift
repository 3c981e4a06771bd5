// The schemas of event types that are enforced, compiled when an event first asks for one, and which of a type's
// versions is the newest. Worker threads, many at once.
//
// Invariant: what is kept is that of a type's revision, so a change of the type is in force with its first event; no
// more than `keptCountMax` are kept.
import FastPath
import Foundation
import Synchronization

package final class EventTypeSchemas: Sendable {
    private struct Kept {
        let revision: UInt64
        let schema: EventSchema
    }
    private static let keptCountMax = 256
    private let kept = Mutex<[EventTypeID: Kept]>([:])

    package init() {}

    /// Nil where events of the type are not checked.
    package func schema(of type: String, in types: EventTypeIndex) -> EventSchema? {
        guard types.enforcedCount > 0, let spec = types.named(type), spec.settings.enforcesSchema else { return nil }
        if let known = kept.withLock({ $0[spec.id] }), known.revision == spec.revision { return known.schema }
        // Saving it has compiled it before.
        guard let text = spec.settings.newestSchema, let schema = try? EventSchema(text) else { return nil }
        kept.withLock { kept in
            if kept.count >= EventTypeSchemas.keptCountMax, kept[spec.id] == nil { kept.removeAll() }
            kept[spec.id] = Kept(revision: spec.revision, schema: schema)
        }
        return schema
    }
}

extension EventTypeSettings {
    /// As a JSON text; nil where there is none. Versions that are numbers go by those, behind all that are none.
    package var newestSchema: [UInt8]? {
        guard let schemas, let document = try? JSONDocument(Array(schemas.utf8)), document.kind(0) == .object else {
            return nil
        }
        let versions = document.members(of: 0).map { (document.string($0.name), $0.value) }
        let newest = versions.max { EventTypeSettings.isOlder($0.0, $1.0) }
        return newest.map { Array(document.written($0.1)) }
    }
    /// The version that `newestSchema` is of.
    package var newestVersion: String? {
        guard let schemas, let document = try? JSONDocument(Array(schemas.utf8)), document.kind(0) == .object else {
            return nil
        }
        return document.members(of: 0).map { document.string($0.name) }.max(by: EventTypeSettings.isOlder)
    }
    /// Part by part, as in 1.9 and 1.10; a leading `v` means nothing.
    private static func isOlder(_ left: String, _ right: String) -> Bool {
        switch (numbers(left), numbers(right)) {
        case (let one?, let two?): one.lexicographicallyPrecedes(two)
        case (nil, nil): left < right
        case (let one, _): one == nil
        }
    }
    private static func numbers(_ version: String) -> [Int]? {
        let plain = version.first == "v" ? version.dropFirst() : version[...]
        let parts = plain.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
        return parts.contains(nil) ? nil : parts.compactMap(\.self)
    }

    /// What keeps the newest schema from being enforced; nil where nothing does.
    var enforcementProblem: String? {
        guard enforcesSchema else { return nil }
        guard let newestSchema, let newestVersion else { return "needs a schema in `schemas`" }
        do throws(SchemaProblem) {
            _ = try EventSchema(newestSchema)
            return nil
        } catch { return "cannot enforce version \(newestVersion.prefix(64)): \(error.message)" }
    }
}
