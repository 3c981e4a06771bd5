// A signature scheme as data, before it is compiled: what the provider catalogue and the configuration say. Runs on
// worker threads at start and reload; `SchemeCheck.swift` refuses what would accept what it should not.
//
// Places of values are spelled as event selectors are: a bare name or `header:NAME` is a header, `query:NAME` a
// parameter of the URL (percent-decoded), `form:NAME` a field of a form in the body (decoded), `json:$.a.b` a value of
// the body (escapes of a string decoded).

package enum SchemeAlgorithm: Equatable, Sendable {
    case hmac(MACAlgorithm)
    /// The value must equal a secret, compared in constant time.
    case token
    /// `Authorization: Basic`, a secret being `user:password` (RFC 7617).
    case basic
    case ed25519
    /// Over SHA-256, the signature in ASN.1 DER.
    case ecdsaP256
    /// PKCS #1 v1.5 over SHA-256.
    case rsaSHA256

    /// True exactly when a loop must leave it to a worker thread.
    package var isCostly: Bool {
        switch self {
        case .hmac, .token, .basic: false
        case .ed25519, .ecdsaP256, .rsaSHA256: true
        }
    }
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

/// The places that belong together. A scheme may have several sets; the first one of which a request has the signature
/// is used. An id or a time at the places of another set must then be the same or absent.
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

package enum TimestampForm: UInt8, CaseIterable, Sendable {
    case seconds, milliseconds
    /// RFC 3339, with or without a fraction.
    case iso8601
}

package struct TimestampRule: Equatable, Sendable {
    /// The key in the signature header's list; nil = the place of `SchemeHeaders.timestamp`.
    package var listKey: String?
    package var form: TimestampForm
    /// A difference of exactly this many seconds still passes.
    package var toleranceSeconds: UInt64
    /// How far in the past instead, where the sender's own retries bring the first try's time; nil = the same.
    package var pastToleranceSeconds: UInt64?
    /// False when a time in the future passes however far it is.
    package var checksFuture: Bool
    /// False when a time in the past passes however far it is.
    package var checksPast: Bool
    /// True when a request without it passes. Only for one that stands in what is signed as a whole (body or URL), so
    /// that it cannot be taken out.
    package var isOptional: Bool

    package init(
        listKey: String? = nil, form: TimestampForm = .seconds, toleranceSeconds: UInt64 = 300,
        checksFuture: Bool = true, checksPast: Bool = true, isOptional: Bool = false
    ) {
        self.listKey = listKey
        self.form = form
        self.toleranceSeconds = toleranceSeconds
        self.checksFuture = checksFuture
        self.checksPast = checksPast
        self.isOptional = isOptional
    }

    /// How far from now a time may lie, ahead of it or behind.
    package func allowedSeconds(ahead: Bool) -> UInt64 {
        ahead ? toleranceSeconds : pastToleranceSeconds ?? toleranceSeconds
    }
    /// As many of its units as a second has; 1 for ISO 8601, whose fraction is looked at by itself.
    package var unitsPerSecond: UInt64 { form == .milliseconds ? 1000 : 1 }
}

package struct SchemeDefinition: Equatable, Sendable {
    package var algorithm: SchemeAlgorithm
    package var headers: [SchemeHeaders]
    /// True when the signatures of all sets that a request has are read and any may match (DocuSign's numbered
    /// headers).
    package var takesEverySet = false
    /// A place that a request must have to be checked by this one of a source's schemes; nil = its signature's.
    package var appliesWhen: String?
    package var prefix = ""
    /// For the names of authentication schemes (`Bearer `), which have no case.
    package var prefixIgnoresCase = false
    package var encoding = SignatureEncoding.hex
    package var list = SignatureList.none
    package var listKey = ""
    /// `{timestamp}` `{id}` `{body}` `{method}` `{url}` `{path}` `{query}` `{form}` `{header:NAME}` `{query:NAME}`
    /// `{form:NAME}` `{json:$.path}` and literal text.
    package var signed = "{body}"
    /// True when the scheme is known to leave the body unsigned; nothing else may.
    package var signsPartOnly = false
    /// The place of the hexadecimal SHA-256 of the body. It must be signed itself; a request that has it
    /// signs no `{form}` (Twilio's `bodySHA256`).
    package var bodyHash: String?
    /// True when `{url}` is tried as received, and with the port put in (80 or 443) or left out (Twilio).
    package var triesBothPorts = false
    /// Characters whose percent-escapes in the target are decoded in `{url}`; all others stay as received (HubSpot v3).
    package var urlDecodes = ""
    /// True when a body that came with a Content-Encoding is signed as it was before it. A worker decodes it.
    package var signsDecodedBody = false
    /// True when a body that a challenge could be is refused: who asks for the MAC of a text (X's GET with `crc_token`)
    /// has the signature of that text as a body, where the sender signs both with one key.
    package var refusesOpaqueBody = false
    package var timestamp: TimestampRule?
    package var secretEncoding = SecretEncoding.text
    private var ownMismatch: SignatureRejection?

    package init(algorithm: SchemeAlgorithm, headers: [SchemeHeaders]) {
        self.algorithm = algorithm
        self.headers = headers
    }

    /// Why a request is refused whose claims are well-formed and equal nothing.
    package var mismatch: SignatureRejection {
        get {
            if let ownMismatch { return ownMismatch }
            return switch algorithm {
            case .token: .tokenMismatch
            case .basic: .invalidCredentials
            case .hmac, .ed25519, .ecdsaP256, .rsaSHA256: .signatureMismatch
            }
        }
        set { ownMismatch = newValue }
    }
    /// True exactly when a loop must leave it to a worker thread.
    package var isCostly: Bool { algorithm.isCostly || signsDecodedBody }
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
    /// The algorithm and the form of its secrets do not go together.
    case badAlgorithm(String)

    package var message: String {
        switch self {
        case .noSecret: "has no secret"
        case .emptySecret(let index): "secret \(index + 1) is empty"
        case .badSecret(let index, let wanted): "secret \(index + 1) has the wrong form: \(wanted)"
        case .badHeader(let why), .badTemplate(let why), .badList(let why), .badTimestamp(let why),
            .badAlgorithm(let why):
            why
        }
    }
}
