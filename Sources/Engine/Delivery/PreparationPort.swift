// What the dispatcher asks of whoever prepares events before they are sent: a bounded hand-over in, results out in any
// order. The seam that tests replace.
//
// Invariant: each order that was taken comes back exactly once, whatever became of it. If one did not, its slot would
// be out for ever, and a drain would never end.
import FastPath

/// One event to be prepared, with everything that the request is written from later. Its bytes are its own: the log's
/// are gone by then.
package struct PreparationOrder: Sendable {
    package let token: UInt64
    package let endpoint: CompiledEndpoint
    package let preparation: Preparation
    package let place: EventLocation
    package let receivedAt: UInt64
    package let sourceID: SourceID
    package let source: [UInt8]
    package let eventType: [UInt8]
    package let clientSubject: [UInt8]
    package let verdict: RecordVerification
    package let fieldLines: [UInt8]
    package let body: [UInt8]
    /// Of one that came in the contract's envelope and goes to an entry of the contract.
    package let envelope: EnvelopedEvent?
    /// Several events that go in one request; what is said above is of none of them then, but for the first's place.
    package let batch: PreparationBatch?

    init(
        _ batch: PreparationBatch, token: UInt64, endpoint: CompiledEndpoint, _ preparation: Preparation,
        place: EventLocation
    ) {
        self.token = token
        self.endpoint = endpoint
        self.preparation = preparation
        self.place = place
        self.batch = batch
        receivedAt = 0
        sourceID = SourceID(0)
        (source, eventType, clientSubject, fieldLines, body) = ([], [], [], [], [])
        verdict = .verified
        envelope = nil
    }
    init(
        _ event: StoredEvent, token: UInt64, endpoint: CompiledEndpoint, _ preparation: Preparation,
        logIdentity: UInt64
    ) {
        self.token = token
        self.endpoint = endpoint
        self.preparation = preparation
        place = event.place
        receivedAt = event.receivedAt
        sourceID = event.sourceID
        source = event.source.array
        eventType = event.eventType.array
        clientSubject = event.clientSubject.array
        verdict = event.verdict
        fieldLines = event.fieldLines.array
        body = event.body.array
        batch = nil
        envelope =
            endpoint.family == .contract && event.isEnveloped
            ? EnvelopedEvent(EventID(logIdentity: logIdentity, sequence: place.sequence), receivedAt) : nil
    }
    package var byteCount: Int { batch?.byteCount ?? fieldLines.count + body.count }
}

/// What became of it.
package struct PreparedDelivery: Sendable {
    package let order: PreparationOrder
    package let result: Result<PreparedEvent, PreparationFailure>
    /// Those of a batch that could not be made, by their place in it; the others are made.
    package let failures: [Int: PreparationFailure]

    package init(_ order: PreparationOrder) {
        self.order = order
        if let batch = order.batch {
            let made = batch.prepared(by: order.preparation)
            (result, failures) = (.success(made.event), made.failures)
            return
        }
        failures = [:]
        result = Result { () throws(PreparationFailure) in
            try order.preparation.prepare(fieldLines: order.fieldLines, body: order.body, envelope: order.envelope)
        }
    }
    /// Of what came and of what was made of it.
    package var byteCount: Int {
        guard case .success(let event) = result else { return order.byteCount }
        return order.byteCount + event.fieldLines.count + event.body.count
    }
}

package protocol PreparationPort: AnyObject {
    /// Whether an event of so many bytes may be handed over now.
    func hasRoom(for byteCount: Int) -> Bool
    /// Only after `hasRoom`.
    func submit(_ order: PreparationOrder)
    func nextPrepared() -> PreparedDelivery?
    /// May say true for nothing, never false for something.
    var hasPrepared: Bool { get }
}

/// Counts of the stage; the dispatcher's own.
package struct PreparationFigures: Equatable, Sendable {
    /// Out with the workers.
    package internal(set) var out = 0
    package internal(set) var prepared: UInt64 = 0
    /// `PreparationFailure.rawValue` is the index; 0 is unused.
    package internal(set) var failures = [UInt64](repeating: 0, count: PreparationFailure.allCases.count + 1)
    /// `RedactionKind.rawValue` is the index.
    package internal(set) var redactions = [UInt64](repeating: 0, count: RedactionKind.allCases.count)

    package init() {}
}
