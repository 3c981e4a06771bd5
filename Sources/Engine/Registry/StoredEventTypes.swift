// Event types in the registry's database.
import Foundation
import GRDB

enum StoredEventTypes {
    static func load(_ db: Database) throws -> [EventTypeSpec] {
        // An earlier version's store has no such table.
        guard try db.tableExists("registry_event_type") else { return [] }
        let decoder = JSONValueDecoder()
        return try Row.fetchAll(db, sql: "SELECT * FROM registry_event_type ORDER BY number").map { row in
            guard let publicID = PublicID(row["public"], prefix: .eventType) else {
                throw RegistryStoreError.unreadable
            }
            let settings: String = row["settings"]
            return EventTypeSpec(
                id: EventTypeID(row["number"]), publicID: publicID, name: row["name"], revision: row["revision"],
                createdMillis: row["created"], updatedMillis: row["updated"],
                settings: try decoder.decode(EventTypeSettings.self, from: Array(settings.utf8)))
        }
    }
    static func write(_ types: [EventTypeSpec], removed: [EventTypeID], _ db: Database) throws {
        for id in removed {
            try db.execute(sql: "DELETE FROM registry_event_type WHERE number = ?", arguments: [id.number])
        }
        let encoder = JSONEncoder()
        for type in types {
            try db.cachedStatement(
                sql: """
                    INSERT OR REPLACE INTO registry_event_type
                    (number, public, name, revision, created, updated, settings) VALUES (?, ?, ?, ?, ?, ?, ?)
                    """
            ).execute(arguments: [
                type.id.number, type.publicID.text, type.name, Int64(bitPattern: type.revision), type.createdMillis,
                type.updatedMillis, String(decoding: try encoder.encode(type.settings), as: UTF8.self),
            ])
        }
    }
}
