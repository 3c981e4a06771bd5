// The records that share one write and one sync, in memory that is ready to be handed to the kernel, with the tickets
// that wait for their fate. The journal has two: one filling, one committing.
//
// Memory: one block for a segment header in front (a new segment's header travels in the same write as its first
// group), then the records, padded with zeros to a block when sealed. Page aligned, so O_DIRECT may be used on it.
// Invariant: while a group is committing nothing in it changes but checksums when it moves to another segment.
// Safety: every write stays below `capacity`; the memory belongs to the group from init to deinit.

import CShims

struct GroupTicket {
    var ticket: UInt64
    var sequence: UInt64
    var isDuplicate: Bool
    var newCount: UInt32 = 0
}

@safe struct CommitGroup: ~Copyable {
    private let memory: UnsafeMutableRawPointer
    private let tickets: UnsafeMutablePointer<GroupTicket>
    let capacity: Int
    let ticketCapacity: Int
    /// Bytes of records.
    private(set) var byteCount = 0
    private(set) var recordCount: UInt32 = 0
    private(set) var ticketCount = 0
    private(set) var firstSequence: UInt64 = 0
    /// Wall clock of the first record; what a segment that begins with this group says about its age.
    private(set) var firstReceivedAt: UInt64 = 0
    // The seed of the checksums that the records carry now.
    private var seed: UInt64 = 0
    private var receiptIndex = 0

    init?(capacity: Int, ticketCapacity: Int) {
        precondition(capacity > 0 && capacity % RecordFormat.blockBytes == 0 && ticketCapacity > 0)
        guard let taken = unsafe sluice_memory_take(RecordFormat.blockBytes + capacity) else { return nil }
        unsafe memory = taken
        unsafe tickets = .allocate(capacity: ticketCapacity)
        self.capacity = capacity
        self.ticketCapacity = ticketCapacity
    }
    deinit {
        unsafe sluice_memory_give_back(memory, RecordFormat.blockBytes + capacity)
        unsafe tickets.deallocate()
    }

    var headerBlock: UnsafeMutableRawPointer { unsafe memory }
    var records: UnsafeMutableRawPointer { unsafe memory + RecordFormat.blockBytes }
    var paddedByteCount: Int { RecordFormat.roundUp(byteCount, to: RecordFormat.blockBytes) }
    var lastSequence: UInt64 { firstSequence &+ UInt64(recordCount) &- 1 }

    mutating func reset(firstSequence: UInt64) {
        byteCount = 0
        recordCount = 0
        ticketCount = 0
        receiptIndex = 0
        self.firstSequence = firstSequence
    }

    /// Copies the event behind the last record. The checksum is made while the bytes are in the cache, for the segment
    /// the group will most likely go to; `seal` makes it again when it goes elsewhere.
    @inline(__always) mutating func append(_ event: EventInput, print: Fingerprint, length: Int, seed: UInt64) {
        precondition(byteCount + length <= capacity)
        if recordCount == 0 {
            self.seed = seed
            firstReceivedAt = event.receivedAt
        }
        unsafe RecordFormat.encode(
            event, print: print, sequence: firstSequence &+ UInt64(recordCount), groupOffset: recordCount,
            length: length, seed: self.seed, to: records + byteCount)
        byteCount += length
        recordCount += 1
    }
    /// False when as many wait as may.
    @inline(__always) mutating func addTicket(_ ticket: GroupTicket) -> Bool {
        guard ticketCount < ticketCapacity else { return false }
        unsafe tickets[ticketCount] = ticket
        ticketCount += 1
        return true
    }

    /// Makes the records those of the segment with this seed and pads the last block.
    mutating func seal(seed: UInt64) {
        let padding = paddedByteCount - byteCount
        unsafe (records + byteCount).initializeMemory(as: UInt8.self, repeating: 0, count: padding)
        guard seed != self.seed else { return }
        self.seed = seed
        var offset = 0
        while offset < byteCount {
            let length = recordLength(offset)
            unsafe RecordFormat.setChecksum(records + offset, length: length, seed: seed)
            offset += length
        }
    }

    /// Takes the group's records out of the table: they will not be on disk.
    func freeClaims(in dedup: inout DedupTable) {
        var offset = 0
        while offset < byteCount {
            let length = recordLength(offset)
            let bytes = unsafe ByteView(
                UnsafePointer((records + offset).assumingMemoryBound(to: UInt8.self)), count: length)
            if let record = RecordView(bytes), record.dedupWindowSeconds > 0 {
                dedup.remove(record.fingerprint, sequence: record.sequence)
            }
            offset += length
        }
    }
    private func recordLength(_ offset: Int) -> Int {
        let length = unsafe (records + offset).load(fromByteOffset: RecordFormat.Offset.length, as: UInt32.self)
        return Int(UInt32(littleEndian: length))
    }

    /// The next ticket that has not been given its receipt.
    mutating func nextTicket() -> GroupTicket? {
        guard receiptIndex < ticketCount else { return nil }
        receiptIndex += 1
        return unsafe tickets[receiptIndex - 1]
    }
}
