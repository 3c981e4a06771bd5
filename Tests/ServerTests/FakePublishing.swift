// Publishing of the gateway that only remembers what it was asked: the same `event_id` a second time is a duplicate.
import Server
import Synchronization

extension FakeGateway: EventPublishing {
    func publish(_ order: PublishOrder, _ caller: Caller) async throws -> PublishAnswer {
        try note("publish \(order.type)", caller)
        let isKnown = asked.withLock { asked in
            defer { asked.published.append(order) }
            asked.publishedOnLoop.append(ControlExecutor.shared.isHere)
            return order.eventId != nil && asked.published.contains { $0.eventId == order.eventId }
        }
        return PublishAnswer(status: isKnown ? "duplicate" : "accepted", id: "evt_1")
    }
}
