// A client with plain sockets: one request on the way for each connection, answers read whole.
//
// Safety: buffers given to C live through the call.
import FastPath
import Glibc

/// What the answers of one run were.
struct ProbeTally {
    var accepted = 0
    var rejected = 0
    var other = 0
}

final class ProbeClient {
    private let port: UInt16
    private var sockets: [Int32] = []
    private var buffer = [UInt8](repeating: 0, count: 65_536)

    init(port: UInt16, connectionCount: Int) throws {
        self.port = port
        for _ in 0..<connectionCount { sockets.append(try open()) }
    }
    deinit { for socket in sockets { close(socket) } }

    private func open() throws -> Int32 {
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

    /// `count` requests made by `make(serial)`, those of one round are on the way together.
    func run(_ kind: ProbeRequests.Kind, from first: Int, count: Int) throws -> ProbeTally {
        var tally = ProbeTally()
        var serial = first
        while serial < first + count {
            let round = min(sockets.count, first + count - serial)
            for place in 0..<round {
                if kind == .newConnections {
                    close(sockets[place])
                    sockets[place] = try open()
                }
                for part in ProbeRequests.make(kind, serial: serial + place) { try send(part, on: sockets[place]) }
            }
            for place in 0..<round {
                for _ in 0..<kind.answerCount { note(try answer(on: sockets[place]), &tally) }
            }
            serial += round
        }
        return tally
    }
    private func note(_ status: Int, _ tally: inout ProbeTally) {
        switch status {
        case 200...299: tally.accepted += 1
        case 401: tally.rejected += 1
        default: tally.other += 1
        }
    }
    private func send(_ bytes: [UInt8], on descriptor: Int32) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw ProbeError("send: \(errno)") }
            sent += count
        }
    }

    /// The status of the next answer. Takes from the socket only what belongs to it, so that a second answer stays there.
    private func answer(on descriptor: Int32) throws -> Int {
        var have = 0
        var headEnd = 0
        while headEnd == 0 {
            let peeked = recv(descriptor, &buffer, buffer.count, Int32(MSG_PEEK))
            guard peeked > 0 else { throw ProbeError("the connection ended before an answer") }
            have = peeked
            headEnd = ProbeClient.endOfHead(buffer, have)
        }
        let head = String(decoding: buffer[0..<headEnd], as: UTF8.self)
        guard let status = Int(head.dropFirst(9).prefix(3)), let field = head.firstRange(of: "Content-Length: ") else {
            throw ProbeError("no answer: \(head)")
        }
        let length = Int(head[field.upperBound...].prefix { $0.isNumber }) ?? 0
        var left = headEnd + length
        while left > 0 {
            let count = recv(descriptor, &buffer, left, 0)
            guard count > 0 else { throw ProbeError("the connection ended within an answer") }
            left -= count
        }
        return status
    }
    private static func endOfHead(_ bytes: [UInt8], _ count: Int) -> Int {
        guard count >= 4 else { return 0 }
        for place in 3..<count
        where bytes[place] == 10 && bytes[place - 1] == 13 && bytes[place - 2] == 10 && bytes[place - 3] == 13 {
            return place + 1
        }
        return 0
    }
}
