// Reads the records of one segment forward, in an own buffer, and finds the way again behind bytes that do not verify.
// Recovery, readers and `log check` all read through here, so they cannot disagree about what is a record.
//
// Invariant: a record is handed out only when its lengths add up, its checksum is that of this segment and its sequence
// is the expected one; anything else is a `DamageSpan`. Memory is one buffer; a record that is larger gets a larger
// buffer, which is given back at the next small one.
// Safety: views point into the buffer and are valid until the next call; every read is inside `limit`.

import CShims

package struct DamageSpan: Equatable, Sendable {
    /// Where the expected record should have started, and how much there is that does not verify.
    package var offset: Int
    package var byteCount: Int
    /// The sequence that was expected there.
    package var firstSequence: UInt64
    /// The first valid record behind it and the first of that one's commit group; nil when there is none in the
    /// segment.
    package var nextSequence: UInt64?
    package var nextGroupFirst: UInt64?
    /// True exactly when a whole 512-byte sector of it is zero, as a torn write leaves it and a flipped bit does not.
    /// Not of one that says it is erased: its zeros are its own, and it was committed before.
    package var hasZeroSector: Bool
    /// True exactly when the disk gave an error for part of it.
    package var isUnreadable: Bool
}

@safe struct SegmentScanner: ~Copyable {
    enum Step {
        case record(RecordView, offset: Int)
        /// Bytes that are not the expected record.
        case invalid
        /// Zeros at a block boundary, or no room for another record.
        case end
    }
    static let sectorBytes = 512
    /// How far behind a record that follows damage is looked for the same one in its place.
    private static let lookAheadBytes = 4 << 20

    private var buffer: UnsafeMutablePointer<UInt8>
    private var bufferCapacity: Int
    private let bufferBytes: Int
    private var bufferStart = 0
    private var bufferCount = 0
    private var file: Int32 = -1
    private(set) var seed: UInt64 = 0
    private var segment: UInt64 = 0
    // What is being erased is read as what it becomes; nil = the bytes as they are.
    private var erasures: LogErasures?
    private var generation: UInt64 = 0
    private(set) var limit = 0
    // Blocks that could not be read are taken as 0xFF, which verifies nowhere.
    private var unreadableStart = Int.max
    private var unreadableEnd = 0
    /// Where the next record starts, and its sequence.
    private(set) var offset = 0
    private(set) var expected: UInt64 = 0
    // End of the last record when zeros were skipped to get to `offset`, else equal to it.
    private var recordEnd = 0
    // The last `recordEnd` behind which no record was found, and the file was read again.
    private var readAnewAt = -1
    /// Bytes behind this place are not read ahead; they may not be written yet.
    var readAheadEnd = Int.max

    init(bufferBytes: Int) {
        precondition(bufferBytes >= RecordFormat.blockBytes && bufferBytes % RecordFormat.blockBytes == 0)
        self.bufferBytes = bufferBytes
        bufferCapacity = bufferBytes
        unsafe buffer = .allocate(capacity: bufferBytes)
    }
    deinit { unsafe buffer.deallocate() }

    /// `byteCount` is the file's size, which is less than the header says when it was truncated.
    mutating func attach(
        file: Int32, header: SegmentHeader, byteCount: Int, offset: Int, expected: UInt64, erasures: LogErasures?
    ) {
        self.file = file
        self.erasures = erasures
        generation = erasures?.generation ?? 0
        segment = header.firstSequence
        seed = header.seed
        limit = min(Int(clamping: header.segmentBytes), byteCount)
        self.offset = offset
        recordEnd = offset
        self.expected = expected
        unreadableStart = .max
        unreadableEnd = 0
        readAnewAt = -1
        dropBuffer()
    }
    /// Forgets what was read ahead: the writer may have written there since.
    mutating func dropBuffer() {
        bufferCount = 0
        // Zeros that were skipped may have been an unfinished write.
        offset = recordEnd
    }

    /// Anything but a record is believed when it has been read again. What was read ahead may be older than what was
    /// written since, here and in the page cache: the log is written past that, and a page that was being read then
    /// may hold what was there before (open(2), O_DIRECT, on mixing the two).
    mutating func next() -> Step {
        if let now = erasures?.generation, now != generation {
            // What was read ahead may have the old bytes of what is erased since.
            generation = now
            dropBuffer()
        }
        while true {
            let step = nextAsRead()
            if case .record = step { return step }
            guard readAnewAt != recordEnd else { return step }
            readAnewAt = recordEnd
            erasures?.refresh()
            sluice_file_forget_cache(file)
            dropBuffer()
        }
    }
    @inline(__always) private mutating func nextAsRead() -> Step {
        while offset + RecordFormat.headerBytes <= limit {
            if window(offset, RecordFormat.headerBytes)[RecordFormat.Offset.kind] == 0 {
                if offset % RecordFormat.blockBytes == 0 { return .end }
                offset = RecordFormat.roundUp(offset, to: RecordFormat.blockBytes)
                continue
            }
            guard let record = valid(offset), record.sequence == expected else { return .invalid }
            let start = offset
            offset += record.length
            recordEnd = offset
            expected = expected &+ 1
            return .record(record, offset: start)
        }
        return .end
    }

