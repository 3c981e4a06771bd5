// Sends a number of signed events over keep-alive connections and counts the answers: the engine of `sluice send`. One
// event loop; a connection has one request in flight and takes the next when its answer is complete.
import Engine
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// What is to be sent.
package struct SendPlan: Sendable {
    let signer: RequestSigner
    let eventBody: EventBody
    /// The same body each time, or nil for one of its own each.
    let body: [UInt8]?
    let type: String
    let url: URLComponents
    let count: Int
    /// Scheme and authority that are signed, when they are not those of `url`.
    var origin: String?
    /// Put into every request; replace what it has of the same names.
    var fields: [(name: String, value: String)] = []
    /// Keeps the ids of two runs apart.
    let run = String(UInt64.random(in: 0 ... .max), radix: 36)

    init(signer: RequestSigner, eventBody: EventBody, body: [UInt8]?, type: String, url: URLComponents, count: Int) {
        self.signer = signer
        self.eventBody = eventBody
        self.body = body
        self.type = type
        self.url = url
        self.count = count
    }
    /// Events of a body each, of type `test`.
    package init(provider: String, secrets: [String], url: String, count: Int) throws {
        self.init(
            signer: try RequestSigner(provider: provider, secrets: secrets), eventBody: EventBody(provider: provider),
            body: nil,
            type: "test", url: URLComponents(string: url) ?? URLComponents(), count: count)
    }

    var host: String { (url.host ?? "").trimmingCharacters(in: CharacterSet(charactersIn: "[]")) }
    var port: Int { url.port ?? 80 }
    var target: String {
        let path = url.percentEncodedPath.isEmpty ? "/" : url.percentEncodedPath
        return url.percentEncodedQuery.map { "\(path)?\($0)" } ?? path
    }

    func request(number: Int) -> (head: HTTPRequestHead, body: [UInt8]) {
        let id = signer.takesEnvelope ? UUID().uuidString.lowercased() : "send-\(run)-\(number)"
        let now = UInt64(Date().timeIntervalSince1970)
        let content = body ?? eventBody.bytes(id: id, type: type, timestamp: now)
        let authority = AddressText.text(host: host, port: port)
        var unsigned = UnsignedRequest(body: content, id: id, type: type, timestamp: now)
        unsigned.origin = origin ?? "http://\(authority)"
        unsigned.target = target
        let signed = signer.sign(unsigned)
        var fields = HTTPHeaders([("Host", authority), ("User-Agent", "sluice-send")])
        for field in signed.headers { fields.add(name: field.name, value: field.value) }
        fields.add(name: "Content-Length", value: "\(signed.body.count)")
        for name in Set(self.fields.map { $0.name.lowercased() }) { fields.remove(name: name) }
        for field in self.fields { fields.add(name: field.name, value: field.value) }
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: signed.target, headers: fields)
        return (head, signed.body)
    }
}

package struct SendResult: Sendable {
    package var statuses: [Int: Int] = [:]
    /// Requests that got no answer, by what happened.
    package var failures: [String: Int] = [:]
    package var lastAnswer: (status: Int, body: String)?
}

package struct Sender: Sendable {
    private let plan: SendPlan
    package init(_ plan: SendPlan) { self.plan = plan }

    package func run(connections: Int, timeoutMillis: Int) async throws -> SendResult {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let plan = self.plan
        let tally = try await loop.submit { NIOLoopBoundBox(SendTally(plan.count), eventLoop: loop) }.get()
        await withTaskGroup(of: Void.self) { tasks in
            for _ in 0..<connections {
                tasks.addTask { await Sender.keepOpen(plan, tally, loop, timeoutMillis) }
            }
        }
        let result = try await loop.submit { tally.value.result }.get()
        try await group.shutdownGracefully()
        return result
    }

    /// One connection after the other until nothing is left to send; a peer that cannot be reached ends it.
    private static func keepOpen(
        _ plan: SendPlan, _ tally: NIOLoopBoundBox<SendTally>, _ loop: any EventLoop, _ timeoutMillis: Int
    ) async {
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(.milliseconds(Int64(timeoutMillis)))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = SendConnection(
                        plan: plan, tally: tally, timeout: .milliseconds(Int64(timeoutMillis)))
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
        while (try? await loop.submit { tally.value.hasMore }.get()) == true {
            do {
                let channel = try await bootstrap.connect(host: plan.host, port: plan.port).get()
                try await channel.closeFuture.get()
            } catch {
                let words = Sender.words(of: error)
                _ = try? await loop.submit { tally.value.failRest(words) }.get()
            }
        }
    }

    static func words(of error: any Error) -> String {
        if let error = error as? NIOConnectionError {
            if let first = error.connectionErrors.first { return words(of: first.error) }
            if let lookup = error.dnsAError ?? error.dnsAAAAError {
                return "the host's name does not resolve: \(lookup)"
            }
        }
        if let error = error as? IOError {
            switch error.errnoCode {
            case ECONNREFUSED: return "connection refused; nothing listens there"
            case ECONNRESET, EPIPE: return "the connection was reset"
            case EHOSTUNREACH, ENETUNREACH: return "no way to that host"
            default: return error.description
            }
        }
        if case ChannelError.connectTimeout = error { return "no connection within the time-out" }
        return "\(error)"
    }
}

/// What is left to send and what came of it; lives on the event loop.
struct SendTally {
    private var next = 0
    private let count: Int
    var result = SendResult()

    init(_ count: Int) { self.count = count }
    var hasMore: Bool { next < count }
    mutating func take() -> Int? {
        guard next < count else { return nil }
        next += 1
        return next
    }
    mutating func answered(_ status: Int, _ body: String) {
        result.statuses[status, default: 0] += 1
        result.lastAnswer = (status, body)
    }
    mutating func failed(_ reason: String) { result.failures[reason, default: 0] += 1 }
    mutating func failRest(_ reason: String) {
        guard next < count else { return }
        result.failures[reason, default: 0] += count - next
        next = count
    }
}

private final class SendConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let plan: SendPlan
    private let tally: NIOLoopBoundBox<SendTally>
    private let timeout: TimeAmount
    private var isWaiting = false
    private var status = 0
    private var keepsOpen = true
    private var body = ""
    private var reason = "the connection was closed without an answer"
    private var deadline: Scheduled<Void>?

    init(plan: SendPlan, tally: NIOLoopBoundBox<SendTally>, timeout: TimeAmount) {
        self.plan = plan
        self.tally = tally
        self.timeout = timeout
    }

    func channelActive(context: ChannelHandlerContext) { sendNext(context) }

    private func sendNext(_ context: ChannelHandlerContext) {
        guard let number = tally.value.take() else { return context.close(promise: nil) }
        let request = plan.request(number: number)
        isWaiting = true
        body = ""
        context.write(wrapOutboundOut(.head(request.head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: request.body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        deadline = context.eventLoop.scheduleTask(in: timeout) {
            let (connection, context) = bound.value
            connection.reason = "no answer within the time-out"
            context.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            status = Int(head.status.code)
            keepsOpen = head.isKeepAlive
        case .body(let part):
            if body.utf8.count < 4096 { body += String(buffer: part) }
        case .end:
            // An interim answer (100 Continue) is not the end of the request.
            guard status >= 200 else { return }
            deadline?.cancel()
            isWaiting = false
            tally.value.answered(status, body)
            if keepsOpen { sendNext(context) } else { context.close(promise: nil) }
        }
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        reason = Sender.words(of: error)
        context.close(promise: nil)
    }
    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        if isWaiting { tally.value.failed(reason) }
        isWaiting = false
    }
}
