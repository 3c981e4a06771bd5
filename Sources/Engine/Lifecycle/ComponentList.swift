// The components of a process in the order of their start. Passive: it calls, and reads no clock but the one it is
// given; the components do the work.
//
// Invariants: a component is started after all before it and stopped before any of them; each is drained and stopped at
// most once, and only if it was started. An end is two passes backwards: everything is drained, then everything is
// stopped, so that a component may drain through one that comes before it in the list. A failed start is undone by the
// same two passes with no time to wait. If these fail, a thread outlives what it uses.

package struct ComponentList {
    /// A component whose `stop` threw.
    package struct StopFailure {
        package let component: String
        package let error: any Error
    }
    private let components: [any Component]
    /// Monotonic, in nanoseconds.
    private let clock: @Sendable () -> UInt64
    /// `components[..<startedCount]` run.
    private var startedCount = 0
    /// `components[..<undrainedCount]` have not been drained.
    private var undrainedCount = 0

    package init(_ components: [any Component], clock: @escaping @Sendable () -> UInt64) {
        self.components = components
        self.clock = clock
    }
    package var names: [String] { components.map(\.name) }

    /// Throws what the failing component threw, with nothing left running; `stopFailed` hears what else went wrong.
    package mutating func start(stopFailed: (StopFailure) -> Void = { _ in }) throws {
        precondition(startedCount == 0, "started already")
        for component in components {
            do { try component.start() } catch {
                _ = drain(withinMillis: 0)
                stop().forEach(stopFailed)
                throw error
            }
            startedCount += 1
            undrainedCount += 1
        }
    }

    /// Each gets what the ones behind it left of the time. The names of those that could not finish in it.
    package mutating func drain(withinMillis: Int) -> [String] {
        let end = clock() + UInt64(max(withinMillis, 0)) * 1_000_000
        var unfinished: [String] = []
        while undrainedCount > 0 {
            undrainedCount -= 1
            let now = clock()
            let left = end > now ? Int((end - now) / 1_000_000) : 0
            let component = components[undrainedCount]
            if !component.drain(withinMillis: left) { unfinished.append(component.name) }
        }
        return unfinished
    }

    /// One that throws keeps no other from stopping.
    package mutating func stop() -> [StopFailure] {
        precondition(undrainedCount == 0, "drain comes first")
        var failures: [StopFailure] = []
        while startedCount > 0 {
            startedCount -= 1
            let component = components[startedCount]
            do { try component.stop() } catch {
                failures.append(StopFailure(component: component.name, error: error))
            }
        }
        return failures
    }
}
