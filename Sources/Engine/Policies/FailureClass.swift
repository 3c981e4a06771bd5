// Why an attempt failed, in the few classes that policies are written for. Pure and total: every outcome that is no
// delivery has one.

import FastPath

/// Raw values are the words of the configuration, of the API and of metrics.
package enum FailureClass: String, CaseIterable, Codable, Sendable {
    /// No connection, or it was lost, or what came is no HTTP answer; a host name that does not resolve.
    case network
    /// No answer in time.
    case timeout
    case tls
    /// The host's address may not be delivered to.
    case blockedAddress = "blocked-address"
    /// The endpoint does not want it as it is: 400, 404, 422 and the 4xx that no other class has.
    case validation
    /// 401, 403, 407.
    case authentication
    /// There is no access token for it: its token endpoint refuses, or does not answer. Nothing was sent.
    case authorizationFailed = "authorization-failed"
    /// 429.
    case limit
    /// 5xx, 408, 425, and the 3xx, which are not followed.
    case server

    /// Its place among all of them; looked for when something has failed, and never else.
    package var index: Int { FailureClass.allCases.firstIndex(of: self) ?? 0 }

    package init(_ outcome: DeliveryOutcome) { self.init(outcome.result, status: outcome.status) }
    package init(_ result: DeliveryResult, status: UInt16) {
        switch result {
        case .answered: self = FailureClass.of(status: status)
        case .connectFailed, .connectionLost, .badAnswer, .answerTooLarge, .proxyRefused, .nameNotResolved, .abandoned:
            self = .network
        case .connectTimedOut, .headTimedOut, .totalTimedOut: self = .timeout
        case .tlsFailed: self = .tls
        case .addressRefused: self = .blockedAddress
        case .authorizationFailed: self = .authorizationFailed
        // What was to be sent could not be made: the fault is the event's.
        case .notPrepared: self = .validation
        }
    }
    private static func of(status: UInt16) -> FailureClass {
        switch status {
        case 401, 403, 407: .authentication
        case 429: .limit
        case 408, 425: .server
        case 400...499: .validation
        default: .server
        }
    }
}
