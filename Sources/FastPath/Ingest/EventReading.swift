// What a worker read of a request for the loop: the events in it, with type and key of each. For sources whose requests
// a loop does not read itself: a body that holds several events, or one that is read decompressed.
//
// The worker puts it into memory of its own, which crosses to the loop with the verdict; the loop gives it back when
// the request is settled, and a worker frees it, so that the loop does not.
//
// Invariant: a reading has one owner at a time: the worker, the ring of verdicts, the loop's slot, the ring of what was
// given back. Safety: views are taken by the owner alone, and are used before it gives the reading away.

/// The events of one request.
package struct EventReading: Equatable, Sendable {
    package var elements: ElementTable
    /// False: the request is one event, of which the only element has type and key.
    package var isSplit: Bool

    package init(elements: ElementTable, isSplit: Bool) {
        precondition(isSplit || elements.count == 1)
        self.elements = elements
        self.isSplit = isSplit
    }
}

@safe struct PassedReading: BitwiseCopyable {
    private enum Kind {
        static let whole: UInt32 = 0
        static let split: UInt32 = 1
        static let publication: UInt32 = 2
    }
    private let memory: UnsafeMutableRawPointer
    private static let headerBytes = 16

    init(_ reading: EventReading) {
        let bytes = reading.elements.bytes
        unsafe memory = .allocate(byteCount: PassedReading.headerBytes + bytes.count, alignment: 16)
        unsafe memory.storeBytes(of: UInt32(bytes.count), as: UInt32.self)
        unsafe memory.storeBytes(of: UInt32(reading.elements.count), toByteOffset: 4, as: UInt32.self)
        let kind = reading.isSplit ? Kind.split : Kind.whole
        unsafe memory.storeBytes(of: kind, toByteOffset: 8, as: UInt32.self)
        let whole = UInt32(PassedReading.headerBytes + bytes.count)
        unsafe memory.storeBytes(of: whole, toByteOffset: 12, as: UInt32.self)
        unsafe bytes.withUnsafeBytes { from in
            guard let base = from.baseAddress else { return }
            unsafe (memory + PassedReading.headerBytes).copyMemory(from: base, byteCount: from.count)
        }
    }
    /// What a worker made of a publication.
    init(_ publication: Publication) {
        let plan = PlannedPublication(publication)
        let count = plan.byteCount
        unsafe memory = .allocate(byteCount: PassedReading.headerBytes + count, alignment: 16)
        unsafe memory.storeBytes(of: 0, as: UInt64.self)
        unsafe memory.storeBytes(of: Kind.publication, toByteOffset: 8, as: UInt32.self)
        let whole = UInt32(PassedReading.headerBytes + count)
        unsafe memory.storeBytes(of: whole, toByteOffset: 12, as: UInt32.self)
        unsafe PassedPublication.write(plan, to: memory + PassedReading.headerBytes)
    }
    func free() { unsafe memory.deallocate() }

    /// What it takes in memory.
    var byteCount: Int { unsafe Int(memory.load(fromByteOffset: 12, as: UInt32.self)) }
    var elementCount: Int { unsafe Int(memory.load(fromByteOffset: 4, as: UInt32.self)) }
    private var kind: UInt32 { unsafe memory.load(fromByteOffset: 8, as: UInt32.self) }
    var isSplit: Bool { kind == Kind.split }
    /// Nil where the worker has read a provider's request.
    var publication: PassedPublication? {
        kind == Kind.publication ? unsafe PassedPublication(memory + PassedReading.headerBytes) : nil
    }
    var elements: ByteView {
        let count = unsafe Int(memory.load(as: UInt32.self))
        return unsafe ByteView(
            UnsafePointer((memory + PassedReading.headerBytes).assumingMemoryBound(to: UInt8.self)), count: count)
    }
}
