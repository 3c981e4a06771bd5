// What the end of an attempt is called outside: in metrics, answers of the API and spans. Stable.
import FastPath

extension DeliveryResult {
    /// The stable name in metrics and the API.
    package var code: String {
        switch self {
        case .answered: "answered"
        case .connectFailed: "connect_failed"
        case .connectTimedOut: "connect_timed_out"
        case .headTimedOut: "head_timed_out"
        case .totalTimedOut: "total_timed_out"
        case .connectionLost: "connection_lost"
        case .badAnswer: "bad_answer"
        case .answerTooLarge: "answer_too_large"
        case .abandoned: "abandoned"
        case .nameNotResolved: "name_not_resolved"
        case .addressRefused: "address_refused"
        case .tlsFailed: "tls_failed"
        case .proxyRefused: "proxy_refused"
        case .notPrepared: "not_prepared"
        case .authorizationFailed: "authorization_failed"
        }
    }
}
