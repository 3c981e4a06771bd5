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
    let memory: IngestMemory
    let io: UringIO
    let port = port.take()
    do {
        memory = try IngestMemory(setup)
    } catch {
        failure(.outOfMemory(bytes: error.byteCount))
        return shared.failedToStart()
    }
    do {
        io = try UringIO(
            submissions: 4096, completions: 16_384, bufferCount: setup.receiveBufferCount,
            bufferByteCount: setup.receiveBufferBytes, hasLogRing: port.drivesLog)
    } catch {
        failure(.ring(error))
        return shared.failedToStart()
    }
    var loop = IngestLoop(
        io: io, memory: memory, setup: setup, shared: shared, snapshot: snapshot, port: port)
    loop.run()
}

/// Runs the journal thread until its drain is done.
package func runJournalLoop(
    driver: TransferBox<JournalDriver>, links: [JournalLink], shared: JournalControl,
    failure: (UringError) -> Void
) {
    let io: UringIO
    do {
        io = try UringIO(submissions: 64, completions: 256, bufferCount: 0, bufferByteCount: 0)
    } catch {
        failure(error)
        return shared.setStage(.failed)
    }
    var loop = JournalLoop(io: io, driver: driver.take(), links: links, shared: shared)
    loop.run()
}

/// The bytes that `runIngestLoop` will take for `setup`, for the budget printed at start.
package func ingestMemoryBytes(_ setup: IngestSetup) -> Int {
    IngestMemory.byteCount(setup)
        + UringIO.bufferMemoryBytes(count: setup.receiveBufferCount, bufferByteCount: setup.receiveBufferBytes)
}