    /// The record at `place` when it verifies.
    private mutating func valid(_ place: Int) -> RecordView? {
        let head = window(place, RecordFormat.headerBytes)
        let length = Int(UInt32(littleEndian: head.load(RecordFormat.Offset.length, as: UInt32.self)))
        guard head[RecordFormat.Offset.kind] == RecordFormat.kindEvent, length >= RecordFormat.headerBytes,
            length % RecordFormat.alignment == 0, place + length <= limit
        else { return nil }
        guard let record = RecordView(window(place, length)) else { return nil }
        guard record.verifies(seed: seed) || isPlanted(.trustTornTail) else { return nil }
        return record
    }

    // MARK: Behind damage

    /// Looks behind `offset` for the next valid record; the scanner stands before it then, or at the end. Nil when all
    /// that follows is zero. O(rest of the segment), for damage and for the tail of the last segment.
    ///
    /// Where `next` passed over zeros to the next block, a record that verifies among them says that these were the
    /// sector of the expected one's header: it is found by its checksum alone, at any multiple of 8, as everywhere.
    mutating func search() -> DamageSpan? {
        var lastNonZero = -1
        var foundAt = firstRecord(recordEnd, min(offset, limit), from: recordEnd, &lastNonZero)
        let start = foundAt == nil ? offset : recordEnd
        let claimsRecord = start + RecordFormat.headerBytes <= limit && looksLikeExpected(start)
        let claimsErased =
            claimsRecord
            && window(start, RecordFormat.headerBytes)[RecordFormat.Offset.flags] & RecordFormat.flagErased != 0
        let claimedEnd = claimsRecord ? start + claimedLength(start) : start
        if foundAt == nil {
            // What the padding holds is no record's.
            lastNonZero = -1
            foundAt = firstRecord(start, limit, from: start, &lastNonZero)
        }
        let found = foundAt.flatMap { valid($0) }
        guard found != nil || lastNonZero >= 0 else { return nil }
        var span = DamageSpan(
            offset: start, byteCount: 0, firstSequence: expected, nextSequence: found?.sequence,
            nextGroupFirst: found.map { $0.sequence &- UInt64($0.groupOffset) }, hasZeroSector: false,
            isUnreadable: false)
        // A torn record at the very end: its missing sectors are part of it, though they look like the zeros behind it.
        let spanEnd = foundAt ?? max(min(lastNonZero, limit), claimedEnd)
        // Zeros before `offset` are padding when a group was to begin here, and a lost header when the expected record
        // belonged to the group before it, which has no padding inside.
        let groupBegins = span.nextGroupFirst.map { $0 >= expected } ?? claimsRecord
        if !groupBegins { span.offset = recordEnd }
        span.byteCount = spanEnd - span.offset
        expected = span.nextSequence ?? expected
        offset = foundAt ?? limit
        recordEnd = offset
        span.isUnreadable = span.offset < unreadableEnd && unreadableStart < spanEnd
        span.hasZeroSector = !claimsErased && hasZeroSector(span.offset, spanEnd)
        return span
    }
    /// Where the first record in `place..<end` begins that can follow what ends at `start`. Nil when there is none;
    /// `lastNonZero` is then behind the last bytes there that are not zero, or as it was.
    private mutating func firstRecord(_ place: Int, _ end: Int, from start: Int, _ lastNonZero: inout Int) -> Int? {
        var place = place
        while place + 8 <= end {
            let chunk = window(place, min(64, end - place))
            let chunkEnd = place + (chunk.count & ~7)
            if !isZero(chunk) {
                lastNonZero = place + chunk.count
                while place < chunkEnd {
                    if isCandidate(place), belongs(place, from: start), valid(place) != nil { return place }
                    place += 8
                }
            }
            place = chunkEnd
        }
        return nil
    }
    /// A record that was written to a wrong place verifies there too. It is taken for what comes next only when those
    /// that are missing before it can have lain between, and it does not come again where it belongs: else all that is
    /// whole between its two places would be passed over.
    private mutating func belongs(_ place: Int, from start: Int) -> Bool {
        let sequence = sequence(place)
        let missing = sequence &- expected
        guard missing > 0 else { return true }
        guard missing <= UInt64((place - start) / RecordFormat.headerBytes), valid(place) != nil else { return false }
        let end = min(limit - RecordFormat.headerBytes, place + SegmentScanner.lookAheadBytes)
        for other in stride(from: place + RecordFormat.headerBytes, through: end, by: RecordFormat.alignment)
        where self.sequence(other) == sequence && valid(other) != nil { return false }
        return true
    }
    private mutating func sequence(_ place: Int) -> UInt64 {
        let head = window(place, RecordFormat.headerBytes)
        return UInt64(littleEndian: head.load(RecordFormat.Offset.sequence, as: UInt64.self))
    }
    private mutating func isCandidate(_ place: Int) -> Bool {
        guard place + RecordFormat.headerBytes <= limit else { return false }
        let kind = window(place, RecordFormat.headerBytes)[RecordFormat.Offset.kind]
        guard kind == RecordFormat.kindEvent else { return false }
        let sequence = sequence(place)
        return sequence >= expected && sequence &- expected <= UInt64(limit / RecordFormat.headerBytes)
    }
    /// The length in a header whose counts add up to it, else 0.
    private mutating func claimedLength(_ place: Int) -> Int {
        let head = window(place, RecordFormat.headerBytes)
        let length = Int(UInt32(littleEndian: head.load(RecordFormat.Offset.length, as: UInt32.self)))
        guard length >= RecordFormat.headerBytes, place + length <= limit else { return 0 }
        return RecordView(window(place, length))?.length ?? 0
    }
    private mutating func looksLikeExpected(_ place: Int) -> Bool {
        let head = window(place, RecordFormat.headerBytes)
        let sequence = UInt64(littleEndian: head.load(RecordFormat.Offset.sequence, as: UInt64.self))
        let version = UInt16(littleEndian: head.load(RecordFormat.Offset.version, as: UInt16.self))
        let isEvent = head[RecordFormat.Offset.kind] == RecordFormat.kindEvent
        return sequence == expected || (isEvent && version == RecordFormat.version)
    }
    private mutating func hasZeroSector(_ start: Int, _ end: Int) -> Bool {
        var sector = start - start % SegmentScanner.sectorBytes
        while sector < end {
            if isZero(window(sector, min(SegmentScanner.sectorBytes, limit - sector))) { return true }
            sector += SegmentScanner.sectorBytes
        }
        return false
    }
    @inline(__always) private func isZero(_ view: ByteView) -> Bool {
        var index = 0
        var all: UInt64 = 0
        while index + 8 <= view.count {
            all |= view.load(index, as: UInt64.self)
            index += 8
        }
        while index < view.count {
            all |= UInt64(view[index])
            index += 1
        }
        return all == 0
    }

