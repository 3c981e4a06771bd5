// The bytes of one connection's requests, from the first of a head to the last of a body: passive, bytes in, steps out.
// A request that comes whole is read where it lies; one that comes in pieces is put together in a block, and what was
// read of its head waits in the same block, so that no head is parsed twice.
//
//     block: [ start ..< end: the request being assembled or answered, then what is pipelined behind it … fields ]
//
// Invariants: between `start` and `end` lie exactly the bytes that came and were not dropped, without a chunked body's
// framing; `hasHead` exactly when the head of the request at `start` is complete; the fields at the block's end, as
// many as `savedFieldCount`, are those of that head as far as it was read. Room goes by what came: a length that is
// announced takes four times that at most, for a promise costs nothing to make. If these fail, one request is read with
// another's fields.
//
// Safety: pointers into a block are used before it moves or goes home; offsets stay within the block's size, which
// `reserve` has checked.

package enum AssemblyStep: Equatable, Sendable {
    /// More bytes must come.
    case more
    /// Nothing but empty lines is there, which begin no request (RFC 9112 §2.2).
    case emptyLines
    /// The head is complete: say where it goes (`route`), then go on.
    case head
    /// The request is complete in the block, and the fields are its own.
    case request
    /// A body that is thrown away has ended.
    case discarded
    case failed(HTTPError)
    case noRoom
}

