// One request to an address that somebody has checked, and its answer: plain or over TLS, directly or through a proxy's
// tunnel. Blocks, for worker threads only.
//
// Invariants: no name is resolved here, so that where it connects is where the caller looked; over TLS no byte of the
// request leaves before the peer has proved to be whom it is told to expect; an answer whose end is in doubt, or that
// is larger than its bound, is none; all of it within the deadline. A redirect is an answer like any other.
//
// Safety: `Line` owns the descriptor and its blocks, released once; what a session was fed stays in place until it
// wants more.

import CShims

package struct ExchangeTarget: Sendable {
    /// In the order in which they are tried.
    package var addresses: [SocketAddress]
    /// Empty: none.
    package var proxies: [SocketAddress] = []
    /// Nil: not over TLS.
    package var tls: TLSContext?
    /// Whom the peer must prove to be.
    package var name = ""
    package var isAddress = false

    package init(addresses: [SocketAddress]) { self.addresses = addresses }
}

package enum ExchangeFailure: Error, Equatable, Sendable {
    /// errno, or 0.
    case connectFailed(Int32)
    case timedOut
    case tlsFailed(TLSFailure)
    /// Its status; 0 for what is no answer.
    case proxyRefused(UInt16)
    case connectionLost
    case badAnswer
    case answerTooLarge
}

package struct ExchangeAnswer: Equatable, Sendable {
    package var status: Int
    /// Of `Retry-After`: from now on.
    package var retryAfterSeconds: Int?
    package var body: [UInt8] = []

    package init(status: Int, retryAfterSeconds: Int? = nil, body: [UInt8] = []) {
        self.status = status
        self.retryAfterSeconds = retryAfterSeconds
        self.body = body
    }
}

package enum CheckedExchange {
    private static let addressCountMax = 4
    private static let connectMillisMax: Int32 = 3000

    /// `request` is sent as it is. `cutsAnswer`: of a larger answer the beginning is one.
    package static func run(
        _ target: ExchangeTarget, request: [UInt8], answerBytesMax: Int, cutsAnswer: Bool = false,
        deadlineMillis: UInt64
    ) throws(ExchangeFailure) -> ExchangeAnswer {
        let bound = AnswerBound(bytes: answerBytesMax, isCut: cutsAnswer)
        let deadline = sluice_clock_monotonic() + deadlineMillis * 1_000_000
        var failure = ExchangeFailure.connectFailed(0)
        for address in target.addresses.prefix(addressCountMax) {
            let line: Line
            do throws(ExchangeFailure) { line = try open(address, target.proxies, deadline) } catch {
                failure = error
                continue
            }
            guard let tls = target.tls else {
                // One that has answered before it had all (413) is heard.
                do throws(ExchangeFailure) { try line.send(request) } catch {
                    guard error == .connectionLost else { throw error }
                }
                return try answer(line, bound)
            }
            return try exchange(line, tls, target, request, bound)
        }
        throw failure
    }

    private static func open(
        _ address: SocketAddress, _ proxies: [SocketAddress], _ deadline: UInt64
    ) throws(ExchangeFailure) -> Line {
        guard !proxies.isEmpty else { return try connect(address, deadline) }
        var failure = ExchangeFailure.connectFailed(0)
        for proxy in proxies.prefix(addressCountMax) {
            do throws(ExchangeFailure) {
                let line = try connect(proxy, deadline)
                try tunnel(line, to: address)
                return line
            } catch { failure = error }
        }
        throw failure
    }
    private static func connect(_ address: SocketAddress, _ deadline: UInt64) throws(ExchangeFailure) -> Line {
        let bytes = address.address.bytes
        let descriptor = unsafe sluice_tcp_begin(bytes, bytes.count, address.scope, address.port)
        guard descriptor >= 0 else { throw .connectFailed(-descriptor) }
        let line = Line(descriptor, until: deadline)
        // Another address may answer where this one is silent.
        let wait = min(line.millisLeft, connectMillisMax)
        guard wait > 0, sluice_socket_wait(descriptor, 1, wait) == 1 else { throw .timedOut }
        let error = sluice_tcp_error(descriptor)
        guard error == 0 else { throw .connectFailed(-error) }
        return line
    }
    private static func tunnel(_ line: Line, to address: SocketAddress) throws(ExchangeFailure) {
        try line.send(Array("CONNECT \(address.text) HTTP/1.1\r\nHost: \(address.text)\r\n\r\n".utf8))
        var answer = TunnelAnswer()
        while true {
            let count = try line.receive()
            guard count > 0 else { throw .connectionLost }
            switch answer.take(line.received(count)) {
            case .more: continue
            case .refused(let status): throw .proxyRefused(status)
            case .open(let end):
                // Nothing was said in the tunnel yet, so nothing can have been answered.
                guard end == count else { throw .badAnswer }
                return
            }
        }
    }

    private static func answer(_ line: Line, _ bound: AnswerBound) throws(ExchangeFailure) -> ExchangeAnswer {
        var received: [UInt8] = []
        while true {
            let count = try line.receive()
            received += line.received(count).array
            if let answer = try ExchangeReading.answer(in: received, isOver: count == 0, bound) {
                return answer
            }
        }
    }
    private static func exchange(
        _ line: Line, _ tls: TLSContext, _ target: ExchangeTarget, _ request: [UInt8], _ bound: AnswerBound
    ) throws(ExchangeFailure) -> ExchangeAnswer {
        let name = Array(target.name.utf8CString)
        guard var session = unsafe TLSSession(connecting: tls.view, name: name, isAddress: target.isAddress) else {
            throw .tlsFailed(.noMemory)
        }
        var (received, sent) = ([UInt8](), 0)
        while true {
            let step = unsafe session.read(into: line.plain, room: Line.roomBytes)
            var isOver = false
            switch step {
            case .bytes(let count): received += line.plaintext(count).array
            case .closed: isOver = true
            case .failed(let failure):
                // An alert, perhaps.
                try? flush(&session, line)
                throw .tlsFailed(failure)
            case .wantsRoom: try flush(&session, line)
            case .wantsInput:
                do throws(ExchangeFailure) { try push(request, &sent, &session, line) } catch {
                    guard session.isOpen, error == .connectionLost else { throw error }
                }
                let count = try line.receive()
                guard count > 0 else { throw session.isOpen ? .connectionLost : .tlsFailed(.truncated) }
                unsafe session.feed(line.room, count: count)
            }
            if let answer = try ExchangeReading.answer(in: received, isOver: isOver, bound) {
                return answer
            }
        }
    }
    private static func push(
        _ request: [UInt8], _ sent: inout Int, _ session: inout TLSSession, _ line: Line
    ) throws(ExchangeFailure) {
        try flush(&session, line)
        while session.isOpen, sent < request.count {
            let rest = Array(request[sent...])
            guard let taken = unsafe session.write(rest, count: rest.count) else {
                throw .tlsFailed(session.failure)
            }
            sent += taken
            try flush(&session, line)
        }
    }
    private static func flush(_ session: inout TLSSession, _ line: Line) throws(ExchangeFailure) {
        while let output = unsafe session.output {
            session.sent(try unsafe line.send(output, session.outputCount))
        }
    }
}

