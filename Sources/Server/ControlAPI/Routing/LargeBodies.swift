// Where calls with large bodies are worked on: reading and decoding one takes milliseconds, and no thread has them that
// others wait for. One at a time, so that they keep no more than one processor busy.
//
// Invariant: whatever such a call does between its waits it does here; where it waits, another one has its turn.
// Safety: a job is run once, by the executor that it was given to, which is never let go.
import Foundation

package final class LargeBodies: TaskExecutor {
    /// Below it reading a body costs about as much as handing it over.
    package static let bytesMin = 16 << 10
    private static let executor = LargeBodies()
    private let queue = DispatchQueue(label: "sluice.bodies", qos: .utility)

    /// Frequent calls read a body in one pass without making values of it, and have threads of their own for large
    /// ones.
    package static func run<Value: Sendable>(
        bytes: Int, isFrequent: Bool, on executor: any TaskExecutor = LargeBodies.executor,
        _ work: @Sendable () async throws -> Value
    ) async throws -> Value {
        guard bytes >= bytesMin, !isFrequent else { return try await work() }
        return try await withTaskExecutorPreference(executor) { try await work() }
    }
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
