// What a signal that asks for the end means, by when it comes. Passive: the time comes in.
//
// A supervisor, a container runtime and a terminal may each send one for a single wish, so two of them within a moment
// are one; one that comes later is somebody who does not want to wait.

package struct DrainSignals: Sendable {
    package enum Meaning: Equatable, Sendable {
        case drain
        /// It belongs to the one that began the drain.
        case sameWish
        case exitAtOnce
    }
    package static let momentNanos: UInt64 = 2_000_000_000
    private var begunAt: UInt64?

    package init() {}
    package mutating func received(at now: UInt64) -> Meaning {
        guard let begunAt else {
            begunAt = now
            return .drain
        }
        return now &- begunAt < DrainSignals.momentNanos ? .sameWish : .exitAtOnce
    }
}
