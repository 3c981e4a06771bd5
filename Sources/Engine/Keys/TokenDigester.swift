// What is kept of a token: HMAC-SHA256 under a key of the data folder. A slow hash protects what people choose; a token
// is 256 random bits, which nobody guesses at any speed, and a slow hash would be paid by every call. The key makes a
// copy of the store alone worth nothing.
import FastPath
import Foundation
import Synchronization

package final class TokenDigester: Sendable {
    package static let fileName = "keys.secret"
    private static let keyBytes = 32

    private let memory: CompiledMemory
    private let key: SigningKey
    /// Of a key that was made now and is in no file yet: digests of before mean nothing any more.
    private let unsaved: [UInt8]?

    package init(key bytes: [UInt8], isNew: Bool = false) {
        let memory = CompiledMemory()
        key = SigningKey(secret: bytes, algorithm: .sha256, in: memory)
        self.memory = memory
        unsaved = isNew ? bytes : nil
    }
    /// The key of a data folder, or a new one for a folder that has none, which is not there before `save`. Throws when
    /// the file cannot be read or is not one.
    package convenience init(folder: String) throws {
        if let bytes = try TokenDigester.file(in: folder).read() {
            guard bytes.count == TokenDigester.keyBytes else {
                throw KeyFileError.notAKey(file: TokenDigester.fileName)
            }
            self.init(key: bytes)
            return
        }
        self.init(key: RandomBytes.make(TokenDigester.keyBytes), isNew: true)
    }
    package var isNew: Bool { unsaved != nil }
    /// Once nothing that was digested before is in force any more; a start that ends earlier makes another one.
    func save(in folder: String) throws {
        if let unsaved { try TokenDigester.file(in: folder).write(unsaved) }
    }
    private static func file(in folder: String) -> PrivateFile { PrivateFile(path: folder + "/" + fileName) }

    package func digest(of token: String) -> KeyDigest { KeyDigest(key.mac(over: Array(token.utf8))) }
}

package enum KeyFileError: Error, CustomStringConvertible {
    case notAKey(file: String)
    case unreadable(file: String, reason: String)
    case unwritable(file: String, reason: String)

    package var description: String {
        switch self {
        case .notAKey(let file):
            "`\(file)` in the data folder is not what Sluice wrote there; restore it, or remove it, which makes every "
                + (file == SessionTokens.fileName ? "session void" : "API key void")
        case .unreadable(let file, let reason): "`\(file)` in the data folder cannot be read: \(reason)"
        case .unwritable(let file, let reason): "`\(file)` in the data folder cannot be written: \(reason)"
        }
    }
}
