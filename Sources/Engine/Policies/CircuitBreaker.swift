// When an endpoint that only fails is left alone, and when it is tried again: closed, open, half-open. Passive: the end
// of an attempt, the phase and the time in, the next phase out. The phase itself is kept where it outlives the process
// and is shown (`EndpointState`), so that it is said once; here is what leads from one to the next.
//
// Closed, it opens by failures in a row, or by their share among the attempts of a sliding window. Open, nothing goes
// and nothing is counted: what comes back was out before. Half-open, one probe goes at a time; each must succeed, and
// the first failure opens it again.
//
// Invariant: in a phase that is not closed there are no failures in a row and no window: each closing starts afresh.

package enum BreakerPhase: String, CaseIterable, Sendable {
    case closed
    case open
    case halfOpen = "half_open"
}

package struct CircuitBreaker: Sendable {
    package private(set) var failuresInRow = 0
    package private(set) var probesSucceeded = 0
    private var window: FailureWindow?

    package init() {}

    /// An attempt has ended; returns the phase from now on. `isProbe`: it went out in this half-open phase.
    package mutating func ended(
        isFailure: Bool, isProbe: Bool, in phase: BreakerPhase, by settings: BreakerSettings, now: UInt64
    ) -> BreakerPhase {
        switch phase {
        case .open: return .open
        case .halfOpen: return isProbe ? probed(isFailure: isFailure, by: settings) : .halfOpen
        case .closed:
            probesSucceeded = 0
            failuresInRow = isFailure ? failuresInRow + 1 : 0
            guard failuresInRow >= settings.failures || isTooMany(isFailure: isFailure, settings, now) else {
                return .closed
            }
            self = CircuitBreaker()
            return .open
        }
    }
    /// The cooldown is over, or an operator wants to know.
    package mutating func beginProbing() { self = CircuitBreaker() }
    /// True exactly when it remembers nothing at `now`.
    package func isAtRest(now: UInt64) -> Bool {
        failuresInRow == 0 && probesSucceeded == 0 && (window?.end ?? 0) <= now
    }
    /// When its window will have nothing in it; 0 = it has none.
    package var windowEnd: UInt64 { window?.end ?? 0 }

    private mutating func probed(isFailure: Bool, by settings: BreakerSettings) -> BreakerPhase {
        guard !isFailure else {
            self = CircuitBreaker()
            return .open
        }
        probesSucceeded += 1
        guard probesSucceeded >= settings.probes else { return .halfOpen }
        self = CircuitBreaker()
        return .closed
    }
    private mutating func isTooMany(isFailure: Bool, _ settings: BreakerSettings, _ now: UInt64) -> Bool {
        guard let rate = settings.rate else { return false }
        var counted = window ?? FailureWindow(nanos: UInt64(rate.windowMillis) * 1_000_000)
        counted.note(isFailure: isFailure, now: now)
        window = counted
        guard counted.total >= rate.of else { return false }
        return Double(counted.failures) >= rate.share * Double(counted.total)
    }
}

/// Attempts and failures of the last so many nanoseconds, in ten parts: what is counted ended within the window or up
/// to a tenth of it before.
struct FailureWindow: Sendable {
    private static let partCount = 10
    private struct Part {
        var total = 0
        var failures = 0
    }
    private let partNanos: UInt64
    private var parts = [Part](repeating: Part(), count: FailureWindow.partCount)
    /// Of time, in parts since ever; the newest that is counted.
    private var newest: UInt64 = 0
    private(set) var total = 0
    private(set) var failures = 0

    init(nanos: UInt64) { partNanos = max(1, nanos / UInt64(FailureWindow.partCount)) }

    /// When nothing of it counts any more.
    var end: UInt64 { total == 0 ? 0 : (newest + UInt64(FailureWindow.partCount)) * partNanos }

    mutating func note(isFailure: Bool, now: UInt64) {
        advance(to: now / partNanos)
        let index = Int(newest % UInt64(FailureWindow.partCount))
        parts[index].total += 1
        total += 1
        guard isFailure else { return }
        parts[index].failures += 1
        failures += 1
    }
    private mutating func advance(to part: UInt64) {
        guard part > newest else { return }
        let passed = Int(min(part - newest, UInt64(FailureWindow.partCount)))
        for step in 1...passed {
            let index = Int((part - UInt64(passed - step)) % UInt64(FailureWindow.partCount))
            total -= parts[index].total
            failures -= parts[index].failures
            parts[index] = Part()
        }
        newest = part
    }
}
