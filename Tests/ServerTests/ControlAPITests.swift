// The control API over a real socket, with a gateway behind it that only remembers what it was asked.
import Engine
import Foundation
import Logging
import NIOCore
import NIOPosix
import Server
import Synchronization
import Testing

private final class RecordingGateway: GatewayControl {
    let replays = Mutex<[ReplayRequest]>([])
    let problems = Mutex<[ReadinessProblem]>([])

    func reload(_ configuration: GatewayConfiguration) throws {}
    func metrics() -> [MetricFamily] { [MetricFamily("sluice_ready", .gauge, help: "h", value: 1)] }
    func readiness() -> [ReadinessProblem] { problems.withLock { $0 } }
    func events(_ query: EventQuery) throws -> EventPage {
        EventPage(
            events: [],
            next: [query.source, query.type, query.after, "\(query.limit)"].compactMap(\.self).joined(separator: "|"))
    }
    func event(id: String, reveal: Bool) throws -> EventDetail? { nil }
    func rejected(_ filter: RejectedFilter) throws -> RejectedPage { throw CancellationError() }
    func rejected(id: String, reveal: Bool) throws -> RejectedDetail? { nil }
    func reverify(_ request: ReverifyRequest) throws -> ReverifyAnswer { throw CancellationError() }
    func deliveries(_ filter: DeliveryFilter) throws -> [DeliveryItem] {
        [
            DeliveryItem(
                event: "evt_1", endpoint: filter.endpoint ?? "any", state: filter.state?.rawValue ?? "all", attempts: 2)
        ]
    }
    func endpoints() throws -> [EndpointStatus] { throw CancellationError() }
    func replay(_ request: ReplayRequest) throws -> ReplayAnswer {
        replays.withLock { $0.append(request) }
        return ReplayAnswer(count: 3, dryRun: request.dryRun ?? true)
    }
}

/// Sends one raw request and reads to the end of the connection.
private func exchange(_ port: Int, _ head: String, body: String = "", host: String = "127.0.0.1") async throws -> String
{
    let text = "\(head) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n"
    let full = text.contains("POST") ? text + "Content-Length: \(body.utf8.count)\r\n" : text
    return try await exchange(port, raw: full + "\r\n" + body)
}
private func exchange(_ port: Int, raw: String) async throws -> String {
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: port) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
            }
        }
    return try await channel.executeThenClose { inbound, outbound in
        try await outbound.write(ByteBuffer(string: raw))
        var answer = ""
        for try await part in inbound { answer += String(buffer: part) }
        return answer
    }
}

/// Serves for the length of `body`, on a port of its own.
private func serving(
    _ gateway: RecordingGateway, reload: @escaping @Sendable () throws -> Void = {}, _ body: (Int) async throws -> Void
) async throws {
    let (ports, signal) = AsyncStream<Int>.makeStream()
    let api = ControlAPI(
        control: gateway, logger: Logger(label: "t") { _ in LogLines(write: { _ in }) }, reload: reload)
    let server = Task {
        defer { signal.finish() }
        try await api.run(host: "127.0.0.1", port: 0) { signal.yield($0) }
    }
    var iterator = ports.makeAsyncIterator()
    let port = try #require(await iterator.next())
    try await body(port)
    server.cancel()
    _ = await server.result
}

private func begins(_ answer: String, _ words: String, at place: SourceLocation = #_sourceLocation) {
    #expect(answer.hasPrefix(words), sourceLocation: place)
}
private func has(_ answer: String, _ words: String, at place: SourceLocation = #_sourceLocation) {
    #expect(answer.contains(words), sourceLocation: place)
}

