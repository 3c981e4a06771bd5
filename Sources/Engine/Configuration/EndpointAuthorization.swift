// How the gateway proves to an endpoint who it is, as an operator says it: a user and a password, a token, or an access
// token that it asks for (OAuth 2, client credentials). What they come to is a field line, or `ClientCredentials`.
//
// Invariant: `text` has no secret; what is secret here is sealed with the endpoint's settings where they are stored.
import FastPath

/// One of the three.
package struct EndpointAuthorization: Equatable, Codable, Sendable {
    package var basic: BasicCredentials?
    package var bearer: String?
    package var oauth2: ClientCredentialsSettings?
    package init() {}

    /// The whole line, or nothing where a token is asked for.
    var fieldLine: String {
        if let basic { return "Authorization: Basic \(basic.encoded)\r\n" }
        return bearer.map { "Authorization: Bearer \($0)\r\n" } ?? ""
    }
    package var text: String {
        if let basic { return "basic, user \(basic.username)" }
        return oauth2?.text ?? "bearer, 1 secret"
    }
}

package struct BasicCredentials: Equatable, Codable, Sendable {
    package var username = ""
    package var password = ""
    package init() {}

    /// RFC 7617, in UTF-8.
    var encoded: String { TextEncoding.base64(Array("\(username):\(password)".utf8)) }
}

/// How the client proves to the token endpoint who it is (RFC 6749 section 2.3.1).
package enum ClientAuthStyle: String, CaseIterable, Codable, Sendable {
    /// In the `Authorization` field.
    case basic
    /// In the form.
    case body
}

package struct ClientCredentialsSettings: Hashable, Codable, Sendable {
    package var tokenURL = ""
    package var clientID = ""
    package var clientSecret = ""
    package var scopes: [String] = []
    package var audience: String?
    package var authStyle = ClientAuthStyle.basic
    /// A token that is given without an end is used for so long.
    package var tokenMillis = 300_000
    /// The token endpoint is believed, and shown a certificate, by the endpoint's own `tls`; else by the system's
    /// authorities.
    package var usesEndpointTLS = false
    package init() {}

    package var text: String {
        let mark = tokenURL.firstIndex(of: "?") ?? tokenURL.endIndex
        var parts = ["oauth2", String(tokenURL[..<mark]), "client \(clientID)", authStyle.rawValue]
        if !scopes.isEmpty { parts.append("scopes \(scopes.joined(separator: " "))") }
        if let audience { parts.append("audience \(audience)") }
        if tokenMillis != ClientCredentialsSettings().tokenMillis {
            parts.append("for \(TimeSpan.text(of: tokenMillis))")
        }
        if usesEndpointTLS { parts.append("with the endpoint's tls") }
        return parts.joined(separator: ", ")
    }
}
