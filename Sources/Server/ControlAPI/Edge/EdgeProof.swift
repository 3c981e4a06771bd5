// Who sent the request, by what it is signed with or by the certificate of its client.
//
// Invariants: a signature that is there is never wrong and let through, needed or not; a certificate counts when our
// own TLS has verified it or a trusted proxy says so; both given, both hold. Nothing of an expected value is said.
import Engine
import FastPath
import Foundation
import HTTPTypes
import Hummingbird

/// The signature of the envelope: hexadecimal HMAC-SHA256, with the tenant's secret, over the request's id, a dot, its
/// time, a dot and its body.
package enum EnvelopeSignature {
    /// How far a request's time may be from ours.
    static let windowSeconds: UInt64 = 300

    enum Failure: String, Equatable, Sendable {
        case missing = "signature_missing"
        case malformed = "signature_malformed"
        case timestampMissing = "timestamp_missing"
        case stale = "timestamp_stale"
        case wrong = "signature_wrong"
        case unknownTenant = "tenant_without_secret"
        case certificateMalformed = "certificate_malformed"

        var message: String {
            switch self {
            case .missing: "a signature is needed: `X-Signature` and `X-Timestamp`, or a client's certificate"
            case .malformed: "`X-Signature` must be 64 hexadecimal digits in small letters, without a prefix"
            case .timestampMissing: "`X-Timestamp` must be Unix seconds"
            case .stale: "`X-Timestamp` is more than \(EnvelopeSignature.windowSeconds) s from now"
            case .wrong, .unknownTenant:
                "the signature is wrong: HMAC-SHA256 with the tenant's `signing_secret` over "
                    + "`X-Request-Id.X-Timestamp.body`, in hexadecimal"
            case .certificateMalformed: "`X-Forwarded-Client-Cert` names no certificate"
            }
        }
        var refusal: EdgeRefusal {
            var refusal = EdgeRefusal(.invalidSignature, message)
            refusal.reason = rawValue
            return refusal
        }
    }

    package static func mac(secret: String, requestID: String, timestamp: String, body: [UInt8]) -> String {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        let key = SigningKey(secret: Array(secret.utf8), algorithm: .sha256, in: memory)
        return TextEncoding.hex(key.mac(over: Array("\(requestID).\(timestamp).".utf8) + body))
    }
    /// Nil when it holds.
    static func failure(
        _ signature: String, timestamp: String?, requestID: String, body: [UInt8], secret: String?, nowSeconds: UInt64
    ) -> Failure? {
        guard signature.utf8.count == 64,
            signature.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return .malformed }
        guard let timestamp, (1...12).contains(timestamp.utf8.count),
            timestamp.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let seconds = UInt64(timestamp)
        else { return .timestampMissing }
        guard max(seconds, nowSeconds) - min(seconds, nowSeconds) <= windowSeconds else { return .stale }
        guard let secret else { return .unknownTenant }
        let wanted = mac(secret: secret, requestID: requestID, timestamp: timestamp, body: body)
        return Digest.areEqual(Array(wanted.utf8), Array(signature.utf8)) ? nil : .wrong
    }
}

extension Edge {
    package struct SignatureVerifier: EdgeMiddleware {
        static let signature = HTTPField.Name("X-Signature")!
        static let timestamp = HTTPField.Name("X-Timestamp")!
        static let certificate = HTTPField.Name("X-Forwarded-Client-Cert")!
        let keeper: any EdgeGuard

        package init(keeper: any EdgeGuard) { self.keeper = keeper }

        package func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply? {
            guard exchange.needsEnvelope else { return nil }
            let isCertified = try hasCertificate(exchange)
            guard let signature = exchange.fields[SignatureVerifier.signature] else {
                guard exchange.traits?.needsProof != true || isCertified else {
                    throw EnvelopeSignature.Failure.missing.refusal
                }
                return nil
            }
            let body = try await exchange.isMutation ? exchange.body() : []
            let failure = EnvelopeSignature.failure(
                signature, timestamp: exchange.fields[SignatureVerifier.timestamp], requestID: exchange.requestID,
                body: body, secret: try keeper.signingSecret(ofTenant: exchange.tenant),
                nowSeconds: exchange.time.wallSeconds)
            if let failure { throw failure.refusal }
            exchange.isProven = true
            return nil
        }
        /// Of the client: our own TLS has seen it, or a proxy has, whose own is not its client's.
        private func hasCertificate(_ exchange: EdgeExchange) throws -> Bool {
            guard keeper.isTrustedProxy(exchange.address) else {
                return exchange.certificate?.isGood(atSeconds: exchange.time.wallSeconds) ?? false
            }
            guard let certificate = exchange.fields[SignatureVerifier.certificate] else { return false }
            guard SignatureVerifier.namesCertificate(certificate) else {
                throw EnvelopeSignature.Failure.certificateMalformed.refusal
            }
            return true
        }
        /// In the form of Envoy: elements with a comma between, the last of the nearest proxy, each of pairs, of which
        /// `Hash` has SHA-256 in hexadecimal, or `Cert` the certificate in PEM, percent-encoded (as nginx writes it).
        static func namesCertificate(_ text: String) -> Bool {
            guard let nearest = parts(of: text, at: ",").last else { return false }
            return parts(of: nearest, at: ";").contains { pair in
                let parts = pair.split(separator: "=", maxSplits: 1).map(String.init)
                guard parts.count == 2 else { return false }
                switch parts[0].filter({ $0 != " " }).lowercased() {
                case "hash":
                    return parts[1].utf8.count == 64 && TextEncoding.bytes(of: parts[1].lowercased(), as: .hex) != nil
                case "cert": return isCertificate(parts[1])
                default: return false
                }
            }
        }
        /// Cut where the separator stands outside quotation marks: a subject has commas. None where a mark has no
        /// other: what a client left open would make the proxy's own element a part of his.
        private static func parts(of text: String, at separator: Character) -> [String] {
            var parts = [""]
            var (isQuoted, isEscaped) = (false, false)
            for character in text {
                if character == separator, !isQuoted {
                    parts.append("")
                    continue
                }
                if character == "\"", !isEscaped { isQuoted.toggle() }
                isEscaped = isQuoted && character == "\\" && !isEscaped
                parts[parts.count - 1].append(character)
            }
            return isQuoted ? [] : parts
        }
        private static func isCertificate(_ quoted: String) -> Bool {
            let text = quoted.hasPrefix("\"") && quoted.hasSuffix("\"") ? String(quoted.dropFirst().dropLast()) : quoted
            guard let pem = text.removingPercentEncoding else { return false }
            return (try? CertificatePrint.all(inPEM: Array(pem.utf8)))?.isEmpty == false
        }
    }
}
