// Host names to addresses. Blocks for as long as the system's resolver does (many seconds when DNS is down): worker
// threads only.
//
// Safety: the found addresses are written into memory owned here for the call, and copied out before it is freed.

import CShims

package enum ResolveError: Error, Equatable, Sendable {
    /// The resolver's own words.
    case failed(String)
    /// It answered, with no IPv4 or IPv6 address.
    case noAddress
}

package enum Resolver {
    /// More are not looked at; an answer that long is no host anybody delivers to.
    private static let addressCountMax = 32

    /// Literal addresses are taken as they are, without the resolver. The order is the resolver's (RFC 6724).
    package static func resolve(host: String, port: UInt16) throws(ResolveError) -> [SocketAddress] {
        if let literal = IPAddress(host) { return [SocketAddress(address: literal, port: port)] }
        let found = UnsafeMutablePointer<sluice_address>.allocate(capacity: addressCountMax)
        defer { unsafe found.deallocate() }
        let count = unsafe sluice_resolve(host, found, Int32(addressCountMax))
        guard count >= 0 else { throw unsafe .failed(String(cString: sluice_resolve_error(count))) }
        guard count > 0 else { throw .noAddress }
        var addresses: [SocketAddress] = []
        for index in 0..<Int(count) {
            let one = unsafe SocketAddress(address: address(of: found[index]), port: port, scope: found[index].scope)
            if !addresses.contains(one) { addresses.append(one) }
        }
        return addresses
    }

    private static func address(of found: sluice_address) -> IPAddress {
        let bytes = unsafe withUnsafeBytes(of: found.bytes) { unsafe Array($0) }
        func word(_ start: Int) -> UInt64 { bytes[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        return found.family == 4 ? IPAddress(v4: UInt32(word(0) >> 32)) : IPAddress(v6High: word(0), low: word(8))
    }
}
