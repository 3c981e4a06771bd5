// Signs as a provider of public keys would, with a test key of the user's: for `sluice send` and for tests.

import FastPath

package struct TestSigner: Sendable {
    package let key: PrivateKey

    /// `secret`: a private key, as `PrivateKey` takes it. Nil for an algorithm that has no such key.
    package init?(_ algorithm: SchemeAlgorithm, secret: String, index: Int = 0) throws(SchemeError) {
        let kind: PublicKeyAlgorithm
        switch algorithm {
        case .ed25519: kind = .ed25519
        case .ecdsaP256: kind = .ecdsaP256
        case .rsaSHA256: kind = .rsaSHA256
        case .hmac, .token, .basic: return nil
        }
        guard !secret.isEmpty else { throw .emptySecret(index: index) }
        do throws(PublicKeyError) {
            key = try PrivateKey(secret, for: kind)
        } catch { throw .badSecret(index: index, wanted: error.message) }
    }

    package func signature(of message: [UInt8]) -> [UInt8] { key.signature(of: message) }
    /// What the source that verifies must be given.
    package var publicText: String { key.publicKey.text }
}
