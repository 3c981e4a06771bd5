// A bounded ring between exactly two threads: one pushes, one pops, neither waits and neither takes a lock.
//
// Invariants: `tail - head` is the number of elements and never exceeds the capacity; both count up forever and wrap
// at 2^64. Only the producer writes `tail`, only the consumer writes `head`; a release store publishes what an acquire
// load of the other side then may touch. Each side lives on its own 128 bytes (two lines, because the prefetcher takes
// pairs) and remembers the opposite cursor, so that it reads the other side's line only when its own memory of it says
// full or empty. If two threads push, or two pop, elements are lost without a word.
//
// Safety: the class owns `slots` and `sides`; a slot is written by the producer strictly before the release store of
// `tail` and read by the consumer strictly before its release store of `head`. Elements are bitwise copyable, so
// nothing is retained and deinit has nothing to destroy.

import Synchronization

/// One thread's half of a ring: its cursor, what it last saw of the opposite one, and padding up to 128 bytes.
private struct RingSide: ~Copyable {
    let cursor: Atomic<UInt64>
    var opposite: UInt64
    let padding = InlineArray<14, UInt64>(repeating: 0)

    init(at start: UInt64) {
        cursor = Atomic(start)
        opposite = start
    }
}

@safe package final class SPSCRing<Element: BitwiseCopyable>: @unchecked Sendable {
    package let capacity: Int
    private let mask: UInt64
    private let slots: UnsafeMutablePointer<Element>
    private let producer: UnsafeMutablePointer<RingSide>
    private let consumer: UnsafeMutablePointer<RingSide>

    /// `capacity` is rounded up to a power of two. `start` is the first value of both cursors; tests put it near the
    /// wrap.
    package init(capacity: Int, startingAt start: UInt64 = 0) {
        precondition(capacity > 0 && capacity <= 1 << 30)
        precondition(MemoryLayout<RingSide>.stride == 128)
        var rounded = 1
        while rounded < capacity { rounded <<= 1 }
        self.capacity = rounded
        mask = UInt64(rounded - 1)
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: rounded * MemoryLayout<Element>.stride, alignment: 128)
        unsafe slots = bytes.bindMemory(to: Element.self, capacity: rounded)
        let sides = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 128)
        unsafe producer = sides.bindMemory(to: RingSide.self, capacity: 2)
        unsafe consumer = producer + 1
        unsafe producer.initialize(to: RingSide(at: start))
        unsafe consumer.initialize(to: RingSide(at: start))
    }
    deinit {
        unsafe UnsafeMutableRawPointer(producer).deallocate()
        unsafe UnsafeMutableRawPointer(slots).deallocate()
    }

    /// How many elements were in the ring at one moment; either thread may ask, and the other may change it at once.
    @inline(__always) package var count: Int {
        let head = unsafe consumer.pointee.cursor.load(ordering: .acquiring)
        let tail = unsafe producer.pointee.cursor.load(ordering: .relaxed)
        // Read in this order `tail` may have moved on past a full ring's worth, never behind `head`: whoever has moved
        // `head` had seen `tail`.
        return min(Int(truncatingIfNeeded: tail &- head), capacity)
    }
    @inline(__always) package var isEmpty: Bool { count == 0 }

    // MARK: Producer

    /// How many elements can be pushed now; the consumer can only make it more.
    @inline(__always) package func roomForProducer(wanted: Int) -> Int {
        let tail = unsafe producer.pointee.cursor.load(ordering: .relaxed)
        var room = unsafe capacity - Int(truncatingIfNeeded: tail &- producer.pointee.opposite)
        if room < wanted {
            unsafe producer.pointee.opposite = consumer.pointee.cursor.load(ordering: .acquiring)
            room = unsafe capacity - Int(truncatingIfNeeded: tail &- producer.pointee.opposite)
        }
        // A cursor ahead of its opposite would show as a negative number.
        precondition(room >= 0)
        return room
    }
    /// False when the ring is full; nothing was pushed then.
    @inline(__always) package func push(_ element: Element) -> Bool {
        guard roomForProducer(wanted: 1) > 0 else { return false }
        let tail = unsafe producer.pointee.cursor.load(ordering: .relaxed)
        unsafe slots[Int(truncatingIfNeeded: tail & mask)] = element
        if isPlanted(.relaxedPublish) {
            unsafe producer.pointee.cursor.store(tail &+ 1, ordering: .relaxed)
            return true
        }
        unsafe producer.pointee.cursor.store(tail &+ 1, ordering: .releasing)
        return true
    }
    /// Pushes as many of `elements` as fit, in order, published together; returns how many.
    @inline(__always) package func push(_ elements: Span<Element>) -> Int {
        let pushed = min(roomForProducer(wanted: elements.count), elements.count)
        guard pushed > 0 else { return 0 }
        let tail = unsafe producer.pointee.cursor.load(ordering: .relaxed)
        for index in 0..<pushed {
            unsafe slots[Int(truncatingIfNeeded: (tail &+ UInt64(index)) & mask)] = elements[index]
        }
        unsafe producer.pointee.cursor.store(tail &+ UInt64(pushed), ordering: .releasing)
        return pushed
    }

    // MARK: Consumer

    /// How many elements can be popped now; the producer can only make it more.
    @inline(__always) private func readyForConsumer(wanted: Int) -> Int {
        let head = unsafe consumer.pointee.cursor.load(ordering: .relaxed)
        var ready = unsafe Int(truncatingIfNeeded: consumer.pointee.opposite &- head)
        if ready < wanted {
            unsafe consumer.pointee.opposite = producer.pointee.cursor.load(ordering: .acquiring)
            ready = unsafe Int(truncatingIfNeeded: consumer.pointee.opposite &- head)
        }
        precondition(ready >= 0)
        return ready
    }
    @inline(__always) package func pop() -> Element? {
        guard readyForConsumer(wanted: 1) > 0 else { return nil }
        let head = unsafe consumer.pointee.cursor.load(ordering: .relaxed)
        if isPlanted(.slotFreedTwice) { unsafe consumer.pointee.cursor.store(head &+ 1, ordering: .releasing) }
        let element = unsafe slots[Int(truncatingIfNeeded: head & mask)]
        unsafe consumer.pointee.cursor.store(head &+ 1, ordering: .releasing)
        return element
    }
    /// Hands at most `maximum` elements to `body`, oldest first, and frees their slots together; returns how many.
    /// `body` must not pop.
    @inline(__always) package func drain(maximum: Int, _ body: (Element) -> Void) -> Int {
        let popped = min(readyForConsumer(wanted: maximum), maximum)
        guard popped > 0 else { return 0 }
        let head = unsafe consumer.pointee.cursor.load(ordering: .relaxed)
        for index in 0..<popped { unsafe body(slots[Int(truncatingIfNeeded: (head &+ UInt64(index)) & mask)]) }
        unsafe consumer.pointee.cursor.store(head &+ UInt64(popped), ordering: .releasing)
        return popped
    }
}