@safe package struct RequestAssembly: Sendable {
    /// A request up to this size finds room while larger ones do not.
    static let smallBlockBytes = 16_384

    private var block = ArenaBlock.none
    private var start = 0
    private var end = 0
    private var parser = HeadParser()
    package private(set) var head = RequestHead()
    private var chunks = ChunkedDecoder()
    package private(set) var hasHead = false
    /// The body is read and thrown away.
    private var isDiscarding = false
    private(set) var bodyBytesMax = 0
    /// Body bytes that lie behind the head (chunked), or that were thrown away.
    private var bodyCount = 0
    /// Bytes at `start` that the request being answered has taken; 0 when it was read where it came.
    private var takenCount = 0
    /// -1 = none are saved: the loop's table has them, or nothing was read yet.
    private var savedFieldCount = -1

    package init() {}

    package var hasInput: Bool { !block.isNone }
    /// The request lies in the block, not where it came.
    var isInBlock: Bool { takenCount > 0 }
    /// Bytes that wait behind the request being answered.
    package var waitingCount: Int { end - start - takenCount }

    // MARK: a request in a receive buffer

    /// The head of a request that begins where nothing waits. Fields are this head's, as far as it came.
    @inline(__always) mutating func readHead(
        _ bytes: ByteView, _ fields: inout FieldTable, _ limits: IngestLimits
    ) -> AssemblyStep {
        switch parser.parse(bytes, into: &head, fields: &fields, limits: limits, keepsFields: true) {
        case .complete:
            hasHead = true
            return .head
        case .incomplete: return RequestAssembly.isEmptyLines(bytes) ? .emptyLines : .more
        case .failed(let error): return .failed(error)
        }
    }
    /// The bytes of the whole request in `count` that came, -1 when its end is not there or its body is chunked.
    @inline(__always) func wholeCount(_ count: Int) -> Int {
        let whole = head.byteCount + head.contentLength
        return head.isChunked || whole > count ? -1 : whole
    }
    /// What the request may have, or that it is thrown away.
    @inline(__always) package mutating func route(bodyBytesMax: Int, discards: Bool) {
        self.bodyBytesMax = bodyBytesMax
        isDiscarding = discards
    }
    var announcesTooMuch: Bool { hasHead && !head.isChunked && head.contentLength > bodyBytesMax }
    private static func isEmptyLines(_ bytes: ByteView) -> Bool {
        guard bytes.count <= 4, bytes.count % 2 == 0 else { return false }
        return (0..<bytes.count).allSatisfy { bytes[$0] == ($0 % 2 == 0 ? ASCII.carriageReturn : ASCII.lineFeed) }
    }
    /// Keeps the beginning of a request, and its fields. False when there is no memory.
    mutating func keepBeginning(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, _ fields: borrowing FieldTable, _ arena: inout BuddyArena
    ) -> Bool {
        guard reserve(count + missingRoom(count), fieldCount: fields.count, &arena) else { return false }
        unsafe put(bytes, count, arena)
        save(fields, arena)
        return true
    }

    // MARK: a request in the block

    /// The request that is complete comes again later, by `advance`, with its fields. False when there is no memory.
    mutating func park(_ fields: borrowing FieldTable, _ arena: inout BuddyArena) -> Bool {
        precondition(takenCount > 0)
        guard reserve(0, fieldCount: fields.count, &arena) else { return false }
        save(fields, arena)
        return true
    }
    /// Puts bytes behind those that wait. False when there is no memory.
    package mutating func append(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ arena: inout BuddyArena) -> Bool {
        guard reserve(count, fieldCount: savedFieldCount, &arena) else { return false }
        unsafe put(bytes, count, arena)
        return true
    }
    /// Goes on with what is there.
    package mutating func advance(
        _ fields: inout FieldTable, _ arena: inout BuddyArena, _ limits: IngestLimits
    ) -> AssemblyStep {
        if takenCount > 0 {
            load(into: &fields, arena)
            return .request
        }
        if !hasHead { return advanceHead(&fields, &arena, limits) }
        if head.isChunked { return advanceChunks(&fields, &arena, limits) }
        return isDiscarding ? discard() : advanceLength(&fields, &arena)
    }
    private mutating func advanceHead(
        _ fields: inout FieldTable, _ arena: inout BuddyArena, _ limits: IngestLimits
    ) -> AssemblyStep {
        fields.removeAll()
        load(into: &fields, arena)
        // What is read now is newer than what was saved.
        savedFieldCount = -1
        let step = readHead(input(arena), &fields, limits)
        guard step == .more else { return step }
        return reserve(0, fieldCount: fields.count, &arena) ? saved(fields, arena) : .noRoom
    }
    private mutating func saved(_ fields: borrowing FieldTable, _ arena: borrowing BuddyArena) -> AssemblyStep {
        save(fields, arena)
        return .more
    }
    private mutating func advanceLength(_ fields: inout FieldTable, _ arena: inout BuddyArena) -> AssemblyStep {
        let available = end - start
        let needed = head.byteCount + head.contentLength
        guard available < needed else {
            takenCount = needed
            bodyCount = head.contentLength
            load(into: &fields, arena)
            return .request
        }
        let fieldCount = savedFieldCount >= 0 ? savedFieldCount : fields.count
        guard reserve(missingRoom(available), fieldCount: fieldCount, &arena) else { return .noRoom }
        if savedFieldCount < 0 { save(fields, arena) }
        return .more
    }
    private mutating func advanceChunks(
        _ fields: inout FieldTable, _ arena: inout BuddyArena, _ limits: IngestLimits
    ) -> AssemblyStep {
        // Everything raw before this was decoded and dropped, so the raw bytes lie right behind the decoded ones.
        let writeAt = start + head.byteCount + bodyCount
        switch unsafe chunks.decode(
            arena.pointer(block), from: writeAt, to: end, writeAt: writeAt, bodyBytesMax: bodyBytesMax, limits: limits)
        {
        case .failed(let error): return .failed(error)
        case .incomplete(_, let written):
            if !isDiscarding { bodyCount += written }
            // A body that is thrown away takes no room: the next bytes overwrite it.
            end = isDiscarding ? writeAt : writeAt + written
            guard savedFieldCount < 0, !isDiscarding else { return .more }
            return reserve(0, fieldCount: fields.count, &arena) ? saved(fields, arena) : .noRoom
        case .complete(let consumed, let written):
            bodyCount += written
            takenCount = writeAt + consumed - start
            if isDiscarding { return .discarded }
            load(into: &fields, arena)
            return .request
        }
    }
    /// Throws the body away as it comes; the block keeps only the head.
    private mutating func discard() -> AssemblyStep {
        let got = min(end - start - head.byteCount, head.contentLength - bodyCount)
        bodyCount += got
        if bodyCount < head.contentLength {
            end -= got
            return .more
        }
        takenCount = head.byteCount + got
        return .discarded
    }

    /// Where the request that lies in the block begins.
    package func base(_ arena: borrowing BuddyArena) -> UnsafePointer<UInt8> {
        unsafe UnsafePointer(arena.pointer(block) + start)
    }
    /// What waits, the request being answered included.
    package func input(_ arena: borrowing BuddyArena) -> ByteView { unsafe ByteView(base(arena), count: end - start) }
    /// Valid at `request`.
    package func body(_ arena: borrowing BuddyArena) -> ByteView {
        unsafe ByteView(base(arena) + head.byteCount, count: bodyCount)
    }
    /// Drops `count` bytes in front of a request: a preamble's.
    mutating func dropFront(_ count: Int, _ arena: inout BuddyArena) {
        precondition(!hasHead && takenCount == 0 && count <= end - start)
        start += count
        if start == end { drop(&arena) }
    }

    // MARK: after the request

    /// The request is answered: its bytes go, the next one begins. An empty block goes home.
    package mutating func nextRequest(_ arena: inout BuddyArena) {
        start += takenCount
        precondition(start <= end)
        begin()
        if start == end { drop(&arena) }
    }
    /// Where nothing waits.
    @inline(__always) mutating func begin() {
        parser = HeadParser()
        head.byteCount = 0
        chunks = ChunkedDecoder()
        hasHead = false
        isDiscarding = false
        bodyCount = 0
        takenCount = 0
        savedFieldCount = -1
    }
    /// Empty lines go, and what was read of them.
    mutating func reset(_ arena: inout BuddyArena) {
        drop(&arena)
        begin()
    }
    package mutating func drop(_ arena: inout BuddyArena) {
        if !block.isNone { arena.give(block) }
        block = .none
        start = 0
        end = 0
        takenCount = 0
        savedFieldCount = -1
    }
    /// The block, when nothing but the request that was just completed lies in it: it is the caller's then. `extra`
    /// bytes must fit behind the request.
    mutating func handOver(extra: Int) -> (block: ArenaBlock, start: Int)? {
        guard takenCount > 0, end - start == takenCount, end + extra <= block.byteCount else { return nil }
        let handed = (block, start)
        block = .none
        start = 0
        end = 0
        takenCount = 0
        savedFieldCount = -1
        return handed
    }
    /// The request that was just completed is kept elsewhere: only what waits behind it stays.
    mutating func dropTaken(_ arena: inout BuddyArena) {
        guard takenCount > 0 else { return }
        start += takenCount
        takenCount = 0
        savedFieldCount = -1
        if start == end { drop(&arena) }
    }

    // MARK: room

    private func missingRoom(_ available: Int) -> Int {
        guard hasHead, !head.isChunked, !isDiscarding else { return 0 }
        return max(0, min(head.byteCount + head.contentLength - available, 3 * available))
    }
    private mutating func put(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ arena: borrowing BuddyArena) {
        unsafe (arena.pointer(block) + end).update(from: bytes, count: count)
        end += count
    }
    /// Makes room for `bytes` more and `fieldCount` fields, in one move when it must move.
    private mutating func reserve(_ bytes: Int, fieldCount: Int, _ arena: inout BuddyArena) -> Bool {
        let fieldBytes = FieldTable.byteCount(max(fieldCount, savedFieldCount, 0))
        if block.byteCount - end - fieldBytes >= bytes { return true }
        let used = end - start
        if block.byteCount - used - fieldBytes >= bytes {
            let base = unsafe arena.pointer(block)
            unsafe base.update(from: base + start, count: used)
        } else {
            let fresh = RequestAssembly.takeBlock(used + bytes + fieldBytes, &arena)
            guard !fresh.isNone else { return false }
            if !block.isNone { move(used, to: fresh, &arena) }
            block = fresh
        }
        start = 0
        end = used
        return true
    }
    private func move(_ used: Int, to fresh: ArenaBlock, _ arena: inout BuddyArena) {
        let saved = FieldTable.byteCount(max(savedFieldCount, 0))
        let old = unsafe arena.pointer(block)
        let new = unsafe arena.pointer(fresh)
        unsafe new.update(from: old + start, count: used)
        unsafe (new + fresh.byteCount - saved).update(from: old + block.byteCount - saved, count: saved)
        arena.give(block)
    }
    /// Of the memory for assembly a part is kept for small requests: large ones that trickle in cannot take all of it.
    private static func takeBlock(_ byteCount: Int, _ arena: inout BuddyArena) -> ArenaBlock {
        let kept = byteCount <= smallBlockBytes ? 0 : min(arena.byteCount / 8, arena.byteCount - arena.blockBytesMax)
        return arena.freeBytes - byteCount >= kept ? arena.take(bytes: byteCount) : .none
    }

    // MARK: fields

    private mutating func save(_ fields: borrowing FieldTable, _ arena: borrowing BuddyArena) {
        guard !isDiscarding else { return }
        savedFieldCount = fields.count
        let bytes = FieldTable.byteCount(savedFieldCount)
        unsafe fields.save(to: arena.pointer(block) + block.byteCount - bytes)
    }
    private func load(into fields: inout FieldTable, _ arena: borrowing BuddyArena) {
        guard savedFieldCount >= 0 else { return }
        let bytes = FieldTable.byteCount(savedFieldCount)
        unsafe fields.load(arena.pointer(block) + block.byteCount - bytes, count: savedFieldCount)
    }
}
