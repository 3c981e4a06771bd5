// An endpoint's URL taken apart once, strictly: what the request line and the Host field say, and what is resolved.
// Pure. Spellings that URL parsers disagree about (user information, backslashes, octal hosts) are refused, because the
// checker and the connector must never see two different hosts.

import FastPath

package enum EndpointAddressError: Error, Equatable, Sendable {
    case notAURL, scheme(String), userInformation, badHost(String), badPort(String), portRefused(
        UInt16)
    case badCharacter, fragment
    case refused(host: String, address: String, AddressRefusal)
    /// A link-local address; a URL does not say on which interface (RFC 6874 is followed by nobody who must agree).
    case needsInterface(host: String)
}

extension EndpointAddressError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notAURL: "is not a URL such as http://127.0.0.1:9000/hooks"
        case .scheme(let scheme): "has the scheme \"\(scheme)\"; use https://HOST[:PORT]/PATH or http://"
        case .userInformation:
            "contains a user name or password, which no URL here may have; an endpoint's stand in `authorization`"
        case .badHost(let host): "has the host \"\(host)\", which is neither a plain name nor an address"
        case .badPort(let port): "has the port \"\(port)\"; a port is 1 to 65535"
        case .portRefused(let port): "uses port \(port), which belongs to another protocol than HTTP"
        case .badCharacter: "contains a character that must be percent-encoded (space, control, backslash or non-ASCII)"
        case .fragment: "has a fragment (#…), which is never sent; remove it"
        case .refused(let host, let address, let reason):
            "leads to \(host == address ? address : "\(host) (\(address))"), which is not a public address "
                + "(\(reason.rawValue)); if this is intended, add its range to delivery.allow"
        case .needsInterface(let host):
            "has the link-local address \"\(host)\", whose interface a URL cannot say; use a host name "
                + "that the resolver knows with its interface, or an address that is not link-local"
        }
    }
}

extension EndpointAddressError {
    /// What was written is not shown where a password stands in it.
    var subject: ValidationIssue.Subject { self == .userInformation ? .field : .value }
}

package struct EndpointAddress: Equatable, Sendable {
    /// Lower case, without brackets and without the root's dot.
    package let host: String
    package let port: UInt16
    /// True exactly when the scheme is https.
    package let isSecure: Bool
    /// The value of the Host field: with brackets where they belong, the port only when it is not the scheme's.
    package let hostField: String
    /// Path and query as configured, `/` when there is none.
    package let target: String

    package init(_ url: String) throws(EndpointAddressError) {
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x5C }) else { throw .badCharacter }
        guard let colon = url.firstIndex(of: ":") else { throw .notAURL }
        let scheme = url[..<colon].lowercased()
        guard scheme == "http" || scheme == "https" else { throw .scheme(scheme) }
        isSecure = scheme == "https"
        let defaultPort: UInt16 = isSecure ? 443 : 80
        var rest = url[url.index(after: colon)...]
        guard rest.hasPrefix("//") else { throw .notAURL }
        rest = rest.dropFirst(2)
        guard !rest.contains("#") else { throw .fragment }
        let authorityEnd = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let authority = rest[..<authorityEnd]
        guard !authority.contains("@") else { throw .userInformation }
        guard !authority.isEmpty else { throw .notAURL }
        let parts = try EndpointAddress.split(authority)
        host = try EndpointAddress.checkedHost(parts.host, isBracketed: parts.isBracketed)
        port = try EndpointAddress.checkedPort(parts.port) ?? defaultPort
        hostField = (parts.isBracketed ? "[\(host)]" : host) + (port == defaultPort ? "" : ":\(port)")
        let path = String(rest[authorityEnd...])
        target = path.hasPrefix("/") ? path : "/" + path
    }

    /// Where it leads; nil for a host name.
    package var literal: SocketAddress? { IPAddress(host).map { SocketAddress(address: $0, port: port) } }
    /// Of the literal address: nil when it can be connected to, whatever the rules say of it.
    var unreachable: EndpointAddressError? {
        literal?.address.needsInterface == true ? .needsInterface(host: host) : nil
    }

    private static func split(
        _ authority: Substring
    ) throws(EndpointAddressError) -> (host: Substring, port: Substring?, isBracketed: Bool) {
        if authority.hasPrefix("[") {
            guard let close = authority.firstIndex(of: "]") else { throw .badHost(String(authority)) }
            let behind = authority[authority.index(after: close)...]
            guard behind.isEmpty || behind.hasPrefix(":") else { throw .badHost(String(authority)) }
            return (
                authority[authority.index(after: authority.startIndex)..<close],
                behind.isEmpty ? nil : behind.dropFirst(), true
            )
        }
        guard let colon = authority.firstIndex(of: ":") else { return (authority, nil, false) }
        return (authority[..<colon], authority[authority.index(after: colon)...], false)
    }
    private static func checkedHost(_ text: Substring, isBracketed: Bool) throws(EndpointAddressError) -> String {
        var host = text.lowercased()
        if isBracketed {
            let zone = host.firstIndex(of: "%")
            if let zone, IPAddress(host[..<zone])?.family == .v6 { throw .needsInterface(host: host) }
            guard let address = IPAddress(host), address.family == .v6 else { throw .badHost(host) }
            return address.text
        }
        if host.hasSuffix(".") { host.removeLast() }
        if let address = IPAddress(host) {
            guard address.family == .v4 else { throw .badHost(host) }
            return host
        }
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        let isName = host.utf8.count <= 253 && labels.allSatisfy(isLabel)
        // A last label of digits or hexadecimal is an address in some parsers' eyes (WHATWG "ends in a number").
        let last = labels.last ?? ""
        let endsInNumber = last.utf8.allSatisfy { (48...57).contains($0) } || last.hasPrefix("0x")
        guard isName, !endsInNumber else { throw .badHost(host) }
        return host
    }
    private static func isLabel(_ label: Substring) -> Bool {
        guard (1...63).contains(label.utf8.count), !label.hasPrefix("-"), !label.hasSuffix("-") else { return false }
        return label.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 0x2D || $0 == 0x5F }
    }
    private static func checkedPort(_ text: Substring?) throws(EndpointAddressError) -> UInt16? {
        guard let text else { return nil }
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
            let port = UInt16(text),
            port > 0
        else { throw .badPort(String(text)) }
        guard !foreignPorts.contains(port) else { throw .portRefused(port) }
        return port
    }
    /// Services that read an HTTP request as commands of their own, or that a forged request would harm: the ports the
    /// WHATWG Fetch standard blocks that are still met, and the usual data stores. Not 9: what is sent there is thrown
    /// away, which harms nobody, and tests of others name it as a place where nobody listens.
    private static let foreignPorts: Set<UInt16> = [
        1, 7, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 79, 87, 95, 101, 102, 103, 104, 109, 110,
        111,
        113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532,
        540,
        548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 2379, 3306, 3389,
        3659,
        4045, 4190, 5060, 5061, 5432, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 11211, 27017,
    ]
}
