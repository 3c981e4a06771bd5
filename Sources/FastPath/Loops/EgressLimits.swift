// The bounds of one egress loop. Sizes in bytes, times in milliseconds; what depends on what is checked in `init` of
// the loop.

package struct EgressLimits: Equatable, Sendable {
    /// Outbound connections of the loop, idle ones included. Each has its slot of memory from the start.
    package var connectionCountMax = 2048
    /// Orders taken from the ring and not yet answered for: waiting, in flight, or with an outcome that found the ring
    /// full.
    package var orderCountMax = 2048
    /// Connection pools. More than orders, so that a destination keeps its connections while others have work.
    package var poolCountMax = 4096
    /// What the loop writes before the order's own field lines: request line, Host, User-Agent, length, time,
    /// signatures.
    package var requestHeadBytesMax = 2048
    /// One answer's head, interim ones counted singly. Peers send a few hundred bytes.
    package var answerHeadBytesMax = 8192
    /// An answer's body is read to its end, and thrown away, so that the connection can be used again; beyond this it
    /// is closed.
    package var answerBodyBytesMax = 65_536
    /// 1xx answers before the final one, all together; how many is the peer's affair, and time bounds it too.
    package var interimAnswerBytesMax = 65_536
    /// A connection without work is closed after this. Common servers close after 5 to 75 s; a stale one costs a retry.
    package var idleMillisMax = 15_000
    /// Receive buffers, a power of two, and their size.
    package var receiveBufferCount = 256
    package var receiveBufferByteCount = 4096

    package init() {}

    /// What the loop takes at start, for the budget that is printed.
    package var memoryBytes: Int {
        let slot =
            OutboundMessage.fixedByteCount + requestHeadBytesMax + answerHeadBytesMax
            + MemoryLayout<EgressConnection>.stride
        return connectionCountMax * slot
            + orderCountMax * (MemoryLayout<OutboundRequest>.stride + MemoryLayout<DeliveryOutcome>.stride + 16)
            + poolCountMax * MemoryLayout<OutboundPool>.stride
            + UringIO.bufferMemoryBytes(count: receiveBufferCount, bufferByteCount: receiveBufferByteCount)
            + EgressTransports.memoryBytes(
                slotCount: connectionCountMax, poolCount: poolCountMax, inboundRoom: receiveBufferByteCount)
    }
}
