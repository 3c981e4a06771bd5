// Where an endpoint is reached: the bytes of a socket address, already resolved and already allowed by policy.
//
// Invariant: `byteCount` bytes of `storage` are a sockaddr of `family`. Nothing here resolves names.
// Safety: raw access stays inside `storage`, whose 128 bytes are those of a sockaddr_storage.

import CShims

package struct EgressAddress: Equatable, Sendable {
    package enum Family: UInt8, Sendable { case ipv4, ipv6, unix }
    package let family: Family
    package let byteCount: Int
    private var storage: InlineArray<16, UInt64>

    /// As it was resolved, with the interface of a link-local one.
    package init?(_ address: SocketAddress) {
        self.init(literal: address.address.text, port: address.port)
        unsafe withUnsafeMutableBytes(of: &storage) {
            unsafe sluice_address_set_scope($0.baseAddress!, address.scope)
        }
    }
    /// A literal address, `10.0.0.1` or `2001:db8::1` without brackets; nil when `text` is neither.
    package init?(literal text: String, port: UInt16) {
        var bytes = InlineArray<16, UInt64>(repeating: 0)
        let count = unsafe text.withCString { text in
            unsafe withUnsafeMutableBytes(of: &bytes) { unsafe sluice_address_parse(text, port, $0.baseAddress!) }
        }
        guard count > 0 else { return nil }
        family = count == MemoryLayout<sockaddr_in6>.size ? .ipv6 : .ipv4
        byteCount = Int(count)
        storage = bytes
    }
    /// A Unix socket; nil when the path is empty or longer than 107 bytes.
    package init?(unixPath path: String) {
        var bytes = InlineArray<16, UInt64>(repeating: 0)
        let count = unsafe path.withCString { path in
            unsafe withUnsafeMutableBytes(of: &bytes) { unsafe sluice_address_unix(path, $0.baseAddress!) }
        }
        guard count > 0 else { return nil }
        family = .unix
        byteCount = Int(count)
        storage = bytes
    }
    /// Where nothing is reached; for places without an endpoint.
    static var none: EgressAddress { EgressAddress() }
    private init() {
        family = .unix
        byteCount = 0
        storage = InlineArray(repeating: 0)
    }
    package static func == (left: EgressAddress, right: EgressAddress) -> Bool {
        guard left.byteCount == right.byteCount else { return false }
        for index in 0..<16 where left.storage[index] != right.storage[index] { return false }
        return true
    }
    /// `memory` has room for a sockaddr_storage.
    func write(to memory: UnsafeMutableRawPointer) {
        for index in 0..<16 { unsafe memory.storeBytes(of: storage[index], toByteOffset: index * 8, as: UInt64.self) }
    }
}
