// Verified events on their way from one ingest loop to the journal thread, with all their bytes: a bounded ring of
// records of any size between exactly two threads. Full = the loop answers 503; nothing grows and nothing waits.
//
// Invariants: positions count bytes forever, a record begins 8-aligned and is contiguous (what is left at the end of
// the memory is skipped by a marker); the producer publishes a record with one release store after all of it is
// written. Safety: a view that `front` gives is valid until `dropFront`; producer and consumer touch disjoint bytes.
import CShims
import Synchronization

@safe package final class EventRing: @unchecked Sendable {
    private struct Side: ~Copyable {
        let position = Atomic<UInt64>(0)
        let padding = InlineArray<15, UInt64>(repeating: 0)
    }
    /// What stands before the bytes of one event.
    private struct Header {
        /// Whole record; 0 marks "skip to the start of the memory".
        var byteCount: UInt32
        var tenant: UInt16
        var source: UInt16
        var key: UInt32
        var type: UInt16
        var method: UInt16
        var target: UInt32
        var fieldLines: UInt32
        var body: UInt32
        var window: UInt32
        var flags: UInt32
        var sourceNumber: UInt32
        var subject: UInt32
        var elements: UInt32
        var receivedAt: UInt64
        var ticket: UInt64
    }
    package struct Front {
        package var event: EventInput
        package var ticket: UInt64
        package var durability: DurabilityLevel
        fileprivate var start: UInt64
        fileprivate var end: UInt64
    }
    /// In a header's flags, between durability and verdict.
    private static var enveloped: UInt32 { 1 << 12 }
    private let memory: MappedMemory
    private let capacity: UInt64
    private let tail: UnsafeMutablePointer<Side>
    private let head: UnsafeMutablePointer<Side>
    package var byteCount: Int { memory.byteCount }

    /// `byteCount` is a power of two.
    package init(byteCount: Int) throws(OutOfMemory) {
        precondition(byteCount > 4096 && byteCount & (byteCount - 1) == 0)
        memory = try MappedMemory(byteCount: byteCount)
        capacity = UInt64(byteCount)
        unsafe sluice_memory_withhold(memory.base, byteCount)
        let raw = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 128)
        unsafe tail = raw.bindMemory(to: Side.self, capacity: 2)
        unsafe head = tail + 1
        unsafe tail.initialize(to: Side())
        unsafe head.initialize(to: Side())
    }
    deinit { unsafe UnsafeMutableRawPointer(tail).deallocate() }

    /// Producer: copies the event in. False when there is no room.
    package func push(_ event: EventInput, ticket: UInt64, durability: DurabilityLevel) -> Bool {
        let key = event.keyIsBody ? 0 : event.dedupKey.count
        let bytes =
            event.tenant.count + event.source.count + key + event.eventType.count + event.method.count
            + event.target.count + event.clientSubject.count + event.fieldLines.count + event.body.count
            + event.elements.count
        let needed = UInt64((MemoryLayout<Header>.size + bytes + 7) & ~7)
        var at = unsafe tail.pointee.position.load(ordering: .relaxed)
        let room = unsafe capacity - (at &- head.pointee.position.load(ordering: .acquiring))
        let toEnd = capacity - (at & (capacity - 1))
        if toEnd < needed {
            guard room >= toEnd + needed else { return false }
            unsafe sluice_memory_lend(pointer(at), MemoryLayout<UInt32>.size)
            unsafe pointer(at).storeBytes(of: 0, as: UInt32.self)
            at &+= toEnd
        } else if room < needed {
            return false
        }
        let header = Header(
            byteCount: UInt32(needed), tenant: UInt16(event.tenant.count), source: UInt16(event.source.count),
            key: UInt32(key), type: UInt16(event.eventType.count), method: UInt16(event.method.count),
            target: UInt32(event.target.count), fieldLines: UInt32(event.fieldLines.count),
            body: UInt32(event.body.count),
            window: event.dedupWindowSeconds,
            flags: (event.keyIsBody ? 1 : 0) | UInt32(durability.rawValue) << 1
                | (event.isEnveloped ? EventRing.enveloped : 0) | UInt32(event.verdict.code) << 16,
            sourceNumber: event.sourceNumber, subject: UInt32(event.clientSubject.count),
            elements: UInt32(event.elements.count),
            receivedAt: event.receivedAt, ticket: ticket)
        var to = unsafe pointer(at)
        unsafe sluice_memory_lend(to, Int(needed))
        unsafe to.storeBytes(of: header, as: Header.self)
        unsafe to += MemoryLayout<Header>.size
        unsafe EventRing.put(event.tenant, &to)
        unsafe EventRing.put(event.source, &to)
        if !event.keyIsBody { unsafe EventRing.put(event.dedupKey, &to) }
        unsafe EventRing.put(event.eventType, &to)
        unsafe EventRing.put(event.method, &to)
        unsafe EventRing.put(event.target, &to)
        unsafe EventRing.put(event.clientSubject, &to)
        unsafe EventRing.put(event.fieldLines, &to)
        unsafe EventRing.put(event.body, &to)
        unsafe EventRing.put(event.elements, &to)
        unsafe tail.pointee.position.store(at &+ needed, ordering: .releasing)
        return true
    }
    @inline(__always) private static func put(_ view: ByteView, _ to: inout UnsafeMutableRawPointer) {
        unsafe to.copyMemory(from: view.base, byteCount: view.count)
        unsafe to += view.count
    }
    @inline(__always) private func pointer(_ position: UInt64) -> UnsafeMutableRawPointer {
        unsafe UnsafeMutableRawPointer(memory.base + Int(position & (capacity - 1)))
    }
    /// Producer: what the consumer has not taken yet. A number: nothing is read by it.
    @inline(__always) package var usedByteCount: Int {
        unsafe Int(tail.pointee.position.load(ordering: .relaxed) &- head.pointee.position.load(ordering: .relaxed))
    }
    /// Producer: it is more than half full.
    @inline(__always) package var isPressed: Bool { usedByteCount &* 2 > byteCount }
    package var isEmpty: Bool {
        unsafe head.pointee.position.load(ordering: .relaxed) == tail.pointee.position.load(ordering: .relaxed)
    }

    /// Consumer: the oldest event, nil when there is none.
    package func front() -> Front? {
        var at = unsafe head.pointee.position.load(ordering: .relaxed)
        let end = unsafe tail.pointee.position.load(ordering: .acquiring)
        guard at != end else { return nil }
        if unsafe pointer(at).load(as: UInt32.self) == 0 { at &+= capacity - (at & (capacity - 1)) }
        precondition(at != end)
        let header = unsafe pointer(at).load(as: Header.self)
        var from = unsafe UnsafePointer<UInt8>(memory.base) + Int(at & (capacity - 1)) + MemoryLayout<Header>.size
        var event = EventInput()
        event.tenant = unsafe EventRing.take(Int(header.tenant), &from)
        event.source = unsafe EventRing.take(Int(header.source), &from)
        event.dedupKey = unsafe EventRing.take(Int(header.key), &from)
        event.eventType = unsafe EventRing.take(Int(header.type), &from)
        event.method = unsafe EventRing.take(Int(header.method), &from)
        event.target = unsafe EventRing.take(Int(header.target), &from)
        event.clientSubject = unsafe EventRing.take(Int(header.subject), &from)
        event.fieldLines = unsafe EventRing.take(Int(header.fieldLines), &from)
        event.body = unsafe EventRing.take(Int(header.body), &from)
        event.elements = unsafe EventRing.take(Int(header.elements), &from)
        event.keyIsBody = header.flags & 1 != 0
        if event.keyIsBody { event.dedupKey = event.body }
        event.dedupWindowSeconds = header.window
        event.sourceNumber = header.sourceNumber
        event.receivedAt = header.receivedAt
        event.verdict = RecordVerification(code: UInt8(truncatingIfNeeded: header.flags >> 16))
        event.isEnveloped = header.flags & EventRing.enveloped != 0
        let durability = DurabilityLevel(rawValue: UInt8(truncatingIfNeeded: header.flags >> 1)) ?? .fsync
        let front = Front(
            event: event, ticket: header.ticket, durability: durability, start: at,
            end: at &+ UInt64(header.byteCount))
        if isPlanted(.bufferReusedEarly) { dropFront(front) }
        return front
    }
    @inline(__always) private static func take(_ count: Int, _ from: inout UnsafePointer<UInt8>) -> ByteView {
        let view = unsafe ByteView(from, count: count)
        unsafe from += count
        return view
    }
    package func dropFront(_ front: Front) {
        unsafe sluice_memory_withhold(pointer(front.start), Int(front.end - front.start))
        unsafe head.pointee.position.store(front.end, ordering: .releasing)
    }
}
