// The only file that talks to io_uring. A loop owns one `UringIO`; it submits by tag, waits, and gathers the
// completions before it runs any of them (style habit 7).
//
// Invariants: one thread uses a ring, from its opening on (SINGLE_ISSUER); what a submission points to stays untouched
// until its completion; a receive buffer belongs to the kernel from `give` to the completion that names it. Safety:
// pointers passed in are read or written by the kernel until the completion of the same tag.
import CShims

package struct UringError: Error, Equatable, Sendable {
    package enum Step: String, Sendable { case open, buffers, memory }
    package let step: Step
    package let errno: Int32
}

package struct Completion: Sendable {
    package let tag: Tag
    /// Bytes or a descriptor, or -errno.
    package let result: Int32
    package let flags: UInt32

    @inline(__always) init(_ raw: sluice_completion) {
        tag = Tag(bits: raw.tag)
        result = raw.result
        flags = raw.flags
    }
    package init(tag: Tag, result: Int32, flags: UInt32) {
        self.tag = tag
        self.result = result
        self.flags = flags
    }
    /// As a kernel would tell it, from a world that is none.
    package init(tag: Tag, result: Int32, hasMore: Bool, buffer: Int?) {
        var flags = hasMore ? UInt32(SLUICE_COMPLETION_MORE) : 0
        if let buffer {
            flags |= UInt32(SLUICE_COMPLETION_BUFFER)
            flags |= UInt32(buffer) << UInt32(SLUICE_COMPLETION_BUFFER_SHIFT)
        }
        self.init(tag: tag, result: result, flags: flags)
    }
    /// The receive buffer that holds the bytes, -1 when there is none.
    @inline(__always) package var buffer: Int {
        sluice_completion_has_buffer(flags) != 0 ? Int(sluice_completion_buffer(flags)) : -1
    }
    /// True exactly when the multishot submission is still armed.
    @inline(__always) package var hasMore: Bool { sluice_completion_has_more(flags) != 0 }
}