/// A connected socket with a time until which it is of use.
@safe private final class Line {
    static let roomBytes = 16_384
    private let descriptor: Int32
    private let deadline: UInt64
    /// What came last, as it came; and, over TLS, what it says.
    let room = UnsafeMutablePointer<UInt8>.allocate(capacity: Line.roomBytes)
    let plain = UnsafeMutablePointer<UInt8>.allocate(capacity: Line.roomBytes)

    init(_ descriptor: Int32, until deadline: UInt64) {
        self.descriptor = descriptor
        self.deadline = deadline
    }
    deinit {
        _ = sluice_close(descriptor)
        unsafe room.deallocate()
        unsafe plain.deallocate()
    }
    var millisLeft: Int32 {
        let now = sluice_clock_monotonic()
        return now >= deadline ? 0 : Int32(clamping: (deadline - now) / 1_000_000) + 1
    }
    func received(_ count: Int) -> ByteView { unsafe ByteView(UnsafePointer(room), count: count) }
    func plaintext(_ count: Int) -> ByteView { unsafe ByteView(UnsafePointer(plain), count: count) }

    /// Into `room`; 0 when the peer has closed.
    func receive() throws(ExchangeFailure) -> Int {
        while true {
            let count = unsafe sluice_socket_read(descriptor, room, Line.roomBytes)
            if count >= 0 { return Int(count) }
            try wait(count, writes: false)
        }
    }
    func send(_ bytes: [UInt8]) throws(ExchangeFailure) {
        var sent = 0
        while sent < bytes.count {
            let rest = Array(bytes[sent...])
            sent += unsafe try send(rest, rest.count)
        }
    }
    /// How many of them; at least one.
    func send(_ bytes: UnsafePointer<UInt8>, _ count: Int) throws(ExchangeFailure) -> Int {
        while true {
            let sent = unsafe sluice_socket_write(descriptor, bytes, count)
            if sent > 0 { return Int(sent) }
            try wait(sent, writes: true)
        }
    }
    private func wait(_ result: Int64, writes: Bool) throws(ExchangeFailure) {
        guard result == Int64(writes ? SLUICE_TLS_WANTS_WRITE : SLUICE_TLS_WANTS_READ) else { throw .connectionLost }
        let wait = millisLeft
        guard wait > 0, sluice_socket_wait(descriptor, writes ? 1 : 0, wait) == 1 else { throw .timedOut }
    }
}

