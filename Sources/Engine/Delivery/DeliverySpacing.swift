// So many deliveries a second to one endpoint and no more: what is over waits. A leaky bucket as one time: when the
// next one may go. Passive; the time comes in.
//
// Invariants: over any time, no more than its rate allows and what `slackNanos` holds have gone; a slow rate is a
// strict distance, for it has no slack. With the clock's grain of a millisecond a fast rate could not be held without.

package struct DeliverySpacing: Equatable, Sendable {
    private static let slackNanos: UInt64 = 20_000_000
    /// When the next one is due, were there always one; 0 = long ago.
    private var next: UInt64 = 0

    package init() {}
    /// Between two deliveries.
    package static func intervalNanos(perSecond rate: Int) -> UInt64 { 1_000_000_000 / UInt64(max(rate, 1)) }

    /// When one may go that may not yet; nil = now.
    package func end(now: UInt64, intervalNanos: UInt64) -> UInt64? {
        let slack = intervalNanos < DeliverySpacing.slackNanos ? DeliverySpacing.slackNanos : 0
        return next > now + slack ? next - slack : nil
    }
    /// One has gone.
    package mutating func took(now: UInt64, intervalNanos: UInt64) { next = max(next, now) + intervalNanos }
    /// What was counted has not gone.
    package mutating func gaveBack(intervalNanos: UInt64) { next -= min(intervalNanos, next) }
    /// What is over is forgotten.
    package mutating func expire(now: UInt64) { if next <= now { next = 0 } }
    /// True exactly when nothing that went before holds anything back.
    package var isIdle: Bool { next == 0 }
    /// When it will be idle.
    package var idleAt: UInt64 { next }
}
