// Reads one answer from whatever pieces it comes in, and says when it is over. Passive.
//
// A final status that could be read decides: where the strict reader gives up, the status is still taken, and with the
// end of its head the answer is over and its connection too.
//
// Invariants: a head that lies in one piece is read where it lies; only one that is split is put together, in the
// slot's own room; each byte is looked at by exactly one of head, body and "behind the end"; an answer whose framing is
// in doubt is never followed by another on its connection. Interim answers are skipped up to a bound. If they fail, the
// bytes of one answer are read as the next one's.
//
// Safety: `room` is the slot's and has `roomCapacity` bytes; bytes given to `feed` are valid for the call.

import CShims

package enum AnswerProgress: Equatable, Sendable {
    case more
    /// `isLastByte` is true exactly when nothing came behind the answer.
    case complete(isLastByte: Bool)
    /// The head is known; the rest of the body is longer than it is worth reading, or cannot be read.
    case bodyUnread
    /// Interim answers without end.
    case headTooLarge
    /// No status could be read.
    case malformed
}

@safe package struct ResponseReader {
    /// `doubtfulHead`: the strict reader has given up on it. `doubtfulBody`: nobody knows where it ends.
    private enum Phase { case head, doubtfulHead, fixed, chunked, untilClose, doubtfulBody, over }
    private enum HeadStep {
        case incomplete
        /// So many bytes of the piece were heads, the last of them interim or final.
        case ended(Int)
        case failed(AnswerProgress)
    }

    private let room: UnsafeMutablePointer<UInt8>
    private let roomCapacity: Int
    private let bodyBytesMax: Int
    private let interimBytesMax: Int
    private let chunkLimits: IngestLimits
    private var roomCount = 0
    private var phase = Phase.head
    private var parser = ResponseParser()
    private var chunks = ChunkedDecoder()
    private var remaining = 0
    private var bodyCount = 0
    private var interimBytes = 0
    /// Bytes of a doubtful head that are known not to hold its end.
    private var scannedCount = 0
    /// Of the last piece, for a `Retry-After` date.
    private var wallSeconds: UInt64 = 0
    /// True exactly when the connection ends with this answer whatever its head says.
    private var isDoubtful = false
    /// Where the body's beginning is kept; nil when nobody wants it.
    private var keepRoom: UnsafeMutablePointer<UInt8>?
    private var keepsAlways = false
    /// Bytes of it so far.
    package private(set) var keptCount: UInt16 = 0
    /// True exactly while no byte has come.
    package private(set) var isUntouched = true
    package private(set) var status: UInt16 = 0
    package private(set) var retryAfterSeconds = UInt32.max
    /// False when the answer itself says that the connection ends with it.
    package private(set) var keepsConnection = false

    /// Safety: `room` has `limits.answerHeadBytesMax` bytes and outlives the reader.
    package init(room: UnsafeMutablePointer<UInt8>, limits: EgressLimits) {
        unsafe self.room = room
        roomCapacity = limits.answerHeadBytesMax
        bodyBytesMax = limits.answerBodyBytesMax
        interimBytesMax = limits.interimAnswerBytesMax
        chunkLimits = IngestLimits()
    }
    /// True exactly when the final head is known and its body is not over.
    package var hasHead: Bool { phase != .head && phase != .doubtfulHead }
    /// True exactly when an interim answer has come.
    package var hasInterim: Bool { interimBytes > 0 }
    /// True exactly when the end of the connection is the end of the answer.
    package var endsWithConnection: Bool { phase == .untilClose }

    /// Safety: `keepRoom` has `AnswerMemory.roomBytes` bytes and outlives the answer. Only what fails is kept, or
    /// everything with `always`.
    package mutating func reset(keepingIn keepRoom: UnsafeMutablePointer<UInt8>? = nil, always: Bool = false) {
        unsafe self.keepRoom = keepRoom
        keepsAlways = always
        keptCount = 0
        roomCount = 0
        phase = .head
        parser = ResponseParser()
        interimBytes = 0
        scannedCount = 0
        isDoubtful = false
        bodyCount = 0
        isUntouched = true
        status = 0
        retryAfterSeconds = .max
        keepsConnection = false
    }
    /// Takes all `count` bytes; a chunked body's framing is removed in place.
    package mutating func feed(
        _ bytes: UnsafeMutablePointer<UInt8>, count: Int, fields: inout FieldTable, wallSeconds: UInt64
    ) -> AnswerProgress {
        if count > 0 { isUntouched = false }
        self.wallSeconds = wallSeconds
        var place = 0
        while !hasHead {
            guard place < count else { return .more }
            let isSplit = roomCount > 0
            if isSplit {
                let taken = min(count - place, roomCapacity - roomCount)
                unsafe sluice_bytes_move(room + roomCount, bytes + place, taken)
                roomCount += taken
                place += taken
            }
            let start = unsafe isSplit ? UnsafePointer(room) : UnsafePointer(bytes + place)
            let available = isSplit ? roomCount : min(count - place, roomCapacity)
            switch readHead(unsafe ByteView(start, count: available), &fields) {
            case .failed(let progress): return progress
            case .incomplete:
                // Less than the room: a head that fills it has ended or failed.
                if !isSplit {
                    unsafe sluice_bytes_move(room, bytes + place, available)
                    roomCount = available
                }
                return .more
            case .ended(let byteCount):
                // What lies behind the head in the room came in this call, so it is still in `bytes` too.
                place += isSplit ? byteCount - roomCount : byteCount
                roomCount = 0
            }
        }
        return unsafe readBody(bytes, from: place, to: count)
    }
    /// The connection has ended or the time is over: true exactly when a final status was read, which counts then.
    package mutating func settle() -> Bool {
        guard !hasHead else { return true }
        let bytes = unsafe ByteView(UnsafePointer(room), count: roomCount)
        guard case .code(let code) = DoubtfulHead.status(bytes), !ResponseHead.isInterim(code) else { return false }
        begin(doubtful: code, DoubtfulHead.retryAfter(bytes))
        return true
    }

    private mutating func readHead(_ bytes: ByteView, _ fields: inout FieldTable) -> HeadStep {
        if phase == .head {
            switch parser.parse(bytes, isHead: false, fields: &fields, headBytesMax: roomCapacity) {
            case .incomplete: return .incomplete
            case .failed: phase = .doubtfulHead
            case .complete(let head):
                if head.isDoubtful { isDoubtful = true }
                if head.isInterim { return skipInterim(head.byteCount) }
                begin(head)
                return .ended(head.byteCount)
            }
        }
        return readDoubtfulHead(bytes)
    }
    private mutating func readDoubtfulHead(_ bytes: ByteView) -> HeadStep {
        isDoubtful = true
        let isFull = bytes.count >= roomCapacity
        switch DoubtfulHead.status(bytes) {
        case .none: return .failed(.malformed)
        case .incomplete: return isFull ? .failed(.malformed) : .incomplete
        case .code(let code):
            let end = DoubtfulHead.end(bytes, scannedCount: scannedCount)
            scannedCount = bytes.count
            guard end != nil || isFull else { return .incomplete }
            if ResponseHead.isInterim(code) {
                guard let end else { return .failed(.headTooLarge) }
                return skipInterim(end)
            }
            let headEnd = end ?? bytes.count
            begin(doubtful: code, DoubtfulHead.retryAfter(bytes.slice(0, headEnd)))
            // The rest of a head that passes the room is no body.
            if end == nil { phase = .over }
            return .ended(headEnd)
        }
    }
    private mutating func skipInterim(_ byteCount: Int) -> HeadStep {
        phase = .head
        scannedCount = 0
        interimBytes += byteCount
        return interimBytes <= interimBytesMax ? .ended(byteCount) : .failed(.headTooLarge)
    }

    @inline(__always) private mutating func keep(_ bytes: UnsafeMutablePointer<UInt8>, count: Int) {
        guard count > 0, let room = unsafe keepRoom, keepsAlways || status >= 300 else { return }
        let taken = min(count, AnswerRooms.roomBytes - Int(keptCount))
        guard taken > 0 else { return }
        unsafe sluice_bytes_move(room + Int(keptCount), bytes, taken)
        keptCount += UInt16(taken)
    }
    private mutating func begin(_ head: ResponseHead) {
        begin(status: head.status, head.retryAfter)
        keepsConnection = !head.closes && !isDoubtful
        guard !head.isDoubtful else {
            phase = .doubtfulBody
            return
        }
        switch head.body {
        case .none:
            phase = .fixed
            remaining = 0
        case .length(let count):
            phase = .fixed
            remaining = count
        case .chunked:
            phase = .chunked
            chunks = ChunkedDecoder()
        case .untilClose: phase = .untilClose
        }
    }
    private mutating func begin(doubtful code: Int, _ retryAfter: ResponseHead.RetryAfter?) {
        begin(status: code, retryAfter)
        phase = .doubtfulBody
    }
    private mutating func begin(status code: Int, _ retryAfter: ResponseHead.RetryAfter?) {
        status = UInt16(clamping: code)
        switch retryAfter {
        case .seconds(let seconds): retryAfterSeconds = ResponseReader.bounded(seconds)
        case .unixSeconds(let date): retryAfterSeconds = ResponseReader.bounded(date - Int(wallSeconds))
        case nil: retryAfterSeconds = .max
        }
    }
    /// `UInt32.max` says that there is none.
    private static func bounded(_ seconds: Int) -> UInt32 { UInt32(min(max(seconds, 0), Int(UInt32.max - 1))) }

    private mutating func readBody(_ bytes: UnsafeMutablePointer<UInt8>, from: Int, to: Int) -> AnswerProgress {
        switch phase {
        case .fixed:
            let taken = min(remaining, to - from)
            unsafe keep(bytes + from, count: taken)
            guard remaining <= bodyBytesMax else { return .bodyUnread }
            remaining -= taken
            guard remaining == 0 else { return .more }
            phase = .over
            return .complete(isLastByte: from + taken == to)
        case .chunked:
            let result = unsafe chunks.decode(
                bytes, from: from, to: to, writeAt: from, bodyBytesMax: bodyBytesMax, limits: chunkLimits)
            switch result {
            case .incomplete(_, let written):
                unsafe keep(bytes + from, count: written)
                return .more
            case .complete(let consumed, let written):
                unsafe keep(bytes + from, count: written)
                phase = .over
                return .complete(isLastByte: from + consumed == to)
            case .failed: return .bodyUnread
            }
        case .untilClose:
            unsafe keep(bytes + from, count: to - from)
            bodyCount += to - from
            return bodyCount > bodyBytesMax ? .bodyUnread : .more
        case .doubtfulBody:
            unsafe keep(bytes + from, count: to - from)
            phase = .over
            return .complete(isLastByte: false)
        case .over: return .complete(isLastByte: false)
        case .head, .doubtfulHead: return .more
        }
    }
}
