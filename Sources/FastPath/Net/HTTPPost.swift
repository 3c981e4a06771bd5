// One POST of a small body to a server that the operator names, over TLS or without: blocks, for worker threads only.
//
// Invariants: a connection a call, which is closed at its end; behind TLS the peer has proved to be `host` to the
// system's roots before a byte is sent; no redirect is followed; all of it, the resolver aside, within the time that
// is given. Whatever the status is, it is an answer; what is none is a `PostFailure`.

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

package enum PostFailure: String, Error, Equatable, Sendable {
    case unresolved = "its host does not resolve"
    case notConnected = "no connection"
    case notTrusted = "TLS failed: its certificate is not that of the host, or not by a root that is known"
    case lost = "the connection ended, or the time was over, before an answer"
    case badAnswer = "what it answered is no HTTP, or too long"
}

package enum HTTPPost {
    private static let answerBytesMax = 65_536

    /// `tls`: of a request that goes over it.
    package static func send(_ request: PostRequest, tls: TLSContext?) throws(PostFailure) -> ExchangeAnswer {
        guard request.isSecure == (tls != nil) else { throw .notTrusted }
        guard let addresses = try? Resolver.resolve(host: request.host, port: request.port) else { throw .unresolved }
        var target = ExchangeTarget(addresses: addresses)
        target.tls = tls
        target.name = request.host
        target.isAddress = IPAddress(request.host) != nil
        do throws(ExchangeFailure) {
            return try CheckedExchange.run(
                target, request: head(of: request) + request.body, answerBytesMax: answerBytesMax,
                deadlineMillis: UInt64(max(1, request.millisMax)))
        } catch {
            switch error {
            case .connectFailed, .proxyRefused: throw .notConnected
            case .tlsFailed: throw .notTrusted
            case .timedOut, .connectionLost: throw .lost
            case .badAnswer, .answerTooLarge: throw .badAnswer
            }
        }
    }
    private static func head(of request: PostRequest) -> [UInt8] {
        Array("POST \(request.target) HTTP/1.1\r\nHost: \(request.hostField)\r\n".utf8) + request.fieldLines
            + Array("Content-Length: \(request.body.count)\r\nConnection: close\r\n\r\n".utf8)
    }
}
