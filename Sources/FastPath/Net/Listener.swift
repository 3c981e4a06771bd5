// A listening socket from its text: `HOST:PORT`, `[V6]:PORT` or `unix:PATH`. Blocking calls, at start only.
//
// Invariant: whoever holds a `Listener` closes it; a Unix socket's file is removed with it.
// Safety: the address bytes are a local copy for the length of the call.
import CShims

package struct ListenError: Error, Equatable, Sendable {
    package let address: String
    /// 0 when the text itself is wrong or the name is unknown.
    package let errno: Int32
    package let reason: String
}

package struct Listener: Equatable, Sendable {
    package let descriptor: Int32
    /// With the port that was really taken.
    package let text: String
    package let unixPath: String?

    /// `isShared`: several sockets may listen on the same port, one a loop (SO_REUSEPORT).
    package init(_ text: String, isShared: Bool) throws(ListenError) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard let address = EgressAddress(unixPath: path) else {
                throw ListenError(address: text, errno: 0, reason: "a socket path has 1 to 107 bytes")
            }
            // A stale file of an earlier process; one that something listens on is in use.
            if unsafe sluice_unix_is_stale(path) != 0 { _ = unsafe sluice_unix_remove(path) }
            descriptor = try Listener.open(address, text, isShared: false)
            self.text = text
            unixPath = path
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw ListenError(address: text, errno: 0, reason: "wanted is HOST:PORT, [V6]:PORT or unix:PATH")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        let found: [SocketAddress]
        do { found = try Resolver.resolve(host: host, port: port) } catch {
            throw ListenError(address: text, errno: 0, reason: "\(host) is unknown")
        }
        guard let first = found.first, let address = EgressAddress(first) else {
            throw ListenError(address: text, errno: 0, reason: "\(host) has no address")
        }
        descriptor = try Listener.open(address, text, isShared: isShared)
        let shown = first.address.family == .v6 ? "[\(first.address.text)]" : first.address.text
        self.text = "\(shown):\(sluice_local_port(descriptor))"
        unixPath = nil
    }
    private static func open(_ address: EgressAddress, _ text: String, isShared: Bool) throws(ListenError) -> Int32 {
        var bytes = InlineArray<16, UInt64>(repeating: 0)
        let descriptor = unsafe withUnsafeMutableBytes(of: &bytes) { memory in
            unsafe address.write(to: memory.baseAddress!)
            return unsafe sluice_listen(memory.baseAddress!, UInt32(address.byteCount), isShared ? 1 : 0)
        }
        guard descriptor >= 0 else {
            throw ListenError(address: text, errno: -descriptor, reason: systemText(-descriptor))
        }
        return descriptor
    }
    /// Connections are taken from now on; until then they are refused, so that nobody meets a gateway that is not
    /// ready.
    package func activate() throws(ListenError) {
        let status = sluice_listen_start(descriptor, Listener.backlog)
        guard status == 0 else { throw ListenError(address: text, errno: -status, reason: systemText(-status)) }
    }
    private static let backlog: Int32 = 4096
    /// No new connection from now on; those that were taken live on.
    package func stop() { sluice_listen_stop(descriptor) }
    package func close() {
        _ = sluice_close(descriptor)
        if let unixPath { _ = unsafe sluice_unix_remove(unixPath) }
    }
}

/// The clocks, for threads outside the loops.
package enum ProcessResources {
    package static var monotonicNanos: UInt64 { sluice_clock_monotonic() }
    package static var wallNanos: UInt64 { sluice_clock_wall() }
}
