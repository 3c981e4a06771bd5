// Counts of deliveries and attempts that last as long as their endpoint does, whatever of its history is dropped: kept
// for endpoints of a family of webhooks alone.
//
// Invariant: what is added to a count is in the batch of the row that it counts, so that both are kept or neither.

/// What one outcome adds.
package struct TallyNote: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        case delivered
        case givenUp
        case attempt(AttemptNote)
    }
    package var endpoint: EndpointID
    package var kind: Kind

    package init(_ endpoint: EndpointID, _ kind: Kind) {
        self.endpoint = endpoint
        self.kind = kind
    }
}

package struct AttemptNote: Equatable, Sendable {
    /// Of its event.
    package var type: String
    package var isSuccess: Bool
    /// As people count.
    package var number: Int
    package var micros: UInt32
    /// Store time.
    package var endedMillis: Int64

    package init(type: String, isSuccess: Bool, number: Int, micros: UInt32, endedMillis: Int64) {
        self.type = type
        self.isSuccess = isSuccess
        self.number = number
        self.micros = micros
        self.endedMillis = endedMillis
    }
    package var begunMillis: Int64 { endedMillis - Int64(micros / 1000) }
}

/// Deliveries of an endpoint that came to an end.
package struct EndpointTally: Equatable, Sendable {
    package var endpoint: EndpointID
    package var delivered = 0
    package var givenUp = 0
    /// When the latest first attempt began, store time; 0 = never.
    package var triggeredMillis: Int64 = 0

    package init(_ endpoint: EndpointID) { self.endpoint = endpoint }

    package mutating func add(_ kind: TallyNote.Kind) {
        switch kind {
        case .delivered: delivered += 1
        case .givenUp: givenUp += 1
        case .attempt(let attempt):
            if attempt.number == 1 { triggeredMillis = max(triggeredMillis, attempt.begunMillis) }
        }
    }
}

/// Attempts of an endpoint with events of one type that ended in one way.
package struct AttemptTally: Equatable, Sendable {
    /// Of an endpoint; those of types that come when it has so many are counted under no name.
    package static let typeCountMax = 256
    package var endpoint: EndpointID
    package var type: String
    package var isSuccess: Bool
    package var count = 0
    /// Of `count`: those that were not the first of their delivery.
    package var retries = 0
    package var micros: Int64 = 0
    package var lastMillis: Int64 = 0

    package init(_ endpoint: EndpointID, type: String, isSuccess: Bool) {
        self.endpoint = endpoint
        self.type = type
        self.isSuccess = isSuccess
    }
    package mutating func add(_ attempt: AttemptNote) {
        count += 1
        retries += attempt.number > 1 ? 1 : 0
        micros += Int64(attempt.micros)
        lastMillis = max(lastMillis, attempt.endedMillis)
    }
}
