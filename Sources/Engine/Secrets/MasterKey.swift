// The key that wraps all others, and where an operator keeps it.
//
// Invariant: nothing prints a key but `secretText`, which goes to the key's own file alone.
import FastPath

/// Where the master key is. It may hold several keys, a word each: the first is the one to wrap with, the others may
/// still open what was wrapped before.
package enum MasterKeyPlace: Equatable, Sendable {
    /// `master.key` of the data folder, made at the first start.
    case dataFolder
    case file(String)
    /// A variable of the environment.
    case environment(String)
}

package struct MasterKey: Sendable {
    let key: SealingKey
    /// Names the key wherever keys are told apart; says nothing about it.
    let identity: [UInt8]
    package var name: String { TextEncoding.hex(identity) }
    static let identityBytes = 8

    init(_ key: SealingKey) {
        self.key = key
        identity = Array(key.mac(over: Array("sluice master key".utf8)).prefix(MasterKey.identityBytes))
    }
    static func make() throws(MasterKeyError) -> MasterKey {
        guard let key = SealingKey.make() else { throw .noRandomness }
        return MasterKey(key)
    }
    /// 44 characters of base 64, or 64 hexadecimal digits.
    init?(_ text: some StringProtocol) {
        let text = String(text)
        let hexCount = 2 * SealingKey.byteCount
        let bytes =
            text.utf8.count == hexCount ? TextEncoding.bytes(of: text, as: .hex) : TextEncoding.strictBase64(text)
        guard let bytes, let key = SealingKey(bytes) else { return nil }
        self.init(key)
    }
    var secretText: String { key.withSecretBytes(TextEncoding.base64) }
}

package enum MasterKeyError: Error, Equatable, CustomStringConvertible {
    case noRandomness
    case noCipher
    /// `wanted` nil: nothing is encrypted yet.
    case missing(MasterKeyLocation, wanted: String?)
    case unreadable(MasterKeyLocation, reason: String)
    case unwritable(MasterKeyLocation, reason: String)
    case malformed(MasterKeyLocation, number: Int)
    case wrong(MasterKeyLocation, found: [String], wanted: String)
    /// There are data keys, and nothing says which key wraps them.
    case unnamed
    /// Nothing new to wrap with.
    case notNew(MasterKeyLocation, name: String)

    package var description: String {
        switch self {
        case .noRandomness: "the system gives no random numbers; no key can be made"
        case .noCipher: "OpenSSL has no AES-256-GCM here; secrets can be neither kept nor read"
        case .missing(let place, let wanted?):
            "\(place) is missing, and the secrets in \(StoreDatabase.fileName) are encrypted under master key "
                + "\(wanted); put that key back. No new key is made over encrypted secrets"
        case .missing(let place, nil):
            "\(place) is missing; put a key there (`openssl rand -base64 32` makes one), or take `master_key` out of "
                + "the configuration to have one made in the data folder"
        case .unreadable(let place, let reason): "\(place) cannot be read: \(reason)"
        case .unwritable(let place, let reason): "\(place) cannot be written: \(reason)"
        case .malformed(let place, let number):
            "\(place): word \(number) is no key; one is 32 bytes as base 64 or hexadecimal, such as "
                + "`openssl rand -base64 32` makes"
        case .wrong(let place, let found, let wanted):
            "\(place) holds master key \(found.joined(separator: ", ")), but the secrets in "
                + "\(StoreDatabase.fileName) are encrypted under \(wanted); put that key back, beside the other or "
                + "in its place"
        case .unnamed:
            "\(StoreDatabase.fileName) does not say which master key its secrets are encrypted under; restore it from "
                + "a backup"
        case .notNew(let place, let name):
            "the first key of \(place) is \(name), which is in force already; put a new one before it, keep the old "
                + "one behind it, and try again"
        }
    }
}

/// How an error names the place: without a path of this machine where it is ours, as the operator wrote it otherwise.
package struct MasterKeyLocation: Equatable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ place: MasterKeyPlace) {
        description =
            switch place {
            case .dataFolder: "`\(MasterKeySource.fileName)` in the data folder"
            case .file(let path): "the master key's file `\(path.split(separator: "/").last ?? "")` (`master_key`)"
            case .environment(let name): "the environment variable \(name) (`master_key`)"
            }
    }
}
