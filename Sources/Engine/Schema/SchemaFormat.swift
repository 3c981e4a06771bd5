// The formats that a schema's `format` asserts, each as its RFC spells it; other names are annotations and assert
// nothing. Pure; linear in the text.
import FastPath

/// Raw values are the names in schemas.
enum SchemaFormat: String, CaseIterable, Sendable {
    case dateTime = "date-time"
    case date, time, email, uri, uuid, ipv4, ipv6, hostname

    /// What would be right.
    var wanted: String {
        switch self {
        case .dateTime: "a date and time such as 2026-01-31T00:00:00Z (RFC 3339)"
        case .date: "a date such as 2026-01-31 (RFC 3339)"
        case .time: "a time such as 00:00:00Z (RFC 3339)"
        case .email: "an e-mail address (RFC 5321)"
        case .uri: "a URI with its scheme (RFC 3986)"
        case .uuid: "a UUID (RFC 4122)"
        case .ipv4: "an IPv4 address in dotted decimals"
        case .ipv6: "an IPv6 address (RFC 4291)"
        case .hostname: "a host name (RFC 1123)"
        }
    }

    func takes(_ text: [UInt8]) -> Bool {
        switch self {
        case .dateTime:
            text.count > 11 && SchemaFormat.isDate(text[..<10]) && text[10] | 0x20 == UInt8(ascii: "t")
                && SchemaFormat.isTime(text[11...])
        case .date: SchemaFormat.isDate(text[...])
        case .time: SchemaFormat.isTime(text[...])
        case .email: SchemaFormat.isEmail(text)
        case .uri: URIText.isAbsolute(text)
        case .uuid: text.withView(\.isUUID)
        case .ipv4: SchemaFormat.isIPv4(text[...])
        case .ipv6: SchemaFormat.isIPv6(text)
        case .hostname: SchemaFormat.isHostname(text[...])
        }
    }

    // MARK: RFC 3339

    private static func isDate(_ text: ArraySlice<UInt8>) -> Bool {
        let bytes = Array(text)
        guard bytes.count == 10, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
            let year = number(bytes[0..<4]), let month = number(bytes[5..<7]), let day = number(bytes[8..<10]),
            (1...12).contains(month)
        else { return false }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
        return (1...days).contains(day)
    }
    private static func isTime(_ text: ArraySlice<UInt8>) -> Bool {
        let bytes = Array(text)
        guard bytes.count >= 9, bytes[2] == UInt8(ascii: ":"), bytes[5] == UInt8(ascii: ":"),
            let hour = number(bytes[0..<2]), let minute = number(bytes[3..<5]), let second = number(bytes[6..<8]),
            hour < 24, minute < 60, second <= 60
        else { return false }
        var place = 8
        if bytes[place] == UInt8(ascii: ".") {
            place += 1
            let start = place
            while place < bytes.count, isDigit(bytes[place]) { place += 1 }
            guard place > start else { return false }
        }
        guard let offset = offset(bytes[place...]) else { return false }
        // A leap second is the last of a day in UTC.
        let utcMinute = (hour * 60 + minute - offset + 2 * 1440) % 1440
        return second < 60 || utcMinute == 1439
    }
    /// In minutes; nil when it is none.
    private static func offset(_ text: ArraySlice<UInt8>) -> Int? {
        let bytes = Array(text)
        if bytes.count == 1, bytes[0] | 0x20 == UInt8(ascii: "z") { return 0 }
        guard bytes.count == 6, bytes[0] == UInt8(ascii: "+") || bytes[0] == UInt8(ascii: "-"),
            bytes[3] == UInt8(ascii: ":"), let hour = number(bytes[1..<3]), let minute = number(bytes[4..<6]),
            hour < 24, minute < 60
        else { return nil }
        return (hour * 60 + minute) * (bytes[0] == UInt8(ascii: "-") ? -1 : 1)
    }
    private static func number(_ text: ArraySlice<UInt8>) -> Int? {
        guard !text.isEmpty, text.allSatisfy(isDigit) else { return nil }
        return text.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    // MARK: names and addresses

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
    private static func isHexadecimal(_ byte: UInt8) -> Bool { isDigit(byte) || (0x61...0x66).contains(byte | 0x20) }

    static func isHostname(_ text: ArraySlice<UInt8>) -> Bool {
        guard (1...253).contains(text.count) else { return false }
        return text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
                && label.allSatisfy { isDigit($0) || isLetter($0) || $0 == UInt8(ascii: "-") }
        }
    }
    static func isIPv4(_ text: ArraySlice<UInt8>) -> Bool {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                guard (1...3).contains(part.count), part.count == 1 || part.first != 0x30, let value = number(part)
                else { return false }
                return value <= 255
            }
    }
    static func isIPv6(_ text: [UInt8]) -> Bool {
        guard (2...45).contains(text.count) else { return false }
        var halves: [ArraySlice<UInt8>] = [text[...]]
        if let gap = text.indices.dropLast().first(where: { text[$0] == 0x3A && text[$0 + 1] == 0x3A }) {
            halves = [text[..<gap], text[(gap + 2)...]]
        }
        var count = 0
        for (index, half) in halves.enumerated() where !half.isEmpty {
            var groups = half.split(separator: 0x3A, omittingEmptySubsequences: false)
            // An IPv4 address stands for the last two.
            if index == halves.count - 1, let last = groups.last, last.contains(UInt8(ascii: ".")) {
                guard isIPv4(last) else { return false }
                groups.removeLast()
                count += 2
            }
            guard groups.allSatisfy({ (1...4).contains($0.count) && $0.allSatisfy(isHexadecimal) }) else {
                return false
            }
            count += groups.count
        }
        return halves.count == 2 ? count <= 7 : count == 8
    }
    private static func isEmail(_ text: [UInt8]) -> Bool {
        guard let at = text.lastIndex(of: UInt8(ascii: "@")), (1...64).contains(at) else { return false }
        return isLocalPart(text[..<at]) && isMailDomain(Array(text[(at + 1)...]))
    }
    private static func isLocalPart(_ local: ArraySlice<UInt8>) -> Bool {
        if local.count >= 2, local.first == 0x22, local.last == 0x22 {
            let inside = local.dropFirst().dropLast()
            var isEscaped = false
            for byte in inside {
                guard (0x20...0x7E).contains(byte), isEscaped || byte != 0x22 else { return false }
                isEscaped = !isEscaped && byte == 0x5C
            }
            return !isEscaped
        }
        return local.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { atom in
            !atom.isEmpty && atom.allSatisfy { isDigit($0) || isLetter($0) || "!#$%&'*+-/=?^_`{|}~".utf8.contains($0) }
        }
    }
    private static func isMailDomain(_ domain: [UInt8]) -> Bool {
        guard domain.first == UInt8(ascii: "["), domain.last == UInt8(ascii: "]") else {
            return isHostname(domain[...])
        }
        let inside = domain.dropFirst().dropLast()
        let tag = Array("IPv6:".utf8)
        return inside.starts(with: tag) ? isIPv6(Array(inside.dropFirst(tag.count))) : isIPv4(inside)
    }
}

