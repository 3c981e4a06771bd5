// How the named verifiers say no, and how they read a header: once, and not empty, or refused.

import FastPath

enum VerificationFailure: Error, Equatable, Sendable {
    case rejected(SignatureRejection)
    case undecided
}

/// A verifier written as a sequence of checks, each of which throws what is wrong.
protocol StepwiseVerifier: RequestVerifier {
    func check(
        _ request: borrowing CapturedRequest, origin: String?, nowSeconds: UInt64
    ) throws(VerificationFailure)
}

extension StepwiseVerifier {
    package func verify(
        _ request: borrowing CapturedRequest, origin: String?, nowSeconds: UInt64
    ) -> VerificationResult {
        do throws(VerificationFailure) {
            try check(request, origin: origin, nowSeconds: nowSeconds)
            return .accepted(key: nil)
        } catch {
            switch error {
            case .rejected(let reason): return .rejected(reason)
            case .undecided: return .undecided
            }
        }
    }
}

extension CapturedRequest {
    /// The one value of a header that must be there.
    borrowing func single(_ name: String) throws(VerificationFailure) -> String {
        guard let value = try optional(name) else { throw .rejected(.missingHeader) }
        return value
    }
    /// Nil when the header is absent; twice or empty is refused.
    borrowing func optional(_ name: String) throws(VerificationFailure) -> String? {
        let found = values(of: name)
        guard found.count <= 1 else { throw .rejected(.duplicateHeader) }
        guard let value = found.first else { return nil }
        guard !value.isEmpty else { throw .rejected(.malformedHeader) }
        return String(decoding: value, as: UTF8.self)
    }
}

/// The secrets of a source as a verifier keeps them: each ready to use, with its window.
struct TimedKey<Key: Sendable>: Sendable {
    let key: Key
    let window: SourceSecret

    init(_ key: Key, of secret: SourceSecret) {
        self.key = key
        // The text is not kept twice.
        window = SourceSecret("", notBefore: secret.notBefore, notAfter: secret.notAfter)
    }
}

extension Array {
    func usable<Key>(at nowSeconds: UInt64) -> [Key] where Element == TimedKey<Key> {
        compactMap { $0.window.isUsable(at: nowSeconds) ? $0.key : nil }
    }
}
