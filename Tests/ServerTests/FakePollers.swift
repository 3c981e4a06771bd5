// Polls of the gateway that only remembers what it was asked.
import Server

extension FakeGateway: SvixPollers {
    private func words(_ poll: SvixPoll) -> String {
        "\(poll.limit) \(poll.iterator ?? "-") \(poll.eventType ?? "-") \(poll.channel ?? "-") \(poll.after ?? 0)"
    }
    func poll(_ poll: SvixPoll, application: String, sink: String, _ caller: Caller) throws -> SvixPolled {
        try note("poll \(application) \(sink) \(words(poll))", caller)
        let message = SvixMessage(
            id: "msg_1", eventId: nil, eventType: "a", channels: [], timestamp: 0, payload: .json(Array("{ }".utf8)))
        return SvixPolled(data: [message, message], iterator: "msg_2", isDone: false)
    }
    func poll(
        _ poll: SvixPoll, application: String, sink: String, consumer: String, _ caller: Caller
    ) throws -> SvixPolled {
        try note("poll \(application) \(sink) \(consumer) \(words(poll))", caller)
        return SvixPolled(data: [], iterator: "msg_2", isDone: true)
    }
    func seek(
        after: UInt64, application: String, sink: String, consumer: String, _ caller: Caller
    ) throws -> String {
        try note("seek \(application) \(sink) \(consumer) \(after)", caller)
        return "msg_3"
    }
}
