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
    /// True exactly when the key was made now: digests of before mean nothing any more.
    package let isNew: Bool

    package init(key bytes: [UInt8], isNew: Bool = false) {
        let memory = CompiledMemory()
        key = SigningKey(secret: bytes, algorithm: .sha256, in: memory)
        self.memory = memory
        self.isNew = isNew
    }
    /// Makes the key's file when there is none. Throws when it cannot be read or is not one.
    package convenience init(folder: String) throws {
        let file = PrivateFile(path: folder + "/" + TokenDigester.fileName)
        if let bytes = try file.read() {
            guard bytes.count == TokenDigester.keyBytes else {
                throw KeyFileError.notAKey(file: TokenDigester.fileName)
            }
            self.init(key: bytes)
            return
        }
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<TokenDigester.keyBytes).map { _ in UInt8.random(in: 0 ... .max, using: &generator) }
        try file.write(bytes)
        self.init(key: bytes, isNew: true)
    }

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
                + "API key void"
        case .unreadable(let file, let reason): "`\(file)` in the data folder cannot be read: \(reason)"
        case .unwritable(let file, let reason): "`\(file)` in the data folder cannot be written: \(reason)"
        }
    }
}
