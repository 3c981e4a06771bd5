// Reads the head of a request: bytes in, offsets out. Passive and resumable by length; pure functions of the bytes but
// for the place where the search stopped.
//
// Strict (RFC 9112): what two readers could take for two different messages is refused. A refusal comes as soon as
// its byte is there, whether or not the head is complete, and is the same however the bytes were split.
// Invariant: every byte before `position` is validated, and none is validated twice before the end is found; so a
// head that comes byte by byte costs a constant factor of one that comes whole.
// Safety: patterns are literals, static memory, read within their length.

package enum HeadResult: Sendable {
    case complete
    /// The bytes so far are the beginning of a valid head; call again with more. The head and the fields mean nothing
    /// yet.
    case incomplete
    case failed(HTTPError)
}

package struct HeadParser: Sendable {
    private enum Phase: UInt8 { case emptyLines, method, target, version, fields }

    private var phase = Phase.emptyLines
    private var emptyLineCount: UInt8 = 0
    private var lineStart = 0
    private var targetStart = 0
    private var position = 0
    private var authority = ByteRange.empty
    private var lines = FieldLines(from: 0)

    package init() {}

    /// `bytes` begins at the first byte of the message and has everything received so far, also what follows the head.
    /// `complete` fills `head` and `fields` and makes the parser ready for the next message; so does `failed`.
    /// `keepsFields`: in a call that goes on, `head` and `fields` are as the call before left them. Where they are not
    /// (the table has served others), the head is read once more when it is known to end.
    @_noAllocation @_noLocks package mutating func parse(
        _ bytes: ByteView, into head: inout RequestHead, fields: inout FieldTable, limits: IngestLimits,
        keepsFields: Bool = false
    ) -> HeadResult {
        let isResumed = position != 0
        if !isResumed || !keepsFields {
            head = RequestHead()
            fields.removeAll()
        }
        var result = advance(bytes, &head, &fields, limits)
        if isResumed, !keepsFields, case .complete = result {
            self = HeadParser()
            head = RequestHead()
            fields.removeAll()
            result = advance(bytes, &head, &fields, limits)
        }
        switch result {
        case .complete:
            if let error = head.frame(bytes, fields, authority: authority) { result = .failed(error) }
        case .incomplete:
            guard bytes.count >= limits.headBytesMax else { return .incomplete }
            result = .failed(.headTooLarge)
        case .failed: break
        }
        self = HeadParser()
        return result
    }

    /// The lines from where the last call stopped; what they mean together is not asked before all are there in one
    /// pass.
    private mutating func advance(
        _ bytes: ByteView, _ head: inout RequestHead, _ fields: inout FieldTable, _ limits: IngestLimits
    ) -> HeadResult {
        let end = min(bytes.count, limits.headBytesMax)
        if phase != .fields {
            let result = requestLine(bytes, end, &head, limits)
            guard case .complete = result else { return result }
            lines = FieldLines(from: position)
            phase = .fields
        }
        switch lines.advance(bytes, end: end, fields: &fields, countMax: limits.fieldCountMax) {
        case .incomplete: return .incomplete
        case .failed(let error): return .failed(error)
        case .complete(let headEnd):
            head.byteCount = headEnd
            head.fieldLines = ByteRange(start: position, count: headEnd - 2 - position)
            return .complete
        }
    }

    private mutating func requestLine(
        _ bytes: ByteView, _ end: Int, _ head: inout RequestHead, _ limits: IngestLimits
    ) -> HeadResult {
        if phase == .emptyLines {
            if let result = skipEmptyLines(bytes, end, limits) { return result }
        }
        // The running count: a line too long is refused without waiting for its end.
        let lineLimit = lineStart + limits.requestLineBytesMax
        let contentEnd = min(end, lineLimit)
        var place = position
        if phase == .method {
            while place < contentEnd, CharacterClasses.isToken(bytes[place]) { place &+= 1 }
            position = place
            guard place < contentEnd else { return place == lineLimit ? .failed(.targetTooLong) : .incomplete }
            guard bytes[place] == ASCII.space, place > lineStart else {
                return .failed(bytes[place] == ASCII.lineFeed ? .bareLineFeed : .badMethod)
            }
            place &+= 1
            targetStart = place
            phase = .target
        }
        if phase == .target {
            place = CharacterClasses.firstOutsidePrintable(bytes, from: place, to: contentEnd)
            position = place
            guard place < contentEnd else { return place == lineLimit ? .failed(.targetTooLong) : .incomplete }
            guard bytes[place] == ASCII.space else { return .failed(HeadParser.targetError(bytes[place])) }
            guard place > targetStart else { return .failed(.badRequestLine) }
            position = place &+ 1
            phase = .version
        }
        return versionAndTarget(bytes, end, &head, lineLimit)
    }
    private mutating func skipEmptyLines(_ bytes: ByteView, _ end: Int, _ limits: IngestLimits) -> HeadResult? {
        while position < end, bytes[position] == ASCII.carriageReturn {
            guard position &+ 1 < end else { return .incomplete }
            guard bytes[position &+ 1] == ASCII.lineFeed else { return .failed(.bareCarriageReturn) }
            guard Int(emptyLineCount) < limits.leadingEmptyLinesMax else { return .failed(.tooManyEmptyLines) }
            emptyLineCount &+= 1
            position &+= 2
        }
        guard position < end else { return .incomplete }
        lineStart = position
        phase = .method
        return nil
    }
    /// The last step of the request line: eight bytes of version and CRLF, then what the target means.
    @inline(__always) private mutating func versionAndTarget(
        _ bytes: ByteView, _ end: Int, _ head: inout RequestHead, _ lineLimit: Int
    ) -> HeadResult {
        let place = position
        guard place &+ 8 <= lineLimit else { return .failed(.targetTooLong) }
        if let result = versionResult(bytes, at: place, end: end) { return result }
        let minor = bytes[place &+ 7]
        guard bytes[place &+ 5] == 0x31 else { return .failed(.unsupportedVersion) }
        head.versionMinor = minor == ASCII.zero ? 0 : 1
        head.methodRange = ByteRange(start: lineStart, count: targetStart - 1 - lineStart)
        head.target = ByteRange(start: targetStart, count: place - 1 - targetStart)
        let method = bytes.slice(head.methodRange)
        head.method = Method(method)
        guard let target = Target(bytes, range: head.target, method: method) else { return .failed(.badTarget) }
        head.path = target.path
        head.query = target.query
        authority = target.authority
        position = place &+ 10
        return .complete
    }
    /// Nil when `HTTP/d.d` and CRLF are at `place`. At most ten bytes are looked at, so they are looked at again each
    /// time.
    @inline(__always) private func versionResult(_ bytes: ByteView, at place: Int, end: Int) -> HeadResult? {
        if place &+ 10 <= end {
            let word = UInt64(littleEndian: bytes.load(place, as: UInt64.self))
            let lineEnd = UInt16(littleEndian: bytes.load(place &+ 8, as: UInt16.self))
            // "HTTP/1.1" and CRLF.
            if word == 0x312E_312F_5054_5448, lineEnd == 0x0A0D { return nil }
        }
        let pattern: StaticString = "HTTP/0.0\r\n"
        for index in 0..<10 {
            guard place &+ index < end else { return .incomplete }
            let byte = bytes[place &+ index]
            let wanted = unsafe pattern.utf8Start[index]
            if byte == wanted || wanted == ASCII.zero && CharacterClasses.isDigit(byte) { continue }
            if byte == ASCII.lineFeed { return .failed(.bareLineFeed) }
            return .failed(index == 9 ? .bareCarriageReturn : .badVersion)
        }
        return nil
    }
    private static func targetError(_ byte: UInt8) -> HTTPError {
        switch byte {
        case ASCII.carriageReturn: .badRequestLine
        case ASCII.lineFeed: .bareLineFeed
        default: .badTarget
        }
    }
}

extension Method {
    /// Methods are case-sensitive (RFC 9110 §9.1).
    @inline(__always) init(_ name: ByteView) {
        switch name.count {
        case 3: self = name.equals("GET") ? .get : name.equals("PUT") ? .put : .other
        case 4: self = name.equals("POST") ? .post : name.equals("HEAD") ? .head : .other
        case 5: self = name.equals("PATCH") ? .patch : .other
        case 6: self = name.equals("DELETE") ? .delete : .other
        case 7: self = name.equals("OPTIONS") ? .options : .other
        default: self = .other
        }
    }
}
