// Reads one answer from whatever pieces it comes in, and says when it is over. Passive.
//
// Invariants: a head that lies in one piece is read where it lies; only one that is split is put together, in the
// slot's own room; each byte is looked at by exactly one of head, body and "behind the end". Interim answers are
// skipped up to a bound. If they fail, the bytes of one answer are read as the next one's.
//
// Safety: `room` is the slot's and has `roomCapacity` bytes; bytes given to `feed` are valid for the call.

import CShims

package enum AnswerProgress: Equatable, Sendable {
    case more
    /// `isLastByte` is true exactly when nothing came behind the answer.
    case complete(isLastByte: Bool)
    /// The head is known; the body is longer than it is worth reading.
    case bodyTooLong
    case headTooLarge
    case malformed
}

@safe package struct ResponseReader {
    private enum Phase { case head, fixed, chunked, untilClose, over }

    private let room: UnsafeMutablePointer<UInt8>
    private let roomCapacity: Int
    private let bodyBytesMax: Int
    private let interimCountMax: Int
    private let chunkLimits: IngestLimits
    private var roomCount = 0
    private var phase = Phase.head
    private var parser = ResponseParser()
    private var chunks = ChunkedDecoder()
    private var remaining = 0
    private var bodyCount = 0
    private var interimCount = 0
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
        interimCountMax = limits.interimAnswerCountMax
        chunkLimits = IngestLimits()
    }
    /// True exactly when the final head is known and its body is not over.
    package var hasHead: Bool { phase != .head }
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
        interimCount = 0
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
        var place = 0
        while phase == .head {
            guard place < count else { return .more }
            let isSplit = roomCount > 0
            if isSplit {
                let taken = min(count - place, roomCapacity - roomCount)
                unsafe sluice_bytes_move(room + roomCount, bytes + place, taken)
                roomCount += taken
                place += taken
            }
            let start = unsafe isSplit ? UnsafePointer(room) : UnsafePointer(bytes + place)
            let available = isSplit ? roomCount : count - place
            let head = unsafe ByteView(start, count: available)
            switch parser.parse(head, isHead: false, fields: &fields, headBytesMax: roomCapacity) {
            case .failed: return available >= roomCapacity ? .headTooLarge : .malformed
            case .incomplete:
                // Less than the room: the parser fails a head that fills it.
                if !isSplit {
                    unsafe sluice_bytes_move(room, bytes + place, available)
                    roomCount = available
                }
                return .more
            case .complete(let found):
                if found.isInterim {
                    interimCount += 1
                    guard interimCount <= interimCountMax else { return .malformed }
                } else {
                    begin(found, wallSeconds)
                }
                // What lies behind the head in the room came in this call, so it is still in `bytes` too.
                if isSplit {
                    place -= roomCount - found.byteCount
                    roomCount = 0
                } else {
                    place += found.byteCount
                }
            }
        }
        return unsafe readBody(bytes, from: place, to: count)
    }

    @inline(__always) private mutating func keep(_ bytes: UnsafeMutablePointer<UInt8>, count: Int) {
        guard count > 0, let room = unsafe keepRoom, keepsAlways || status >= 300 else { return }
        let taken = min(count, AnswerRooms.roomBytes - Int(keptCount))
        guard taken > 0 else { return }
        unsafe sluice_bytes_move(room + Int(keptCount), bytes, taken)
        keptCount += UInt16(taken)
    }
    private mutating func begin(_ head: ResponseHead, _ wallSeconds: UInt64) {
        status = UInt16(clamping: head.status)
        keepsConnection = !head.closes
        switch head.retryAfter {
        case .seconds(let seconds): retryAfterSeconds = ResponseReader.bounded(seconds)
        case .unixSeconds(let date): retryAfterSeconds = ResponseReader.bounded(date - Int(wallSeconds))
        case nil: retryAfterSeconds = .max
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
    /// `UInt32.max` says that there is none.
    private static func bounded(_ seconds: Int) -> UInt32 { UInt32(min(max(seconds, 0), Int(UInt32.max - 1))) }

    private mutating func readBody(_ bytes: UnsafeMutablePointer<UInt8>, from: Int, to: Int) -> AnswerProgress {
        switch phase {
        case .fixed:
            let taken = min(remaining, to - from)
            unsafe keep(bytes + from, count: taken)
            guard remaining <= bodyBytesMax else { return .bodyTooLong }
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
            case .failed(let error): return error == .bodyTooLarge ? .bodyTooLong : .malformed
            }
        case .untilClose:
            unsafe keep(bytes + from, count: to - from)
            bodyCount += to - from
            return bodyCount > bodyBytesMax ? .bodyTooLong : .more
        case .over: return .complete(isLastByte: false)
        case .head: return .more
        }
    }
}
