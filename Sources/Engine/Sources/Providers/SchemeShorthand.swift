// The words in which the families spell their schemes: a MAC over the body, and a value that must be equal.

import FastPath

extension SchemeDefinition {
    /// A MAC over the body as it came, unless `signed` says otherwise.
    static func mac(
        _ algorithm: MACAlgorithm, _ header: String, prefix: String = "", encoding: SignatureEncoding = .hex,
        signed: String = "{body}"
    ) -> SchemeDefinition {
        var scheme = SchemeDefinition(algorithm: .hmac(algorithm), headers: [SchemeHeaders(signature: header)])
        scheme.prefix = prefix
        scheme.encoding = encoding
        scheme.signed = signed
        return scheme
    }
    /// Equality with a secret.
    static func token(_ place: String, prefix: String = "") -> SchemeDefinition {
        var scheme = SchemeDefinition(algorithm: .token, headers: [SchemeHeaders(signature: place)])
        scheme.prefix = prefix
        return scheme
    }
    /// RFC 6750; the name of the authentication scheme has no case.
    static let bearer: SchemeDefinition = {
        var scheme = token("Authorization", prefix: "Bearer ")
        scheme.prefixIgnoresCase = true
        return scheme
    }()
    static let basic = SchemeDefinition(algorithm: .basic, headers: [SchemeHeaders(signature: "Authorization")])
}
