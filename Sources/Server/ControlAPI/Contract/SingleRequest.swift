// One request to a target outside of delivery, for dry runs: blocks, for worker threads only. Believes whom deliveries
// believe, and reads no more of the answer than is shown.
//
// Invariants: what is connected to is an address that was checked; all of it, the resolver aside, within the time
// given; the descriptor is closed once, behind the session.
// Safety: pointers go to calls that use them while they last.
import Engine
import FastPath
import Foundation

struct SingleAnswer: Equatable, Sendable {
    var status: Int
    var body: [UInt8]
    var micros: UInt64
}

struct SingleRequest {
    struct Failure: Error, Equatable, Sendable { let message: String }
    static let bodyBytesMax = 1024
    private static let headBytesMax = 16_384
    private static let answerBytesMax = 65_536

    /// Head and body, as they are sent.
    let bytes: [UInt8]
    /// Nil: without TLS.
    let tls: (context: TLSContext, name: String, isAddress: Bool)?
    let timeoutMillis: Int

    func send(to addresses: [SocketAddress]) throws(Failure) -> SingleAnswer {
        let start = ProcessResources.monotonicNanos
        let deadline = start + UInt64(max(1, timeoutMillis)) * 1_000_000
        var last = Failure(message: "the host has no address")
        for address in addresses.prefix(4) {
            let descriptor: Int32
            do throws(Failure) { descriptor = try SingleRequest.open(address, until: deadline) } catch {
                last = error
                continue
            }
            defer { _ = close(descriptor) }
            let transport = Transport(descriptor: descriptor, deadline: deadline)
            if let tls { try transport.begin(tls.context, tls.name, isAddress: tls.isAddress) }
            try transport.write(bytes)
            var answer = try SingleRequest.read(transport)
            answer.micros = (ProcessResources.monotonicNanos - start) / 1000
            return answer
        }
        throw last
    }

    // MARK: the connection

    private static func open(_ address: SocketAddress, until deadline: UInt64) throws(Failure) -> Int32 {
        let isV4 = address.address.family == .v4
        let descriptor = socket(
            isV4 ? AF_INET : AF_INET6,
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(message: systemText(errno)) }
        let result = isV4 ? beginV4(descriptor, address) : beginV6(descriptor, address)
        if result == 0 { return descriptor }
        var failure = errno
        if failure == EINPROGRESS {
            failure = Transport.wait(descriptor, Int16(POLLOUT), until: deadline) ? pendingError(descriptor) : ETIMEDOUT
        }
        guard failure == 0 else {
            _ = close(descriptor)
            throw Failure(message: "no connection to \(address.text): \(systemText(failure))")
        }
        return descriptor
    }
    private static func beginV4(_ descriptor: Int32, _ address: SocketAddress) -> Int32 {
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = address.port.bigEndian
        guard unsafe inet_pton(AF_INET, address.address.text, &target.sin_addr) == 1 else { return -1 }
        return unsafe withUnsafePointer(to: &target) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
    private static func beginV6(_ descriptor: Int32, _ address: SocketAddress) -> Int32 {
        var target = sockaddr_in6()
        target.sin6_family = sa_family_t(AF_INET6)
        target.sin6_port = address.port.bigEndian
        target.sin6_scope_id = address.scope
        guard unsafe inet_pton(AF_INET6, address.address.text, &target.sin6_addr) == 1 else { return -1 }
        return unsafe withUnsafePointer(to: &target) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
    }
    private static func pendingError(_ descriptor: Int32) -> Int32 {
        var failure: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 ? failure : errno
    }

    // MARK: the answer

    private static func read(_ transport: Transport) throws(Failure) -> SingleAnswer {
        var received: [UInt8] = []
        while received.count < answerBytesMax {
            let piece = try transport.receive()
            received += piece
            let isEnd = piece.isEmpty
            var parser = ResponseParser()
            var fields = FieldTable()
            let result = received.withView { bytes in
                parser.parse(bytes, isHead: false, fields: &fields, headBytesMax: headBytesMax)
            }
            switch result {
            case .failed: throw Failure(message: "what came back is no HTTP answer")
            case .incomplete: if isEnd { throw Failure(message: "the connection was closed before an answer") }
            case .complete(let head) where head.isInterim:
                received.removeFirst(head.byteCount)
            case .complete(let head):
                let body = Array(received[head.byteCount...])
                if let shown = SingleRequest.body(body, head.body, isEnd: isEnd) {
                    return SingleAnswer(status: head.status, body: shown, micros: 0)
                }
            }
        }
        throw Failure(message: "the answer is too large")
    }
    /// As much as is shown; nil while more is needed.
    private static func body(_ bytes: [UInt8], _ form: ResponseHead.Body, isEnd: Bool) -> [UInt8]? {
        switch form {
        case .none: return []
        case .length(let count):
            let wanted = min(count, bodyBytesMax)
            return bytes.count >= wanted || isEnd ? Array(bytes.prefix(wanted)) : nil
        case .untilClose: return bytes.count >= bodyBytesMax || isEnd ? Array(bytes.prefix(bodyBytesMax)) : nil
        case .chunked:
            let (decoded, isWhole) = chunks(bytes)
            return decoded.count >= bodyBytesMax || isWhole || isEnd ? Array(decoded.prefix(bodyBytesMax)) : nil
        }
    }
    private static func chunks(_ bytes: [UInt8]) -> (decoded: [UInt8], isWhole: Bool) {
        var rest = bytes[...]
        var decoded: [UInt8] = []
        while let end = rest.firstIndex(of: 0x0A) {
            let line = String(decoding: rest[..<end], as: UTF8.self).prefix { $0.isHexDigit }
            guard let size = Int(line, radix: 16), size >= 0 else { return (decoded, true) }
            if size == 0 { return (decoded, true) }
            let data = rest[rest.index(after: end)...]
            decoded += data.prefix(size)
            guard data.count > size + 1 else { return (decoded, false) }
            rest = data.dropFirst(size + 2)
        }
        return (decoded, false)
    }
}

/// A connected descriptor, with TLS or without.
private final class Transport {
    private let descriptor: Int32
    private let deadline: UInt64
    private var secure: Secure?
    private static let pieceBytes = 16_384

