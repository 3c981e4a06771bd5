// The second URL of an endpoint that has one, ready to be delivered to; what is kept of a delivery on its way there.

import FastPath

/// Checked as the first one is. Immutable.
struct FailoverTarget: Sendable {
    let address: EndpointAddress
    /// What the resolver is asked for; nil when the URL has a literal address.
    let host: CompiledEndpoint.Host?
    /// Nil when the URL's scheme is http.
    let tls: TLSContext?

    /// Nil where the settings have none.
    init?(_ settings: EndpointConfiguration, _ environment: EndpointEnvironment) throws(EndpointError) {
        guard let url = settings.extras.contract?.value.failoverURL else { return nil }
        do throws(EndpointAddressError) { address = try EndpointAddress(url) } catch { throw .failover(error) }
        tls = address.isSecure ? try CompiledEndpoint.context(settings, environment) : nil
        guard let literal = address.literal else {
            host = CompiledEndpoint.Host(name: address.host, port: address.port)
            return
        }
        if let reason = environment.rules.refusal(of: literal.address) {
            throw .failover(.refused(host: address.host, address: literal.address.text, reason))
        }
        host = nil
    }
    var literals: [SocketAddress] { address.literal.map { [$0] } ?? [] }
}

/// A lane's way to its second URL: connections of its own, so that what goes there waits for nothing that the target
/// holds up.
package final class FailoverRoute: PoolHolder {
    package private(set) var pool: UInt32?
    package private(set) var inFlight = 0
    package var restStamp: UInt32 = 0
    var known = KnownDestination()

    package func take(pool: UInt32) { self.pool = pool }
    package func forgetPool() {
        pool = nil
        known = KnownDestination()
    }
    func began() { inFlight += 1 }
    func ended() {
        precondition(inFlight > 0)
        inFlight -= 1
    }
}

/// A delivery that would be a dead letter, while its second URL is tried.
final class FailoverOrder {
    let lane: Lane
    let place: EventLocation
    /// Counted attempts before the one to come, all of them at the target.
    let attempts: UInt16
    let origin: AttemptOrigin
    /// What becomes of it when that fails too.
    let reason: DeadLetterReason
    let outcome: DeliveryOutcome
    /// Of the payload pool, once the event has been read.
    var block: Int?
    /// The log could not be read; monotonic nanoseconds.
    var notBefore: UInt64 = 0
    /// Taken when it is sent.
    var route: FailoverRoute?
    /// Where it went, or would have gone; the entry may have another by the time it has come back.
    var address: EndpointAddress?

    init(
        _ lane: Lane, _ place: EventLocation, attempts: UInt16, _ origin: AttemptOrigin, _ reason: DeadLetterReason,
        _ outcome: DeliveryOutcome
    ) {
        self.lane = lane
        self.place = place
        self.attempts = attempts
        self.origin = origin
        self.reason = reason
        self.outcome = outcome
    }
    /// As rows count it.
    var number: UInt16 { attempts + 1 | AttemptCount.failover }
}

/// Deliveries that were tried at a second URL, by what became of them.
package struct FailoverFigures: Equatable, Sendable {
    package internal(set) var delivered: UInt64 = 0
    package internal(set) var failed: UInt64 = 0
    package init() {}
}
