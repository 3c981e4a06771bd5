// Between the codec and the server of each connection of the control listener: takes the calls that `QuickCalls` knows,
// and answers them without a task. Everything else goes on as it came.
//
// Invariants: answers leave in the order of their requests, so one is taken only while nothing before it is unanswered,
// and what comes behind it waits; while one waits for the disk no more is read than has been; a call that is handed
// back goes on whole, as if nobody had looked. All of it on the channel's event loop.
import Engine
import FastPath
import HTTPTypes
import NIOCore
import NIOHTTPTypes

package final class QuickCallHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPRequestPart
    package typealias InboundOut = HTTPRequestPart
    package typealias OutboundIn = HTTPResponsePart
    package typealias OutboundOut = HTTPResponsePart

    private struct Request {
        let target: QuickCalls.Target
        let head: HTTPRequest
        var body: ByteBuffer?
    }
    private enum State {
        case passing
        case gathering(Request)
        /// For the disk.
        case waiting(Request, requestID: String, QuickPublication)
    }
    private let calls: QuickCalls
    private var state = State.passing
    /// Requests that went on and are not answered yet.
    private var passedCount = 0
    /// What came while one waits.
    private var kept = CircularBuffer<HTTPRequestPart>()
    private var keepsRead = false
    private var keptQuiesce: ChannelShouldQuiesceEvent?
    private var date = (second: -1, text: "")

    package init(_ calls: QuickCalls) { self.calls = calls }

    // MARK: in

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) { take(unwrapInboundIn(data), context) }

    private func take(_ part: HTTPRequestPart, _ context: ChannelHandlerContext) {
        switch state {
        case .waiting: kept.append(part)
        case .passing:
            if case .head(let head) = part {
                if passedCount == 0, let target = QuickCalls.target(head) {
                    state = .gathering(Request(target: target, head: head))
                    return
                }
                passedCount += 1
            }
            context.fireChannelRead(wrapInboundOut(part))
        case .gathering(var request):
            switch part {
            case .head: preconditionFailure("a request began within another")
            case .body(var bytes):
                // One owner, or each part would copy those before it.
                state = .passing
                if request.body == nil { request.body = bytes } else { request.body!.writeBuffer(&bytes) }
                if request.body!.readableBytes > QuickCalls.bodyBytesMax {
                    handBack(request, context)
                } else {
                    state = .gathering(request)
                }
            case .end(let trailers): ended(request, trailers, context)
            }
        }
    }
    private func ended(_ request: Request, _ trailers: HTTPFields?, _ context: ChannelHandlerContext) {
        state = .passing
        let requestID = RequestID.accepted(request.head.headerFields[RequestID.header]) ?? RequestID.make()
        let body = request.body.map { Array($0.readableBytesView) } ?? []
        guard let publication = calls.publication(request.target, request.head, body, requestID: requestID) else {
            handBack(request, context, end: .end(trailers))
            return
        }
        state = .waiting(request, requestID: requestID, publication)
        let loop = context.eventLoop
        let place = NIOLoopBound((handler: self, context: context), eventLoop: loop)
        let isTaken = calls.publishing.offer(publication.event) { fate in
            loop.execute { place.value.handler.decided(fate, place.value.context) }
        }
        guard isTaken else {
            state = .passing
            handBack(request, context, end: .end(trailers))
            return
        }
    }
    /// `end` nil: more of the request is to come.
    private func handBack(_ request: Request, _ context: ChannelHandlerContext, end: HTTPRequestPart? = nil) {
        passedCount += 1
        context.fireChannelRead(wrapInboundOut(.head(request.head)))
        if let body = request.body { context.fireChannelRead(wrapInboundOut(.body(body))) }
        if let end { context.fireChannelRead(wrapInboundOut(end)) }
    }

    // MARK: out

    private func decided(_ fate: InjectionFate, _ context: ChannelHandlerContext) {
        guard case .waiting(let request, let requestID, let publication) = state, context.channel.isActive else {
            return
        }
        state = .passing
        if let reply = publication.reply(fate) {
            write(reply, requestID, isOpen: request.target != .event, context)
        } else {
            handBack(request, context, end: .end(nil))
        }
        while !kept.isEmpty {
            if case .waiting = state { break }
            take(kept.removeFirst(), context)
        }
        context.fireChannelReadComplete()
        if case .waiting = state { return }
        if keepsRead {
            keepsRead = false
            context.read()
        }
        if let event = keptQuiesce {
            keptQuiesce = nil
            context.fireUserInboundEventTriggered(event)
        }
    }
    /// `isOpen`: callers of any origin may read it.
    private func write(_ reply: QuickReply, _ requestID: String, isOpen: Bool, _ context: ChannelHandlerContext) {
        var fields = HTTPFields()
        fields[.contentType] = reply.contentType
        fields[.contentLength] = "\(reply.text.utf8.count)"
        fields[.cacheControl] = "no-store"
        fields[.xContentTypeOptions] = "nosniff"
        fields[RequestID.header] = requestID
        fields[.date] = dateText()
        if isOpen { fields[.accessControlAllowOrigin] = "*" }
        if reply.status == 503 { fields[.retryAfter] = "1" }
        let head = HTTPResponse(status: HTTPResponse.Status(code: reply.status), headerFields: fields)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        let body = context.channel.allocator.buffer(string: reply.text)
        context.write(wrapOutboundOut(.body(body)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
    private func dateText() -> String {
        let second = Int(ProcessResources.wallNanos / 1_000_000_000)
        if second != date.second { date = (second, DateCache(unixSeconds: second).string) }
        return date.text
    }
    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) { passedCount -= 1 }
        context.write(data, promise: promise)
    }

    // MARK: the connection

    package func read(context: ChannelHandlerContext) {
        if case .waiting = state { keepsRead = true } else { context.read() }
    }
    package func channelInactive(context: ChannelHandlerContext) {
        kept.removeAll()
        state = .passing
        context.fireChannelInactive()
    }
    /// The server closes a connection that has nothing under way; it knows of no call that was taken here.
    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .waiting = state, let event = event as? ChannelShouldQuiesceEvent {
            keptQuiesce = event
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
