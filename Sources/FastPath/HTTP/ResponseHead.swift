// The client's side of the codec: the head of an endpoint's answer. Passive and resumable by length, as `HeadParser`.
//
// Strict where the end of the message is in doubt: the status of an answer that could be read in two ways counts, but
// its connection is given up, because the next answer on it would be taken for another delivery's. Invariant: each
// complete head has exactly one `body`; one that is in doubt has none and closes.
// Safety: patterns are literals, static memory, read within their length.

package struct ResponseHead: Sendable {
    package enum Body: Equatable, Sendable {
        case none
        case length(Int)
        case chunked
        /// Up to the end of the connection, which therefore cannot be kept.
        case untilClose
    }
    package enum RetryAfter: Equatable, Sendable {
        case seconds(Int)
        case unixSeconds(Int)
    }

    /// Bytes from the first one to the end of the empty line.
    package var byteCount = 0
    /// 100...999. Below 200 it is not the final answer: the caller counts it, skips `byteCount` bytes and parses on.
    package var status = 0
    package var versionMinor: UInt8 = 1
    package var body = Body.none
    /// True exactly when no other request may be sent on this connection.
    package var closes = false
    /// True exactly when nobody can say where the message ends; it closes then.
    package var isDoubtful = false
    /// Nil when absent, malformed or said twice.
    package var retryAfter: RetryAfter?

    package init() {}
    package var isInterim: Bool { ResponseHead.isInterim(status) }
    /// 101 is no interim answer here: behind it no HTTP follows that could bring the final one.
    package static func isInterim(_ status: Int) -> Bool { status < 200 && status != 101 }
}

package enum ResponseResult: Sendable {
    case incomplete
    case complete(ResponseHead)
    case failed
}

package struct ResponseParser: Sendable {
    private enum Phase: UInt8 { case status, reason, fields }
    private static let statusLineBytes = 12

    private var phase = Phase.status
    private var position = 0
    private var lines = FieldLines(from: 0)

    package init() {}

    /// `bytes` begins at the first byte of the answer and has everything received so far. `isHead`: the request was
    /// HEAD, so that no body follows whatever the fields say. `complete` and `failed` make the parser ready for the
    /// next head.
    @_noAllocation @_noLocks package mutating func parse(
        _ bytes: ByteView, isHead: Bool, fields: inout FieldTable, headBytesMax: Int
    ) -> ResponseResult {
        let isResumed = position != 0
        let end = min(bytes.count, headBytesMax)
        var result = advance(bytes, end, &fields)
        if isResumed, case .complete = result {
            self = ResponseParser()
            result = advance(bytes, end, &fields)
        }
        switch result {
        case .complete(var head):
            head.frame(bytes, fields, isHead: isHead)
            result = .complete(head)
        case .incomplete:
            guard bytes.count >= headBytesMax else { return .incomplete }
            result = .failed
        case .failed: break
        }
        self = ResponseParser()
        return result
    }

    private mutating func advance(_ bytes: ByteView, _ end: Int, _ fields: inout FieldTable) -> ResponseResult {
        fields.removeAll()
        if phase == .status {
            let pattern: StaticString = "HTTP/1.0 000"
            for index in 0..<ResponseParser.statusLineBytes {
                guard index < end else { return .incomplete }
                let wanted = unsafe pattern.utf8Start[index]
                let isFitting = wanted == ASCII.zero ? CharacterClasses.isDigit(bytes[index]) : bytes[index] == wanted
                guard isFitting else { return .failed }
            }
            guard bytes[7] <= 0x31, bytes[9] != ASCII.zero else { return .failed }
            position = ResponseParser.statusLineBytes
            phase = .reason
        }
        if phase == .reason {
            // The space before an empty phrase is often left out; nothing depends on it.
            if position == ResponseParser.statusLineBytes, position < end {
                guard bytes[position] == ASCII.space || bytes[position] == ASCII.carriageReturn else { return .failed }
            }
            position = CharacterClasses.firstOutsideFieldText(bytes, from: position, to: end)
            guard position < end else { return .incomplete }
            guard bytes[position] == ASCII.carriageReturn else { return .failed }
            guard position + 1 < end else { return .incomplete }
            guard bytes[position + 1] == ASCII.lineFeed else { return .failed }
            lines = FieldLines(from: position + 2)
            phase = .fields
        }
        switch lines.advance(bytes, end: end, fields: &fields, countMax: FieldTable.usualCount) {
        case .incomplete: return .incomplete
        case .failed: return .failed
        case .complete(let headEnd):
            var head = ResponseHead()
            head.byteCount = headEnd
            head.versionMinor = bytes[7] == ASCII.zero ? 0 : 1
            head.status = Int(bytes[9]) * 100 + Int(bytes[10]) * 10 + Int(bytes[11]) - 48 * 111
            return .complete(head)
        }
    }
}

extension ResponseHead {
    /// RFC 9112 §6.3, of which only the plain readings are let through; the others are in doubt.
    fileprivate mutating func frame(_ bytes: ByteView, _ fields: borrowing FieldTable, isHead: Bool) {
        var lengthCount = 0
        var length = ByteRange.empty
        var retryCount = 0
        var codings = TransferCodings()
        var connection = ConnectionOptions()
        for index in 0..<fields.count {
            let field = fields[index]
            switch KnownField(field, in: bytes) {
            case .contentLength:
                length = field.value
                lengthCount += 1
            case .transferEncoding: codings.add(bytes.slice(field.value))
            case .connection: connection.add(bytes.slice(field.value))
            case .retryAfter:
                retryCount += 1
                retryAfter = retryCount == 1 ? RetryAfter(bytes.slice(field.value)) : nil
            case .host, .expect, nil: break
            }
        }
        closes = connection.closes(versionMinor: versionMinor)
        // A switch of protocols that nobody asked for.
        isDoubtful = status == 101
        if codings.isPresent {
            if lengthCount > 0 || versionMinor != 1 || codings.error != nil { isDoubtful = true }
            body = .chunked
        } else if lengthCount > 0 {
            if lengthCount == 1, let count = FieldRules.contentLength(bytes.slice(length)) {
                body = .length(count)
            } else {
                isDoubtful = true
            }
        } else {
            body = .untilClose
        }
        let isBodiless = isInterim || status == 204 || status == 304
        // Framing where there can be none (RFC 9110 §8.6): before the final answer it hides where that begins; in it,
        // the peer may send what nobody reads, so the connection ends here.
        if isBodiless, status != 304, body == .chunked || lengthCount > 0 && body != .length(0) {
            if isInterim { isDoubtful = true }
            if !isHead { closes = true }
        }
        if isHead || isBodiless || isDoubtful { body = .none }
        if body == .untilClose || isDoubtful { closes = true }
    }
}

extension ResponseHead.RetryAfter {
    /// Seconds, or a date (RFC 9110 §10.2.3); nil when it is neither.
    init?(_ value: ByteView) {
        if let count = FieldRules.number(value) {
            self = .seconds(count)
        } else if let time = HTTPDate.parse(value) {
            self = .unixSeconds(time)
        } else {
            return nil
        }
    }
}
