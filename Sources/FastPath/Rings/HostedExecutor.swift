// Swift's tasks on a thread that somebody else runs, such as an event loop's.

/// Conformers say how a closure gets to their thread; each job of a task is one.
package protocol HostedExecutor: TaskExecutor {
    /// Runs `body` once, soon, on the executor's thread; may be called on any.
    func host(_ body: @escaping @Sendable () -> Void)
}
extension HostedExecutor {
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // Safety: the closure holds the executor while the job runs, and the job is run this once.
        host { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
