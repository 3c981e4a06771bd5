// The answers of the ingest port, rendered into the caller's memory: one pass, no allocation.
//
// Invariants: nothing is written beyond `capacity` (it traps instead); each answer has a length, or is one that has
// no body by its status, so the next answer on the connection begins where the client looks for it. Text that reaches
// a body comes from our own enums, whose letters need no escape (asserted by a test).
// Safety: `memory` is writable for `capacity` bytes, for the call.

/// What became of a request that holds several events.
package struct BatchReply: Sendable {
    /// Of the request in the log; nil when nothing of it was kept, or it may become another event's yet.
    package var id: EventID?
    package var count: Int
    package var duplicateCount: Int
    var isDuplicate: Bool { count > 0 && duplicateCount == count }

    package init(id: EventID?, count: Int, duplicateCount: Int) {
        self.id = id
        self.count = count
        self.duplicateCount = duplicateCount
    }
}

/// What an answer says beside its body.
package struct Reply: Sendable {
    package enum ContentType: Sendable { case json, text }
    /// What became of an event that is in the log.
    package enum EventStatus: Sendable { case accepted, duplicate }

    /// The head's bytes at most: 46 of status line, 37 of date, 160 of the fixed fields, 3 × 20 of numbers, and
    /// `Allow`, `WWW-Authenticate`, `Sluice-Durability` and a content type of the caller's own with `textBytesMax`
    /// each. A 401 has no `Allow`.
    package static let headBytesMax = 512
    package static let textBytesMax = 64
    /// The largest answer without a body of the caller's own.
    package static let byteCountMax = headBytesMax + 3 * textBytesMax
    /// What a client that sent `Expect: 100-continue` waits for; never to HTTP/1.0.
    package static let continueText: StaticString = "HTTP/1.1 100 Continue\r\n\r\n"

    package var status: Int
    package var contentType = ContentType.json
    /// A content type of the caller's own, instead of `contentType`; at most `textBytesMax`.
    package var ownContentType: ByteView?
    /// Whole header lines of the caller's own, each with its CRLF; they count as body where room is reckoned.
    package var lines = ByteView.empty
    /// True exactly when the connection is closed behind this answer.
    package var closes = false
    /// True exactly when an HTTP/1.0 client's connection is kept, which that version must be told.
    package var keepsVersion10 = false
    /// The request was HEAD: the length is told, the body is not sent.
    package var isHead = false
    /// 0: no `Retry-After`.
    package var retryAfterSeconds = 0
    /// The methods of a 405, as `Allow` lists them.
    package var allow: ByteView?
    /// The challenges of a 401, as `WWW-Authenticate` lists them (RFC 9110 §15.5.2); empty where none is registered.
    package var authenticate = ByteView.empty
    /// How safe the event is: the value of `Sluice-Durability`.
    package var durability: StaticString?

    package init(status: Int) { self.status = status }
    /// The answer to a message that the codec refused: closes.
    package init(_ error: HTTPError) {
        status = error.status
        closes = true
    }

    /// Any body. Needs `headBytesMax` and the counts of body and `lines` of room. Returns the bytes written.
    @_noAllocation @_noLocks package func write(
        _ body: ByteView, date: DateCache, to memory: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> Int {
        var writer = unsafe ByteWriter(memory, capacity: capacity)
        writeHead(bodyCount: body.count, date, &writer)
        if sendsBody { writer.append(body) }
        return writer.count
    }
    /// `{"status":"accepted","id":"evt_…"}`, or without the id while it may become another event's. Needs
    /// `byteCountMax` of room.
    @_noAllocation @_noLocks package func writeEvent(
        _ outcome: EventStatus, id: EventID?, date: DateCache, to memory: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> Int {
        let start: StaticString = outcome == .accepted ? #"{"status":"accepted""# : #"{"status":"duplicate""#
        let bodyCount = start.utf8CodeUnitCount + Reply.byteCount(of: id) + 1
        var writer = unsafe ByteWriter(memory, capacity: capacity)
        writeHead(bodyCount: bodyCount, date, &writer)
        if sendsBody {
            writer.append(start)
            Reply.append(id, to: &writer)
            writer.append("}")
        }
        return writer.count
    }
    private static let idStart: StaticString = #","id":""#
    private static func byteCount(of id: EventID?) -> Int {
        id == nil ? 0 : idStart.utf8CodeUnitCount + EventID.byteCount + 1
    }
    private static func append(_ id: EventID?, to writer: inout ByteWriter) {
        guard let id else { return }
        writer.append(idStart)
        writer.append(id)
        writer.append(ASCII.quote)
    }
    /// `{"status":"accepted","id":"evt_…","events":5,"duplicates":2}`. Needs `byteCountMax` of room.
    @_noAllocation @_noLocks package func writeBatch(
        _ batch: BatchReply, date: DateCache, to memory: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> Int {
        let start: StaticString = batch.isDuplicate ? #"{"status":"duplicate""# : #"{"status":"accepted""#
        let events: StaticString = #","events":"#
        let duplicates: StaticString = #","duplicates":"#
        let bodyCount =
            start.utf8CodeUnitCount + Reply.byteCount(of: batch.id) + events.utf8CodeUnitCount
            + Reply.digitCount(batch.count) + duplicates.utf8CodeUnitCount + Reply.digitCount(batch.duplicateCount)
            + 1
        var writer = unsafe ByteWriter(memory, capacity: capacity)
        writeHead(bodyCount: bodyCount, date, &writer)
        if sendsBody {
            writer.append(start)
            Reply.append(batch.id, to: &writer)
            writer.append(events)
            writer.append(number: batch.count)
            writer.append(duplicates)
            writer.append(number: batch.duplicateCount)
            writer.append("}")
        }
        return writer.count
    }
    private static func digitCount(_ number: Int) -> Int {
        var rest = number
        var count = 1
        while rest >= 10 {
            rest /= 10
            count += 1
        }
        return count
    }
    /// `{"status":"rejected","reason":"…"}`; `reason` is a raw value of one of our enums. Needs `byteCountMax` of room.
    package func writeRejected(
        reason: String, date: DateCache, to memory: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> Int {
        let start: StaticString = #"{"status":"rejected","reason":""#
        let end: StaticString = #""}"#
        let reasonCount = reason.utf8.count
        precondition(reasonCount <= Reply.textBytesMax)
        var writer = unsafe ByteWriter(memory, capacity: capacity)
        writeHead(bodyCount: start.utf8CodeUnitCount + reasonCount + end.utf8CodeUnitCount, date, &writer)
        if sendsBody {
            writer.append(start)
            for byte in reason.utf8 { writer.append(byte) }
            writer.append(end)
        }
        return writer.count
    }

    /// `{"id":"evt_…","status":"accepted"}` and a line's end, as the control API answers a published event. Needs
    /// `byteCountMax` and the count of `lines` of room.
    @_noAllocation @_noLocks package func writePublished(
        _ outcome: EventStatus, id: EventID, date: DateCache, to memory: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> Int {
        let start: StaticString = #"{"id":""#
        let end: StaticString =
            outcome == .accepted ? "\",\"status\":\"accepted\"}\n" : "\",\"status\":\"duplicate\"}\n"
        var writer = unsafe ByteWriter(memory, capacity: capacity)
        writeHead(bodyCount: start.utf8CodeUnitCount + EventID.byteCount + end.utf8CodeUnitCount, date, &writer)
        if sendsBody {
            writer.append(start)
            writer.append(id)
            writer.append(end)
        }
        return writer.count
    }
    /// `{"code":"…","detail":"…"}`, as the control API says it; both are raw values of our enums, or as plain. Needs
    /// `byteCountMax` of room.
    package func writeFault(
        code: String, detail: String, date: DateCache, to memory: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> Int {
        let (start, middle, end): (StaticString, StaticString, StaticString) = (
            #"{"code":""#, #"","detail":""#, #""}"#
        )
        let (codeCount, detailCount) = (code.utf8.count, detail.utf8.count)
        precondition(codeCount <= Reply.textBytesMax && detailCount <= Reply.textBytesMax)
        let fixedCount = start.utf8CodeUnitCount + middle.utf8CodeUnitCount + end.utf8CodeUnitCount
        var writer = unsafe ByteWriter(memory, capacity: capacity)
        writeHead(bodyCount: fixedCount + codeCount + detailCount, date, &writer)
        if sendsBody {
            writer.append(start)
            for byte in code.utf8 { writer.append(byte) }
            writer.append(middle)
            for byte in detail.utf8 { writer.append(byte) }
            writer.append(end)
        }
        return writer.count
    }
    /// What a limit says of itself (draft-ietf-httpapi-ratelimit-headers-06), as `lines`: three names of 23 bytes with
    /// ten digits each at most.
    static let quotaBytesMax = 112
    @_noAllocation @_noLocks static func writeQuota(
        _ quota: RateQuota, to memory: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> Int {
        var writer = unsafe ByteWriter(memory, capacity: capacity)
        writer.append("RateLimit-Limit: ")
        writer.append(number: Int(quota.limit))
        writer.append("\r\nRateLimit-Remaining: ")
        writer.append(number: Int(quota.remaining))
        writer.append("\r\nRateLimit-Reset: ")
        writer.append(number: Int(quota.resetSeconds))
        writer.append("\r\n")
        return writer.count
    }
    /// The head alone, for a body that lies elsewhere. Needs `headBytesMax` and the count of `lines` of room.
    @_noAllocation @_noLocks package func writeHead(
        bodyCount: Int, date: DateCache, to memory: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> Int {
        var writer = unsafe ByteWriter(memory, capacity: capacity)
        writeHead(bodyCount: bodyCount, date, &writer)
        return writer.count
    }

    /// RFC 9110 §15.3.5: a 204 has no body and no length.
    private var hasBody: Bool { status != 204 }
    var sendsBody: Bool { hasBody && !isHead }

    @inline(__always) private func writeHead(bodyCount: Int, _ date: DateCache, _ writer: inout ByteWriter) {
        writer.append(Reply.statusLine(status))
        writer.append("Date: ")
        writer.append(date)
        writer.append("\r\nX-Content-Type-Options: nosniff\r\n")
        if hasBody {
            if bodyCount > 0 {
                if let ownContentType {
                    writer.append("Content-Type: ", value: ownContentType)
                } else if contentType == .json {
                    writer.append("Content-Type: application/json\r\n")
                } else {
                    writer.append("Content-Type: text/plain\r\n")
                }
            }
            writer.append("Content-Length: ")
            writer.append(number: bodyCount)
            writer.append("\r\n")
        }
        if let durability { writer.append("Sluice-Durability: ", value: durability) }
        if closes {
            writer.append("Connection: close\r\n")
        } else if keepsVersion10 {
            writer.append("Connection: keep-alive\r\n")
        }
        if let allow { writer.append("Allow: ", value: allow) }
        if authenticate.count > 0 { writer.append("WWW-Authenticate: ", value: authenticate) }
        if retryAfterSeconds > 0 {
            writer.append("Retry-After: ")
            writer.append(number: retryAfterSeconds)
            writer.append("\r\n")
        }
        writer.append(lines)
        writer.append("\r\n")
    }

    /// True exactly for the statuses that have a phrase here; others may not be configured.
    package static func isKnown(status: Int) -> Bool { phrase(status) != nil }
    private static func statusLine(_ status: Int) -> StaticString {
        guard let line = phrase(status) else { preconditionFailure("a status without a phrase") }
        return line
    }
    /// The whole status line of a status (RFC 9110 §15).
    private static func phrase(_ status: Int) -> StaticString? {
        switch status {
        case 200: "HTTP/1.1 200 OK\r\n"
        case 201: "HTTP/1.1 201 Created\r\n"
        case 202: "HTTP/1.1 202 Accepted\r\n"
        case 204: "HTTP/1.1 204 No Content\r\n"
        case 400: "HTTP/1.1 400 Bad Request\r\n"
        case 401: "HTTP/1.1 401 Unauthorized\r\n"
        case 403: "HTTP/1.1 403 Forbidden\r\n"
        case 404: "HTTP/1.1 404 Not Found\r\n"
        case 405: "HTTP/1.1 405 Method Not Allowed\r\n"
        case 408: "HTTP/1.1 408 Request Timeout\r\n"
        case 409: "HTTP/1.1 409 Conflict\r\n"
        case 413: "HTTP/1.1 413 Content Too Large\r\n"
        case 414: "HTTP/1.1 414 URI Too Long\r\n"
        case 415: "HTTP/1.1 415 Unsupported Media Type\r\n"
        case 417: "HTTP/1.1 417 Expectation Failed\r\n"
        case 422: "HTTP/1.1 422 Unprocessable Content\r\n"
        case 429: "HTTP/1.1 429 Too Many Requests\r\n"
        case 431: "HTTP/1.1 431 Request Header Fields Too Large\r\n"
        case 500: "HTTP/1.1 500 Internal Server Error\r\n"
        case 501: "HTTP/1.1 501 Not Implemented\r\n"
        case 503: "HTTP/1.1 503 Service Unavailable\r\n"
        case 505: "HTTP/1.1 505 HTTP Version Not Supported\r\n"
        default: nil
        }
    }
}

/// Appends to memory that the caller lends for one call; traps rather than write beyond it.
@safe struct ByteWriter {
    private let memory: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    private(set) var count = 0

    @inline(__always) init(_ memory: UnsafeMutablePointer<UInt8>, capacity: Int) {
        unsafe self.memory = memory
        self.capacity = capacity
    }
    /// What was written; as long as the memory is lent.
    var view: ByteView { unsafe ByteView(UnsafePointer(memory), count: count) }
    /// For whoever writes there itself and then says how much.
    @inline(__always) func room(for bytes: Int) -> UnsafeMutablePointer<UInt8> {
        precondition(bytes >= 0 && bytes <= capacity - count)
        return unsafe memory + count
    }
    @inline(__always) mutating func append(_ text: StaticString) {
        unsafe UnsafeMutableRawPointer(room(for: text.utf8CodeUnitCount))
            .copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        count &+= text.utf8CodeUnitCount
    }
    @inline(__always) mutating func append(_ name: StaticString, value: StaticString) {
        precondition(value.utf8CodeUnitCount <= Reply.textBytesMax)
        append(name)
        append(value)
        append("\r\n")
    }
    @inline(__always) mutating func append(_ name: StaticString, value: ByteView) {
        precondition(value.count <= Reply.textBytesMax)
        append(name)
        append(value)
        append("\r\n")
    }
    @inline(__always) mutating func append(_ body: ByteView) {
        unsafe UnsafeMutableRawPointer(room(for: body.count)).copyMemory(from: body.base, byteCount: body.count)
        count &+= body.count
    }
    @inline(__always) mutating func append(_ byte: UInt8) {
        unsafe room(for: 1).pointee = byte
        count &+= 1
    }
    @inline(__always) mutating func append(_ id: EventID) {
        unsafe id.write(to: room(for: EventID.byteCount))
        count &+= EventID.byteCount
    }
    @inline(__always) mutating func note(_ bytes: Int) { count &+= bytes }
    @inline(__always) mutating func append(_ date: DateCache) {
        unsafe date.write(to: room(for: DateCache.writeBytes))
        count &+= HTTPDate.byteCount
    }
    @inline(__always) mutating func append(number: Int) {
        precondition(number >= 0)
        var divisor = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            append(ASCII.zero + UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
    }
}
