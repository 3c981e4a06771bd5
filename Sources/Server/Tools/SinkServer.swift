// An endpoint to deliver to: the engine of `sluice sink`. One event loop; requests are parsed and verified by the code
// of the hot path. Bodies with Content-Length only (that is how Sluice delivers); chunked ones are answered 411.
//
// Invariant: a request is counted, and its ledger line written, before its answer leaves.
import Engine
import FastPath
import Foundation
import NIOCore
import NIOPosix

package struct SinkPlan: Sendable {
    package var secrets: [String] = []
    /// Share of requests answered 500, 0 to 1.
    package var failShare = 0.0
    package var behaviour = SinkBehaviour()
    package var ledger: String?
    package init() {}
}

/// The state all connections share; lives on the event loop.
final class SinkState {
    let plan: SinkPlan
    let scheme: SignatureScheme?
    private let parts: CompiledSourceParts?
    var tally = SinkTally()
    private let ledger: FileHandle?
    private var ledgerLines = ""
    private var firstAt: UInt64 = 0

    init(_ plan: SinkPlan) throws {
        self.plan = plan
        if plan.secrets.isEmpty {
            parts = nil
        } else {
            var source = SourceConfiguration()
            source.name = "sink"
            source.provider = "standard-webhooks"
            source.secrets = plan.secrets.map { SourceSecret($0) }
            parts = try SourceCompiler.compile(source)
        }
        scheme = parts?.scheme
        ledger = try plan.ledger.map { try SinkState.open($0) }
    }

    private static func open(_ path: String) throws -> FileHandle {
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try handle.seekToEnd()
        return handle
    }
    /// The event of `sluice load` that a body carries is the line's last word.
    func note(id: String, status: Int, body: ByteView) {
        guard ledger != nil else { return }
        ledgerLines += "\(UInt64(Date().timeIntervalSince1970 * 1_000_000)) \(id.isEmpty ? "-" : id) \(status)"
        if let found = LoadEventText.find(in: body) {
            ledgerLines += " " + LoadEventText.text(run: found.run, event: found.event)
        }
        ledgerLines += "\n"
    }
    /// Seconds since the first request.
    func elapsed() -> Double {
        let now = ProcessResources.monotonicNanos
        if firstAt == 0 { firstAt = now }
        return Double(now - firstAt) / 1e9
    }
    /// Lines reach the file before the answers of the same round do.
    func writeLedger() {
        guard !ledgerLines.isEmpty else { return }
        try? ledger?.write(contentsOf: Data(ledgerLines.utf8))
        ledgerLines.removeAll(keepingCapacity: true)
    }
}

package final class SinkServer: Sendable {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let state: NIOLoopBoundBox<SinkState>
    private let channel: any Channel
    package let port: Int

    /// Listens at once; throws `SourceError` for a bad secret and `IOError` for an address that cannot be had.
    package init(host: String, port: Int, plan: SinkPlan) async throws {
        let loop = group.next()
        let isSlow = plan.behaviour.readBytesPerSecond > 0
        let state = try await loop.submit { NIOLoopBoundBox(try SinkState(plan), eventLoop: loop) }.get()
        self.state = state
        channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: isSlow ? 4 << 10 : 64 << 10)
            )
            .childChannelOption(.maxMessagesPerRead, value: UInt(isSlow ? 1 : 4))
            .childChannelOption(.autoRead, value: !isSlow)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(SinkConnection(state.value))
                }
            }
            .bind(host: host, port: port).get()
        self.port = channel.localAddress?.port ?? port
    }

    package func tally() async throws -> SinkTally {
        try await group.next().submit { self.state.value.tally }.get()
    }
    package func stop() async throws {
        try await channel.close()
        try await group.shutdownGracefully()
    }
}

