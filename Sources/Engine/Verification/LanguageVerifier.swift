// Any scheme of the scheme language away from the loop: public keys, and public keys mixed with the symmetric ones that
// a source may hold beside them (Standard Webhooks v1a and v1).
//
// Invariants: each alternative reads the request by itself, so a secret is only ever used by the algorithm it was given
// for; a public key's bytes are never an HMAC key. What is accepted was matched by one key of one alternative within
// its window.

import FastPath

package struct LanguageVerifier: RequestVerifier {
    private enum Keys: Sendable {
        case publicKeys([TimedKey<PublicKey>])
        case symmetric([TimedKey<SigningKey>])
        /// What must come, as bytes.
        case texts([TimedKey<[UInt8]>])
    }
    private struct Alternative: Sendable {
        let scheme: SignatureScheme
        let definition: SchemeDefinition
        let keys: Keys
    }
    /// The schemes and symmetric keys point into it.
    private let memory: CompiledMemory
    private let alternatives: [Alternative]

    package init(
        _ alternatives: [(definition: SchemeDefinition, secrets: [SourceSecret])]
    ) throws(SchemeError) {
        guard !alternatives.isEmpty else { throw .noSecret }
        let memory = CompiledMemory()
        var compiled: [Alternative] = []
        for (definition, secrets) in alternatives {
            let scheme = try SignatureScheme([(definition, secrets)], in: memory)
            compiled.append(
                Alternative(
                    scheme: scheme, definition: definition,
                    keys: try LanguageVerifier.keys(definition, secrets, memory)))
        }
        self.memory = memory
        self.alternatives = compiled
    }

    private static func keys(
        _ definition: SchemeDefinition, _ secrets: [SourceSecret], _ memory: CompiledMemory
    ) throws(SchemeError) -> Keys {
        if let algorithm = PublicKeyAlgorithm(definition.algorithm) {
            var keys: [TimedKey<PublicKey>] = []
            for (index, secret) in secrets.enumerated() {
                do throws(PublicKeyError) {
                    keys.append(TimedKey(try PublicKey(secret.value, for: algorithm), of: secret))
                } catch { throw .badSecret(index: index, wanted: error.message) }
            }
            return .publicKeys(keys)
        }
        var symmetric: [TimedKey<SigningKey>] = []
        var texts: [TimedKey<[UInt8]>] = []
        for (index, secret) in secrets.enumerated() {
            let bytes = try definition.secretEncoding.key(of: secret.value, index: index)
            switch definition.algorithm {
            case .hmac(let algorithm):
                symmetric.append(TimedKey(SigningKey(secret: bytes, algorithm: algorithm, in: memory), of: secret))
            case .basic: texts.append(TimedKey(Array(TextEncoding.base64(bytes).utf8), of: secret))
            default: texts.append(TimedKey(bytes, of: secret))
            }
        }
        return texts.isEmpty ? .symmetric(symmetric) : .texts(texts)
    }

    package func verify(
        _ request: borrowing CapturedRequest, origin: String?, nowSeconds: UInt64
    ) -> CaptureVerdict {
        var refusal: SignatureRejection?
        for alternative in alternatives {
            switch alternative.scheme.read(request, origin: origin, nowSeconds: nowSeconds) {
            case .success(let reading):
                let reason = alternative.reason(reading, nowSeconds: nowSeconds)
                guard let reason else { return .accepted(key: nil) }
                refusal = LanguageVerifier.closer(refusal, reason)
            case .failure(let reason): refusal = LanguageVerifier.closer(refusal, reason)
            }
        }
        withExtendedLifetime(memory) {}
        return .rejected(refusal ?? .missingHeader)
    }

    /// Of two alternatives' reasons the one that says more: a header that is not there says that the other was meant.
    private static func closer(_ first: SignatureRejection?, _ second: SignatureRejection) -> SignatureRejection {
        guard let first, first != .missingHeader else { return second }
        return first
    }
}

extension LanguageVerifier.Alternative {
    /// Nil exactly when one of the claims is one of the keys'.
    fileprivate func reason(_ reading: SignatureReading, nowSeconds: UInt64) -> SignatureRejection? {
        let messages = [reading.message] + (reading.otherMessage.map { [$0] } ?? [])
        switch keys {
        case .publicKeys(let keys):
            let usable: [PublicKey] = keys.usable(at: nowSeconds)
            for signature in reading.signatures {
                for message in messages where usable.contains(where: { $0.verifies(signature, of: message) }) {
                    return nil
                }
            }
            guard let algorithm = PublicKeyAlgorithm(definition.algorithm), definition.list == .none else { break }
            // A lone signature that no key at all could have written is a broken header.
            let isBroken = reading.signatures.allSatisfy { !PublicKey.isWellFormed($0, for: algorithm) }
            if isBroken { return .malformedHeader }
        case .symmetric(let keys):
            let usable: [SigningKey] = keys.usable(at: nowSeconds)
            for key in usable {
                for tag in messages.map({ key.mac(over: $0) }) {
                    if reading.signatures.contains(where: { Digest.areEqual($0, tag) }) { return nil }
                }
            }
        case .texts(let texts):
            let usable: [[UInt8]] = texts.usable(at: nowSeconds)
            for text in usable where reading.signatures.contains(where: { Digest.areEqual($0, text) }) { return nil }
        }
        return definition.mismatch
    }
}

extension PublicKeyAlgorithm {
    /// Nil for the symmetric ones.
    package init?(_ algorithm: SchemeAlgorithm) {
        switch algorithm {
        case .ed25519: self = .ed25519
        case .ecdsaP256: self = .ecdsaP256
        case .rsaSHA256: self = .rsaSHA256
        case .hmac, .token, .basic: return nil
        }
    }
}
