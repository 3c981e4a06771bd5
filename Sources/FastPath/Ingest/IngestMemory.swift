// What an ingest loop has in memory: taken at start, all of it, from the configuration. And the small lists by which
// one step of a tick leaves work to another.
//
// Invariants: no list grows beyond its capacity, which its owner has reckoned; taking from a list is O(1).
// Safety: each type owns what it allocates; indexes are checked against the counts.

/// The loop's fixed sizes.
enum IngestSizes {
    /// No less than a signed value may have: a spelling that has no room must not pass as another key.
    static let keyBytesMax = BatchVerifier.composedBytesMax
    static let sweepMillis: UInt64 = 200
    /// So many overdue connections are ended at once (some 20 us each), and so long is the pause before the next ones.
    static let endingsMax = 16
    static let endingsMillis: UInt64 = 1
    /// How long a TLS session is idle before it gives its buffers back; at most half of the idle time.
    static let restMillis: UInt64 = 2000
    /// More than this behind a request that is being answered: the connection is not read until it has drained.
    static let pipelineBytesMax = 65_536
    /// So many publications are with workers a second time at once: each reads the log for its answer.
    static let seenAgainCountMax = 16
}

package struct IngestMemory: ~Copyable {
    var table: ConnectionTable
    var arena: BuddyArena
    var replies: ReplyQueue
    var secure: SecureSessions
    var addresses: AddressCounts

    package init(_ setup: IngestSetup) throws(OutOfMemory) {
        // All three before any is kept: nothing is half made when one throws.
        let table = try ConnectionTable(capacity: setup.limits.connectionCountMax)
        let arena = try BuddyArena(byteCount: setup.assemblyBytes, blockBytesMax: setup.blockBytesMax)
        let replies = try ReplyQueue(capacity: setup.limits.connectionCountMax)
        self.table = table
        self.arena = arena
        self.replies = replies
        secure = SecureSessions(capacity: setup.limits.connectionCountMax)
        let countMax = setup.limits.connectionsPerAddressMax
        addresses = AddressCounts(
            countMax: countMax, capacity: countMax > 0 ? setup.limits.connectionCountMax : 1,
            seed: UInt64.random(in: .min ... .max))
    }
    /// What a loop takes for `setup`, without receive buffers.
    static func byteCount(_ setup: IngestSetup) -> Int {
        let count = setup.limits.connectionCountMax
        return ConnectionTable.byteCount(capacity: count) + ReplyQueue.byteCount(capacity: count) + setup.assemblyBytes
    }
}

/// Slots, or buffers, that a later step takes.
@safe struct SlotList: ~Copyable {
    private let items: UnsafeMutablePointer<UInt32>
    private let capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        unsafe items = .allocate(capacity: max(capacity, 1))
    }
    deinit { unsafe items.deallocate() }
    @inline(__always) var isEmpty: Bool { count == 0 }
    @inline(__always) mutating func append(_ item: Int) {
        precondition(count < capacity)
        unsafe items[count] = UInt32(truncatingIfNeeded: item)
        count += 1
    }
    @inline(__always) mutating func popLast() -> Int? {
        guard count > 0 else { return nil }
        count -= 1
        return unsafe Int(items[count])
    }
    @inline(__always) subscript(index: Int) -> Int {
        precondition(index >= 0 && index < count)
        return unsafe Int(items[index])
    }
    mutating func removeAll() { count = 0 }
    /// The first `removed` go, the others move up: O(what stays).
    mutating func removeFirst(_ removed: Int) {
        precondition(removed <= count)
        unsafe items.update(from: items + removed, count: count - removed)
        count -= removed
    }
}

/// Slots in the order they came, each at most once.
@safe struct SlotQueue: ~Copyable {
    private let items: UnsafeMutablePointer<UInt32>
    private let isQueued: UnsafeMutablePointer<Bool>
    private let capacity: Int
    private var start = 0
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        unsafe items = .allocate(capacity: capacity)
        unsafe isQueued = .allocate(capacity: capacity)
        unsafe isQueued.initialize(repeating: false, count: capacity)
    }
    deinit {
        unsafe items.deallocate()
        unsafe isQueued.deallocate()
    }
    /// A slot that is in the queue already stays where it is.
    mutating func append(_ slot: Int) {
        precondition(slot >= 0 && slot < capacity)
        guard unsafe !isQueued[slot] else { return }
        unsafe isQueued[slot] = true
        unsafe items[(start + count) % capacity] = UInt32(truncatingIfNeeded: slot)
        count += 1
    }
    var first: Int? { count > 0 ? unsafe Int(items[start]) : nil }
    mutating func removeFirst() {
        precondition(count > 0)
        unsafe isQueued[Int(items[start])] = false
        start = (start + 1) % capacity
        count -= 1
    }
}

/// Bytes in receive buffers that wait until the batch is settled, in the order they came.
@safe struct LateInput: ~Copyable {
    @safe struct Item {
        var slot: Int
        var generation: UInt32
        var bytes: UnsafeMutablePointer<UInt8>
        var count: Int
    }
    private let items: UnsafeMutablePointer<Item>
    private let capacity: Int
    private var count = 0
    private var takenCount = 0

    /// `capacity`: as many as there are receive buffers.
    init(capacity: Int) {
        self.capacity = capacity
        unsafe items = .allocate(capacity: capacity)
    }
    deinit { unsafe items.deallocate() }
    mutating func append(_ slot: Int, _ generation: UInt32, _ bytes: UnsafeMutablePointer<UInt8>, _ byteCount: Int) {
        precondition(count < capacity)
        unsafe (items + count).initialize(
            to: Item(slot: slot, generation: generation, bytes: bytes, count: byteCount))
        count += 1
    }
    mutating func next() -> Item? {
        guard takenCount < count else {
            count = 0
            takenCount = 0
            return nil
        }
        takenCount += 1
        return unsafe items[takenCount - 1]
    }
}
