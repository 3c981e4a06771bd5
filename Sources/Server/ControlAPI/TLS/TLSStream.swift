// TLS on a channel of NIO, ciphertext below it and plaintext above: of the control listener, and of the command line
// that asks one. The protocol is `TLSSession`; this carries bytes to and from it.
//
// Invariants: no plaintext goes down before the session is open, and what was written until then goes first and in its
// order; a failure's alert goes out before the connection ends. Everything here happens on the channel's loop.
import FastPath
import NIOCore

/// Why TLS with the other side failed.
struct TLSStreamError: Error, Equatable {
    let failure: TLSFailure
    /// As whoever asked is told.
    var words: String {
        let isTrust = [TLSFailure.unknownAuthority, .selfSigned].contains(failure)
        return "\(failure.explanation) (\(failure.code))" + (isTrust ? "; --ca FILE names whom to believe" : "")
    }
}

final class TLSStream: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Whoever connects and does not get as far as this is sent away.
    private static let handshakeTime = TimeAmount.seconds(10)

    private var session: TLSSession
    private let isClient: Bool
    /// Which clients were believed when the peer's certificate was verified.
    private var trust: [UInt8]
    /// Told once, when the session is open.
    private let opened: (TLSStream, any Channel) -> Void
    /// Told of a server's, once at most.
    private let failed: (TLSFailure) -> Void
    private var isOpen = false
    private var isCutOff = false
    private var hasFailed = false
    private var hasBegun = false
    private var hasFinished = false
    private var waiting: [(bytes: ByteBuffer, promise: EventLoopPromise<Void>?)] = []
    private var deadline: Scheduled<Void>?

    /// A server's; nil without memory.
    init?(
        accepting context: TLSContext, failed: @escaping (TLSFailure) -> Void,
        opened: @escaping (TLSStream, any Channel) -> Void
    ) {
        guard let session = TLSSession(accepting: context.view) else { return nil }
        self.session = session
        isClient = false
        trust = context.trust
        self.failed = failed
        self.opened = opened
    }
    /// A client's, whose peer proves to be `host`.
    init?(connecting context: TLSContext, to host: String, isAddress: Bool) {
        guard let session = TLSSession(connecting: context.view, to: host, isAddress: isAddress) else { return nil }
        self.session = session
        isClient = true
        trust = context.trust
        failed = { _ in }
        opened = { _, _ in }
    }

    // MARK: the peer

    /// Valid as long as this is; nil when it showed none, or the session is not open yet.
    var peer: PeerCertificate? { session.peer }
    var isResumed: Bool { session.isResumed }
    /// Whether `context` would take the peer's certificate from a new connection. Verified again only where its
    /// authorities or lists are others than those of the last time.
    func isPeerBelieved(by context: TLSContext) -> Bool {
        guard trust != context.trust else { return true }
        guard session.isBelieved(by: context.view) else { return false }
        trust = context.trust
        return true
    }

    /// Its peer is not believed any more.
    func cutOff(_ channel: any Channel) {
        isCutOff = true
        channel.close(promise: nil)
    }

    // MARK: begin and end

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }
    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }
    func handlerRemoved(context: ChannelHandlerContext) { end(ChannelError.eof) }
    private func begin(_ context: ChannelHandlerContext) {
        guard !hasBegun else { return }
        hasBegun = true
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: Self.handshakeTime) { channel.close(promise: nil) }
        if isClient { take(ByteBuffer(), context) }
    }
    private func end(_ error: any Error) {
        deadline?.cancel()
        let unsent = waiting
        waiting = []
        for one in unsent { one.promise?.fail(error) }
    }

    // MARK: in

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasFailed else { return }
        take(unwrapInboundIn(data), context)
    }
    private func take(_ received: ByteBuffer, _ context: ChannelHandlerContext) {
        let done = session.exchange(Array(received.readableBytesView))
        send(done.output, context)
        if !isOpen, session.isOpen { open(context) }
        context.flush()
        // As soon as it was open: what came with it is not looked at.
        guard !isCutOff else { return }
        if !done.plaintext.isEmpty { context.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: done.plaintext))) }
        switch done.end {
        case .closed: context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        case .failed(let failure): fail(failure, context)
        case .wantsInput, .wantsRoom, .bytes: break
        }
    }
    private func open(_ context: ChannelHandlerContext) {
        isOpen = true
        deadline?.cancel()
        opened(self, context.channel)
        let first = waiting
        waiting = []
        for one in first { seal(one.bytes, one.promise, context) }
    }
    private func fail(_ failure: TLSFailure, _ context: ChannelHandlerContext) {
        hasFailed = true
        failed(failure)
        end(TLSStreamError(failure: failure))
        if failure == .plainHTTP, !isClient {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: Self.wordsForPlainHTTP)), promise: nil)
        }
        if isClient { context.fireErrorCaught(TLSStreamError(failure: failure)) }
        context.close(promise: nil)
    }
    private static let wordsForPlainHTTP: String = {
        let words = "this port speaks TLS: ask https:// of it\n"
        return "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: \(words.utf8.count)\r\n"
            + "Connection: close\r\n\r\n" + words
    }()

    // MARK: out

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let bytes = unwrapOutboundIn(data)
        guard !hasFailed, !hasFinished else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        if isOpen { seal(bytes, promise, context) } else { waiting.append((bytes, promise)) }
    }
    private func seal(_ bytes: ByteBuffer, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext) {
        guard let sealed = session.seal(Array(bytes.readableBytesView)) else {
            promise?.fail(TLSStreamError(failure: session.failure))
            return fail(session.failure, context)
        }
        context.write(wrapOutboundOut(ByteBuffer(bytes: sealed)), promise: promise)
    }
    private func send(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        if !bytes.isEmpty { context.write(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil) }
    }
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if isOpen, !hasFailed, !hasFinished, mode != .input {
            hasFinished = true
            session.finish()
            send(session.takeOutput(), context)
            context.flush()
        }
        context.close(mode: mode, promise: promise)
    }
}
