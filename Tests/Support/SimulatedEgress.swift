// A whole egress loop in a simulated world, with its rings and the memory of what it sends: one thread, one tick at a
// time. The other end of its connections is the test's.

import FastPath
import Testing

package final class SimulatedEgress {
    package let world: SimulatedWorld
    private var loop: EgressLoop<SimulatedIO>
    private let orders: OutboundRequestRing
    private let outcomeRing: OutcomeRing
    private let answers: AnswerMemory
    private let mailbox = EgressMailbox()
    private let counters = CounterBlock(count: EgressCounter.allCases.count)
    private let destination: Destination
    private let memory = CompiledMemory()
    private var nextToken: UInt64 = 1
    package private(set) var outcomes: [UInt64: DeliveryOutcome] = [:]

    /// Delivered, and without an outcome yet.
    package var waitingCount: Int { Int(nextToken - 1) - outcomes.count }

    package init(
        seed: UInt64 = 1, bufferBytes: Int = 4096, concurrency: Int = 4,
        address: SocketAddress = SocketAddress(address: IPAddress(v4: 0x7F00_0001), port: 9)
    ) throws {
        var limits = EgressLimits()
        limits.connectionCountMax = 16
        limits.orderCountMax = 64
        limits.poolCountMax = 4
        limits.receiveBufferCount = 16
        limits.receiveBufferByteCount = bufferBytes
        world = SimulatedWorld(seed: seed, bufferCount: limits.receiveBufferCount, bufferBytes: bufferBytes)
        orders = try #require(OutboundRequestRing(capacity: 64))
        outcomeRing = try #require(OutcomeRing(capacity: 64))
        answers = try AnswerMemory(roomCount: 1024)
        var description = DestinationDescription(
            addresses: [try #require(EgressAddress(address))], authority: "sim.test", target: "/hooks", secrets: [])
        description.concurrency = concurrency
        description.connectMillisMax = 1000
        description.headMillisMax = 2000
        description.totalMillisMax = 5000
        destination = try Destination(
            description, version: "test", requestHeadBytesMax: limits.requestHeadBytesMax)
        loop = EgressLoop(
            io: SimulatedIO(world), table: try EgressConnectionTable(limits: limits), answers: answers, limits: limits,
            wakeDescriptor: orders.wakeup.descriptor)
    }
    @discardableResult
    package func deliver(_ body: String) -> UInt64 {
        let token = nextToken
        nextToken += 1
        let request = OutboundRequest(
            token: token, pool: 0, destination: destination, eventID: memory.place(text: "evt_\(token)"),
            fieldLines: memory.place(text: "webhook-id: evt_\(token)\r\n"), body: memory.place(text: body))
        #expect(orders.push(request))
        return token
    }
    /// One tick, after `millis`.
    package func tick(_ millis: UInt64 = 1) {
        world.monotonic += millis * 1_000_000
        world.wall += millis * 1_000_000
        loop.tick(
            orders: orders.ring, orderWakeup: orders.wakeup, outcomes: outcomeRing.ring,
            outcomeWakeup: outcomeRing.wakeup, mailbox: mailbox, counters: counters)
        _ = outcomeRing.drain(maximum: 64) { outcome in
            let isFirst = outcomes.updateValue(outcome, forKey: outcome.token) == nil
            #expect(isFirst, "two outcomes of one order")
        }
    }
    package func ticks(_ count: Int) { for _ in 0..<count { tick() } }
    /// Stops the loop; each order has had one outcome then, and all that the loop had has come home.
    package func finish() {
        mailbox.requestStop()
        for _ in 0..<400 where !loop.isFinished(isRingEmpty: orders.ring.isEmpty) { tick(20) }
        let isFinished = loop.isFinished(isRingEmpty: orders.ring.isEmpty)
        #expect(isFinished)
        tick()
        loop.finish()
        #expect(outcomes.count == Int(nextToken - 1))
        #expect(world.openCount == 0)
        #expect(world.freeBufferCount == world.bufferCount)
    }
}
