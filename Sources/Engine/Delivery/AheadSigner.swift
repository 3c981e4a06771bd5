// Signs deliveries before they are handed to the egress loop, where one of an endpoint's keys is an Ed25519 key
// (`whsk_…`, entries `v1a`): such a signature takes long and allocates, and a loop does neither. All keys of the
// endpoint sign here then, over the time of handing over.
//
// Invariant: the entries stand in the order of the secrets, and one that has ended by that time has none.
import FastPath

package final class AheadSigner: Sendable {
    private enum Key: Sendable {
        case hmac(SigningKey)
        case ed25519(PrivateKey)
    }
    private let keys: [(key: Key, endSeconds: UInt64)]
    /// What the HMAC keys lie in.
    private let memory: CompiledMemory

    /// Nil where the loop can sign by itself. The secrets have been checked. `nowSeconds`: what has ended by then signs
    /// nothing more.
    package init?(_ settings: EndpointConfiguration, nowSeconds: UInt64) {
        let old = settings.oldSecretsInForce(at: nowSeconds)
        let secrets = settings.secrets.map { EndingSecret($0, endSeconds: .max) } + old
        guard secrets.contains(where: { EndpointSecret.isAsymmetric($0.text) }) else { return nil }
        let memory = CompiledMemory()
        keys = secrets.compactMap { secret in
            AheadSigner.key(secret.text, memory).map { ($0, secret.endSeconds) }
        }
        self.memory = memory
    }
    private static func key(_ text: String, _ memory: CompiledMemory) -> Key? {
        if EndpointSecret.isAsymmetric(text) {
            return (try? PrivateKey(text, for: .ed25519)).map { .ed25519($0) }
        }
        guard let bytes = try? SecretEncoding.whsec.key(of: text, index: 0) else { return nil }
        return .hmac(SigningKey(secret: bytes, algorithm: .sha256, in: memory))
    }

    /// More than `lines` ever gives.
    package var lineBytesMax: Int { 96 + keys.count * 96 }

    /// The lines of time and signature.
    package func lines(id: [UInt8], body: ByteView, seconds: UInt64, names: SignatureNames) -> [UInt8] {
        let message = id + Array(".\(seconds).".utf8) + body.array
        let entries = keys.filter { seconds < $0.endSeconds }.map { entry in
            switch entry.key {
            case .hmac(let key): "v1," + TextEncoding.base64(key.mac(over: message))
            case .ed25519(let key): "v1a," + TextEncoding.base64(key.signature(of: message))
            }
        }
        let prefix = names == .svix ? "svix" : "webhook"
        return Array(
            "\(prefix)-timestamp: \(seconds)\r\n\(prefix)-signature: \(entries.joined(separator: " "))\r\n".utf8)
    }
}

extension EndpointConfiguration {
    /// The old secrets that sign still, beside the ones of today; without those nothing is signed.
    func oldSecretsInForce(at seconds: UInt64) -> [EndingSecret] {
        secrets.isEmpty ? [] : extras.oldSecrets.filter { seconds < $0.endSeconds }
    }
}

/// The forms of a secret that signs deliveries.
package enum EndpointSecret {
    /// Of one endpoint, old ones among them: each signature takes far longer than one of the other kind, and is made
    /// where deliveries are handed over.
    package static let asymmetricCountMax = 2

    package static func isAsymmetric(_ text: String) -> Bool { text.hasPrefix("whsk_") }

    /// What is wrong with it; nil when nothing is. Says nothing of the secret itself.
    package static func problem(_ text: String, index: Int = 0) -> String? {
        if isAsymmetric(text) {
            do throws(PublicKeyError) { _ = try PrivateKey(text, for: .ed25519) } catch {
                return
                    "secret \(index + 1) is not a key pair of Ed25519: `whsk_` and base 64 of its seed and public key"
            }
            return nil
        }
        do throws(SchemeError) { _ = try SecretEncoding.whsec.key(of: text, index: index) } catch {
            return error.message
        }
        return nil
    }
    /// What may be shown of it to whoever verifies: the secret itself, or the public half of a pair.
    package static func verifierText(_ text: String) -> String {
        guard isAsymmetric(text), let key = try? PrivateKey(text, for: .ed25519) else { return text }
        return key.publicKey.text
    }
}
