// Keys in the registry's database.
import Foundation
import GRDB

enum StoredKeys {
    static func load(_ db: Database) throws -> [KeySpec] {
        try Row.fetchAll(db, sql: "SELECT * FROM registry_key ORDER BY number").map { row in
            guard let role = KeyRole(rawValue: row["role"]), let publicID = PublicID(row["public"], prefix: .key) else {
                throw RegistryStoreError.unreadable
            }
            let tenant: UInt32? = row["tenant"]
            let digest: Data = row["digest"]
            let flags: String? = row["flags"]
            return KeySpec(
                id: KeyID(row["number"]), publicID: publicID,
                draft: KeyDraft(
                    tenant: tenant.map { TenantID($0) }, role: role, name: row["name"],
                    digest: KeyDigest(Array(digest)), expiresMillis: row["expires"],
                    featureFlags: flags?.split(separator: " ").map(String.init) ?? [], isPortal: row["portal"]),
                createdMillis: row["created"])
        }
    }
    static func write(_ keys: [KeySpec], removed: [KeyID], _ db: Database) throws {
        for id in removed { try db.execute(sql: "DELETE FROM registry_key WHERE number = ?", arguments: [id.number]) }
        for key in keys {
            try db.cachedStatement(
                sql: """
                    INSERT INTO registry_key
                    (number, public, tenant, role, name, digest, created, expires, flags, portal)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """
            ).execute(arguments: [
                key.id.number, key.publicID.text, key.tenant?.number, key.role.rawValue, key.name,
                Data(key.digest.bytes), key.createdMillis, key.expiresMillis,
                key.featureFlags.isEmpty ? nil : key.featureFlags.joined(separator: " "), key.isPortal,
            ])
        }
    }
}
