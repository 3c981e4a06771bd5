// What must hold for the credentials that an endpoint is shown, and for the place where access tokens are asked for.
// Pure. Messages say nothing of a secret.
//
// Invariant: what passes here cannot end its field line, nor leave its place in a form.
import FastPath

package enum AuthorizationRules {
    package static let nameBytesMax = 256
    package static let secretBytesMax = 8192
    package static let scopeCountMax = 64
    package static let scopeBytesMax = 4096
    package static let audienceBytesMax = 1024
    package static let tokenMillisRange = 10_000...86_400_000

    static func issues(
        of endpoint: EndpointConfiguration, _ addresses: AddressRules, at path: FieldPath
    ) -> [ValidationIssue] {
        guard let authorization = endpoint.policies.authorization else { return [] }
        let place = path["authorization"]
        guard endpoint.extras.family == .registry else {
            return [ValidationIssue(place, "is fixed by the family `\(endpoint.extras.family.rawValue)`")]
        }
        let given = [authorization.basic != nil, authorization.bearer != nil, authorization.oauth2 != nil]
        guard given.count(where: \.self) == 1 else {
            return [ValidationIssue(place, "takes one of `basic`, `bearer` and `oauth2`")]
        }
        if endpoint.extras.fields.contains(where: { $0.name.lowercased() == "authorization" }) {
            return [ValidationIssue(place, "stands beside a header `Authorization`; keep one of them")]
        }
        if !endpoint.extras.userInformation.isEmpty {
            return [ValidationIssue(place, "stands beside `user:password` in the URL; keep one of them")]
        }
        if let basic = authorization.basic { return issues(of: basic, at: place["basic"]) }
        if let bearer = authorization.bearer {
            return secretIssue(bearer, place["bearer"], isVisible: true).map { [$0] } ?? []
        }
        return authorization.oauth2.map { issues(of: $0, endpoint, addresses, at: place["oauth2"]) } ?? []
    }

    private static func issues(of basic: BasicCredentials, at path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        if !(1...nameBytesMax).contains(basic.username.utf8.count) || basic.username.contains(":")
            || hasControl(basic.username)
        {
            let reason = "must have 1 to \(nameBytesMax) bytes without a colon or a control character"
            issues.append(ValidationIssue(path["username"], reason, about: .nothing))
        }
        if basic.password.utf8.count > secretBytesMax || hasControl(basic.password) {
            let reason = "must have at most \(secretBytesMax) bytes without a control character"
            issues.append(ValidationIssue(path["password"], reason, about: .nothing))
        }
        return issues
    }
    private static func issues(
        of oauth: ClientCredentialsSettings, _ endpoint: EndpointConfiguration, _ addresses: AddressRules,
        at path: FieldPath
    ) -> [ValidationIssue] {
        var issues = urlIssues(oauth, addresses, path["token_url"])
        if oauth.clientID.isEmpty || oauth.clientID.utf8.count > nameBytesMax || !isText(oauth.clientID) {
            let reason = "must be 1 to \(nameBytesMax) printable ASCII characters"
            issues.append(ValidationIssue(path["client_id"], reason, about: .nothing))
        }
        if let issue = secretIssue(oauth.clientSecret, path["client_secret"], isVisible: false) { issues.append(issue) }
        let scopeBytes = oauth.scopes.reduce(0) { $0 + $1.utf8.count + 1 }
        if oauth.scopes.count > scopeCountMax || scopeBytes > scopeBytesMax {
            let reason = "has more than \(scopeCountMax) entries, or \(scopeBytesMax) bytes"
            issues.append(ValidationIssue(path["scopes"], reason))
        }
        for (index, scope) in oauth.scopes.enumerated() where !isScope(scope) {
            let reason = "is no scope: visible ASCII characters but for quotation mark and backslash"
            issues.append(ValidationIssue(path["scopes"][index], reason, about: .value))
        }
        if let audience = oauth.audience,
            !(1...audienceBytesMax).contains(audience.utf8.count) || !isText(audience)
        {
            let reason = "must be 1 to \(audienceBytesMax) printable ASCII characters"
            issues.append(ValidationIssue(path["audience"], reason, about: .nothing))
        }
        issues += [PolicyRules.issue(millis: oauth.tokenMillis, tokenMillisRange, path["token_time"])]
            .compactMap(\.self)
        if oauth.usesEndpointTLS, endpoint.tls == nil {
            issues.append(ValidationIssue(path["endpoint_tls"], "is of no use without the endpoint's `tls`"))
        }
        return issues
    }
    /// A secret goes there: over TLS, unless it stays on this machine.
    private static func urlIssues(
        _ oauth: ClientCredentialsSettings, _ addresses: AddressRules, _ path: FieldPath
    ) -> [ValidationIssue] {
        let address: EndpointAddress
        do throws(EndpointAddressError) {
            address = try EndpointAddress(oauth.tokenURL)
            if let error = address.unreachable { throw error }
        } catch {
            return [ValidationIssue(path, error.description, about: error.subject)]
        }
        let literal = address.literal?.address
        if let literal, let reason = addresses.refusal(of: literal) {
            let refused = EndpointAddressError.refused(host: address.host, address: literal.text, reason)
            return [ValidationIssue(path, refused.description, about: .value)]
        }
        let staysHere = literal.map { AddressRules.classify($0) == .loopback } ?? false
        guard address.isSecure || staysHere else {
            return [ValidationIssue(path, "must be https://: the client's secret goes there", about: .value)]
        }
        guard address.target.utf8.count <= 2048 else {
            return [ValidationIssue(path, "has a path of more than 2048 bytes")]
        }
        return []
    }

    private static func secretIssue(_ text: String, _ path: FieldPath, isVisible: Bool) -> ValidationIssue? {
        let isSound = isVisible ? text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } : isText(text)
        guard !(1...secretBytesMax).contains(text.utf8.count) || !isSound else { return nil }
        let kind = isVisible ? "visible" : "printable"
        return ValidationIssue(path, "must be 1 to \(secretBytesMax) \(kind) ASCII characters", about: .nothing)
    }
    /// RFC 6749, `VSCHAR`.
    private static func isText(_ text: String) -> Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F } }
    /// RFC 6749, `scope-token`.
    private static func isScope(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }
    }
    private static func hasControl(_ text: String) -> Bool { text.utf8.contains { $0 < 0x20 || $0 == 0x7F } }
}
