// The only file that talks to io_uring. A loop owns one `UringIO`; it submits by tag, waits, and gathers the
// completions before it runs any of them (style habit 7).
//
// A loop with sockets that drives the log as well has two rings. The kernel runs what completed in the order in which
// it did, a few at a time: in one ring a write that is done waits behind the requests that came before it, its sync is
// not begun meanwhile, and then the sync waits there too. So the log's ring is looked at after each wait, and its
// completions come first (docs/why/two-rings.md).
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
    /// The log's; nil where it is the same, or there is none.
    private let logRing: OpaquePointer?
    /// The value of its eventfd; the kernel's while `awaitsLogNews`.
    private let logNews: UnsafeMutablePointer<UInt64>
    private var awaitsLogNews = false
    /// Of the last `enter`.
    private var hadCompletions = false
    @inline(__always) private static var logNewsTag: Tag { Tag(.ignored, slot: 1) }
    private static let logSubmissions: UInt32 = 64
    private let reaped: UnsafeMutablePointer<sluice_completion>
    private let reapedCountMax: Int
    private let bufferMemory: MappedMemory
    private let bufferEntries: UnsafeMutablePointer<UInt8>
    private let bufferBytes: UnsafeMutablePointer<UInt8>
    private let bufferStride: Int
    package let bufferCount: Int
    package let bufferByteCount: Int
    private var circulation: BufferCirculation
    private static let bufferGroup: UInt32 = 1
    private static let lineBytes = 64

    /// `submissions` and `completions` are powers of two. With `bufferCount` (a power of two, 0 = none) receive buffers
    /// of `bufferByteCount` bytes. `hasLogRing`: what is submitted for the log goes through a ring of its own. Must be
    /// made on the thread that will use it.
    package init(
        submissions: Int, completions: Int, bufferCount: Int, bufferByteCount: Int, hasLogRing: Bool = false
    ) throws(UringError) {
        // Entries (16 bytes a buffer, rounded up to a page) and buffers in one mapping.
        let entryBytes = (bufferCount * 16 + 4095) & ~4095
        // A line more than asked for: what begins at one place of each page shares a few sets of the processor's cache.
        let stride = bufferByteCount + UringIO.lineBytes
        let memory: MappedMemory
        do { memory = try MappedMemory(byteCount: entryBytes + max(bufferCount * stride, 1)) } catch {
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
        var logRing: OpaquePointer?
        if hasLogRing {
            status = unsafe UringIO.openLogRing(&logRing)
            guard status == 0 else {
                unsafe sluice_ring_close(ring)
                throw UringError(step: .open, errno: -status)
            }
        }
        unsafe self.ring = ring
        unsafe self.logRing = logRing
        unsafe logNews = .allocate(capacity: 1)
        reapedCountMax = completions
        unsafe reaped = .allocate(capacity: completions)
        self.bufferCount = bufferCount
        self.bufferByteCount = bufferByteCount
        bufferStride = stride
        unsafe bufferEntries = memory.base
        unsafe bufferBytes = memory.base + entryBytes
        bufferMemory = memory
        circulation = BufferCirculation(capacity: bufferCount)
        for index in (0..<bufferCount).reversed() { give(buffer: index) }
        publishBuffers()
    }
    deinit {
        unsafe sluice_ring_close(ring)
        if let logRing = unsafe logRing { unsafe sluice_ring_close(logRing) }
        unsafe logNews.deallocate()
        unsafe reaped.deallocate()
    }
    private static func openLogRing(_ opened: inout OpaquePointer?) -> Int32 {
        let status = unsafe sluice_ring_open(logSubmissions, 4 * logSubmissions, &opened)
        guard status == 0, let ring = unsafe opened else { return status }
        let made = unsafe sluice_ring_make_event(ring)
        if made < 0 { unsafe sluice_ring_close(ring) }
        return made
    }
    /// Where the log's submissions go.
    private var logWay: OpaquePointer { unsafe logRing ?? ring }

    // MARK: receive buffers

    /// What they take, to within a page.
    package static func bufferMemoryBytes(count: Int, bufferByteCount: Int) -> Int {
        count * (bufferByteCount + lineBytes + 16 + MemoryLayout<UInt32>.stride)
    }

    @inline(__always) package func bytes(ofBuffer index: Int) -> UnsafeMutablePointer<UInt8> {
        precondition(index >= 0 && index < bufferCount)
        return unsafe place(ofBuffer: index)
    }
    @inline(__always) private func place(ofBuffer index: Int) -> UnsafeMutablePointer<UInt8> {
        unsafe bufferBytes + index * bufferStride
    }
    /// Gives a buffer back; it may be filled again after `publishBuffers`.
    @inline(__always) package mutating func give(buffer index: Int) {
        unsafe sluice_memory_withhold(place(ofBuffer: index), bufferStride)
        circulation.put(index)
    }
    /// Hands the kernel as many as it should have.
    @inline(__always) package mutating func publishBuffers() {
        var count: Int32 = 0
        while let index = circulation.next() {
            unsafe sluice_buffers_give(
                bufferEntries, bytes(ofBuffer: index), UInt32(bufferByteCount), UInt32(index),
                UInt32(bufferCount), count)
            count += 1
        }
        if count > 0 { unsafe sluice_buffers_publish(bufferEntries, count) }
    }
    package var hasRestingBuffers: Bool { circulation.hasResting }

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
        unsafe sluice_submit_write_sync(logWay, descriptor, bytes, UInt32(count), offset, write.bits, sync.bits)
    }
    /// One write that completes when it is on disk; an error may be the write's or the sync's.
    package func writeDurably(_ descriptor: Int32, _ bytes: UnsafeRawPointer, count: Int, offset: UInt64, tag: Tag) {
        unsafe sluice_submit_write_durable(logWay, descriptor, bytes, UInt32(count), offset, tag.bits)
    }
    /// Rename and folder sync, linked to the write that must be submitted right behind.
    package func renameAndSync(
        folder: Int32, from: UnsafePointer<CChar>, to: UnsafePointer<CChar>, rename: Tag, sync: Tag
    ) {
        unsafe sluice_submit_rename_sync(logWay, folder, from, to, rename.bits, sync.bits)
    }

    // MARK: completions

    /// Submits what is queued; waits until one completion is there or the time is over; gathers all that are.
    /// The count is of `completion(_:)`, valid until the next call. A wait of 0 does not wait.
    @inline(__always) package mutating func enter(waitNanos: UInt64) -> Int {
        var count = 0
        if let logRing = unsafe logRing {
            unsafe sluice_ring_submit(logRing)
            count = unsafe enter(waitNanos: waitNanos, besides: logRing)
        } else {
            _ = unsafe sluice_ring_enter(ring, waitNanos > 0 ? 1 : 0, waitNanos)
        }
        count += unsafe Int(sluice_ring_reap(ring, reaped + count, UInt32(reapedCountMax - count)))
        hadCompletions = count > 0
        lookThrough(count)
        return count
    }
    /// Waits for the sockets or the log's eventfd, which is asked to speak only where the sockets have nothing: with
    /// something there is no wait, and what the log has is seen behind it. Returns how many completions the log had.
    ///
    /// That a ring has work is a hint: the kernel may say so of what has just been run. Where nothing came by it, the
    /// sockets are asked by waiting for them, and the log by entering its ring after its eventfd has begun to speak.
    @inline(__always) private mutating func enter(waitNanos: UInt64, besides logRing: OpaquePointer) -> Int {
        guard waitNanos > 0, unsafe !hadCompletions || sluice_ring_has_work(ring) == 0 else {
            _ = unsafe sluice_ring_enter(ring, 0, 0)
            return unsafe reap(logRing)
        }
        if !awaitsLogNews {
            unsafe sluice_submit_read(ring, sluice_ring_event(logRing), logNews, 8, 0, UringIO.logNewsTag.bits)
            awaitsLogNews = true
        }
        var count = 0
        if unsafe sluice_ring_listen(logRing) != 0 { count = unsafe reap(logRing) }
        _ = unsafe sluice_ring_enter(ring, count == 0 ? 1 : 0, count == 0 ? waitNanos : 0)
        unsafe sluice_ring_listen_no_more(logRing)
        return count > 0 ? count : unsafe reap(logRing)
    }
    @inline(__always) private func reap(_ logRing: OpaquePointer) -> Int {
        guard unsafe sluice_ring_has_work(logRing) != 0 else { return 0 }
        _ = unsafe sluice_ring_enter(logRing, 0, 0)
        return unsafe Int(sluice_ring_reap(logRing, reaped, UInt32(reapedCountMax)))
    }
    @inline(__always) private mutating func lookThrough(_ count: Int) {
        var filled = 0
        var ranOut = false
        for index in 0..<count {
            if unsafe reaped[index].tag == UringIO.logNewsTag.bits { awaitsLogNews = false }
            if unsafe sluice_completion_has_buffer(reaped[index].flags) != 0 {
                filled += 1
                unsafe lend(Completion(reaped[index]))
            }
            if unsafe reaped[index].result == -ENOBUFS { ranOut = true }
        }
        circulation.filled(filled, ranOut: ranOut)
    }
    /// What has come, and nothing behind it.
    @inline(__always) private func lend(_ completion: Completion) {
        unsafe sluice_memory_lend(place(ofBuffer: completion.buffer), Int(max(completion.result, 0)))
    }
    @inline(__always) package func completion(_ index: Int) -> Completion { unsafe Completion(reaped[index]) }
}