@Suite struct ControlAPITests {
    @Test func answersHealthReadinessAndMetrics() async throws {
        let gateway = RecordingGateway()
        try await serving(gateway) { port in
            has(try await exchange(port, "GET /health"), "{\"status\":\"alive\"}")
            begins(try await exchange(port, "GET /ready"), "HTTP/1.1 200")
            gateway.problems.withLock { $0 = [ReadinessProblem(code: "log_full", message: "no space")] }
            let notReady = try await exchange(port, "GET /ready")
            #expect(notReady.hasPrefix("HTTP/1.1 503") && notReady.contains("\"code\":\"log_full\""))
            let metrics = try await exchange(port, "GET /metrics")
            #expect(metrics.contains("text/plain; version=0.0.4") && metrics.contains("\nsluice_ready 1\n"))
        }
    }
    @Test func refusesWhatChangesSomethingWithoutTheHeader() async throws {
        let gateway = RecordingGateway()
        try await serving(gateway) { port in
            begins(try await exchange(port, "POST /api/replay", body: "{}"), "HTTP/1.1 403")
            begins(try await exchange(port, "POST /api/reload"), "HTTP/1.1 403")
            #expect(gateway.replays.withLock { $0.isEmpty })
        }
    }
    @Test func refusesAForeignHostOnLoopback() async throws {
        try await serving(RecordingGateway()) { port in
            begins(try await exchange(port, "GET /ready", host: "evil.example:8081"), "HTTP/1.1 421")
            begins(try await exchange(port, "GET /ready", host: "localhost:1"), "HTTP/1.1 200")
            begins(try await exchange(port, "GET /ready", host: "[::1]:1"), "HTTP/1.1 200")
        }
    }
    @Test func passesQueriesOnAndRefusesUnknownOnes() async throws {
        try await serving(RecordingGateway()) { port in
            let page = try await exchange(port, "GET /api/events?source=a&type=b.%2A&limit=5")
            #expect(page.contains("\"next\":\"a|b.*|5\""), "\(page)")
            begins(try await exchange(port, "GET /api/events?sourc=a"), "HTTP/1.1 400")
            begins(try await exchange(port, "GET /api/events?limit=0"), "HTTP/1.1 400")
            has(try await exchange(port, "GET /api/deliveries?state=dead"), "\"state\":\"dead\"")
            begins(try await exchange(port, "GET /api/deliveries?state=gone"), "HTTP/1.1 400")
            begins(try await exchange(port, "GET /api/events/evt_1"), "HTTP/1.1 404")
            has(try await exchange(port, "GET /nowhere"), "\"code\":\"not_found\"")
        }
    }
    @Test func aFaultIsA500WithoutItsText() async throws {
        try await serving(RecordingGateway()) { port in
            let answer = try await exchange(port, "GET /api/endpoints")
            #expect(answer.hasPrefix("HTTP/1.1 500") && !answer.contains("Cancellation"), "\(answer)")
        }
    }
    @Test func replaysOnlyWhatWasSpelledRight() async throws {
        let gateway = RecordingGateway()
        try await serving(gateway) { port in
            func post(_ body: String) async throws -> String {
                let head =
                    "POST /api/replay HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Sluice-Request: 1\r\n"
                return try await exchange(port, raw: head + "Content-Length: \(body.utf8.count)\r\n\r\n" + body)
            }
            has(try await post("{\"endpont\":\"a\"}"), "did you mean `endpoint`?")
            begins(try await post("{\"endpoint\":1}"), "HTTP/1.1 400")
            begins(try await post("[]"), "HTTP/1.1 400")
            #expect(gateway.replays.withLock { $0.isEmpty })
            has(try await post("{\"endpoint\":\"a\",\"dead\":true}"), "{\"count\":3,\"dryRun\":true}")
            has(try await post("{\"dryRun\":false}"), "\"dryRun\":false")
        }
    }
    @Test func aBadReloadIsToldLineByLine() async throws {
        let error = ConfigurationError(file: "s.yaml", problems: [ConfigurationProblem(line: 3, message: "wrong")])
        try await serving(RecordingGateway(), reload: { throw error }) { port in
            let head = "POST /api/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Sluice-Request: 1\r\n"
            let answer = try await exchange(port, raw: head + "Content-Length: 0\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 422") && answer.contains("s.yaml:3: wrong"), "\(answer)")
        }
    }
}
