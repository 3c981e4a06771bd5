// How many events at once get into the log beside the ingest loops: a ring to whoever drives the journal, and the fates
// that come back. Nobody waits here for a single one; whoever offers keeps the tickets.
//
// Invariants: one thread at a time pushes, one thread takes fates; each event taken by the ring gets exactly one, and
// no more are out than `eventCountMax`, for which its user answers: the driver's receipts would find no room.
// Safety: the event's bytes are lent to the ring for the length of `push`, which copies them.

package final class EventPort: Sendable {
    /// A power of two: the ring of receipts has exactly this many places.
    package static let eventCountMax = 4096
    package enum Push: Equatable, Sendable {
        case taken
        /// No room now.
        case full
        /// No group takes so much.
        case tooLarge
    }
    private let link: JournalLink
    private let logIdentity: UInt64
    /// Leads each ticket, so that the driver knows a receipt of ours.
    private let mark: UInt64

    /// `loopIndex`: the link's place among the journal thread's; nil when a loop drives the journal itself and has the
    /// link second among its injections.
    package init(link: JournalLink, loopIndex: Int?, logIdentity: UInt64) {
        self.link = link
        self.logIdentity = logIdentity
        mark = loopIndex.map { UInt64($0) + 1 } ?? JournalClient.injectionMark(1)
    }

    /// `ticket` is below 2^56.
    package func push(_ event: InjectedEvent, ticket: UInt64) -> Push {
        precondition(ticket >> 56 == 0)
        let result = event.withInput { input -> Push in
            guard let bytes = input.groupByteCount, bytes <= link.eventBytesMax else { return .tooLarge }
            return link.events.push(input, ticket: ticket | mark << 56, durability: .fsync) ? .taken : .full
        }
        if result == .taken { link.journalWakeup.signal() }
        return result
    }
    /// The next event whose fate is known.
    package func nextFate() -> (ticket: UInt64, fate: InjectionFate)? {
        guard let receipt = link.receipts.pop() else { return nil }
        let id = EventID(logIdentity: logIdentity, sequence: receipt.sequence)
        let fate: InjectionFate =
            switch receipt.fate {
            case .kept: .kept(id)
            case .duplicate: .duplicate(id)
            case .tooLarge: .tooLarge
            case .failed, .busy, .full, .draining: .failed
            }
        return (receipt.ticket & (1 << 56 - 1), fate)
    }
    /// The thread that takes fates: until there is one, a call of `wake`, or the time is over.
    package func wait(millisMax: Int32, unless hasWork: () -> Bool) {
        _ = link.loopWakeup.sleep(timeoutMillis: millisMax) { !link.receipts.isEmpty || hasWork() }
    }
    package func wake() { link.loopWakeup.signal() }
}
