// One POST of a small body to a server that the operator names, over TLS or without: blocks, for worker threads only.
//
// Invariants: a connection a call, which is closed at its end; behind TLS the peer has proved to be `host` to the
// system's roots before a byte is sent; no redirect is followed; all of it, the resolver aside, within the time that
// is given. Whatever the status is, it is an answer; what is none is a `PostFailure`.
//
// Safety: descriptor and session are owned by the call and released once, session first; the decoder writes inside the
// bytes that were received.

import CShims

package struct PostRequest: Equatable, Sendable {
    package var host: String
    package var port: UInt16
    package var isSecure: Bool
    /// The value of the Host field.
    package var hostField: String
    package var target: String
    /// Whole lines, each with its CRLF.
    package var fieldLines: [UInt8] = []
    package var body: [UInt8] = []
    package var millisMax = 10_000

    package init(host: String, port: UInt16, isSecure: Bool, hostField: String, target: String) {
        self.host = host
        self.port = port
        self.isSecure = isSecure
        self.hostField = hostField
        self.target = target
    }
}

package struct PostAnswer: Equatable, Sendable {
    package var status: Int
    /// From now on; nil where it says nothing.
    package var retryAfterSeconds: Int?
    package var body: [UInt8] = []

    package init(status: Int, retryAfterSeconds: Int? = nil, body: [UInt8] = []) {
        self.status = status
        self.retryAfterSeconds = retryAfterSeconds
        self.body = body
    }
}

package enum PostFailure: String, Error, Equatable, Sendable {
    case unresolved = "its host does not resolve"
    case notConnected = "no connection"
    case notTrusted = "TLS failed: its certificate is not that of the host, or not by a root that is known"
    case lost = "the connection ended, or the time was over, before an answer"
    case badAnswer = "what it answered is no HTTP, or too long"
}

package enum HTTPPost {
    private static let answerBytesMax = 65_536
    private static let addressCountMax = 4

    package static func send(_ request: PostRequest) throws(PostFailure) -> PostAnswer {
        guard let addresses = try? Resolver.resolve(host: request.host, port: request.port) else { throw .unresolved }
        let deadline = sluice_clock_monotonic() + UInt64(max(1, request.millisMax)) * 1_000_000
        for address in addresses.prefix(addressCountMax) {
            guard let descriptor = SecureFetch.connect(address, until: deadline) else { continue }
            defer { _ = sluice_close(descriptor) }
            guard request.isSecure else {
                return try exchange(
                    request, descriptor, deadline,
                    read: { unsafe sluice_socket_read(descriptor, &$0, $0.count) },
                    write: { unsafe sluice_socket_write(descriptor, $0, $0.count) })
            }
            return try secureExchange(request, descriptor, deadline)
        }
        throw .notConnected
    }

    private static func secureExchange(
        _ request: PostRequest, _ descriptor: Int32, _ deadline: UInt64
    ) throws(PostFailure) -> PostAnswer {
        guard let session = unsafe sluice_tls_open(descriptor, request.host, nil, 0) else { throw .notTrusted }
        defer { unsafe sluice_tls_close(session) }
        let isTrusted = SecureFetch.repeated(descriptor, deadline) { unsafe Int64(sluice_tls_handshake(session)) } == 0
        guard isTrusted else { throw .notTrusted }
        return try exchange(
            request, descriptor, deadline, read: { unsafe sluice_tls_read(session, &$0, $0.count) },
            write: { unsafe sluice_tls_write(session, $0, $0.count) })
    }

    private static func exchange(
        _ request: PostRequest, _ descriptor: Int32, _ deadline: UInt64, read: (inout [UInt8]) -> Int64,
        write: ([UInt8]) -> Int64
    ) throws(PostFailure) -> PostAnswer {
        let bytes = head(of: request) + request.body
        var sent = 0
        while sent < bytes.count {
            let rest = Array(bytes[sent...])
            let count = SecureFetch.repeated(descriptor, deadline) { write(rest) }
            // One that has answered before it had all (413) is read.
            guard count > 0 else { break }
            sent += Int(count)
        }
        var received: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16_384)
        while received.count <= SecureFetch.headBytesMax + answerBytesMax {
            let count = SecureFetch.repeated(descriptor, deadline) { read(&piece) }
            guard count >= 0 else { throw .lost }
            received += piece[..<Int(count)]
            switch answer(in: received, isWhole: count == 0) {
            case .incomplete:
                guard count > 0 else { throw .lost }
            case .failed: throw .badAnswer
            case .complete(let answer): return answer
            }
        }
        throw .badAnswer
    }
    static func head(of request: PostRequest) -> [UInt8] {
        Array("POST \(request.target) HTTP/1.1\r\nHost: \(request.hostField)\r\n".utf8) + request.fieldLines
            + Array("Content-Length: \(request.body.count)\r\nConnection: close\r\n\r\n".utf8)
    }

    package enum Reading: Equatable, Sendable {
        case incomplete
        case complete(PostAnswer)
        case failed
    }
    /// The final answer that `received` begins with, behind interim ones. `isWhole`: nothing comes any more.
    package static func answer(in received: [UInt8], isWhole: Bool) -> Reading {
        var start = 0
        while true {
            var parser = ResponseParser()
            var fields = FieldTable()
            let rest = Array(received[start...])
            let result = rest.withView {
                parser.parse($0, isHead: false, fields: &fields, headBytesMax: SecureFetch.headBytesMax)
            }
            switch result {
            case .incomplete: return .incomplete
            case .failed: return .failed
            case .complete(let head):
                guard !head.isInterim else {
                    start += head.byteCount
                    continue
                }
                return answer(head, Array(rest[head.byteCount...]), isWhole: isWhole)
            }
        }
    }
    private static func answer(_ head: ResponseHead, _ rest: [UInt8], isWhole: Bool) -> Reading {
        var answer = PostAnswer(status: head.status)
        switch head.retryAfter {
        case .seconds(let seconds): answer.retryAfterSeconds = seconds
        case .unixSeconds(let seconds):
            answer.retryAfterSeconds = max(0, seconds - Int(sluice_clock_wall() / 1_000_000_000))
        case nil: break
        }
        switch head.body {
        case .none: return .complete(answer)
        case .length(let count):
            guard count <= answerBytesMax else { return .failed }
            guard rest.count >= count else { return .incomplete }
            answer.body = Array(rest[..<count])
        case .untilClose:
            guard isWhole else { return .incomplete }
            answer.body = rest
        case .chunked:
            var memory = rest
            var decoder = ChunkedDecoder()
            let result = unsafe memory.withUnsafeMutableBufferPointer { buffer -> ChunkedResult in
                guard let base = buffer.baseAddress else { return .incomplete(consumed: 0, written: 0) }
                return unsafe decoder.decode(
                    base, from: 0, to: buffer.count, writeAt: 0, bodyBytesMax: answerBytesMax, limits: IngestLimits())
            }
            switch result {
            case .incomplete: return .incomplete
            case .failed: return .failed
            case .complete(_, let written): answer.body = Array(memory[..<written])
            }
        }
        return .complete(answer)
    }
}
