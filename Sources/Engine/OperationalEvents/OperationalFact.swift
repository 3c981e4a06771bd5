// What happened, as whoever saw it tells it: small, without texts of its own, because the dispatcher makes them. What
// is said of it outside is made from it later and elsewhere (`OperationalPayload`).

import FastPath

package enum OperationalFact: Sendable {
    case endpoint(EndpointFact)
    case attempt(AttemptFact)
    case condition(ConditionFact)

    package var tenant: TenantID {
        switch self {
        case .endpoint(let fact): fact.spec.tenant
        case .attempt(let fact): fact.tenant
        case .condition(let fact): fact.tenant
        }
    }
}

/// A change of the registry.
package struct EndpointFact: Sendable {
    package enum Change: Sendable {
        case created
        /// What it was before.
        case updated(EndpointConfiguration)
        /// By hand, beside its settings.
        case switched(isEnabled: Bool)
        case deleted
    }
    package var change: Change
    /// As it is after the change; of one that was removed, as it was.
    package var spec: EndpointSpec
    /// The tenant's UUID.
    package var tenantID: String
    /// A key's public id, `signal` for a change of the manifest.
    package var actor: String
    /// Wall clock.
    package var atMillis: Int64

    package init(change: Change, spec: EndpointSpec, tenantID: String, actor: String, atMillis: Int64) {
        self.change = change
        self.spec = spec
        self.tenantID = tenantID
        self.actor = actor
        self.atMillis = atMillis
    }
}

/// What came of an attempt of one event at one endpoint.
package struct AttemptFact: Sendable {
    package enum Kind: Equatable, Sendable {
        case failing, exhausted, recovered
        /// It disabled the endpoint: by a 410, or as the last straw of five days.
        case gone, failedForDays
        /// So many hundredths of the time after which the endpoint is disabled have passed with nothing but failures.
        case failingFor(percent: Int)

        var isEnd: Bool { self == .gone || self == .failedForDays }
    }
    package var kind: Kind
    package var tenant: TenantID
    package var endpoint: EndpointID
    package var delivery: TriedDelivery
    package var outcome: DeliveryOutcome
    /// Store time of the attempt's end.
    package var atMillis: Int64
    /// Of the next attempt, 0 = there is none; of `failingFor`, when the endpoint will be disabled.
    package var nextMillis: Int64 = 0
    /// Of a recovery, and of `failingFor`: since when the endpoint was failing.
    package var sinceMillis: Int64 = 0

    package init(
        _ kind: Kind, tenant: TenantID, endpoint: EndpointID, delivery: TriedDelivery, outcome: DeliveryOutcome,
        atMillis: Int64
    ) {
        self.kind = kind
        self.tenant = tenant
        self.endpoint = endpoint
        self.delivery = delivery
        self.outcome = outcome
        self.atMillis = atMillis
    }
}

/// An event and how often it has been tried at an endpoint, as rows count.
package struct TriedDelivery: Equatable, Sendable {
    package var place: EventLocation
    package var attempts: UInt16

    package init(place: EventLocation, attempts: UInt16) {
        self.place = place
        self.attempts = attempts
    }
}
