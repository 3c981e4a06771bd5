// How a worker thread puts an event into the log beside the ingest loops: for requests that were refused once and are
// genuine after all. One more producer for whoever drives the journal; blocking, for workers only.
//
// Invariants: each event taken by the ring gets exactly one receipt, and at most as many are out as the receipts' ring
// takes; the dedup law holds for an injected event as for every other, and where the event has no window or no key, by
// its `OfferIdentity`: so offering one again is safe.
// Safety: the event's bytes are lent to the ring for the length of `push`, which copies them.
import CShims
import Synchronization

/// An event with bytes of its own. Field lines each with their CRLF.
package struct InjectedEvent: Sendable {
    package var source: String
    /// 0 when the source has none.
    package var sourceNumber: UInt32 = 0
    /// `RecordFormat.tenantBytes(of:)` the tenant's number.
    package var tenant: [UInt8] = []
    /// Ignored when `keyIsBody`.
    package var dedupKey: [UInt8] = []
    package var keyIsBody = false
    package var dedupWindowSeconds: UInt32 = 86_400
    package var eventType: [UInt8] = []
    package var method: [UInt8] = []
    package var target: [UInt8] = []
    package var fieldLines: [UInt8] = []
    package var body: [UInt8] = []
    /// Of a request that holds several events; key and type are theirs then.
    package var elements = ElementTable()
    /// Its request carried the contract's envelope.
    package var isEnveloped = false
    /// Wall clock, nanoseconds since 1970; 0 = when it is offered.
    package var receivedAt: UInt64 = 0
    /// Offered again it is the same event by this, where it has no window or no key. Set it to what is the same in
    /// another process, if it is to be safe there too.
    package var identity = OfferIdentity.fresh()

    package init(source: String) { self.source = source }
}

package enum InjectionFate: Equatable, Sendable {
    /// On disk now.
    case kept(EventID)
    /// On disk before.
    case duplicate(EventID)
    /// The log did not take it now; offer it again later.
    case failed
    /// No group takes so much.
    case tooLarge
    /// The gateway is stopping.
    case closed
    /// No answer in time: it may be kept yet. Offering the same event again keeps it once, within its window, or within
    /// `OfferIdentity.windowSeconds` where it has none.
    case unknown
}

package final class EventInjector: Sendable {
    private struct State {
        var nextTicket: UInt64 = 1
        var outstandingCount = 0
        var isClosed = false
    }
    package static let eventCountMax = 64
    package let link: JournalLink
    private let logIdentity: UInt64
    /// Leads each ticket, so that the driver knows a receipt of ours.
    private let mark: UInt64
    private let state = Mutex(State())

    /// `loopIndex`: the link's place among the journal thread's; nil when a loop drives the journal itself.
    package init(link: JournalLink, loopIndex: Int?, logIdentity: UInt64) {
        self.link = link
        self.logIdentity = logIdentity
        mark = loopIndex.map { UInt64($0) + 1 } ?? JournalClient.injectionMark(0)
    }

    /// Waits until the event's fate is known, at most so long.
    package func offer(_ event: InjectedEvent, timeoutMillis: Int = 5000) -> InjectionFate {
        offer(contentsOf: [event], timeoutMillis: timeoutMillis)[0]
    }
    /// The fates in the order of the events; they share commits, so many cost little more than one.
    package func offer(contentsOf events: [InjectedEvent], timeoutMillis: Int = 5000) -> [InjectionFate] {
        let end = sluice_clock_monotonic() + UInt64(max(timeoutMillis, 0)) * 1_000_000
        return state.withLock { state in
            var fates = [InjectionFate](repeating: .unknown, count: events.count)
            guard !state.isClosed else { return fates.map { _ in .closed } }
            var waiting: [UInt64: Int] = [:]
            var offered = 0
            while offered < events.count || !waiting.isEmpty {
                while let receipt = link.receipts.pop() {
                    state.outstandingCount -= 1
                    // A ticket that is not known is of a call that did not wait for it.
                    if let index = waiting.removeValue(forKey: receipt.ticket) { fates[index] = fate(of: receipt) }
                }
                // After the receipts, which make the room: whoever sleeps has offered all that there is room for.
                while offered < events.count, let fate = push(events[offered], &state, &waiting, offered) {
                    fates[offered] = fate
                    offered += 1
                }
                link.journalWakeup.signal()
                if offered == events.count, waiting.isEmpty { break }
                let now = sluice_clock_monotonic()
                guard now < end else { break }
                _ = link.loopWakeup.sleep(timeoutMillis: Int32(clamping: (end - now) / 1_000_000 + 1)) {
                    !link.receipts.isEmpty
                }
            }
            // What no longer found room was not offered at all.
            for index in offered..<events.count { fates[index] = .failed }
            return fates
        }
    }
    /// Nothing is taken any more; what was taken gets its fate. Before the journal's driver drains.
    package func close() { state.withLock { $0.isClosed = true } }

    /// Nil when there is no room now; `unknown` while its receipt is waited for.
    private func push(
        _ event: InjectedEvent, _ state: inout State, _ waiting: inout [UInt64: Int], _ index: Int
    ) -> InjectionFate? {
        guard state.outstandingCount < link.receipts.capacity else { return nil }
        let ticket = state.nextTicket & (1 << 56 - 1) | mark << 56
        let result = event.identified.withInput { input -> InjectionFate? in
            guard let bytes = input.groupByteCount, bytes <= link.eventBytesMax else { return .tooLarge }
            return link.events.push(input, ticket: ticket, durability: .fsync) ? .unknown : nil
        }
        guard result == .unknown else { return result }
        state.nextTicket += 1
        state.outstandingCount += 1
        waiting[ticket] = index
        return .unknown
    }
    private func fate(of receipt: Receipt) -> InjectionFate {
        let id = EventID(logIdentity: logIdentity, sequence: receipt.sequence)
        return switch receipt.fate {
        case .kept: .kept(id)
        case .duplicate: .duplicate(id)
        case .failed, .busy, .full, .tooLarge, .draining: .failed
        }
    }
}

