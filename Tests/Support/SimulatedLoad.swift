// A whole load loop in a simulated world: one thread, one tick at a time, the clock the test's.

import FastPath
import Testing

package final class SimulatedLoad {
    package let world: SimulatedWorld
    package let shared = LoadControl()
    private var driver: LoadDriver<SimulatedIO>
    private static let bufferCount = 16

    /// Closed loop of one connection, unless `change` says otherwise. Each request carries its event's text as its
    /// body.
    package init(
        seed: UInt64 = 1, bufferBytes: Int = 4096, _ change: (inout LoadPlan) -> Void = { _ in }
    ) throws {
        world = SimulatedWorld(seed: seed, bufferCount: SimulatedLoad.bufferCount, bufferBytes: bufferBytes)
        let definition = LoadEntryDefinition(
            head: [
                .literal("POST /in HTTP/1.1\r\nHost: sim.test\r\nContent-Length: "), .bodyLength, .literal("\r\n\r\n"),
            ], signed: [], credential: .none,
            bodies: [
                LoadBody(bytes: [UInt8](repeating: 0x23, count: LoadEventText.byteCount + 9), idOffset: 4)
            ])
        let address = SocketAddress(address: IPAddress(v4: 0x7F00_0001), port: 9)
        var plan = LoadPlan(address: try #require(EgressAddress(address)), entries: LoadEntries([definition]))
        plan.connectionCount = 1
        plan.nanos = 1_000_000_000
        plan.timeoutNanos = 200_000_000
        plan.drainNanos = 1_000_000_000
        plan.intervalNanos = 100_000_000
        plan.seed = seed
        change(&plan)
        driver = LoadDriver(plan, io: SimulatedIO(world), memory: try LoadMemory(plan))
        driver.begin()
    }
    package var isOver: Bool {
        let isOver = driver.isOver
        return isOver
    }
    /// One tick, after `micros`.
    package func tick(_ micros: UInt64 = 1000) {
        world.monotonic += micros * 1000
        world.wall += micros * 1000
        driver.tick(shared, shared.counters)
    }
    /// Ticks, with `step` behind each, until the run is over; then all that the loop had has come home.
    package func run(_ step: (UInt64) -> Void) -> LoadReport {
        let begun = world.monotonic
        for _ in 0..<100_000 where !isOver {
            tick()
            step((world.monotonic - begun) / 1_000_000)
        }
        #expect(isOver)
        return finish()
    }
    package func finish() -> LoadReport {
        driver.finish()
        #expect(world.openCount == 0)
        #expect(world.freeBufferCount == world.bufferCount)
        return driver.report()
    }
}
