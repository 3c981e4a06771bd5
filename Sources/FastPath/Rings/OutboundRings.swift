// The two rings between the dispatcher and the egress loop. Concrete on purpose: generics of `package` access are not
// specialised across modules (0.4 ns becomes 3.6 ns a call, measured), these are, because their bodies are compiled
// here.

/// Dispatcher → egress loop. The wake-up belongs to the loop, which sleeps on it.
package final class OutboundRequestRing: Sendable {
    package let ring: SPSCRing<OutboundRequest>
    package let wakeup: Wakeup

    /// Nil when the process has no descriptor left.
    package init?(capacity: Int) {
        guard let wakeup = Wakeup() else { return nil }
        ring = SPSCRing(capacity: capacity)
        self.wakeup = wakeup
    }
    package var capacity: Int { ring.capacity }
    package var count: Int { ring.count }

    /// Room for that many orders is certain until the producer pushes.
    package func room(wanted: Int) -> Int { ring.roomForProducer(wanted: wanted) }
    /// False when the ring is full. Call `signal` after the last push of a batch.
    package func push(_ order: OutboundRequest) -> Bool { ring.push(order) }
    /// As many as fit, in order; returns how many. Signals by itself.
    package func push(_ orders: Span<OutboundRequest>) -> Int {
        let pushed = ring.push(orders)
        if pushed > 0 { wakeup.signal() }
        return pushed
    }
    package func signal() { wakeup.signal() }
}

/// Egress loop → dispatcher. The wake-up belongs to the dispatcher.
package final class OutcomeRing: Sendable {
    package let ring: SPSCRing<DeliveryOutcome>
    package let wakeup: Wakeup

    /// Nil when the process has no descriptor left.
    package init?(capacity: Int) {
        guard let wakeup = Wakeup() else { return nil }
        ring = SPSCRing(capacity: capacity)
        self.wakeup = wakeup
    }
    package var capacity: Int { ring.capacity }
    package var count: Int { ring.count }

    package func pop() -> DeliveryOutcome? { ring.pop() }
    /// Hands at most `maximum` outcomes to `body`, oldest first; returns how many.
    package func drain(maximum: Int, _ body: (DeliveryOutcome) -> Void) -> Int {
        ring.drain(maximum: maximum, body)
    }
    /// Sleeps until an outcome is there, something else signals `wakeup`, or the time is over.
    package func sleep(timeoutMillis: Int32) {
        _ = wakeup.sleep(timeoutMillis: timeoutMillis) { !ring.isEmpty }
    }
}
