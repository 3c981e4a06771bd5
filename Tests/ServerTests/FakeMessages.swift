// Messages and attempts of the gateway that only remembers what it was asked: there is one message, `msg_1`.
import Engine
import Server
import Synchronization

extension FakeGateway: SvixMessages, SvixAttempts, SvixReplays, SvixStatistics {
    private static let message = SvixMessage(
        id: "msg_1", eventId: "order-7", eventType: "order.paid", channels: ["eu"],
        timestamp: 1_800_000_000_000_000_000, payload: .json(Array("{ \"z\":1.50,\"a\":2 }".utf8)))
    private static let attempt = SvixAttempt(
        id: "atmpt_1", messageId: "msg_1", endpointId: "ep_1", url: "http://h/", responseStatus: 500,
        response: "no", durationMillis: 7, isSuccess: false, isManual: true, endedMillis: 1_800_000_000_000)

    func publish(_ draft: SvixMessageDraft, application: String, _ caller: Caller) async throws -> SvixMessage {
        try note("message \(application) \(draft.eventType) \(draft.eventId ?? "-")", caller)
        asked.withLock { $0.messages.append(draft) }
        return FakeGateway.message
    }
    func publish(
        _ draft: SvixMessageDraft, to endpoint: String, application: String, _ caller: Caller
    ) async throws -> SvixMessage {
        try note("message \(application) \(draft.eventType) to \(endpoint)", caller)
        asked.withLock { $0.messages.append(draft) }
        return FakeGateway.message
    }
    func isWanted(_ type: String, channels: [String], application: String, _ caller: Caller) throws -> Bool {
        try note("is wanted \(type) \(channels)", caller)
        return !channels.isEmpty
    }
    func messages(
        _ search: SvixMessageSearch, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixMessage> {
        try note("messages \(application) \(search.channel ?? "-") \(search.eventTypes)", caller)
        return SvixPage(walked: [FakeGateway.message], search.paging) { $0.id }
    }
    func message(_ ref: String, application: String, _ caller: Caller) throws -> SvixMessage {
        try note("message \(application) \(ref)", caller)
        guard ref == "msg_1" else { throw SvixError.notFound("there is no such message") }
        return FakeGateway.message
    }
    func expunge(_ ref: String, application: String, _ caller: Caller) throws {
        try note("expunge \(application) \(ref)", caller)
    }

    func attempts(
        endpoint: String, _ search: SvixAttemptSearch, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixAttempt> {
        try note("attempts of \(endpoint) \(search.statusClass.map(String.init) ?? "-")", caller)
        return SvixPage(walked: [FakeGateway.attempt], search.messages.paging) { $0.id }
    }
    func attempts(
        message: String, endpoint: String?, _ search: SvixAttemptSearch, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixAttempt> {
        try note("attempts for \(message) \(endpoint ?? "-")", caller)
        return SvixPage(walked: [FakeGateway.attempt], search.messages.paging) { $0.id }
    }
    func attemptedMessages(
        endpoint: String, _ search: SvixAttemptSearch, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixAttemptedMessage> {
        try note("attempted messages of \(endpoint)", caller)
        let one = SvixAttemptedMessage(message: FakeGateway.message, status: .sending, nextMillis: 1_800_000_005_000)
        return SvixPage(walked: [one], search.messages.paging) { $0.message.id }
    }
    func destinations(
        message: String, _ paging: SvixPaging, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixDestination> {
        try note("destinations of \(message)", caller)
        return SvixPage(walked: [], paging) { $0.endpoint.id }
    }
    func attempt(_ id: String, message: String, application: String, _ caller: Caller) throws -> SvixAttempt {
        try note("attempt \(id) of \(message)", caller)
        return FakeGateway.attempt
    }
    func expunge(attempt id: String, message: String, application: String, _ caller: Caller) throws {
        try note("expunge attempt \(id)", caller)
    }
    func resend(message: String, endpoint: String, application: String, _ caller: Caller) throws {
        try note("resend \(message) to \(endpoint)", caller)
    }
    func replay(
        _ order: SvixReplayOrder, endpoint: String, application: String, _ caller: Caller
    ) throws -> BackgroundTask {
        try note("replay to \(endpoint)", caller)
        asked.withLock { $0.replayOrders.append(order) }
        return try tasks.begin(order.task, tenant: "app_1") { _ in ["messagesSent": 7] }
    }
    func usage(_ order: SvixUsageOrder, _ caller: Caller) throws -> (task: BackgroundTask, unresolved: [String]) {
        try note("usage \(order.times) \(order.applications ?? ["all"])", caller)
        return (try tasks.begin(.applicationStats, tenant: nil) { _ in ["appStats": []] }, ["none"])
    }
    func subscribedTypes(_ caller: Caller) throws -> BackgroundTask {
        try note("subscribed types", caller)
        return try tasks.begin(.eventTypes, tenant: nil) { _ in ["event_types": []] }
    }
    func expungeAll(application: String, _ caller: Caller) throws -> BackgroundTask {
        try note("expunge all of \(application)", caller)
        return try tasks.begin(.purge, tenant: "app_1") { _ in ["messagesPurged": 1] }
    }
    func stats(endpoint: String, _ times: Range<UInt64>, application: String, _ caller: Caller) throws -> SvixStats {
        try note("stats of \(endpoint)", caller)
        var stats = SvixStats()
        (stats.success, stats.fail) = (3, 1)
        return stats
    }
}
