// The loop that sends deliveries, with its two rings. Before delivery in the list: it runs while delivery drains, and
// gives back what it still holds before delivery stops.

import FastPath

final class EgressComponent: Component {
    private struct Running: Sendable {
        let loop: EgressThread
        let orders: OutboundRequestRing
        let outcomes: OutcomeRing
        let answers: AnswerMemory
    }
    let name = "egress"
    let limits: EgressLimits
    private let running = StartResult<Running>()

    init(connectionCountMax: Int) {
        var limits = EgressLimits()
        limits.connectionCountMax = connectionCountMax
        // Each order has its connection, and a destination keeps its pool while others have work.
        limits.orderCountMax = connectionCountMax
        limits.poolCountMax = 2 * connectionCountMax
        self.limits = limits
    }
    var loop: EgressThread { running.value.loop }
    var orders: OutboundRequestRing { running.value.orders }
    var outcomes: OutcomeRing { running.value.outcomes }
    var answers: AnswerMemory { running.value.answers }
    var memoryBytes: Int { limits.memoryBytes }

    func start() throws {
        let answers: AnswerMemory
        do { answers = try AnswerMemory(roomCount: limits.orderCountMax) } catch {
            throw GatewayError.outOfMemory(what: "the answers of endpoints", bytes: error.byteCount)
        }
        guard let orders = OutboundRequestRing(capacity: limits.orderCountMax),
            let outcomes = OutcomeRing(capacity: limits.orderCountMax),
            let loop = EgressThread(orders: orders, outcomes: outcomes, answers: answers, limits: limits)
        else { throw GatewayError.outOfDescriptors }
        do { try loop.start() } catch { throw GatewayError.ring(error) }
        running.set(Running(loop: loop, orders: orders, outcomes: outcomes, answers: answers))
    }
    /// Delivery has had its time: what is still out is abandoned, and delivered again after the next start. The loop
    /// ends here and not at its stop, because delivery must be there to take the outcomes.
    func drain(withinMillis: Int) -> Bool {
        loop.stop()
        loop.join()
        return true
    }
}
