// Verifies by schemes that are data but whose mathematics is too slow for a loop. Each of a source's schemes is tried
// by itself, so that a sender may change from a shared secret to a public key without a gap.
//
// Invariant: what the language reads is all that counts: a key is never asked about anything but the signed bytes.

import FastPath

package struct SchemeVerifier: RequestVerifier {
    private struct Way: Sendable {
        let scheme: SignatureScheme
        /// Nil: the scheme is one of the quick ones.
        let algorithm: PublicKeyAlgorithm?
        let keys: [TimedKey<PublicKey>]
        let mismatch: SignatureRejection
        let signsDecodedBody: Bool
    }
    private let memory: CompiledMemory
    private let ways: [Way]

    package init(
        _ alternatives: [(definition: SchemeDefinition, secrets: [SourceSecret])], in memory: CompiledMemory
    ) throws(SchemeError) {
        self.memory = memory
        var ways: [Way] = []
        for (definition, secrets) in alternatives {
            let scheme = try SignatureScheme([(definition, secrets)], in: memory)
            let algorithm = PublicKeyAlgorithm(definition.algorithm)
            var keys: [TimedKey<PublicKey>] = []
            if let algorithm {
                for (index, secret) in secrets.enumerated() {
                    do throws(PublicKeyError) {
                        keys.append(TimedKey(try PublicKey(secret.value, for: algorithm), of: secret))
                    } catch { throw SchemeError.badSecret(index: index, wanted: error.message) }
                }
            }
            ways.append(
                Way(
                    scheme: scheme, algorithm: algorithm, keys: keys, mismatch: definition.mismatch,
                    signsDecodedBody: definition.signsDecodedBody))
        }
        self.ways = ways
    }

    package func verify(
        _ request: borrowing CapturedRequest, origin: String?, nowSeconds: UInt64
    ) -> VerificationResult {
        defer { withExtendedLifetime(memory) {} }
        var first: SignatureRejection?
        for way in ways {
            let verdict: VerificationResult
            if way.signsDecodedBody, let body = ContentDecoding.decodedBody(of: request),
                let decoded = request.replacing(body: body)
            {
                verdict = self.verdict(way, decoded, origin, nowSeconds)
            } else {
                verdict = self.verdict(way, request, origin, nowSeconds)
            }
            guard case .rejected(let reason) = verdict else { return verdict }
            // What is missing for one scheme is what another looks at.
            if first == nil || first == .missingHeader { first = reason }
        }
        return .rejected(first ?? .invalidSecret)
    }

    private func verdict(
        _ way: Way, _ request: borrowing CapturedRequest, _ origin: String?, _ nowSeconds: UInt64
    ) -> VerificationResult {
        guard let algorithm = way.algorithm else {
            return request.verify(way.scheme, nowSeconds: nowSeconds, engine: .automatic, origin: origin)
        }
        return refusal(way, algorithm, request, origin, nowSeconds).map { .rejected($0) } ?? .accepted(key: nil)
    }
    private func refusal(
        _ way: Way, _ algorithm: PublicKeyAlgorithm, _ request: borrowing CapturedRequest, _ origin: String?,
        _ nowSeconds: UInt64
    ) -> SignatureRejection? {
        switch way.scheme.read(request, origin: origin, nowSeconds: nowSeconds) {
        case .failure(let reason): return reason
        case .success(let reading):
            let formed = reading.signatures.filter { PublicKey.isWellFormed($0, for: algorithm) }
            guard !formed.isEmpty else { return .malformedHeader }
            let messages = [reading.message] + (reading.otherMessage.map { [$0] } ?? [])
            for key: PublicKey in way.keys.usable(at: nowSeconds) {
                for message in messages where formed.contains(where: { key.verifies($0, of: message) }) { return nil }
            }
            return way.mismatch
        }
    }
}

extension PublicKeyAlgorithm {
    /// Nil for what a loop computes.
    package init?(_ algorithm: SchemeAlgorithm) {
        switch algorithm {
        case .hmac, .token, .basic: return nil
        case .ed25519: self = .ed25519
        case .ecdsaP256: self = .ecdsaP256
        case .rsaSHA256: self = .rsaSHA256
        }
    }
}
