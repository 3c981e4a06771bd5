// What operational webhooks tell: seven things about endpoints and messages, and, to those that ask for it by name,
// that an endpoint will be disabled, and four about the gateway itself.

package enum OperationalEventType: String, CaseIterable, Sendable {
    case endpointCreated = "endpoint.created"
    case endpointUpdated = "endpoint.updated"
    case endpointDeleted = "endpoint.deleted"
    case endpointDisabled = "endpoint.disabled"
    case endpointFailing = "endpoint.failing"
    case attemptFailing = "message.attempt.failing"
    case attemptExhausted = "message.attempt.exhausted"
    case attemptRecovered = "message.attempt.recovered"
    case verificationFailing = "source.verification_failing"
    case spaceLow = "log.space_low"
    case queueLagging = "queue.lagging"
    case certificateExpiring = "certificate.expiring"

    /// To those alone that name it: what the contract's seven do not have.
    package var isByNameAlone: Bool {
        switch self {
        case .endpointFailing, .verificationFailing, .spaceLow, .queueLagging, .certificateExpiring: true
        default: false
        }
    }
    /// The seven of the contract: what an endpoint that names no types gets.
    package static let usual = allCases.filter { !$0.isByNameAlone }

    package var about: String {
        switch self {
        case .endpointCreated: "An endpoint was made."
        case .endpointUpdated: "What an endpoint is set to has changed; an endpoint that was disabled by hand, too."
        case .endpointDeleted: "An endpoint was removed."
        case .endpointDisabled:
            "The gateway has disabled an endpoint: it said 410, or no attempt has succeeded for as long as is allowed."
        case .endpointFailing:
            "An endpoint has done nothing but fail for 50, 70 or 90 hundredths of the time after which it is disabled."
        case .attemptFailing: "The first attempt of a message has failed at an endpoint, and it will be tried again."
        case .attemptExhausted: "A message is given up at an endpoint: no attempt is left, or the answer is final."
        case .verificationFailing: "Most requests of a source are refused for their signature; and the end of that."
        case .spaceLow: "The disk of the data folder has little room left; and the end of that."
        case .queueLagging: "An endpoint is given its events late; and the end of that."
        case .certificateExpiring: "A listener's certificate ends soon; and that there is another."
        case .attemptRecovered: "The first success of an endpoint since a message was failing or given up there."
        }
    }
}
