// Verified events on their way from one ingest loop to the journal thread, with all their bytes: a bounded ring of
// records of any size between exactly two threads. Full = the loop answers 503; nothing grows and nothing waits.
//
// Invariants: positions count bytes forever, a record begins 8-aligned and is contiguous (what is left at the end of
// the memory is skipped by a marker); the producer publishes a record with one release store after all of it is
// written. Safety: a view that `front` gives is valid until `dropFront`; producer and consumer touch disjoint bytes.
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
        var receivedAt: UInt64
        var ticket: UInt64
    }
    package struct Front {
        package var event: EventInput
        package var ticket: UInt64
        package var durability: DurabilityLevel
        fileprivate var end: UInt64
    }
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
        let raw = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 128)
        tail = raw.bindMemory(to: Side.self, capacity: 2)
        head = tail + 1
        tail.initialize(to: Side())
        head.initialize(to: Side())
    }
    deinit { UnsafeMutableRawPointer(tail).deallocate() }

    /// Producer: copies the event in. False when there is no room.
    package func push(_ event: EventInput, ticket: UInt64, durability: DurabilityLevel) -> Bool {
        let key = event.keyIsBody ? 0 : event.dedupKey.count
        let bytes =
            event.tenant.count + event.source.count + key + event.eventType.count + event.method.count
            + event.target.count + event.fieldLines.count + event.body.count
        let needed = UInt64((MemoryLayout<Header>.size + bytes + 7) & ~7)
        var at = tail.pointee.position.load(ordering: .relaxed)
        let room = capacity - (at &- head.pointee.position.load(ordering: .acquiring))
        let toEnd = capacity - (at & (capacity - 1))
        if toEnd < needed {
            guard room >= toEnd + needed else { return false }
            pointer(at).storeBytes(of: 0, as: UInt32.self)
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
            flags: (event.keyIsBody ? 1 : 0) | UInt32(durability.rawValue) << 1 | UInt32(event.verdict.code) << 16,
            sourceNumber: event.sourceNumber,
            receivedAt: event.receivedAt, ticket: ticket)
        var to = pointer(at)
        to.storeBytes(of: header, as: Header.self)
        to += MemoryLayout<Header>.size
        EventRing.put(event.tenant, &to)
        EventRing.put(event.source, &to)
        if !event.keyIsBody { EventRing.put(event.dedupKey, &to) }
        EventRing.put(event.eventType, &to)
        EventRing.put(event.method, &to)
        EventRing.put(event.target, &to)
        EventRing.put(event.fieldLines, &to)
        EventRing.put(event.body, &to)
        tail.pointee.position.store(at &+ needed, ordering: .releasing)
        return true
    }
    @inline(__always) private static func put(_ view: ByteView, _ to: inout UnsafeMutableRawPointer) {
        to.copyMemory(from: view.base, byteCount: view.count)
        to += view.count
    }
    @inline(__always) private func pointer(_ position: UInt64) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(memory.base + Int(position & (capacity - 1)))
    }
    package var isEmpty: Bool {
        head.pointee.position.load(ordering: .relaxed) == tail.pointee.position.load(ordering: .acquiring)
    }

    /// Consumer: the oldest event, nil when there is none.
    package func front() -> Front? {
        var at = head.pointee.position.load(ordering: .relaxed)
        let end = tail.pointee.position.load(ordering: .acquiring)
        guard at != end else { return nil }
        if pointer(at).load(as: UInt32.self) == 0 { at &+= capacity - (at & (capacity - 1)) }
        precondition(at != end)
        let header = pointer(at).load(as: Header.self)
        var from = UnsafePointer<UInt8>(memory.base) + Int(at & (capacity - 1)) + MemoryLayout<Header>.size
        var event = EventInput()
        event.tenant = EventRing.take(Int(header.tenant), &from)
        event.source = EventRing.take(Int(header.source), &from)
        event.dedupKey = EventRing.take(Int(header.key), &from)
        event.eventType = EventRing.take(Int(header.type), &from)
        event.method = EventRing.take(Int(header.method), &from)
        event.target = EventRing.take(Int(header.target), &from)
        event.fieldLines = EventRing.take(Int(header.fieldLines), &from)
        event.body = EventRing.take(Int(header.body), &from)
        event.keyIsBody = header.flags & 1 != 0
        if event.keyIsBody { event.dedupKey = event.body }
        event.dedupWindowSeconds = header.window
        event.sourceNumber = header.sourceNumber
        event.receivedAt = header.receivedAt
        event.verdict = RecordVerification(code: UInt8(truncatingIfNeeded: header.flags >> 16))
        let durability = DurabilityLevel(rawValue: UInt8(truncatingIfNeeded: header.flags >> 1)) ?? .fsync
        return Front(event: event, ticket: header.ticket, durability: durability, end: at &+ UInt64(header.byteCount))
    }
    @inline(__always) private static func take(_ count: Int, _ from: inout UnsafePointer<UInt8>) -> ByteView {
        let view = ByteView(from, count: count)
        from += count
        return view
    }
    package func dropFront(_ front: Front) { head.pointee.position.store(front.end, ordering: .releasing) }
}