    // MARK: Bytes

    /// `count` bytes at `place`, all inside `limit`.
    @inline(__always) private mutating func window(_ place: Int, _ count: Int) -> ByteView {
        precondition(place >= 0 && place + count <= limit)
        if place < bufferStart || place + count > bufferStart + bufferCount { fill(place, count) }
        return unsafe ByteView(UnsafePointer(buffer) + (place - bufferStart), count: count)
    }
    @inline(never) private mutating func fill(_ place: Int, _ count: Int) {
        let start = place - place % RecordFormat.blockBytes
        let needed = RecordFormat.roundUp(place + count - start, to: RecordFormat.blockBytes)
        let wanted = max(needed, bufferBytes)
        if wanted != bufferCapacity {
            unsafe buffer.deallocate()
            unsafe buffer = .allocate(capacity: wanted)
            bufferCapacity = wanted
        }
        let ahead = min(limit, max(start + needed, min(start + wanted, readAheadEnd)))
        bufferStart = start
        bufferCount = ahead - start
        var done = 0
        while done < bufferCount {
            let more = unsafe Int(sluice_file_read(file, buffer + done, bufferCount - done, UInt64(start + done)))
            if more > 0 {
                done += more
                continue
            }
            // The file ended early (0) or the disk could not read: one block of nothing, then on.
            let block = min(RecordFormat.blockBytes - (start + done) % RecordFormat.blockBytes, bufferCount - done)
            unsafe (buffer + done).update(repeating: more < 0 ? 0xFF : 0, count: block)
            if more < 0 {
                unreadableStart = min(unreadableStart, start + done)
                unreadableEnd = max(unreadableEnd, start + done + block)
            }
            done += block
        }
        unsafe erasures?.cover(buffer, segment: segment, seed: seed, start: start, count: bufferCount)
    }
}
