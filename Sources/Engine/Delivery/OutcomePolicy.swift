// What an outcome means for the delivery and for the endpoint. Pure and total: every result has a row here, and every
// status has its meaning in the endpoint's `OutcomeTable`. `Retry-After` pauses the endpoint and not only the message.

import FastPath

/// What becomes of the delivery.
package enum DeliveryDecision: Equatable, Sendable {
    case delivered
    /// By the schedule, or a dead letter when that is used up.
    case retry
    /// Once, over a fresh connection, not counted: the old one had died unnoticed and very likely nobody read the
    /// request.
    case retryAtOnce
    case deadLetter(DeadLetterReason)
    /// 410 by default: a dead letter, and the endpoint is disabled.
    case endpointGone
    /// As if it had never been sent.
    case notAttempted
}

/// Stable names for metrics, API and the store; the raw values are stored.
package enum DeadLetterReason: UInt8, CaseIterable, Sendable {
    case permanentAnswer = 1
    case retriesExhausted = 2
    case endpointGone = 3
    /// Larger than the delivery memory takes.
    case tooLarge = 4
    /// Its record has left the log, or cannot be read.
    case eventMissing = 5
    /// It fell due while the endpoint was disabled, which drops what it is not to have.
    case endpointDisabled = 6
    /// Older than the endpoint's `deadline`, or it would be at its next attempt.
    case expired = 7
    /// An operator has cancelled it.
    case cancelled = 8
    /// It cannot be made into what its endpoint is to get.
    case transformationFailed = 9
    /// Somebody had its event's content erased.
    case erased = 10
    /// There was no access token for its endpoint, as often as it may be tried.
    case authorizationFailed = 11

    /// Places that a table by raw value has.
    package static let placeCount = Int(allCases.map(\.rawValue).max() ?? 0) + 1
    package var name: String {
        switch self {
        case .permanentAnswer: "permanent_answer"
        case .retriesExhausted: "retries_exhausted"
        case .endpointGone: "endpoint_gone"
        case .tooLarge: "too_large"
        case .eventMissing: "event_missing"
        case .endpointDisabled: "endpoint_disabled"
        case .expired: "expired"
        case .transformationFailed: "transformation_failed"
        case .cancelled: "cancelled"
        case .erased: "erased"
        case .authorizationFailed: "authorization_failed"
        }
    }
}

/// What becomes of the endpoint's pace.
package enum EndpointPace: Equatable, Sendable {
    case unchanged
    /// It works: whatever slowed it is forgotten step by step.
    case recovered
    /// It asked for less without saying for how long.
    case backOff
    case pause(seconds: UInt32)
}

package struct OutcomeDecision: Equatable, Sendable {
    package let decision: DeliveryDecision
    package let pace: EndpointPace

    package init(_ decision: DeliveryDecision, _ pace: EndpointPace = .unchanged) {
        self.decision = decision
        self.pace = pace
    }
}

package enum OutcomePolicy {
    /// No endpoint may silence its deliveries for longer by a field of an answer.
    package static let retryAfterSecondsMax: UInt32 = 3600

    /// `wasRepeated` is true exactly when this attempt is already the one that `retryAtOnce` asked for.
    package static func judge(
        _ outcome: DeliveryOutcome, wasRepeated: Bool, by table: OutcomeTable = OutcomeTable()
    ) -> OutcomeDecision {
        if outcome.lostReusedConnection, !wasRepeated { return OutcomeDecision(.retryAtOnce) }
        switch outcome.result {
        case .answered:
            return judge(table.meaning(of: outcome.status), retryAfterSeconds: outcome.retryAfterSeconds)
        case .abandoned: return OutcomeDecision(.notAttempted)
        case .notPrepared: return OutcomeDecision(.deadLetter(.transformationFailed))
        case .connectFailed, .connectTimedOut, .headTimedOut, .totalTimedOut, .connectionLost, .badAnswer,
            .answerTooLarge, .tlsFailed, .proxyRefused:
            return OutcomeDecision(.retry)
        case .nameNotResolved, .addressRefused, .authorizationFailed: return OutcomeDecision(.retry, .backOff)
        }
    }
    private static func judge(_ meaning: OutcomeMeaning, retryAfterSeconds: UInt32) -> OutcomeDecision {
        let isAsked = retryAfterSeconds != .max
        let decision: DeliveryDecision
        switch meaning {
        case .delivered: return OutcomeDecision(.delivered, .recovered)
        case .disable: return OutcomeDecision(.endpointGone)
        case .retry, .slow: decision = .retry
        case .retryIfAsked: decision = isAsked ? .retry : .deadLetter(.permanentAnswer)
        case .dead: decision = .deadLetter(.permanentAnswer)
        }
        if isAsked { return OutcomeDecision(decision, .pause(seconds: min(retryAfterSeconds, retryAfterSecondsMax))) }
        return OutcomeDecision(decision, meaning == .slow ? .backOff : .unchanged)
    }
}
