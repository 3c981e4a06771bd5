// IPv4 and IPv6 addresses as values, their text forms, and CIDR ranges. Pure; strict on purpose: the spellings that
// other parsers disagree about (octal and hexadecimal parts, fewer than four parts, zone identifiers) are no addresses
// here.

package struct IPAddress: Hashable, Sendable, BitwiseCopyable {
    package enum Family: UInt8, Sendable, BitwiseCopyable { case v4 = 4, v6 = 6 }
    package let family: Family
    /// The address in host order; an IPv4 address has its 32 bits in `low`.
    package let high: UInt64
    package let low: UInt64

    package init(v4 bits: UInt32) {
        family = .v4
        high = 0
        low = UInt64(bits)
    }
    package init(v6High high: UInt64, low: UInt64) {
        family = .v6
        self.high = high
        self.low = low
    }
    /// Nil when `text` is neither a dotted quad nor an IPv6 address (without brackets).
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        if let bits = IPAddress.parseV4(bytes[...]) {
            self.init(v4: bits)
        } else if let groups = IPAddress.parseV6(bytes) {
            var words: [UInt64] = [0, 0]
            for (index, group) in groups.enumerated() { words[index / 4] = words[index / 4] << 16 | UInt64(group) }
            self.init(v6High: words[0], low: words[1])
        } else {
            return nil
        }
    }
    /// Reached on one interface alone, which the address does not say (RFC 4007 §6).
    package var needsInterface: Bool { family == .v6 && high >> 54 == 0x3FA }
    package var bitCount: Int { family == .v4 ? 32 : 128 }

    /// 4 or 16 bytes in network order.
    package var bytes: [UInt8] {
        let words = family == .v4 ? [low << 32] : [high, low]
        let all = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) } }
        return Array(all.prefix(bitCount / 8))
    }
    package var text: String {
        if family == .v4 { return bytes.map(String.init).joined(separator: ".") }
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> UInt64(48 - 16 * ($0 % 4))) }
        // RFC 5952: the longest run of two or more zero groups, the first of equals, becomes `::`.
        var best = 0..<0
        var index = 0
        while index < 8 {
            var end = index
            while end < 8, groups[end] == 0 { end += 1 }
            if end - index > best.count { best = index..<end }
            index = max(end, index + 1)
        }
        let spelled = groups.map { String($0, radix: 16) }
        guard best.count > 1 else { return spelled.joined(separator: ":") }
        let head = spelled[..<best.lowerBound].joined(separator: ":")
        return head + "::" + spelled[best.upperBound...].joined(separator: ":")
    }

    private static func parseV4(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        let parts = bytes.split(separator: 0x2E, omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy({ (48...57).contains($0) }) else { return nil }
            guard part.count == 1 || part.first != 48 else { return nil }
            let value = part.reduce(0) { $0 * 10 + Int($1 - 48) }
            guard value < 256 else { return nil }
            bits = bits << 8 | UInt32(value)
        }
        return bits
    }
    /// Eight groups, or nil. RFC 4291 §2.2, with a dotted quad as the last 32 bits.
    private static func parseV6(_ bytes: [UInt8]) -> [UInt16]? {
        guard bytes.count >= 2, bytes.count <= 45 else { return nil }
        var halves: [[UInt16]] = [[]]
        var index = 0
        if bytes[0] == 0x3A {
            guard bytes[1] == 0x3A else { return nil }
            halves.append([])
            index = 2
        }
        while index < bytes.count {
            let end = bytes[index...].firstIndex(of: 0x3A) ?? bytes.count
            let part = bytes[index..<end]
            if part.contains(0x2E) {
                guard end == bytes.count, let bits = parseV4(part) else { return nil }
                halves[halves.count - 1] += [UInt16(bits >> 16), UInt16(truncatingIfNeeded: bits)]
                index = end
                break
            }
            guard (1...4).contains(part.count), let text = String(validating: part, as: UTF8.self),
                part.allSatisfy(isHexDigit), let group = UInt16(text, radix: 16)
            else { return nil }
            halves[halves.count - 1].append(group)
            if end == bytes.count { index = end; break }
            index = end + 1
            if index == bytes.count { return nil }
            if bytes[index] == 0x3A {
                guard halves.count == 1 else { return nil }
                halves.append([])
                index += 1
            }
        }
        let given = halves.reduce(0) { $0 + $1.count }
        if halves.count == 1 { return given == 8 ? halves[0] : nil }
        guard given <= 7 else { return nil }
        return halves[0] + [UInt16](repeating: 0, count: 8 - given) + halves[1]
    }
    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (97...102).contains(byte | 0x20)
    }
}

/// A range of addresses. The bits behind the prefix must be zero, so that `10.1.2.3/8` is noticed as the mistake it is.
package struct CIDR: Hashable, Sendable {
    package let base: IPAddress
    package let prefixBits: Int

    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let address = parts.first.flatMap({ IPAddress($0) }), parts.count <= 2 else { return nil }
        var bits = address.bitCount
        if parts.count == 2 {
            guard let given = Int(parts[1]), parts[1].utf8.allSatisfy({ (48...57).contains($0) }), given <= bits else {
                return nil
            }
            bits = given
        }
        self.init(base: address, prefixBits: bits)
    }
    package init?(base: IPAddress, prefixBits: Int) {
        guard (0...base.bitCount).contains(prefixBits) else { return nil }
        let mask = CIDR.mask(family: base.family, prefixBits: prefixBits)
        guard base.high & ~mask.high == 0, base.low & ~mask.low == 0 else { return nil }
        self.base = base
        self.prefixBits = prefixBits
    }
    package func contains(_ address: IPAddress) -> Bool {
        guard address.family == base.family else { return false }
        let mask = CIDR.mask(family: base.family, prefixBits: prefixBits)
        return address.high & mask.high == base.high && address.low & mask.low == base.low
    }
    private static func mask(family: IPAddress.Family, prefixBits: Int) -> (high: UInt64, low: UInt64) {
        func ones(_ count: Int) -> UInt64 { count <= 0 ? 0 : count >= 64 ? .max : ~(UInt64.max >> UInt64(count)) }
        if family == .v4 { return (0, ones(prefixBits) >> 32) }
        return (ones(prefixBits), ones(prefixBits - 64))
    }
}

/// Where to connect.
package struct SocketAddress: Hashable, Sendable {
    package let address: IPAddress
    package let port: UInt16
    /// Interface of a link-local IPv6 address, 0 for all others.
    package let scope: UInt32

    package init(address: IPAddress, port: UInt16, scope: UInt32 = 0) {
        self.address = address
        self.port = port
        self.scope = scope
    }
    package var text: String { address.family == .v4 ? "\(address.text):\(port)" : "[\(address.text)]:\(port)" }
}