    init(descriptor: Int32, deadline: UInt64) {
        self.descriptor = descriptor
        self.deadline = deadline
    }
    static func wait(_ descriptor: Int32, _ events: Int16, until deadline: UInt64) -> Bool {
        let now = ProcessResources.monotonicNanos
        guard now < deadline else { return false }
        var waiting = pollfd(fd: descriptor, events: events, revents: 0)
        return unsafe poll(&waiting, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1)) > 0
    }
    func begin(_ context: TLSContext, _ name: String, isAddress: Bool) throws(SingleRequest.Failure) {
        guard let secure = Secure(context, name, isAddress: isAddress) else {
            throw SingleRequest.Failure(message: "no memory for a TLS session")
        }
        self.secure = secure
        while !secure.session.isOpen {
            var byte: UInt8 = 0
            let step = unsafe secure.session.read(into: &byte, room: 1)
            try sendOutput(secure)
            switch step {
            case .wantsInput: try feed(secure)
            case .wantsRoom, .bytes: continue
            case .failed(let why): throw SingleRequest.Failure(message: "TLS failed: \(why.code)")
            case .closed: throw SingleRequest.Failure(message: "the connection was closed in its TLS handshake")
            }
        }
        try sendOutput(secure)
    }
    func write(_ bytes: [UInt8]) throws(SingleRequest.Failure) {
        guard let secure else { return try sendRaw(bytes) }
        var sent = 0
        while sent < bytes.count {
            let rest = Array(bytes[sent...])
            guard let count = unsafe secure.session.write(rest, count: rest.count) else {
                throw SingleRequest.Failure(message: "TLS failed while sending")
            }
            sent += count
            try sendOutput(secure)
        }
    }
    /// Empty at the end.
    func receive() throws(SingleRequest.Failure) -> [UInt8] {
        guard let secure else { return try receiveRaw() }
        var piece = [UInt8](repeating: 0, count: Transport.pieceBytes)
        while true {
            let step = unsafe secure.session.read(into: &piece, room: Transport.pieceBytes)
            try sendOutput(secure)
            switch step {
            case .bytes(let count): return Array(piece[..<count])
            case .wantsInput: try feed(secure)
            case .wantsRoom: continue
            case .closed: return []
            case .failed(let why): throw SingleRequest.Failure(message: "TLS failed: \(why.code)")
            }
        }
    }
    private func feed(_ secure: Secure) throws(SingleRequest.Failure) {
        let bytes = try receiveRaw()
        guard !bytes.isEmpty else {
            throw SingleRequest.Failure(message: "the connection was closed in the midst of TLS")
        }
        secure.feed(bytes)
    }
    private func sendOutput(_ secure: Secure) throws(SingleRequest.Failure) {
        while true {
            let bytes = secure.output
            guard !bytes.isEmpty else { return }
            try sendRaw(bytes)
            secure.session.sent(bytes.count)
        }
    }
    private func sendRaw(_ bytes: [UInt8]) throws(SingleRequest.Failure) {
        var sent = 0
        while sent < bytes.count {
            let rest = Array(bytes[sent...])
            let count = unsafe send(descriptor, rest, rest.count, Int32(MSG_NOSIGNAL))
            if count > 0 {
                sent += count
                continue
            }
            guard errno == EAGAIN || errno == EINTR else { throw SingleRequest.Failure(message: systemText(errno)) }
            guard Transport.wait(descriptor, Int16(POLLOUT), until: deadline) else {
                throw SingleRequest.Failure(message: "no answer in time")
            }
        }
    }
    private func receiveRaw() throws(SingleRequest.Failure) -> [UInt8] {
        var piece = [UInt8](repeating: 0, count: Transport.pieceBytes)
        while true {
            let count = unsafe recv(descriptor, &piece, piece.count, 0)
            if count >= 0 { return Array(piece[..<count]) }
            guard errno == EAGAIN || errno == EINTR else { throw SingleRequest.Failure(message: systemText(errno)) }
            guard Transport.wait(descriptor, Int16(POLLIN), until: deadline) else {
                throw SingleRequest.Failure(message: "no answer in time")
            }
        }
    }

    /// A session, and what was fed to it last, which it reads where it lies.
    @safe private final class Secure {
        var session: TLSSession
        private let input = UnsafeMutablePointer<UInt8>.allocate(capacity: Transport.pieceBytes)

        init?(_ context: TLSContext, _ name: String, isAddress: Bool) {
            let text = Array(name.utf8CString)
            guard let made = unsafe TLSSession(connecting: context.view, name: text, isAddress: isAddress) else {
                return nil
            }
            session = made
        }
        deinit { unsafe input.deallocate() }
        func feed(_ bytes: [UInt8]) {
            for (index, byte) in bytes.enumerated() { unsafe input[index] = byte }
            unsafe session.feed(input, count: bytes.count)
        }
        var output: [UInt8] {
            let count = session.outputCount
            guard count > 0, let start = unsafe session.output else { return [] }
            return unsafe Array(UnsafeBufferPointer(start: start, count: count))
        }
    }
}

private func systemText(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }
