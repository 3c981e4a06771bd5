// A client of plain sockets for an ingest loop: sends what it is told, reads answers whole.
//
// Safety: buffers handed to C live through the call.

import Glibc
import Testing

package final class IngestClient {
    package struct Response: Equatable {
        package var status: Int
        package var head: String
        package var body: String
    }
    private var descriptor: Int32
    private var buffer: [UInt8] = []

    package init(port: UInt16) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        #expect(status == 0)
    }
    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Closes with a reset, so that the other side hears of it at once.
    package func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
        descriptor = -1
    }
    package func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else {
                Issue.record("send failed: \(errno)")
                return
            }
            sent += count
        }
    }
    /// The next response; nil at the end of the connection.
    package func response() -> Response? {
        while true {
            if let end = headEnd() {
                let head = String(decoding: buffer[..<end], as: UTF8.self)
                let length = IngestClient.contentLength(head)
                if buffer.count >= end + length {
                    let body = String(decoding: buffer[end..<(end + length)], as: UTF8.self)
                    buffer.removeFirst(end + length)
                    let words = head.split(separator: " ", maxSplits: 2)
                    return Response(status: words.count > 1 ? Int(words[1]) ?? 0 : 0, head: head, body: body)
                }
            }
            var chunk = [UInt8](repeating: 0, count: 65_536)
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { return nil }
            buffer += chunk[..<count]
        }
    }
    private func headEnd() -> Int? {
        guard buffer.count >= 4 else { return nil }
        for index in 0...(buffer.count - 4) where Array(buffer[index..<(index + 4)]) == [13, 10, 13, 10] {
            return index + 4
        }
        return nil
    }
    private static func contentLength(_ head: String) -> Int {
        for line in head.split(separator: "\r\n") where line.lowercased().hasPrefix("content-length:") {
            return Int(line.dropFirst(15).drop { $0 == " " }) ?? 0
        }
        return 0
    }

    package static func request(_ source: String, _ headers: [String] = [], body: [UInt8]) -> [UInt8] {
        let lines = ["POST /in/\(source) HTTP/1.1", "Host: h", "Content-Length: \(body.count)"] + headers
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
    }
    package static func request(_ source: String, _ headers: [String] = [], body: String) -> [UInt8] {
        request(source, headers, body: Array(body.utf8))
    }
}
