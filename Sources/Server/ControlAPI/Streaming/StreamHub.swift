// The one thread that tells all readers of the stream. It is there while somebody reads, and gone when nobody does.
//
// Invariant: what is under the lock is touched for moments; the rounds are the thread's alone.
import Engine
import FastPath
import Foundation
import Synchronization

package final class StreamHub: Sendable {
    package struct Figures: Equatable, Sendable {
        package var readerCount = 0
        package var ended: [StreamEnd: UInt64] = [:]
        package var lostOutcomes: UInt64 = 0
    }
    private struct State {
        var arrivals: [StreamSeat] = []
        /// Of all that are there and not closed.
        var seats: [Taken] = []
        var isRunning = false
        var figures = Figures()
    }
    private struct Taken {
        let reader: StreamReader
        let tenant: TenantID?
    }
    private let state = Mutex(State())

    package init() {}

    package var figures: Figures {
        state.withLock { state in
            state.seats.removeAll { $0.reader.isClosed }
            var figures = state.figures
            figures.readerCount = state.seats.count
            return figures
        }
    }
    /// Takes a place for a reader of a tenant; nil = of all.
    package func open(_ seat: StreamSeat, in world: StreamWorld) throws -> StreamPlace {
        let mustStart = try state.withLock { state in
            state.seats.removeAll { $0.reader.isClosed }
            guard state.seats.count < StreamLimits.readerCountMax else {
                throw ControlError(
                    .busy, "there are \(StreamLimits.readerCountMax) streams, as many as there may be; try again")
            }
            guard state.seats.count(where: { $0.tenant == seat.tenant }) < StreamLimits.tenantReaderCountMax else {
                throw ControlError(
                    .tooManyReaders,
                    "there are \(StreamLimits.tenantReaderCountMax) streams of this tenant, as many as there may be")
            }
            state.seats.append(Taken(reader: seat.reader, tenant: seat.tenant))
            state.arrivals.append(seat)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        if mustStart { start(world) }
        return StreamPlace(seat.reader)
    }
    /// Waits for the farewells of a gateway that stops, a moment at most.
    package func awaitEnd(withinMillis: Int) {
        let end = ProcessResources.monotonicNanos + UInt64(max(withinMillis, 0)) * 1_000_000
        while state.withLock({ $0.isRunning }), ProcessResources.monotonicNanos < end {
            Thread.sleep(forTimeInterval: 0.005)
        }
    }

    private func start(_ world: StreamWorld) {
        let thread = Thread { [self] in run(world) }
        thread.name = "stream"
        thread.start()
    }
    private func run(_ world: StreamWorld) {
        let rounds = StreamRounds(world)
        while true {
            let arrivals = state.withLock { state in
                defer { state.arrivals = [] }
                return state.arrivals
            }
            let nanos = rounds.step(admitting: arrivals, now: world.clock())
            let told = (rounds.takeEnded(), rounds.takeLostOutcomes())
            let isOver = state.withLock { state in
                state.figures.ended.merge(told.0) { $0 + $1 }
                state.figures.lostOutcomes += told.1
                guard rounds.isIdle, state.arrivals.isEmpty else { return false }
                state.isRunning = false
                return true
            }
            guard !isOver else { break }
            Thread.sleep(forTimeInterval: Double(nanos) / 1e9)
        }
    }
}
