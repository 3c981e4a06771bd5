// Waiting for something that another process is about to let go of: tried at once, then again and again for a bounded
// time, with one word to the operator. Blocks its thread; for a start only.

import FastPath
import Foundation

package struct BoundedWait: Sendable {
    package var seconds: Double
    package var intervalSeconds = 0.05

    package init(seconds: Double) { self.seconds = seconds }

    /// The result of the first try that succeeds, else the last error. `isPassing`: the error may be gone at the next
    /// try; any other ends the wait. `onWait` is called once, before the first pause.
    package func run<Value>(
        isPassing: (any Error) -> Bool, onWait: () -> Void, _ attempt: () throws -> Value
    ) throws -> Value {
        let end = ProcessResources.monotonicNanos + UInt64(seconds * 1e9)
        var hasTold = false
        while true {
            do { return try attempt() } catch {
                guard isPassing(error), ProcessResources.monotonicNanos < end else { throw error }
                if !hasTold { onWait() }
                hasTold = true
                Thread.sleep(forTimeInterval: intervalSeconds)
            }
        }
    }
}
