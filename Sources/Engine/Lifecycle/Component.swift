// One part of the process, as its lifecycle knows it. What a component is made of is its own business; the others reach
// what it made through its properties, which are there from its `start` on.
import Synchronization

package protocol Component: AnyObject, Sendable {
    /// What log lines call it.
    var name: String { get }
    /// Brings the component up, or throws and leaves nothing of it behind. Everything before it in the list runs.
    func start() throws
    /// Takes no more work and finishes what is in flight, for at most so long; 0 means that nobody waits for it. True
    /// exactly when everything was finished. Once, after `start`; everything before it in the list still runs.
    func drain(withinMillis: Int) -> Bool
    /// Ends the component and gives back what it took. Once, after `drain`; everything behind it in the list has
    /// stopped, everything before it has been drained.
    func stop() throws
}

extension Component {
    package func drain(withinMillis: Int) -> Bool { true }
    package func stop() throws {}
}

/// What a component made by its start.
///
/// Invariant: set once, before anything behind the component in its list reads it.
package final class StartResult<Value: Sendable>: Sendable {
    private let stored = Mutex<Value?>(nil)

    package init() {}
    package func set(_ value: Value) {
        stored.withLock {
            precondition($0 == nil, "a component is started once")
            $0 = value
        }
    }
    package var value: Value {
        guard let value = stored.withLock({ $0 }) else { preconditionFailure("read before its component has started") }
        return value
    }
    /// Nil before the start, and when the start has failed.
    package var ifStarted: Value? { stored.withLock { $0 } }
}
