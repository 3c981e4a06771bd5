// The memory of one outbound connection that the kernel reads: message header, scatter list, peer address and the head
// that we write; and behind it the room in which an answer's head is put together when it comes in pieces.
//
// Invariants: the block of a slot never moves; between a send (or connect) and its completion nothing in it changes but
// the answer's room, which the kernel never sees. The order's field lines and body are referred to, not copied. If the
// list were touched while a send is out, the peer would get a torn request.
//
// Safety: owns nothing; all pointers lie in the slot's block of `EgressConnectionTable`'s memory, which outlives it.
// Writes into the head are bounded by `headCapacity`.

import CShims

@safe package struct OutboundMessage {
    /// Head, the order's field lines, the empty line, body.
    private static let partCount = 4
    /// Message header, list and address, rounded up to two lines each so that the head starts on a line of its own.
    package static let fixedByteCount = 320

    private let header: UnsafeMutablePointer<msghdr>
    private let parts: UnsafeMutablePointer<iovec>
    private let address: UnsafeMutablePointer<sockaddr_storage>
    private let head: UnsafeMutablePointer<UInt8>
    private let headCapacity: Int
    private var headCount = 0
    private var partIndex = 0

    /// `block` has `fixedByteCount + headCapacity` bytes, is aligned to 64 and stays for the slot's life.
    init(block: UnsafeMutablePointer<UInt8>, headCapacity: Int) {
        let raw = UnsafeMutableRawPointer(block)
        unsafe header = raw.bindMemory(to: msghdr.self, capacity: 1)
        unsafe parts = (raw + 64).bindMemory(to: iovec.self, capacity: OutboundMessage.partCount)
        unsafe address = (raw + 128).bindMemory(to: sockaddr_storage.self, capacity: 1)
        unsafe head = block + OutboundMessage.fixedByteCount
        self.headCapacity = headCapacity
        unsafe header.initialize(to: msghdr())
        unsafe parts.initialize(repeating: iovec(), count: OutboundMessage.partCount)
        unsafe address.initialize(to: sockaddr_storage())
    }

    // MARK: writing the head

    @inline(__always) package mutating func beginHead() { headCount = 0 }
    @inline(__always) mutating func append(_ bytes: ByteView) {
        precondition(bytes.count <= headCapacity - headCount)
        unsafe sluice_bytes_move(head + headCount, bytes.base, bytes.count)
        headCount += bytes.count
    }
    @inline(__always) package mutating func append(_ text: StaticString) {
        unsafe append(ByteView(text.utf8Start, count: text.utf8CodeUnitCount))
    }
    /// Decimal digits without leading zeros.
    @inline(__always) mutating func append(decimal value: UInt64) {
        var digits = 1
        var bound: UInt64 = 10
        while digits < 20, value >= bound {
            digits += 1
            let (next, isOver) = bound.multipliedReportingOverflow(by: 10)
            bound = isOver ? .max : next
        }
        precondition(digits <= headCapacity - headCount)
        var rest = value
        for index in stride(from: digits - 1, through: 0, by: -1) {
            unsafe head[headCount + index] = UInt8(truncatingIfNeeded: 48 + rest % 10)
            rest /= 10
        }
        headCount += digits
    }
    /// Lends the room behind the head; `body` returns how many bytes it wrote there.
    @inline(__always) mutating func append(with body: (UnsafeMutablePointer<UInt8>, Int) -> Int) {
        let written = unsafe body(head + headCount, headCapacity - headCount)
        precondition(written >= 0 && written <= headCapacity - headCount)
        headCount += written
    }
    /// The head ends; what follows it is sent from where it lies.
    @inline(__always) package mutating func endHead(fieldLines: ByteView, body: ByteView) {
        let emptyLine: StaticString = "\r\n"
        unsafe setPart(0, head, headCount)
        unsafe setPart(1, fieldLines.base, fieldLines.count)
        unsafe setPart(2, emptyLine.utf8Start, 2)
        unsafe setPart(3, body.base, body.count)
        partIndex = 0
        unsafe header.pointee.msg_iov = parts
        unsafe header.pointee.msg_iovlen = body.count > 0 ? 4 : 3
    }
    @inline(__always) private func setPart(_ index: Int, _ base: UnsafePointer<UInt8>, _ count: Int) {
        unsafe parts[index].iov_base = UnsafeMutableRawPointer(mutating: base)
        unsafe parts[index].iov_len = count
    }

    // MARK: sending

    /// True exactly when nothing is left; otherwise the list starts at the first byte not sent.
    @inline(__always) mutating func advance(by count: Int) -> Bool {
        var sent = count
        let end = unsafe partIndex + Int(header.pointee.msg_iovlen)
        while partIndex < end, unsafe sent >= parts[partIndex].iov_len {
            unsafe sent -= parts[partIndex].iov_len
            partIndex += 1
        }
        if partIndex == end {
            precondition(sent == 0)
            unsafe header.pointee.msg_iovlen = 0
            return true
        }
        unsafe parts[partIndex].iov_base += sent
        unsafe parts[partIndex].iov_len -= sent
        unsafe header.pointee.msg_iov = parts + partIndex
        unsafe header.pointee.msg_iovlen = end - partIndex
        return false
    }
    /// Copies bytes to where the head will be written, for something that is sent before any request.
    mutating func placeAlone(_ bytes: ByteView) -> ByteView {
        headCount = 0
        append(bytes)
        return unsafe ByteView(head, count: bytes.count)
    }
    /// Copies what is not sent yet, without its first `skipped` bytes, for a transport that sends something else in its
    /// place; how many bytes that were.
    func copy(skipping skipped: Int, into memory: UnsafeMutablePointer<UInt8>, room: Int) -> Int {
        var (skip, written) = (skipped, 0)
        let end = unsafe partIndex + Int(header.pointee.msg_iovlen)
        for index in partIndex..<end where written < room {
            let count = unsafe parts[index].iov_len
            if skip >= count {
                skip -= count
                continue
            }
            let taken = min(count - skip, room - written)
            unsafe sluice_bytes_move(memory + written, parts[index].iov_base + skip, taken)
            written += taken
            skip = 0
        }
        return written
    }
    @inline(__always) var kernelMessage: UnsafePointer<msghdr> { unsafe UnsafePointer(header) }

    // MARK: address

    /// Copies the peer's address in, so that a changed snapshot never pulls it away under a connect; returns where it
    /// lies.
    func setAddress(_ peer: EgressAddress) -> UnsafePointer<sockaddr> {
        unsafe peer.write(to: UnsafeMutableRawPointer(address))
        return unsafe UnsafeRawPointer(address).assumingMemoryBound(to: sockaddr.self)
    }
}
