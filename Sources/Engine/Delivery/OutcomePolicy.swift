// What an outcome means for the delivery and for the endpoint. Pure and total: every result and every status has a row
// here. The rows follow Standard Webhooks: 2xx done, 3xx never followed, 410 disables, 429, 502, 504 and Retry-After
// slow the endpoint and not only the message.

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
    /// 410: a dead letter, and the endpoint is disabled.
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

    package var name: String {
        switch self {
        case .permanentAnswer: "permanent_answer"
        case .retriesExhausted: "retries_exhausted"
        case .endpointGone: "endpoint_gone"
        case .tooLarge: "too_large"
        case .eventMissing: "event_missing"
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
    package static func judge(_ outcome: DeliveryOutcome, wasRepeated: Bool) -> OutcomeDecision {
        switch outcome.result {
        case .answered: return judge(status: outcome.status, retryAfterSeconds: outcome.retryAfterSeconds)
        case .abandoned: return OutcomeDecision(.notAttempted)
        case .connectionLost where outcome.lostReusedConnection && !wasRepeated: return OutcomeDecision(.retryAtOnce)
        case .connectFailed, .connectTimedOut, .headTimedOut, .totalTimedOut, .connectionLost, .badAnswer,
            .answerTooLarge, .tlsFailed, .proxyRefused:
            return OutcomeDecision(.retry)
        case .nameNotResolved, .addressRefused: return OutcomeDecision(.retry, .backOff)
        }
    }
    private static func judge(status: UInt16, retryAfterSeconds: UInt32) -> OutcomeDecision {
        if (200...299).contains(status) { return OutcomeDecision(.delivered, .recovered) }
        if status == 410 { return OutcomeDecision(.endpointGone) }
        let isTransient = !(400...499).contains(status) || status == 408 || status == 425 || status == 429
        let decision = isTransient ? DeliveryDecision.retry : .deadLetter(.permanentAnswer)
        if retryAfterSeconds != .max {
            return OutcomeDecision(decision, .pause(seconds: min(retryAfterSeconds, retryAfterSecondsMax)))
        }
        let asksForLess = status == 429 || status == 502 || status == 504
        return OutcomeDecision(decision, asksForLess ? .backOff : .unchanged)
    }
}
