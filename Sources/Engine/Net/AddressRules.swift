// Which addresses an endpoint may have. Pure. The table is the IANA special-purpose registries plus the forms that
// embed an IPv4 address (mapped, compatible, translated, NAT64, 6to4, Teredo): whatever is not global unicast is
// refused unless a CIDR range of the configuration opens it. If this table has a hole, a configured or rebound name
// reaches the inside.

import FastPath

package enum AddressRefusal: String, CaseIterable, Error, Sendable {
    case thisNetwork = "this_network"
    case privateUse = "private"
    case shared = "carrier_nat"
    case loopback = "loopback"
    case linkLocal = "link_local"
    /// Cloud metadata services: refused even inside an opened range, unless the range names the address itself.
    case metadata = "metadata"
    case protocolAssignments = "protocol_assignments"
    case documentation = "documentation"
    case relay = "relay"
    case benchmarking = "benchmarking"
    case multicast = "multicast"
    case reserved = "reserved"
    case unspecified = "unspecified"
    case embedsV4 = "embeds_ipv4"
    case discard = "discard"
    case segmentRouting = "segment_routing"
    case uniqueLocal = "unique_local"
    case siteLocal = "site_local"
    /// IPv6 outside 2000::/3, the only global unicast there is.
    case notGlobal = "not_global"
}

package struct AddressRules: Sendable {
    private let allowed: [CIDR]

    /// `allow` as in the configuration; the first text that is no CIDR range is thrown back.
    package init(allow: [String]) throws(AddressRulesError) {
        var ranges: [CIDR] = []
        for text in allow {
            guard let range = CIDR(text) else { throw .notARange(text) }
            ranges.append(range)
        }
        allowed = ranges
    }

    package init(ranges: [CIDR]) { allowed = ranges }

    /// Nil when an endpoint may live there.
    package func refusal(of address: IPAddress) -> AddressRefusal? {
        // Judged as what the kernel would connect to, so that an opened 127.0.0.0/8 also opens its mapped spelling.
        let judged = AddressRules.unmapped(address)
        guard let reason = AddressRules.classify(address) else { return nil }
        let isOpened = allowed.contains { range in
            guard range.contains(judged) || range.contains(address) else { return false }
            return reason != .metadata || range.prefixBits == range.base.bitCount
        }
        return isOpened ? nil : reason
    }

    /// The first refusal among `addresses`: one bad address condemns the name.
    package func refusal(of addresses: [SocketAddress]) -> (SocketAddress, AddressRefusal)? {
        for one in addresses {
            if let reason = refusal(of: one.address) { return (one, reason) }
        }
        return nil
    }

    /// Nil for global unicast addresses.
    package static func classify(_ address: IPAddress) -> AddressRefusal? {
        if metadata.contains(address) { return .metadata }
        if address.family == .v4 { return special4.first { $0.0.contains(address) }?.1 }
        let embedded = unmapped(address)
        if embedded.family == .v4 { return classify(embedded) ?? .embedsV4 }
        if let found = special6.first(where: { $0.0.contains(address) }) { return found.1 }
        return address.high >> 61 == 0b001 ? nil : .notGlobal
    }

    private static func unmapped(_ address: IPAddress) -> IPAddress {
        guard address.family == .v6, address.high == 0, address.low >> 32 == 0xFFFF else { return address }
        return IPAddress(v4: UInt32(truncatingIfNeeded: address.low))
    }
    private static func table(_ rows: [(String, AddressRefusal)]) -> [(CIDR, AddressRefusal)] {
        rows.map { text, reason in
            guard let range = CIDR(text) else { preconditionFailure("\(text) is no range") }
            return (range, reason)
        }
    }

    /// AWS, GCP, Azure and others; ECS tasks; Alibaba; Oracle; AWS over IPv6.
    private static let metadata: Set<IPAddress> = Set(
        ["169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"].compactMap {
            IPAddress($0)
        })

    package static let special4: [(CIDR, AddressRefusal)] = table([
        ("0.0.0.0/8", .thisNetwork), ("10.0.0.0/8", .privateUse), ("100.64.0.0/10", .shared),
        ("127.0.0.0/8", .loopback),
        ("169.254.0.0/16", .linkLocal), ("172.16.0.0/12", .privateUse), ("192.0.0.0/24", .protocolAssignments),
        ("192.0.2.0/24", .documentation), ("192.88.99.0/24", .relay), ("192.168.0.0/16", .privateUse),
        ("198.18.0.0/15", .benchmarking), ("198.51.100.0/24", .documentation), ("203.0.113.0/24", .documentation),
        ("224.0.0.0/4", .multicast), ("240.0.0.0/4", .reserved),
    ])

    package static let special6: [(CIDR, AddressRefusal)] = table([
        ("::/128", .unspecified), ("::1/128", .loopback), ("::/96", .embedsV4), ("::ffff:0:0:0/96", .embedsV4),
        ("64:ff9b::/96", .embedsV4), ("64:ff9b:1::/48", .embedsV4), ("100::/64", .discard),
        ("2001::/23", .protocolAssignments), ("2001:db8::/32", .documentation), ("2002::/16", .embedsV4),
        ("3fff::/20", .documentation), ("5f00::/16", .segmentRouting), ("fc00::/7", .uniqueLocal),
        ("fe80::/10", .linkLocal),
        ("fec0::/10", .siteLocal), ("ff00::/8", .multicast),
    ])
}

package enum AddressRulesError: Error, Equatable, Sendable, CustomStringConvertible {
    case notARange(String)

    package var description: String {
        switch self {
        case .notARange(let text):
            "delivery.allow: \"\(text)\" is no CIDR range; write it like 127.0.0.0/8 or fd00::/8, "
                + "with zeros behind the prefix"
        }
    }
}
