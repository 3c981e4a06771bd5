// Access tokens of OAuth 2 (RFC 6749 section 4.4, RFC 6750): for whom one is asked, what it is, what came instead.
//
// Invariant: neither `description` nor `detail` has a secret or a token: what a token endpoint says is cut, cleaned,
// and robbed of the client's own secret before it goes anywhere.
import FastPath

/// Compiled with its endpoint. Those of one tenant that say the same are equal, and share a token.
package final class ClientCredentials: Sendable {
    package let tenant: TenantID
    package let settings: ClientCredentialsSettings
    /// Nil when the token endpoint's scheme is http.
    let tls: TLSContext?
    /// Of the endpoint's own files, where the token endpoint is believed by them.
    private let files: EndpointTLS?
    /// The rules and the proxy in force.
    let environment: EndpointEnvironment
    let address: EndpointAddress
    private let hash: Int

    init(
        _ settings: ClientCredentialsSettings, of endpoint: EndpointSpec, _ environment: EndpointEnvironment
    ) throws(EndpointError) {
        tenant = endpoint.tenant
        self.settings = settings
        self.environment = environment
        files = settings.usesEndpointTLS ? endpoint.settings.tls : nil
        do throws(EndpointAddressError) { address = try EndpointAddress(settings.tokenURL) } catch {
            throw .address(error)
        }
        do throws(EndpointTLSError) { tls = address.isSecure ? try ClientContexts.context(for: files) : nil } catch {
            throw .tls(error)
        }
        var hasher = Hasher()
        hasher.combine(tenant.number)
        hasher.combine(settings)
        hasher.combine(files?.contents)
        hash = hasher.finalize()
    }
    /// The same client of the same token endpoint for the same, whose secret has been changed: what its token allows
    /// the old one did too.
    package func succeeds(_ other: ClientCredentials) -> Bool {
        var before = other.settings
        before.clientSecret = settings.clientSecret
        before.authStyle = settings.authStyle
        return tenant == other.tenant && before == settings && files == other.files && self != other
    }
}

extension ClientCredentials: Hashable {
    package static func == (left: ClientCredentials, right: ClientCredentials) -> Bool {
        left === right
            || left.hash == right.hash && left.tenant == right.tenant && left.settings == right.settings
                && left.files == right.files
    }
    package func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}

/// A class, so that a delivery knows which one it went with.
package final class AccessToken: Sendable {
    /// The whole field line.
    let line: [UInt8]

    package init(_ text: String) { line = Array("Authorization: Bearer \(text)\r\n".utf8) }
}

/// What a token endpoint has given.
package struct GrantedToken: Equatable, Sendable {
    package var text: String
    package var lifetimeMillis: Int

    package init(text: String, lifetimeMillis: Int) {
        self.text = text
        self.lifetimeMillis = lifetimeMillis
    }
}

/// Why there is no token. Raw values are part of what is stored of an attempt: new ones come last.
package enum AccessTokenFault: UInt8, CaseIterable, Sendable {
    case nameNotResolved = 1
    case addressRefused = 2
    case connectFailed = 3
    case timedOut = 4
    case tlsFailed = 5
    case proxyRefused = 6
    case connectionLost = 7
    /// Not HTTP, or not what RFC 6749 calls a token.
    case badAnswer = 8
    case answerTooLarge = 9
    /// It says that this client gets none: 4xx.
    case refused = 10
    /// Another status.
    case unavailable = 11

    package var name: String {
        switch self {
        case .nameNotResolved: "name_not_resolved"
        case .addressRefused: "address_refused"
        case .connectFailed: "connect_failed"
        case .timedOut: "timed_out"
        case .tlsFailed: "tls_failed"
        case .proxyRefused: "proxy_refused"
        case .connectionLost: "connection_lost"
        case .badAnswer: "bad_answer"
        case .answerTooLarge: "answer_too_large"
        case .refused: "refused"
        case .unavailable: "unavailable"
        }
    }
    var explanation: String {
        switch self {
        case .nameNotResolved: "the token endpoint's name does not resolve"
        case .addressRefused: "the token endpoint's address may not be connected to"
        case .connectFailed: "no connection to the token endpoint"
        case .timedOut: "the token endpoint does not answer in time"
        case .tlsFailed: "TLS to the token endpoint failed"
        case .proxyRefused: "the proxy makes no tunnel to the token endpoint"
        case .connectionLost: "the token endpoint closed the connection before its answer's end"
        case .badAnswer: "what the token endpoint answers is no token"
        case .answerTooLarge: "the token endpoint's answer is too large"
        case .refused: "the token endpoint refuses"
        case .unavailable: "the token endpoint cannot answer now"
        }
    }
}

package struct TokenFailure: Error, Equatable, Sendable {
    package let fault: AccessTokenFault
    /// HTTP status, where there was an answer.
    package var status: UInt16 = 0
    package var retryAfterSeconds: Int?
    /// What more is known; no secret.
    package var detail = ""

    package init(_ fault: AccessTokenFault, status: UInt16 = 0, detail: String = "") {
        self.fault = fault
        self.status = status
        self.detail = detail
    }
    package var description: String {
        var text = fault.explanation
        if status != 0 { text += ", \(status)" }
        return detail.isEmpty ? text : text + ": " + detail
    }
    /// Of an attempt that was not made for it.
    package var systemError: Int32 { Int32(status) << 8 | Int32(fault.rawValue) }
}

extension DeliveryOutcome {
    package var tokenFault: AccessTokenFault? { AccessTokenFault(result, systemError) }
}

extension AccessTokenFault {
    /// As an outcome, or a row that was made of one, has it.
    package init?(_ result: DeliveryResult, _ systemError: Int32) {
        guard result == .authorizationFailed else { return nil }
        self.init(rawValue: UInt8(truncatingIfNeeded: systemError))
    }
}
