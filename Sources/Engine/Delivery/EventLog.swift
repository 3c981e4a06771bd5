// What the dispatcher asks of the log, and of the egress loop: the two narrow seams that tests replace.

import FastPath

/// One event as it came. The views are valid until the next read of the same log.
package struct StoredEvent {
    package var place: EventLocation
    /// Where reading goes on.
    package var next: EventLocation
    /// Wall clock, nanoseconds since 1970.
    package var receivedAt: UInt64
    package var tenant: TenantID
    /// Number 0 in records of earlier versions, which name their source only.
    package var sourceID: SourceID
    package var source: ByteView
    package var eventType: ByteView
    package var fieldLines: ByteView
    package var body: ByteView
    package var verdict: RecordVerification
    /// Of the certificate that the client had to show; empty when it had not.
    package var clientSubject: ByteView
    /// It is a request that holds several events, which are records of their own: nobody wants it.
    package var isRequestOfBatch = false
    /// Its content is gone from the log: nobody is sent it.
    package var isErased = false
    /// It came to the ingest port in the contract's envelope, all of which was right.
    package var isEnveloped = false
    /// Of its request; empty where nobody asks.
    package var method = ByteView.empty

    package init(
        place: EventLocation, next: EventLocation, receivedAt: UInt64, tenant: TenantID = .main,
        sourceID: SourceID = SourceID(0), source: ByteView, eventType: ByteView, fieldLines: ByteView, body: ByteView,
        verdict: RecordVerification = .verified, clientSubject: ByteView = .empty
    ) {
        self.tenant = tenant
        self.sourceID = sourceID
        self.verdict = verdict
        self.clientSubject = clientSubject
        self.place = place
        self.next = next
        self.receivedAt = receivedAt
        self.source = source
        self.eventType = eventType
        self.fieldLines = fieldLines
        self.body = body
    }
}

package enum EventRead {
    case event(StoredEvent)
    /// Nothing is committed at or behind that place.
    case end
    /// Damage or a read error there; the next place that may be readable.
    case unreadable(next: EventLocation)
    /// Nothing can be read now (no descriptor left, the folder is gone); the same call may succeed later.
    case unavailable
}

/// A reader of the log for one thread.
package protocol EventLog: AnyObject, SendableMetatype {
    /// The log's identity, for event ids.
    var identity: UInt64 { get }
    /// The place of the first event not yet on disk: everything before it may be delivered.
    var committedEnd: EventLocation { get }
    /// The place of the oldest event kept; equal to `committedEnd` when there is none.
    var oldest: EventLocation { get }
    /// The first event at or behind `place`. A gap (removed or set aside records) is stepped over.
    func read(at place: EventLocation) -> EventRead
}

/// The egress loop as the dispatcher sees it.
package protocol EgressPort: AnyObject, SendableMetatype {
    /// False when the ring is full; nothing was taken then.
    func submit(_ request: OutboundRequest) -> Bool
    /// The beginning of the answer that `outcome` tells of; valid until the slot's next request.
    func answer(of outcome: DeliveryOutcome) -> [UInt8]
    /// After the last order of a step.
    func flush()
    func nextOutcome() -> DeliveryOutcome?
    /// May say true for nothing, never false for something.
    var hasOutcome: Bool { get }
}

/// The two rings of one egress loop.
package final class EgressRings: EgressPort {
    private let orders: OutboundRequestRing
    private let outcomes: OutcomeRing
    private let answers: AnswerMemory

    package init(orders: OutboundRequestRing, outcomes: OutcomeRing, answers: AnswerMemory) {
        self.orders = orders
        self.outcomes = outcomes
        self.answers = answers
    }
    package func submit(_ request: OutboundRequest) -> Bool { orders.push(request) }
    package func answer(of outcome: DeliveryOutcome) -> [UInt8] { answers.bytes(of: outcome) }
    package func flush() { if !isPlanted(.loseWakeup) { orders.signal() } }
    package func nextOutcome() -> DeliveryOutcome? { outcomes.pop() }
    package var hasOutcome: Bool { outcomes.count > 0 }
}
