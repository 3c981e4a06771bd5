// Polled messages of the running gateway: from the log, with positions in the store.
import Engine
import FastPath

final class LivePollers: SvixPollers {
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    /// A sink as it is now.
    private struct Sink {
        let access: GatewayAccess
        let tenant: TenantID
        let place: PollerConsumer.Sink
        var types: [TypePattern] = []
        var channels: [String] = []
        /// Nanoseconds since 1970: an endpoint's messages begin with its making.
        var since: UInt64 = 0

        func consumer(_ name: String) -> PollerConsumer { PollerConsumer(tenant: tenant, sink: place, name: name) }
        var browser: MessageBrowser { MessageBrowser(access, tenant: tenant) }
        func iterator(_ sequence: UInt64) -> String {
            MessageID(EventID(logIdentity: access.identity, sequence: sequence)).text
        }
    }
    private func sink(_ application: String, _ ref: String, _ caller: Caller) throws -> Sink {
        guard let registry = gateway.registry else { throw ControlError.notRunning }
        let lookup = OutboundLookup(state: registry.state, caller: caller)
        let tenant = try lookup.application(application)
        let access = try gateway.accessNow()
        // Never an endpoint's uid: with an endpoint that goes, its sink does not become another one.
        if ref.hasPrefix(SvixPoll.namedPrefix) { return Sink(access: access, tenant: tenant.id, place: .named(ref)) }
        guard let endpoint = lookup.endpoint(of: tenant, ref) else {
            throw SvixError.notFound(
                "this application has no endpoint `\(ref.prefix(300))`; a sink of all messages has a name that begins "
                    + "with `\(SvixPoll.namedPrefix)`")
        }
        var sink = Sink(access: access, tenant: tenant.id, place: .endpoint(endpoint.id))
        sink.types = endpoint.settings.types.map { TypePattern($0) }
        sink.channels = endpoint.settings.channels
        sink.since = UInt64(max(0, endpoint.createdMillis)) * 1_000_000
        return sink
    }

    func poll(_ poll: SvixPoll, application: String, sink: String, _ caller: Caller) throws -> SvixPolled {
        let sink = try self.sink(application, sink, caller)
        let start = try start(of: poll, in: sink, from: nil)
        return try read(poll, of: sink, from: start).polled
    }
    func poll(
        _ poll: SvixPoll, application: String, sink: String, consumer: String, _ caller: Caller
    ) throws -> SvixPolled {
        let sink = try self.sink(application, sink, caller)
        let consumer = sink.consumer(consumer)
        let position = try stored { try sink.access.store.position(of: consumer) }
        let start = try start(of: poll, in: sink, from: position)
        let (polled, place) = try read(poll, of: sink, from: start)
        // It goes on elsewhere than it was, which is a seek. Who may only look is answered.
        let isSought = poll.iterator != nil && start != position
        guard place != position, !isSought || caller.principal.role.includes(.operator) else { return polled }
        // Of steps forward that found nothing: what is lost with the power, or not written, is read once more.
        let isEmptyStep = polled.data.isEmpty && position.map { start >= $0 } ?? true
        let isFar = place >= start && place - start >= LivePollers.emptyStepMin
        if !isEmptyStep || isSought || isFar { try move(consumer, to: place, sink, isDurable: !isEmptyStep) }
        return polled
    }
    func seek(
        after: UInt64, application: String, sink: String, consumer: String, _ caller: Caller
    ) throws -> String {
        let sink = try self.sink(application, sink, caller)
        let place = try sink.browser.place(after: after)
        try move(sink.consumer(consumer), to: place, sink)
        return sink.iterator(place)
    }

    /// A poll that found nothing moves its consumer by so many events or not at all.
    private static let emptyStepMin: UInt64 = 10_000

    /// Behind which event it reads.
    private func start(of poll: SvixPoll, in sink: Sink, from position: UInt64?) throws -> UInt64 {
        if let iterator = poll.iterator.flatMap({ MessageID($0) }) {
            guard sink.access.eventID(iterator.event.text) != nil else {
                throw SvixError.invalid(["query", "iterator"], "is not of this gateway's log")
            }
            return iterator.event.sequence
        }
        if let position { return position }
        let since = sink.since > 0 ? sink.since - 1 : 0
        return try sink.browser.place(after: max(since, poll.after ?? 0))
    }
    private func read(
        _ poll: SvixPoll, of sink: Sink, from start: UInt64
    ) throws -> (polled: SvixPolled, place: UInt64) {
        let (found, place, isDone) = try sink.browser.poll(behind: start, limit: poll.limit) { record in
            if let type = poll.eventType, record.eventType.text != type { return false }
            if !sink.types.isEmpty, !sink.types.contains(where: { $0.matches(record.eventType.array) }) { return false }
            guard poll.channel != nil || !sink.channels.isEmpty else { return true }
            let channels = PublishedFields.channels(in: record.fieldLines)
            if let channel = poll.channel, !PublishedFields.share([channel], channels) { return false }
            return sink.channels.isEmpty || PublishedFields.share(sink.channels, channels)
        }
        return (SvixPolled(data: found, iterator: sink.iterator(place), isDone: isDone), place)
    }
    private func move(
        _ consumer: PollerConsumer, to place: UInt64, _ sink: Sink, isDurable: Bool = true
    ) throws {
        let now = Int64(ProcessResources.wallNanos / 1_000_000)
        let isKept = try stored {
            try sink.access.store.move(consumer, to: place, nowMillis: now, isDurable: isDurable)
        }
        guard !isKept else { return }
        throw SvixError.conflict(
            "this application has as many consumers as are kept, and all were moved in the last 30 days; "
                + "poll as one of them, or by an iterator without a consumer")
    }
    private func stored<R>(_ body: () throws -> R) throws -> R {
        do { return try body() } catch {
            throw ControlError(
                .storeUnavailable, "the consumer's position cannot be read or written at the moment; try again")
        }
    }
}