extension InjectedEvent {
    /// Lends the bytes as the journal takes them.
    func withInput<R>(_ body: (EventInput) -> R) -> R {
        let source = Array(source.utf8)
        // One array, so that one borrow lends all of them.
        let bytes =
            tenant + source + dedupKey + eventType + method + target + fieldLines + self.body + elements.bytes
        return bytes.withView { view in
            var place = 0
            func next(_ count: Int) -> ByteView {
                defer { place += count }
                return view.slice(place, count)
            }
            var input = EventInput()
            input.tenant = next(tenant.count)
            input.source = next(source.count)
            input.sourceNumber = sourceNumber
            input.dedupKey = next(dedupKey.count)
            input.eventType = next(eventType.count)
            input.method = next(method.count)
            input.target = next(target.count)
            input.fieldLines = next(fieldLines.count)
            input.body = next(self.body.count)
            input.elements = next(elements.bytes.count)
            input.keyIsBody = keyIsBody
            if keyIsBody { input.dedupKey = input.body }
            input.dedupWindowSeconds = dedupWindowSeconds
            input.isEnveloped = isEnveloped
            // Of the injection: the dedup window, a segment's age and recovery read the log as written in its order.
            input.receivedAt = receivedAt == 0 ? sluice_clock_wall() : receivedAt
            return body(input)
        }
    }
}

extension CapturedRequest {
    /// The event that a loop would have made of this request.
    package func event(
        source: String, selectors: EventSelectors, dedupWindowSeconds: UInt32
    ) -> InjectedEvent {
        event(source: source, texts: texts(selectors), dedupWindowSeconds: dedupWindowSeconds)
    }
    /// The event that a loop would have made of this request and what a worker read of it.
    package func event(
        source: String, texts: EventSelectors.Texts, dedupWindowSeconds: UInt32
    ) -> InjectedEvent {
        var event = request(source: source)
        event.keyIsBody = texts.keyIsBody
        event.dedupKey = texts.keyIsBody ? [] : texts.key ?? []
        // Without an identity it is no event's duplicate.
        event.dedupWindowSeconds = texts.key == nil ? 0 : dedupWindowSeconds
        event.eventType = texts.eventType
        return event
    }
    /// The several events of this request, at least one.
    package func event(
        source: String, elements: ElementTable, dedupWindowSeconds: UInt32
    ) -> InjectedEvent {
        precondition(elements.count > 0)
        var event = request(source: source)
        event.elements = elements
        event.dedupWindowSeconds = dedupWindowSeconds
        return event
    }
    private func request(source: String) -> InjectedEvent {
        bytes.withView { view in
            var event = InjectedEvent(source: source)
            event.method = view.slice(head.methodRange).array
            event.target = view.slice(head.target).array
            event.fieldLines = view.slice(head.fieldLines).array
            event.body = body
            return event
        }
    }
}
