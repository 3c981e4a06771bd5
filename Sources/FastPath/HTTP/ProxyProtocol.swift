// Reads the preamble of the PROXY protocol, version 1 (text) and 2 (binary), that a proxy sends before the first byte
// of a connection. Passive: bytes in, what they say out; no byte behind the preamble is looked at.
//
// Invariant: a prefix of a preamble is `incomplete`, whatever the splits; anything else that is no preamble is
// `malformed`, at the first byte that says so. There is no third way, so a connection never falls back to HTTP.
// Safety: literals are static memory, read within their length.

package struct ProxyPreamble: Equatable, Sendable {
    /// The address that the proxy was connected from; nil when it says nothing (LOCAL, UNKNOWN, a local socket).
    package var source: IPAddress?
    /// True when the client spoke TLS to the proxy, as far as the preamble tells: by its TLS field, else by the port
    /// 443.
    package var isSecure = false
    package var byteCount = 0

    package init() {}
}

package enum ProxyPreambleResult: Equatable, Sendable {
    case incomplete
    case complete(ProxyPreamble)
    case malformed
}

package enum ProxyProtocol {
    /// The specification's bound of a line of version 1, with its CRLF.
    package static let lineBytesMax = 107
    /// What a preamble of version 2 may have behind its 16 bytes; addresses take 36, the rest are fields (a client's
    /// certificate name among them).
    package static let payloadBytesMax = 2048

    @_noAllocation @_noLocks package static func parse(_ bytes: ByteView) -> ProxyPreambleResult {
        guard bytes.count > 0 else { return .incomplete }
        return bytes[0] == ASCII.carriageReturn ? parseBinary(bytes) : parseLine(bytes)
    }

    // MARK: version 1

    private static func parseLine(_ bytes: ByteView) -> ProxyPreambleResult {
        let start: StaticString = "PROXY "
        for index in 0..<min(bytes.count, start.utf8CodeUnitCount) where unsafe bytes[index] != start.utf8Start[index] {
            return .malformed
        }
        var end = 0
        let limit = min(bytes.count, lineBytesMax - 1)
        while end < limit, bytes[end] != ASCII.carriageReturn {
            guard bytes[end] >= ASCII.space, bytes[end] < ASCII.delete else { return .malformed }
            end += 1
        }
        guard end < limit else { return bytes.count >= lineBytesMax - 1 ? .malformed : .incomplete }
        guard end + 1 < bytes.count else { return .incomplete }
        guard bytes[end + 1] == ASCII.lineFeed, end >= start.utf8CodeUnitCount else { return .malformed }
        let rest = bytes.slice(start.utf8CodeUnitCount, end - start.utf8CodeUnitCount)
        guard var preamble = fields(of: rest) else { return .malformed }
        preamble.byteCount = end + 2
        return .complete(preamble)
    }
    /// `TCP4 SOURCE DESTINATION PORT PORT`, or `UNKNOWN` with whatever follows it.
    private static func fields(of line: ByteView) -> ProxyPreamble? {
        var place = 0
        let family = word(line, &place)
        if family.equals("UNKNOWN") { return ProxyPreamble() }
        let wanted: IPAddress.Family
        if family.equals("TCP4") {
            wanted = .v4
        } else if family.equals("TCP6") {
            wanted = .v6
        } else {
            return nil
        }
        let source = word(line, &place)
        let destination = word(line, &place)
        let sourcePort = word(line, &place)
        let destinationPort = word(line, &place)
        guard place > line.count, isFamily(source, wanted), isFamily(destination, wanted),
            let address = IPAddress.parse(source), IPAddress.parse(destination) != nil, port(sourcePort) != nil,
            let port = port(destinationPort)
        else { return nil }
        var preamble = ProxyPreamble()
        preamble.source = address
        preamble.isSecure = port == 443
        return preamble
    }
    /// Up to the next single space; moves `place` behind it, beyond the end after the last word.
    private static func word(_ line: ByteView, _ place: inout Int) -> ByteView {
        guard place <= line.count else { return .empty }
        var end = place
        while end < line.count, line[end] != ASCII.space { end += 1 }
        let word = line.slice(place, end - place)
        place = end + 1
        return word
    }
    private static func isFamily(_ text: ByteView, _ family: IPAddress.Family) -> Bool {
        var hasColon = false
        for index in 0..<text.count where text[index] == ASCII.colon { hasColon = true }
        return hasColon == (family == .v6)
    }
    private static func port(_ text: ByteView) -> Int? {
        guard let number = FieldRules.contentLength(text), number <= 65_535 else { return nil }
        return number
    }

    // MARK: version 2

    private static let headBytes = 16

    private static func parseBinary(_ bytes: ByteView) -> ProxyPreambleResult {
        let signature: StaticString = "\r\n\r\n\0\r\nQUIT\n"
        for index in 0..<min(bytes.count, 12) where unsafe bytes[index] != signature.utf8Start[index] {
            return .malformed
        }
        if bytes.count > 12 {
            guard bytes[12] == 0x20 || bytes[12] == 0x21 else { return .malformed }
        }
        if bytes.count > 13 {
            guard bytes[13] >> 4 <= 3, bytes[13] & 15 <= 2 else { return .malformed }
        }
        guard bytes.count >= headBytes else { return .incomplete }
        let length = Int(bytes[14]) << 8 | Int(bytes[15])
        guard length <= payloadBytesMax else { return .malformed }
        guard bytes.count >= headBytes + length else { return .incomplete }
        var preamble = ProxyPreamble()
        preamble.byteCount = headBytes + length
        // LOCAL: the proxy's own connection, such as a health check; what follows means nothing.
        if bytes[12] == 0x20 { return .complete(preamble) }
        let payload = bytes.slice(headBytes, length)
        let addressBytes: Int
        switch bytes[13] >> 4 {
        case 1:
            addressBytes = 12
            guard length >= addressBytes else { return .malformed }
            preamble.source = IPAddress(v4: UInt32(bigEndian: payload.load(0, as: UInt32.self)))
            preamble.isSecure = UInt16(bigEndian: payload.load(10, as: UInt16.self)) == 443
        case 2:
            addressBytes = 36
            guard length >= addressBytes else { return .malformed }
            preamble.source =
                IPAddress(
                    v6High: UInt64(bigEndian: payload.load(0, as: UInt64.self)),
                    low: UInt64(bigEndian: payload.load(8, as: UInt64.self))
                ).unmapped
            preamble.isSecure = UInt16(bigEndian: payload.load(34, as: UInt16.self)) == 443
        case 3:
            addressBytes = 216
            guard length >= addressBytes else { return .malformed }
        default:
            return .complete(preamble)
        }
        guard readFields(payload.slice(addressBytes, length - addressBytes), &preamble) else { return .malformed }
        return .complete(preamble)
    }
    /// Type, length in two bytes, value. Only the TLS field (0x20) is read: its first byte says whether the client
    /// spoke TLS.
    private static func readFields(_ fields: ByteView, _ preamble: inout ProxyPreamble) -> Bool {
        var place = 0
        while place < fields.count {
            guard fields.count - place >= 3 else { return false }
            let length = Int(fields[place + 1]) << 8 | Int(fields[place + 2])
            guard fields.count - place - 3 >= length else { return false }
            if fields[place] == 0x20 {
                guard length >= 5 else { return false }
                preamble.isSecure = fields[place + 3] & 1 != 0
            }
            place += 3 + length
        }
        return true
    }
}