/// URIs by RFC 3986, and references resolved against a base (§5.2).
enum URIText {
    static func isAbsolute(_ text: [UInt8]) -> Bool {
        guard let colon = text.firstIndex(of: UInt8(ascii: ":")), isScheme(text[..<colon]) else { return false }
        var rest = text[(colon + 1)...]
        guard isEscapedRight(rest) else { return false }
        if let hash = rest.firstIndex(of: UInt8(ascii: "#")) {
            guard rest[(hash + 1)...].allSatisfy({ isPathByte($0) || $0 == UInt8(ascii: "?") }) else { return false }
            rest = rest[..<hash]
        }
        if let query = rest.firstIndex(of: UInt8(ascii: "?")) {
            guard rest[(query + 1)...].allSatisfy({ isPathByte($0) || $0 == UInt8(ascii: "?") }) else { return false }
            rest = rest[..<query]
        }
        guard rest.starts(with: "//".utf8) else { return rest.allSatisfy(isPathByte) }
        rest = rest.dropFirst(2)
        let end = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
        return isAuthority(Array(rest[..<end])) && rest[end...].allSatisfy(isPathByte)
    }
    private static func isScheme(_ text: ArraySlice<UInt8>) -> Bool {
        guard let first = text.first, isLetter(first) else { return false }
        return text.allSatisfy { isLetter($0) || isDigit($0) || "+-.".utf8.contains($0) }
    }
    private static func isAuthority(_ text: [UInt8]) -> Bool {
        var host = text[...]
        if let at = host.lastIndex(of: UInt8(ascii: "@")) {
            guard host[..<at].allSatisfy({ isUserByte($0) }) else { return false }
            host = host[(at + 1)...]
        }
        if host.first == UInt8(ascii: "[") {
            guard let close = host.firstIndex(of: UInt8(ascii: "]")) else { return false }
            let address = Array(host[(host.startIndex + 1)..<close])
            return SchemaFormat.isIPv6(address) && isPort(host[(close + 1)...])
        }
        let colon = host.lastIndex(of: UInt8(ascii: ":")) ?? host.endIndex
        return host[..<colon].allSatisfy { isUserByte($0) && $0 != UInt8(ascii: ":") } && isPort(host[colon...])
    }
    private static func isPort(_ text: ArraySlice<UInt8>) -> Bool {
        text.isEmpty || text.first == UInt8(ascii: ":") && text.dropFirst().allSatisfy(isDigit)
    }
    private static func isEscapedRight(_ text: ArraySlice<UInt8>) -> Bool {
        for place in text.indices where text[place] == UInt8(ascii: "%") {
            guard place + 2 < text.endIndex, isHexadecimal(text[place + 1]), isHexadecimal(text[place + 2]) else {
                return false
            }
        }
        return true
    }
    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
    private static func isHexadecimal(_ byte: UInt8) -> Bool { isDigit(byte) || (0x61...0x66).contains(byte | 0x20) }
    /// Unreserved, sub-delims, a percent sign and the colon.
    private static func isUserByte(_ byte: UInt8) -> Bool {
        isLetter(byte) || isDigit(byte) || "-._~!$&'()*+,;=%:".utf8.contains(byte)
    }
    private static func isPathByte(_ byte: UInt8) -> Bool {
        isUserByte(byte) || byte == UInt8(ascii: "@") || byte == UInt8(ascii: "/")
    }
}
