// The seven things that operational webhooks tell.

package enum OperationalEventType: String, CaseIterable, Sendable {
    case endpointCreated = "endpoint.created"
    case endpointUpdated = "endpoint.updated"
    case endpointDeleted = "endpoint.deleted"
    case endpointDisabled = "endpoint.disabled"
    case attemptFailing = "message.attempt.failing"
    case attemptExhausted = "message.attempt.exhausted"
    case attemptRecovered = "message.attempt.recovered"

    package var about: String {
        switch self {
        case .endpointCreated: "An endpoint was made."
        case .endpointUpdated: "What an endpoint is set to has changed; an endpoint that was disabled by hand, too."
        case .endpointDeleted: "An endpoint was removed."
        case .endpointDisabled:
            "The gateway has disabled an endpoint: it said 410, or no attempt has succeeded for five days."
        case .attemptFailing: "The first attempt of a message has failed at an endpoint, and it will be tried again."
        case .attemptExhausted: "A message is given up at an endpoint: no attempt is left, or the answer is final."
        case .attemptRecovered: "The first success of an endpoint since a message was failing or given up there."
        }
    }
}
