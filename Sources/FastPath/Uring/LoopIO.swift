// What a loop asks of the world, as one seam: sockets, files, memory for what is received, completions and the time.
// `UringIO` is the kernel; a test gives a world of its own. A loop is generic over it and compiled for the one that
// it gets, so that the seam costs nothing.
//
// A submission is told by its tag; its completion comes in a later `enter`. Invariants of an implementation: each
// submission has exactly one completion that is its last (`hasMore` is false); a receive buffer is the loop's from the
// completion that names it to `give`. Safety: what a submission points to stays untouched until its completion.

import CShims

package protocol LoopIO: ~Copyable {
    // MARK: sockets
    /// Multishot: one completion a connection, its descriptor the result.
    func accept(listener: Int32, tag: Tag)
    /// Multishot, into receive buffers.
    func receive(_ descriptor: Int32, tag: Tag)
    /// Completes once, when bytes or the peer's end can be received; takes none of them.
    func awaitBytes(_ descriptor: Int32, tag: Tag)
    func send(_ descriptor: Int32, _ bytes: UnsafePointer<UInt8>, count: Int, tag: Tag)
    /// What `message` lists, as if it were in one piece.
    func sendMessage(_ descriptor: Int32, _ message: UnsafePointer<msghdr>, tag: Tag)
    /// At once, a stream socket to connect with, or -errno.
    func openSocket(_ family: EgressAddress.Family) -> Int32
    func connect(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>, byteCount: Int, tag: Tag)
    /// At once, as much as the socket takes, for last words: nobody hears what became of them.
    func sendNow(_ descriptor: Int32, _ bytes: UnsafePointer<UInt8>, count: Int)
    func cancel(_ target: Tag, tag: Tag)
    func cancelAll(_ descriptor: Int32, tag: Tag)
    func close(_ descriptor: Int32, tag: Tag)
    /// At once: a submission would look the descriptor up later, when it may be another connection's.
    func halfClose(_ descriptor: Int32)
    /// At once, where nothing is with the kernel and no ring will be entered any more.
    func closeNow(_ descriptor: Int32)
    /// The other end; nil for a local socket.
    func peer(_ descriptor: Int32) -> IPAddress?

    // MARK: the log
    func readWake(_ descriptor: Int32, into value: UnsafeMutablePointer<UInt64>, tag: Tag)
    /// One write and the fdatasync linked behind it.
    func writeAndSync(
        _ descriptor: Int32, _ bytes: UnsafeRawPointer, count: Int, offset: UInt64, write: Tag, sync: Tag)
    /// One write that completes when it is on disk; an error may be the write's or the sync's.
    func writeDurably(_ descriptor: Int32, _ bytes: UnsafeRawPointer, count: Int, offset: UInt64, tag: Tag)
    /// Whether writes of this file go past the page cache from now on; false when that cannot be had. At once; nothing
    /// of the file is with the kernel. A write past it needs block-aligned memory, offset and count.
    func setDirect(_ descriptor: Int32, _ isDirect: Bool) -> Bool
    /// Rename and folder sync, linked to the write that must be submitted right behind.
    func renameAndSync(
        folder: Int32, from: UnsafePointer<CChar>, to: UnsafePointer<CChar>, rename: Tag, sync: Tag)

    // MARK: completions
    /// Submits what is queued; waits until one completion is there or the time is over; gathers all that are. The count
    /// is of `completion(_:)`, valid until the next call. A wait of 0 does not wait.
    mutating func enter(waitNanos: UInt64) -> Int
    func completion(_ index: Int) -> Completion
    func bytes(ofBuffer index: Int) -> UnsafeMutablePointer<UInt8>
    /// Gives a buffer back; it is used again after `publishBuffers`.
    mutating func give(buffer index: Int)
    mutating func publishBuffers()
    /// A receive that finds no buffer now finds one after `publishBuffers`: that is no shortage.
    var hasRestingBuffers: Bool { get }

    // MARK: time
    /// Nanoseconds that never fall.
    func monotonicNanos() -> UInt64
    /// Nanoseconds since 1970.
    func wallNanos() -> UInt64
}

extension UringIO: LoopIO {
    package func halfClose(_ descriptor: Int32) { sluice_shutdown_write(descriptor) }
    package func openSocket(_ family: EgressAddress.Family) -> Int32 {
        switch family {
        case .ipv4: sluice_outbound_socket(AF_INET)
        case .ipv6: sluice_outbound_socket(AF_INET6)
        case .unix: sluice_outbound_socket(AF_UNIX)
        }
    }
    @inline(__always) package func sendNow(_ descriptor: Int32, _ bytes: UnsafePointer<UInt8>, count: Int) {
        unsafe sluice_send_now(descriptor, bytes, count)
    }
    package func closeNow(_ descriptor: Int32) { _ = sluice_close(descriptor) }
    package func peer(_ descriptor: Int32) -> IPAddress? {
        var high: UInt64 = 0
        var low: UInt64 = 0
        switch unsafe sluice_peer_address(descriptor, &high, &low) {
        case 4: return IPAddress(v4: UInt32(truncatingIfNeeded: low))
        case 6: return IPAddress(v6High: high, low: low).unmapped
        default: return nil
        }
    }
    package func setDirect(_ descriptor: Int32, _ isDirect: Bool) -> Bool {
        sluice_file_set_direct(descriptor, isDirect ? 1 : 0) >= 0
    }
    @inline(__always) package func monotonicNanos() -> UInt64 { sluice_clock_monotonic() }
    @inline(__always) package func wallNanos() -> UInt64 { sluice_clock_wall() }
}
