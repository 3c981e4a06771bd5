// What the API shows of the keys that secrets are encrypted under: their names, never a key.
import Engine

package enum MasterKeyPlaceName: String, CaseIterable, Codable, Sendable {
    case dataFolder = "data_folder"
    case file, environment
}

package struct SecretsResource: Codable, Equatable, Sendable {
    package var masterKey: String
    package var keptIn: MasterKeyPlaceName
    package var since: String?
    package var dataKeys: Int
    package init(masterKey: String, keptIn: MasterKeyPlaceName, since: String?, dataKeys: Int) {
        self.masterKey = masterKey
        self.keptIn = keptIn
        self.since = since
        self.dataKeys = dataKeys
    }
}

extension SecretsResource: Described {
    package static let schema = ObjectSchema(
        "Secrets", "How the secrets in `store.sqlite` are encrypted.",
        [
            .required("master_key", .text, "The name of the key that wraps the others: a digest, of no use to anyone."),
            .required("kept_in", .word(MasterKeyPlaceName.allCases.map(\.rawValue)), "Where it is."),
            .optional("since", .time, "When it came into force."),
            .required("data_keys", .count, "How many tenants have a key of their own, which it wraps."),
        ])
}

/// What is to be done to the keys.
package struct RewrapOrder: Codable, Equatable, Sendable {
    package var dataKeys: Bool?
    package init(dataKeys: Bool? = nil) { self.dataKeys = dataKeys }
}

extension RewrapOrder: Described {
    package static let schema = ObjectSchema(
        "RewrapOrder", "A rotation of the keys.",
        [.optional("data_keys", .flag, "New keys for all tenants too: every secret is encrypted again.")])
}

package struct RewrapResource: Codable, Equatable, Sendable {
    package var previousMasterKey: String
    package var masterKey: String
    package var dataKeys: Int
    package var values: Int
    package var clean: Bool
    package init(previousMasterKey: String, masterKey: String, dataKeys: Int, values: Int, clean: Bool) {
        self.previousMasterKey = previousMasterKey
        self.masterKey = masterKey
        self.dataKeys = dataKeys
        self.values = values
        self.clean = clean
    }
}

extension RewrapResource: Described {
    package static let schema = ObjectSchema(
        "Rewrap", "What a rotation of the keys did.",
        [
            .required("previous_master_key", .text, "The name of the key before."),
            .required("master_key", .text, "The name of the key in force."),
            .required("data_keys", .count, "Keys of tenants that it wraps."),
            .required("values", .count, "Encrypted again, under new keys of tenants; 0 without `data_keys`."),
            .required(
                "clean", .flag,
                "What was written under the keys before is overwritten; false: the next start does it."),
        ])
}
