// URLs of endpoints and addresses. A URL, written down again from its parts, has the same parts; both readers of
// addresses say what the C library says; a compiled set holds what its ranges hold.
import Engine
import FastPath
import Glibc

enum URLFuzz {
    private static let memory = CompiledMemory()
    private static let ranges = ["10.0.0.0/8", "127.0.0.1", "fc00::/7", "::ffff:192.0.2.0/120", "0.0.0.0/31", "::/96"]
        .compactMap { CIDR($0) }
    private static let set = AddressSet(ranges, in: memory)

    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        guard let text = String(validating: input, as: UTF8.self) else { return }
        try checkURL(text)
        try checkAddress(text, input)
    }

    private static func checkURL(_ text: String) throws(FuzzFinding) {
        let address: EndpointAddress
        do throws(EndpointAddressError) { address = try EndpointAddress(text) } catch {
            return try hold(!error.description.isEmpty, "a refusal that says nothing")
        }
        let written = (address.isSecure ? "https://" : "http://") + address.hostField + address.target
        try hold((try? EndpointAddress(written)) == address, "\(text) is not what \(written) is")
        try hold(address.host == address.host.lowercased() && !address.host.isEmpty, "the host \(address.host)")
        try hold(!address.host.contains("@") && !address.host.contains("/"), "the host \(address.host)")
        try hold(address.port > 0 && address.target.hasPrefix("/"), "port or target")
        // What a lax reader takes for an address is one here, or nothing.
        var lax = in_addr()
        if inet_aton(address.host, &lax) != 0 {
            try hold(IPAddress(address.host) == IPAddress(v4: UInt32(bigEndian: lax.s_addr)), address.host)
        }
    }

    private static func checkAddress(_ text: String, _ input: [UInt8]) throws(FuzzFinding) {
        let address = IPAddress(text)
        let scanned = try withExactBytes(input) { bytes throws(FuzzFinding) in IPAddress.parse(bytes) }
        try hold(scanned == address?.unmapped, "\(text) is \(String(describing: scanned)) in place")
        if !input.contains(0) {
            let wanted = system(text)
            try hold(address?.bytes == wanted, "\(text) is \(String(describing: wanted)) elsewhere")
        }
        if let range = CIDR(text) { try hold(range.contains(range.base), "\(text) without its own first address") }
        guard let address else { return }
        try hold(IPAddress(address.text) == address, "\(address.text) is another address")
        let isInRange = ranges.contains { range in
            range.contains(address) || range.contains(address.unmapped) || isMapped(range, address.unmapped)
        }
        try hold(set.contains(address) == isInRange, "\(text) is in the set, or not")
    }
    /// A range of mapped addresses is one of those that they map.
    private static func isMapped(_ range: CIDR, _ address: IPAddress) -> Bool {
        guard range.base.family == .v6, address.family == .v4, range.prefixBits >= 96 else { return false }
        return range.contains(IPAddress(v6High: 0, low: 0xFFFF << 32 | address.low))
    }
    private static func system(_ text: String) -> [UInt8]? {
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: count)
            if inet_pton(family, text, &bytes) == 1 { return bytes }
        }
        return nil
    }
}
