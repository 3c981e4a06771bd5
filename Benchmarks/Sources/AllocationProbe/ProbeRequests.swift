// The requests of the probe: each with an id of its own and a true signature, in the shapes that take different ways
// through the loop.
import FastPath

enum ProbeRequests {
    enum Kind: String, CaseIterable {
        /// 1 KiB with a length: read where it was received.
        case whole
        /// 1 KiB in four chunks.
        case chunked
        /// 1 KiB, head and body sent apart.
        case split
        /// 16 KiB: more than a receive buffer, put together in a block.
        case assembled
        /// 16 KiB in chunks, put together in a block.
        case assembledChunks
        /// Two requests in one send.
        case pipelined
        /// Each id a second time.
        case duplicate
        /// A signature that is not genuine: 401.
        case forged
        /// A source with a limit that is never used up, and its signature when it is not genuine.
        case limited, limitedForged
        /// A source whose limit is used up: 429.
        case overLimit
        /// A connection for each request.
        case newConnections

        var bodyBytes: Int { self == .assembled || self == .assembledChunks ? 16_384 : 1024 }
        var answerCount: Int { self == .pipelined ? 2 : 1 }
        var isForged: Bool { self == .forged || self == .limitedForged }
        var path: String {
            switch self {
            case .limited, .limitedForged: ProbeGateway.limitedPath
            case .overLimit: ProbeGateway.usedUpPath
            default: ProbeGateway.path
            }
        }
    }
    private static let memory = CompiledMemory()
    private static let key = SigningKey(secret: Array(ProbeGateway.secret.utf8), algorithm: .sha256, in: memory)

    /// What to send, in the pieces in which to send it.
    static func make(_ kind: Kind, serial: Int) -> [[UInt8]] {
        switch kind {
        case .whole, .assembled, .newConnections, .limited, .overLimit: return [message(kind, "\(serial)")]
        case .forged, .limitedForged: return [message(kind, "\(serial)", isForged: true)]
        case .duplicate: return [message(kind, "\(serial / 2)")]
        case .pipelined: return [message(kind, "\(serial)-a") + message(kind, "\(serial)-b")]
        case .chunked: return [message(kind, "\(serial)", chunkBytes: 256)]
        case .assembledChunks: return [message(kind, "\(serial)", chunkBytes: 5000)]
        case .split:
            let bytes = message(kind, "\(serial)")
            let middle = bytes.count - kind.bodyBytes / 2
            return [Array(bytes[..<middle]), Array(bytes[middle...])]
        }
    }

    private static func message(_ kind: Kind, _ id: String, chunkBytes: Int = 0, isForged: Bool = false) -> [UInt8] {
        let start = "{\"action\":\"opened\",\"id\":\"\(id)\",\"text\":\""
        let filler = String(repeating: "x", count: kind.bodyBytes - start.utf8.count - 2)
        let body = Array((start + filler + "\"}").utf8)
        var tag = key.mac(over: body)
        if isForged { tag[0] ^= 1 }
        var head = "POST \(kind.path) HTTP/1.1\r\nHost: localhost\r\nUser-Agent: GitHub-Hookshot/044aadd\r\n"
        head += "Content-Type: application/json\r\nX-GitHub-Event: pull_request\r\n"
        head += "X-GitHub-Delivery: \(kind.rawValue)-\(id)\r\nX-Hub-Signature-256: sha256=\(TextEncoding.hex(tag))\r\n"
        guard chunkBytes > 0 else { return Array((head + "Content-Length: \(body.count)\r\n\r\n").utf8) + body }
        var bytes = Array((head + "Transfer-Encoding: chunked\r\n\r\n").utf8)
        var place = 0
        while place < body.count {
            let count = min(chunkBytes, body.count - place)
            bytes += Array((String(count, radix: 16) + "\r\n").utf8) + body[place..<place + count] + [13, 10]
            place += count
        }
        return bytes + Array("0\r\n\r\n".utf8)
    }
}
