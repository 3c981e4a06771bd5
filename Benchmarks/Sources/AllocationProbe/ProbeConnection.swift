// One connection of the probe's client, plain or over TLS: sends whole messages, reads whole answers.
//
// Safety: buffers given to C and to the session live through the call.
import FastPath
import Glibc

/// A session that a connection may have: an optional one could not be asked without taking it.
private final class ProbeSession {
    var session: TLSSession

    init(_ session: consuming TLSSession) { self.session = session }
}

final class ProbeConnection {
    private let descriptor: Int32
    private var secure: ProbeSession?
    /// Plaintext of answers that were not taken yet.
    private var waiting: [UInt8] = []
    private var buffer = [UInt8](repeating: 0, count: 65_536)
    private var plain = [UInt8](repeating: 0, count: 16_384)

    /// With a context, a handshake is done with a server that must prove to be `ProbeCertificates.name`.
    init(port: UInt16, context: TLSContext?) throws {
        descriptor = try ProbeConnection.connected(port)
        guard let context else { return }
        guard
            let session = TLSSession(
                connecting: context.view, name: Array(ProbeCertificates.name.utf8CString), isAddress: false)
        else { throw ProbeError("no memory for a session") }
        let secure = ProbeSession(session)
        self.secure = secure
        try read(secure)
        while !secure.session.isOpen { try receive() }
    }
    deinit { close(descriptor) }

    private static func connected(_ port: UInt16) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard descriptor >= 0, status == 0 else { throw ProbeError("connect: \(errno)") }
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        return descriptor
    }

    func send(_ bytes: [UInt8]) throws {
        guard let secure else { return try bytes.withUnsafeBufferPointer { try put($0) } }
        var sent = 0
        while sent < bytes.count {
            let taken = bytes.withUnsafeBufferPointer {
                secure.session.write($0.baseAddress! + sent, count: $0.count - sent)
            }
            guard let taken, taken > 0 else { throw ProbeError("the session takes nothing") }
            sent += taken
            try flush(secure)
        }
    }
    private func put(_ bytes: UnsafeBufferPointer<UInt8>) throws {
        var sent = 0
        while sent < bytes.count {
            let count = Glibc.send(descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            guard count > 0 else { throw ProbeError("send: \(errno)") }
            sent += count
        }
    }
    private func flush(_ secure: ProbeSession) throws {
        guard let output = secure.session.output else { return }
        let count = secure.session.outputCount
        try put(UnsafeBufferPointer(start: output, count: count))
        secure.session.sent(count)
    }
    private func receive() throws {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { throw ProbeError("the connection ended before an answer") }
        guard let secure else {
            waiting += buffer[..<count]
            return
        }
        try buffer.withUnsafeBufferPointer { bytes in
            secure.session.feed(bytes.baseAddress!, count: count)
            try read(secure)
        }
    }
    /// Until the session wants more; sends what it has to say.
    private func read(_ secure: ProbeSession) throws {
        while true {
            let step = plain.withUnsafeMutableBufferPointer {
                secure.session.read(into: $0.baseAddress!, room: $0.count)
            }
            try flush(secure)
            switch step {
            case .bytes(let count): waiting += plain[..<count]
            case .wantsInput: return
            case .wantsRoom: continue
            case .closed: throw ProbeError("the session ended before an answer")
            case .failed(let failure): throw ProbeError("the session failed: \(failure)")
            }
        }
    }

    /// The status of the next answer.
    func answer() throws -> Int {
        var headEnd = ProbeConnection.endOfHead(waiting)
        while headEnd == 0 {
            try receive()
            headEnd = ProbeConnection.endOfHead(waiting)
        }
        let head = String(decoding: waiting[0..<headEnd], as: UTF8.self)
        guard let status = Int(head.dropFirst(9).prefix(3)), let field = head.firstRange(of: "Content-Length: ") else {
            throw ProbeError("no answer: \(head)")
        }
        let length = Int(head[field.upperBound...].prefix { $0.isNumber }) ?? 0
        while waiting.count < headEnd + length { try receive() }
        waiting.removeFirst(headEnd + length)
        return status
    }
    private static func endOfHead(_ bytes: [UInt8]) -> Int {
        guard bytes.count >= 4 else { return 0 }
        for place in 3..<bytes.count
        where bytes[place] == 10 && bytes[place - 1] == 13 && bytes[place - 2] == 10 && bytes[place - 3] == 13 {
            return place + 1
        }
        return 0
    }
}
