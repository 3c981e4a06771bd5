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
    package var delayMillis = 0
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
    func note(id: String, status: Int) {
        guard ledger != nil else { return }
        ledgerLines += "\(UInt64(Date().timeIntervalSince1970 * 1_000_000)) \(id.isEmpty ? "-" : id) \(status)\n"
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
        let state = try await loop.submit { NIOLoopBoundBox(try SinkState(plan), eventLoop: loop) }.get()
        self.state = state
        channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 64 << 10))
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

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if let bytes = buffer.readBytes(length: buffer.readableBytes) {
            if pending.isEmpty { pending = bytes } else { pending += bytes }
        }
        var consumed = 0
        var answers = ""
        var closes = false
        let bytes = pending
        bytes.withView { view in
            while consumed < view.count, !closes {
                guard let step = takeRequest(view.slice(consumed, view.count - consumed)) else { break }
                consumed += step.byteCount
                closes = step.closes
                answers += SinkConnection.answer(step.status, closes: step.closes)
            }
        }
        pending = consumed == bytes.count ? [] : Array(bytes[consumed...])
        guard !answers.isEmpty else { return }
        state.writeLedger()
        send(answers, closes, context)
    }

    private func send(_ answers: String, _ closes: Bool, _ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let write = { @Sendable in
            let (connection, context) = bound.value
            let written = context.writeAndFlush(connection.wrapOutboundOut(ByteBuffer(string: answers)))
            if closes { written.whenComplete { _ in bound.value.1.close(promise: nil) } }
        }
        guard state.plan.delayMillis > 0 else { return write() }
        context.eventLoop.scheduleTask(in: .milliseconds(Int64(state.plan.delayMillis)), write)
    }

    /// One request from the beginning of `bytes`; nil while it is incomplete.
    private func takeRequest(_ bytes: ByteView) -> (byteCount: Int, status: Int, closes: Bool)? {
        switch parser.parse(bytes, into: &head, fields: &fields, limits: limits) {
        case .incomplete: return nil
        case .failed(let error): return (bytes.count, error.status, true)
        case .complete: break
        }
        if head.isChunked { return (bytes.count, 411, true) }
        guard head.contentLength <= limits.bodyBytesMax else { return (bytes.count, 413, true) }
        guard bytes.count - head.byteCount >= head.contentLength else { return nil }
        let body = bytes.slice(head.byteCount, head.contentLength)
        return (head.byteCount + head.contentLength, receive(bytes, body), head.closes)
    }

    private func receive(_ bytes: ByteView, _ body: ByteView) -> Int {
        let place = fields.firstIndex(of: SinkConnection.idHeader, in: bytes)
        let id = place < 0 ? "" : bytes.slice(fields[place].value).text
        var status = 200
        if !verifies(bytes, body) {
            state.tally.rejected += 1
            status = 401
        } else if state.plan.failShare > 0, Double.random(in: 0..<1) < state.plan.failShare {
            state.tally.refused += 1
            status = 500
        } else {
            state.tally.receive(id: id)
        }
        state.note(id: id, status: status)
        return status
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

    private static func answer(_ status: Int, closes: Bool) -> String {
        let phrase =
            [200: "OK", 401: "Unauthorized", 411: "Length Required", 500: "Internal Server Error"][status] ?? "Refused"
        return "HTTP/1.1 \(status) \(phrase)\r\nContent-Length: 0\r\n" + (closes ? "Connection: close\r\n\r\n" : "\r\n")
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
