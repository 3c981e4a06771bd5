// Where threads enter the loops: the concrete functions that the Engine calls, so that everything behind them is
// compiled and specialised together. A ring belongs to the thread that opens it, so loops are made on their own thread.

/// Carries a move-only part into a thread, once.
package final class TransferBox<Value: ~Copyable>: @unchecked Sendable {
    private var value: Value?

    package init(_ value: consuming Value) { self.value = consume value }
    /// Traps the second time. The thread that calls it must have been started after `init`.
    package func take() -> Value {
        guard let value = value.take() else { preconditionFailure("taken already") }
        return value
    }
}

/// Runs an ingest loop on the calling thread until its drain is done. `failure` hears why it could not start.
package func runIngestLoop(
    setup: IngestSetup, shared: IngestControl, snapshot: IngestSnapshot, port: TransferBox<JournalClient>,
    failure: (IngestStartError) -> Void
) {
    do {
        var loop = try IngestLoop(setup: setup, shared: shared, snapshot: snapshot, port: port.take())
        loop.run()
    } catch {
        failure(error)
        shared.failedToStart()
    }
}

/// Runs the journal thread until its drain is done.
package func runJournalLoop(
    driver: TransferBox<JournalDriver>, links: [JournalLink], shared: JournalControl,
    failure: (UringError) -> Void
) {
    do {
        var loop = try JournalLoop(driver: driver.take(), links: links, shared: shared)
        loop.run()
    } catch {
        failure(error)
        shared.setStage(.failed)
    }
}

/// The bytes that `runIngestLoop` will take for `setup`, for the budget printed at start.
package func ingestMemoryBytes(_ setup: IngestSetup) -> Int {
    let connections =
        setup.limits.connectionCountMax * (MemoryLayout<Connection>.stride + 12 + ConnectionTable.replyByteCount)
    return connections + setup.receiveBufferCount * (setup.receiveBufferBytes + 16) + setup.assemblyBytes
}
