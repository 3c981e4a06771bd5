// A signature scheme as the configuration spells it: words and places, not yet compiled. Defaults live here and nowhere
// else; `docs/configuration.md` documents each.

/// Places of values are a header's name (or `header:NAME`), `query:NAME`, `form:NAME` or `json:$.a.b`.
package struct SchemeConfiguration: Equatable, Codable, Sendable {
    /// `hmac-sha256`, `hmac-sha1`, `hmac-sha512`, `token` (constant-time equality of the value with the secret),
    /// `basic` (secret `user:password`), `ed25519`, `ecdsa-p256` or `rsa-sha256`.
    package var algorithm = "hmac-sha256"
    /// The place of the signature.
    package var header = ""
    /// Further places of it; the first that a request has counts.
    package var otherHeaders: [String] = []
    /// Every one of the places that a request has counts.
    package var takesEveryHeader = false
    package var prefix = ""
    package var prefixIgnoresCase = false
    /// `hex`, `base64` or `base64url`.
    package var encoding = "hex"
    /// Template of `{timestamp}` `{id}` `{body}` `{method}` `{url}` `{path}` `{query}` `{form}` `{header:NAME}`
    /// `{query:NAME}` `{form:NAME}` `{json:$.path}` and literal text.
    package var signed = "{body}"
    /// Allows a template that leaves the body unsigned.
    package var signsPartOnly = false
    /// The place of the SHA-256 of the body, in hexadecimal.
    package var bodyHash: String?
    /// `as-received`, or `both` to try the URL with and without its port as well.
    package var urlPorts = "as-received"
    /// `as-received`, or `decoded` where a compressed body is signed as it was before.
    package var contentCoding: String?
    /// Characters whose percent-escapes are decoded in `{url}`.
    package var urlDecodes: String?
    /// `none`, or how several signatures share the header: `space` (Standard Webhooks `v1,…`), `comma` (Stripe
    /// `t=…,v1=…`), `semicolon`.
    package var list = "none"
    /// The key of the entries of a list that count, such as `v1`.
    package var listKey = ""
    /// The place of the event id that is signed.
    package var idHeader: String?
    package var timestamp: TimestampConfiguration?
    /// How a secret's text becomes key bytes: `text`, `base64`, `hex`, `whsec`; public keys: `ed25519`, `spki`.
    package var secretEncoding = "text"
    package init() {}
}

package struct TimestampConfiguration: Equatable, Codable, Sendable {
    /// Its place, or nil when it is the list entry `listKey`.
    package var header: String?
    /// The key of the timestamp in the signature header's list (`t` at Stripe).
    package var listKey: String?
    /// `seconds`, `milliseconds` or `iso8601`.
    package var unit = "seconds"
    package var toleranceSeconds = 300
    /// False when a timestamp in the future is accepted however far (Stripe's libraries).
    package var checksFuture = true
    /// False when a timestamp in the past is accepted however far.
    package var checksPast = true
    /// True when a request may come without it.
    package var isOptional = false
    package init() {}
}