@safe package struct UringIO: ~Copyable {
    private let ring: OpaquePointer
    private let reaped: UnsafeMutablePointer<sluice_completion>
    private let reapedCountMax: Int
    private let bufferMemory: MappedMemory
    private let bufferEntries: UnsafeMutablePointer<UInt8>
    private let bufferBytes: UnsafeMutablePointer<UInt8>
    package let bufferCount: Int
    package let bufferByteCount: Int
    private var givenCount: Int32 = 0
    private static let bufferGroup: UInt32 = 1

    /// `submissions` and `completions` are powers of two. With `bufferCount` (a power of two, 0 = none) receive buffers
    /// of `bufferByteCount` bytes. Must be made on the thread that will use it.
    package init(submissions: Int, completions: Int, bufferCount: Int, bufferByteCount: Int) throws(UringError) {
        // Entries (16 bytes a buffer, rounded up to a page) and buffers in one mapping.
        let entryBytes = (bufferCount * 16 + 4095) & ~4095
        let memory: MappedMemory
        do { memory = try MappedMemory(byteCount: entryBytes + max(bufferCount * bufferByteCount, 1)) } catch {
            throw UringError(step: .memory, errno: ENOMEM)
        }
        var opened: OpaquePointer?
        var status = unsafe sluice_ring_open(UInt32(submissions), UInt32(completions), &opened)
        guard status == 0, let ring = unsafe opened else { throw UringError(step: .open, errno: -status) }
        if bufferCount > 0 {
            status = unsafe sluice_ring_register_buffers(ring, memory.base, UInt32(bufferCount), UringIO.bufferGroup)
        }
        guard status == 0 else {
            unsafe sluice_ring_close(ring)
            throw UringError(step: .buffers, errno: -status)
        }
        unsafe self.ring = ring
        reapedCountMax = completions
        unsafe reaped = .allocate(capacity: completions)
        self.bufferCount = bufferCount
        self.bufferByteCount = bufferByteCount
        unsafe bufferEntries = memory.base
        unsafe bufferBytes = memory.base + entryBytes
        bufferMemory = memory
        for index in 0..<bufferCount { give(buffer: index) }
        publishBuffers()
    }
    deinit {
        unsafe sluice_ring_close(ring)
        unsafe reaped.deallocate()
    }

    // MARK: receive buffers

    @inline(__always) package func bytes(ofBuffer index: Int) -> UnsafeMutablePointer<UInt8> {
        precondition(index >= 0 && index < bufferCount)
        return unsafe bufferBytes + index * bufferByteCount
    }
    /// Gives a buffer back; the kernel sees it after `publishBuffers`.
    @inline(__always) package mutating func give(buffer index: Int) {
        unsafe sluice_buffers_give(
            bufferEntries, bytes(ofBuffer: index), UInt32(bufferByteCount), UInt32(index),
            UInt32(bufferCount), givenCount)
        givenCount += 1
    }
    @inline(__always) package mutating func publishBuffers() {
        guard givenCount > 0 else { return }
        unsafe sluice_buffers_publish(bufferEntries, givenCount)
        givenCount = 0
    }

    // MARK: submissions

    @inline(__always) package func accept(listener: Int32, tag: Tag) {
        unsafe sluice_submit_accept(ring, listener, tag.bits)
    }
    @inline(__always) package func receive(_ descriptor: Int32, tag: Tag) {
        unsafe sluice_submit_receive(ring, descriptor, UringIO.bufferGroup, tag.bits)
    }
    package func awaitBytes(_ descriptor: Int32, tag: Tag) { unsafe sluice_submit_poll(ring, descriptor, tag.bits) }
    @inline(__always) package func send(_ descriptor: Int32, _ bytes: UnsafePointer<UInt8>, count: Int, tag: Tag) {
        unsafe sluice_submit_send(ring, descriptor, bytes, UInt32(count), tag.bits)
    }
    @inline(__always) package func sendMessage(_ descriptor: Int32, _ message: UnsafePointer<msghdr>, tag: Tag) {
        unsafe sluice_submit_send_message(ring, descriptor, message, tag.bits)
    }
    package func connect(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>, byteCount: Int, tag: Tag) {
        unsafe sluice_submit_connect(ring, descriptor, address, UInt32(byteCount), tag.bits)
    }
    package func cancel(_ target: Tag, tag: Tag) { unsafe sluice_submit_cancel(ring, target.bits, tag.bits) }
    package func cancelAll(_ descriptor: Int32, tag: Tag) {
        unsafe sluice_submit_cancel_all(ring, descriptor, tag.bits)
    }
    package func close(_ descriptor: Int32, tag: Tag) { unsafe sluice_submit_close(ring, descriptor, tag.bits) }
    package func readWake(_ descriptor: Int32, into value: UnsafeMutablePointer<UInt64>, tag: Tag) {
        unsafe sluice_submit_read(ring, descriptor, value, 8, 0, tag.bits)
    }
    /// One write and the fdatasync linked behind it.
    package func writeAndSync(
        _ descriptor: Int32, _ bytes: UnsafeRawPointer, count: Int, offset: UInt64, write: Tag, sync: Tag
    ) {
        unsafe sluice_submit_write_sync(ring, descriptor, bytes, UInt32(count), offset, write.bits, sync.bits)
    }
    /// One write that completes when it is on disk; an error may be the write's or the sync's.
    package func writeDurably(_ descriptor: Int32, _ bytes: UnsafeRawPointer, count: Int, offset: UInt64, tag: Tag) {
        unsafe sluice_submit_write_durable(ring, descriptor, bytes, UInt32(count), offset, tag.bits)
    }
    /// Rename and folder sync, linked to the write that must be submitted right behind.
    package func renameAndSync(
        folder: Int32, from: UnsafePointer<CChar>, to: UnsafePointer<CChar>, rename: Tag, sync: Tag
    ) {
        unsafe sluice_submit_rename_sync(ring, folder, from, to, rename.bits, sync.bits)
    }

    // MARK: completions

    /// Submits what is queued; waits until one completion is there or the time is over; gathers all that are.
    /// The count is of `completion(_:)`, valid until the next call. A wait of 0 does not wait.
    @inline(__always) package mutating func enter(waitNanos: UInt64) -> Int {
        _ = unsafe sluice_ring_enter(ring, waitNanos > 0 ? 1 : 0, waitNanos)
        return unsafe Int(sluice_ring_reap(ring, reaped, UInt32(reapedCountMax)))
    }
    @inline(__always) package func completion(_ index: Int) -> Completion { unsafe Completion(reaped[index]) }
}
