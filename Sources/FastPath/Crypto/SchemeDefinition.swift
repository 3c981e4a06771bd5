// A signature scheme as data, before it is compiled: what the provider catalogue and the configuration say. And how a
// secret's text becomes key bytes. Runs on worker threads at start and reload; it may allocate and throws words a
// person can use.

package enum SchemeAlgorithm: Equatable, Sendable {
    case hmac(MACAlgorithm)
    /// The header must equal a secret, compared in constant time.
    case token
}

/// How several signatures share one header.
package enum SignatureList: UInt8, CaseIterable, Sendable {
    case none
    /// `v1,SIG v1,SIG` (Standard Webhooks).
    case space
    /// `t=…,v1=SIG,v1=SIG` (Stripe).
    case comma
    /// `ts=…;h1=SIG` (Paddle).
    case semicolon
}

/// The header names that belong together. A scheme may have several sets; the first one of which a request has the
/// signature or the id is used.
package struct SchemeHeaders: Equatable, Sendable {
    package var signature: String
    package var id: String?
    package var timestamp: String?

    package init(signature: String, id: String? = nil, timestamp: String? = nil) {
        self.signature = signature
        self.id = id
        self.timestamp = timestamp
    }
}

package struct TimestampRule: Equatable, Sendable {
    /// The key in the signature header's list; nil = the header of `SchemeHeaders.timestamp`.
    package var listKey: String?
    /// 1 for seconds, 1000 for milliseconds.
    package var unitsPerSecond: UInt64
    /// A difference of exactly this many seconds still passes.
    package var toleranceSeconds: UInt64
    /// False when a time in the future passes however far it is.
    package var checksFuture: Bool

    package init(
        listKey: String? = nil, unitsPerSecond: UInt64 = 1, toleranceSeconds: UInt64 = 300, checksFuture: Bool = true
    ) {
        self.listKey = listKey
        self.unitsPerSecond = unitsPerSecond
        self.toleranceSeconds = toleranceSeconds
        self.checksFuture = checksFuture
    }
}

package struct SchemeDefinition: Equatable, Sendable {
    package var algorithm: SchemeAlgorithm
    package var headers: [SchemeHeaders]
    package var prefix = ""
    package var encoding = SignatureEncoding.hex
    package var list = SignatureList.none
    package var listKey = ""
    /// `{timestamp}`, `{id}`, `{body}` and literal text.
    package var signed = "{body}"
    package var timestamp: TimestampRule?
    package var secretEncoding = SecretEncoding.text

    package init(algorithm: SchemeAlgorithm, headers: [SchemeHeaders]) {
        self.algorithm = algorithm
        self.headers = headers
    }
}

/// Why a scheme or a secret cannot be compiled. Never carries the secret.
package enum SchemeError: Error, Equatable, Sendable {
    case noSecret
    case emptySecret(index: Int)
    /// The secret's text is not in the form that the scheme takes.
    case badSecret(index: Int, wanted: String)
    case badHeader(String)
    case badTemplate(String)
    case badList(String)
    case badTimestamp(String)

    package var message: String {
        switch self {
        case .noSecret: "has no secret"
        case .emptySecret(let index): "secret \(index + 1) is empty"
        case .badSecret(let index, let wanted): "secret \(index + 1) has the wrong form: \(wanted)"
        case .badHeader(let why), .badTemplate(let why), .badList(let why), .badTimestamp(let why): why
        }
    }
}

package enum SecretEncoding: String, CaseIterable, Sendable {
    /// The text's UTF-8 bytes.
    case text
    case base64
    case hex
    /// Base 64 with or without `whsec_` before it and padding behind it (Standard Webhooks).
    case whsec

    package func key(of secret: String, index: Int) throws(SchemeError) -> [UInt8] {
        guard !secret.isEmpty else { throw .emptySecret(index: index) }
        switch self {
        case .text:
            return Array(secret.utf8)
        case .hex:
            guard let key = TextEncoding.bytes(of: secret, as: .hex), !key.isEmpty else {
                throw .badSecret(index: index, wanted: "hexadecimal digits, two for each byte")
            }
            return key
        case .base64:
            guard let key = TextEncoding.bytes(of: secret, as: .base64), !key.isEmpty else {
                throw .badSecret(index: index, wanted: "base 64")
            }
            return key
        case .whsec:
            // Taking a public key for a secret would let anyone sign.
            if secret.hasPrefix("whpk_") || secret.hasPrefix("whsk_") {
                throw .badSecret(
                    index: index,
                    wanted: "this is an ed25519 key (v1a); the scheme takes a symmetric secret, whsec_ and base 64")
            }
            let text = secret.hasPrefix("whsec_") ? String(secret.dropFirst(6)) : secret
            guard let key = TextEncoding.bytes(of: text, as: .base64), !key.isEmpty else {
                throw .badSecret(index: index, wanted: "whsec_ and base 64")
            }
            return key
        }
    }
}