private final class SinkConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let state: SinkState
    private var pending: [UInt8] = []
    private var readCount = 0
    private var parser = HeadParser()
    private var head = RequestHead()
    private var fields = FieldTable()
    private var verifier = BatchVerifier(engine: .openssl, jobCountMax: 1, scratchBytes: 1 << 16)
    private let limits: IngestLimits = {
        var limits = IngestLimits()
        limits.bodyBytesMax = 64 << 20
        return limits
    }()
    private static let idHeader = HeaderName("webhook-id")

    init(_ state: SinkState) { self.state = state }

    /// With slow reads each read is asked for, when its share of the rate is over.
    func channelActive(context: ChannelHandlerContext) {
        if state.plan.behaviour.readBytesPerSecond > 0 { context.read() }
    }
    func channelReadComplete(context: ChannelHandlerContext) {
        let rate = state.plan.behaviour.readBytesPerSecond
        guard rate > 0 else { return }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let nanos = Int64(Double(readCount) / Double(rate) * 1e9)
        readCount = 0
        context.eventLoop.scheduleTask(in: .nanoseconds(nanos)) { bound.value.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        readCount += buffer.readableBytes
        if let bytes = buffer.readBytes(length: buffer.readableBytes) {
            if pending.isEmpty { pending = bytes } else { pending += bytes }
        }
        var consumed = 0
        var answers = SinkResponses()
        let bytes = pending
        bytes.withView { view in
            while consumed < view.count, !answers.closes {
                guard let step = takeRequest(view.slice(consumed, view.count - consumed)) else { break }
                consumed += step.byteCount
                answers.add(step.decision, closes: step.closes, retryAfter: state.plan.behaviour.retryAfterSeconds)
            }
        }
        pending = consumed == bytes.count ? [] : Array(bytes[consumed...])
        guard answers.count > 0 else { return }
        state.writeLedger()
        send(answers, context)
    }

    private func send(_ answers: SinkResponses, _ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let write = { @Sendable in
            let (connection, context) = bound.value
            if answers.resets {
                // Without the linger the peer would see an orderly end.
                if let options = context.channel as? any SocketOptionProvider {
                    _ = options.setSoLinger(linger(l_onoff: 1, l_linger: 0))
                }
                return context.close(promise: nil)
            }
            let written = context.writeAndFlush(connection.wrapOutboundOut(ByteBuffer(string: answers.text)))
            if answers.closes { written.whenComplete { _ in bound.value.1.close(promise: nil) } }
        }
        guard answers.seconds > 0 else { return write() }
        context.eventLoop.scheduleTask(in: .nanoseconds(Int64(answers.seconds * 1e9)), write)
    }

    /// One request from the beginning of `bytes`; nil while it is incomplete.
    private func takeRequest(_ bytes: ByteView) -> (byteCount: Int, decision: SinkBehaviour.Decision, closes: Bool)? {
        switch parser.parse(bytes, into: &head, fields: &fields, limits: limits) {
        case .incomplete: return nil
        case .failed(let error): return (bytes.count, SinkConnection.refusal(error.status), true)
        case .complete: break
        }
        if head.isChunked { return (bytes.count, SinkConnection.refusal(411), true) }
        guard head.contentLength <= limits.bodyBytesMax else {
            return (bytes.count, SinkConnection.refusal(413), true)
        }
        guard bytes.count - head.byteCount >= head.contentLength else { return nil }
        let body = bytes.slice(head.byteCount, head.contentLength)
        return (head.byteCount + head.contentLength, receive(bytes, body), head.closes)
    }

    private static func refusal(_ status: Int) -> SinkBehaviour.Decision {
        var decision = SinkBehaviour.Decision()
        decision.status = status
        return decision
    }
    private func receive(_ bytes: ByteView, _ body: ByteView) -> SinkBehaviour.Decision {
        let place = fields.firstIndex(of: SinkConnection.idHeader, in: bytes)
        let id = place < 0 ? "" : bytes.slice(fields[place].value).text
        var random = SystemRandomNumberGenerator()
        var decision = state.plan.behaviour.decide(elapsed: state.elapsed(), using: &random)
        if !verifies(bytes, body) {
            state.tally.rejected += 1
            decision.status = 401
        } else if state.plan.failShare > 0, Double.random(in: 0..<1) < state.plan.failShare {
            state.tally.refused += 1
            decision.status = 500
        } else if decision.resets || !(200...299).contains(decision.status) {
            state.tally.refused += 1
        } else {
            state.tally.receive(id: id.isEmpty ? SinkConnection.loadEvent(in: body) : id)
        }
        // A reset is in the ledger as what it is to the sender: no answer.
        state.note(id: id, status: decision.resets ? 0 : decision.status, body: body)
        return decision
    }
    /// What `sluice load` calls the event, which sends as many providers do, without a `webhook-id`.
    private static func loadEvent(in body: ByteView) -> String {
        LoadEventText.find(in: body).map { LoadEventText.text(run: $0.run, event: $0.event) } ?? ""
    }
    private func verifies(_ bytes: ByteView, _ body: ByteView) -> Bool {
        guard let scheme = state.scheme else { return true }
        verifier.removeAll()
        let now = UInt64(Date().timeIntervalSince1970)
        switch verifier.add(scheme: scheme, request: bytes, head: head, fields: fields, body: body, nowSeconds: now) {
        case .accepted: return true
        case .rejected, .full: return false
        case .queued(let job):
            verifier.run()
            return verifier.verdict(job: job) == nil
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// The answers to what one read brought, in their order: they leave together, after the longest of their delays.
private struct SinkResponses: Sendable {
    private(set) var text = ""
    private(set) var count = 0
    private(set) var seconds = 0.0
    private(set) var closes = false
    private(set) var resets = false

    mutating func add(_ decision: SinkBehaviour.Decision, closes last: Bool, retryAfter: Int?) {
        count += 1
        seconds = max(seconds, decision.seconds)
        closes = closes || last || decision.resets
        resets = resets || decision.resets
        text += "HTTP/1.1 \(decision.status) \(SinkResponses.phrase(decision.status))\r\nContent-Length: 0\r\n"
        if let retryAfter, decision.status == 429 || decision.status == 503 {
            text += "Retry-After: \(retryAfter)\r\n"
        }
        text += last ? "Connection: close\r\n\r\n" : "\r\n"
    }
    private static func phrase(_ status: Int) -> StaticString {
        switch status {
        case 200: "OK"
        case 202: "Accepted"
        case 204: "No Content"
        case 401: "Unauthorized"
        case 410: "Gone"
        case 411: "Length Required"
        case 429: "Too Many Requests"
        case 500: "Internal Server Error"
        case 503: "Service Unavailable"
        default: status < 300 ? "Done" : "Refused"
        }
    }
}