/// Of an answer's body.
package struct AnswerBound: Sendable {
    package var bytes: Int
    /// A larger one ends there; else it is none.
    package var isCut = false

    package init(bytes: Int, isCut: Bool = false) { (self.bytes, self.isCut) = (bytes, isCut) }
}

/// An answer from the bytes that came so far. Pure, but for the clock that a date is held against.
package enum ExchangeReading {
    private static let headBytesMax = 16_384
    private static let interimCountMax = 8

    /// Nil while more must come. `isOver`: nothing will.
    package static func answer(
        in received: [UInt8], isOver: Bool, _ bound: AnswerBound
    ) throws(ExchangeFailure) -> ExchangeAnswer? {
        var start = 0
        for _ in 0...interimCountMax {
            var parser = ResponseParser()
            var fields = FieldTable()
            let result = received.withView {
                parser.parse(
                    $0.slice(start, received.count - start), isHead: false, fields: &fields,
                    headBytesMax: headBytesMax)
            }
            switch result {
            case .failed: throw .badAnswer
            case .incomplete:
                guard !isOver else { throw .connectionLost }
                return nil
            case .complete(let head) where head.isInterim && !head.isDoubtful: start += head.byteCount
            case .complete(let head):
                return try answer(head, Array(received[(start + head.byteCount)...]), isOver: isOver, bound)
            }
        }
        throw .badAnswer
    }
    private static func answer(
        _ head: ResponseHead, _ rest: [UInt8], isOver: Bool, _ bound: AnswerBound
    ) throws(ExchangeFailure) -> ExchangeAnswer? {
        guard !head.isDoubtful else { throw .badAnswer }
        var answer = ExchangeAnswer(status: head.status)
        switch head.retryAfter {
        case .seconds(let seconds): answer.retryAfterSeconds = seconds
        case .unixSeconds(let seconds):
            answer.retryAfterSeconds = max(0, seconds - Int(sluice_clock_wall() / 1_000_000_000))
        case nil: break
        }
        switch head.body {
        case .none: return answer
        case .length(let count):
            guard bound.isCut || count <= bound.bytes else { throw .answerTooLarge }
            let wanted = min(count, bound.bytes)
            guard rest.count >= wanted else { return try unfinished(isOver) }
            answer.body = Array(rest[..<wanted])
        case .untilClose:
            guard bound.isCut || rest.count <= bound.bytes else { throw .answerTooLarge }
            guard isOver || bound.isCut && rest.count >= bound.bytes else { return nil }
            answer.body = Array(rest.prefix(bound.bytes))
        case .chunked:
            guard let body = try chunked(rest, bound) else { return try unfinished(isOver) }
            answer.body = body
        }
        return answer
    }
    private static func unfinished(_ isOver: Bool) throws(ExchangeFailure) -> ExchangeAnswer? {
        guard !isOver else { throw .connectionLost }
        return nil
    }
    /// O(bytes so far) for each piece that comes; few do.
    private static func chunked(_ rest: [UInt8], _ bound: AnswerBound) throws(ExchangeFailure) -> [UInt8]? {
        var (bytes, decoder) = (rest, ChunkedDecoder())
        let result = unsafe bytes.withUnsafeMutableBufferPointer { buffer -> ChunkedResult in
            guard let base = buffer.baseAddress else { return .incomplete(consumed: 0, written: 0) }
            return unsafe decoder.decode(
                base, from: 0, to: buffer.count, writeAt: 0, bodyBytesMax: bound.isCut ? .max : bound.bytes,
                limits: IngestLimits())
        }
        switch result {
        case .incomplete(_, let written):
            return bound.isCut && written >= bound.bytes ? Array(bytes[..<bound.bytes]) : nil
        case .complete(_, let written): return Array(bytes[..<min(written, bound.bytes)])
        case .failed(.bodyTooLarge): throw .answerTooLarge
        case .failed: throw .badAnswer
        }
    }
}
