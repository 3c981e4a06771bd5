// A gateway behind the control API that only remembers what it was asked, and a client that speaks raw HTTP to it.
//
// What it holds: the tenant `default`, five endpoints `e1` … `e5`, 250 deliveries, 30 events. It pages as the services'
// protocols say, so that the API's cursors are walked for real.
import Engine
import Foundation
import Logging
import NIOCore
import NIOPosix
import Server
import Synchronization
import Testing

final class FakeGateway: SignInService, GatewayHealth, TenantDirectory, SourceDirectory, EndpointDirectory,
    EndpointControl,
    RegistryControl, DeliveryQueries, ReplayControl, EventQueries, RejectedQueries, AuditQueries
{
    struct Asked: Sendable {
        var calls: [String] = []
        var callers: [Caller] = []
        var drafts: [EndpointDraft] = []
        var deliverySearches: [DeliverySearch] = []
        var eventSearches: [EventSearch] = []
        var eventQueries: [EventQuery] = []
        var orders: [ReplayOrder] = []
        var manifests: [String] = []
        var refused: [RefusedTry] = []
        var rejectedFilters: [RejectedFilter] = []
        var published: [PublishOrder] = []
        var publishedOnLoop: [Bool] = []
        var messages: [SvixMessageDraft] = []
        var replayOrders: [SvixReplayOrder] = []
        var imports: [SvixImportOrder] = []
        var trials: [FilterTrial] = []
        var edgeRefused: [EdgeRefusedTry] = []
        var edgeAnswered: [EdgeAnswered] = []
    }
    let tasks = BackgroundTasks()
    let asked = Mutex(Asked())
    let problems = Mutex<[ReadinessProblem]>([])
    /// Thrown by the next call that may refuse.
    let refusal = Mutex<(any Error)?>(nil)
    /// Of the contract edge.
    let limits = Mutex(ContractSettings())

    static let tenant = Reference(id: "app_1", name: "default")

    func note(_ call: String, _ caller: Caller? = nil) throws {
        asked.withLock {
            $0.calls.append(call)
            if let caller { $0.callers.append(caller) }
        }
        if let error = refusal.withLock({ $0.take() }) { throw error }
    }
    var calls: [String] { asked.withLock { $0.calls } }

    // MARK: keys

    /// `ROLE` is the token of that role's key of all tenants, `ROLE@TENANT` one of a tenant's key,
    /// `ROLE@TENANT@portal` one of a tenant's portal.
    func verify(token: String) async throws -> SignInAnswer { .unknown }
    func known(token: String) throws -> SignInAnswer? {
        if token == "expired" { return .expired }
        let parts = token.split(separator: "@")
        guard let role = parts.first.flatMap({ KeyRole(name: String($0)) }) else { return .unknown }
        let tenant = parts.count > 1 ? String(parts[1]) : nil
        let isPortal = parts.count > 2 && parts[2] == "portal"
        return .caller(Principal(name: "key_\(token)", role: role, tenant: tenant, isPortal: isPortal))
    }
    func note(_ refused: RefusedTry) { asked.withLock { $0.refused.append(refused) } }
    func tenant(_ ref: String) throws -> String? { ["app_1", "app_2"].contains(ref) ? ref : nil }

    // MARK: health

    func metrics() -> [MetricFamily] { [MetricFamily("sluice_ready", .gauge, help: "h", value: 1)] }
    func vitals() -> GatewayVitals {
        var vitals = GatewayVitals(version: "1", uptimeSeconds: 5)
        (vitals.database, vitals.queue, vitals.migration) = (.healthy, .degraded, .healthy)
        return vitals
    }
    func readiness() -> [ReadinessProblem] { problems.withLock { $0 } }
    func status() -> StatusResource {
        StatusResource(
            version: "1", startedAt: "2026-01-01T00:00:00.000Z", uptimeSeconds: 5, problems: readiness(),
            ingest: ["127.0.0.1:8080"])
    }

    // MARK: registry

    func tenants(_ paging: Paging, _ caller: Caller) throws -> Found<TenantResource, UInt64> {
        try note("tenants", caller)
        return Found([own])
    }
    func tenant(_ ref: String, _ caller: Caller) throws -> TenantResource {
        guard ref == "default" || ref == "app_1" else {
            throw ControlError.unknown(.noSuchTenant, "tenant", ref, known: ["default"])
        }
        return own
    }
    private var own: TenantResource {
        TenantResource(
            id: "app_1", tenantId: "00000000-0000-4000-8000-000000000001", name: "default", sources: 1, endpoints: 5)
    }
    func sources(_ search: SourceSearch, _ caller: Caller) throws -> Found<SourceResource, UInt64> {
        try note("sources \(search.provider ?? "-")", caller)
        return Found([source])
    }
    func source(_ ref: String, _ caller: Caller) throws -> SourceResource {
        guard ref == "github" else { throw ControlError.unknown(.noSuchSource, "source", ref, known: ["github"]) }
        return source
    }
    private var source: SourceResource {
        SourceResource(
            id: "src_1", name: "github", tenant: FakeGateway.tenant, provider: "github", path: "/in/github",
            mode: "enforce", durability: "fsync", unverified: false, secretCount: 1)
    }

    func endpoints(_ search: EndpointSearch, _ caller: Caller) throws -> Found<EndpointResource, UInt64> {
        try note("endpoints \(search.tenant ?? "-") \(search.state?.rawValue ?? "-") \(search.name ?? "-")", caller)
        let first = Int(search.paging.after ?? 0) + 1
        let last = min(5, first + search.paging.limit - 1)
        let items = first <= last ? (first...last).map { endpoint($0) } : []
        return Found(items, next: last < 5 ? UInt64(last) : nil)
    }
    func endpoint(_ ref: String, _ caller: Caller) throws -> EndpointResource {
        guard let number = Int(ref.dropFirst()), ref.hasPrefix("e"), (1...5).contains(number) else {
            throw ControlError.unknown(.noSuchEndpoint, "endpoint", ref, known: ["e1", "e2", "e3", "e4", "e5"])
        }
        return endpoint(number)
    }
    private func endpoint(_ number: Int) -> EndpointResource {
        EndpointResource(
            id: "ep_\(number)", name: "e\(number)", tenant: FakeGateway.tenant, url: "http://h/\(number)",
            concurrency: 16, timeouts: TimeoutsResource(connect: "5s", head: "15s", total: "30s"),
            retry: RetryResource(delays: ["5s"], jitter: 0.1), status: EndpointStatusResource())
    }
    func enable(_ ref: String, _ caller: Caller) throws { try note("enable \(ref)", caller) }
    func disable(_ ref: String, _ caller: Caller) throws { try note("disable \(ref)", caller) }
    func pause(_ ref: String, forMillis: Int?, _ caller: Caller) throws {
        try note("pause \(ref) \(forMillis.map(String.init) ?? "-")", caller)
    }
    func retryNow(_ ref: String, _ caller: Caller) throws { try note("retry-now \(ref)", caller) }

    func create(_ drafts: [EndpointDraft], _ caller: Caller) throws -> [EndpointResource] {
        try note("create \(drafts.count)", caller)
        asked.withLock { $0.drafts += drafts }
        return drafts.indices.map { endpoint($0 + 1) }
    }
    func draft(of ref: String, _ caller: Caller) throws -> (draft: EndpointDraft, revision: Int) {
        try note("draft \(ref)", caller)
        var draft = EndpointDraft()
        draft.name = ref
        draft.url = "http://127.0.0.1/"
        draft.secrets = ["whsec_a2VwdA=="]
        draft.timeouts = TimeoutsResource(connect: "1s", head: "2s")
        return (draft, 7)
    }
    func replace(
        _ ref: String, with draft: EndpointDraft, revision: Int?, _ caller: Caller
    ) throws -> EndpointResource {
        try note("replace \(ref) \(revision.map(String.init) ?? "-")", caller)
        asked.withLock { $0.drafts.append(draft) }
        return endpoint(1)
    }
    func remove(_ ref: String, _ caller: Caller) throws { try note("remove \(ref)", caller) }
    func apply(manifest: [UInt8], dryRun: Bool, _ caller: Caller) throws -> ChangeResource {
        try note("apply \(dryRun)", caller)
        asked.withLock { $0.manifests.append(String(decoding: manifest, as: UTF8.self)) }
        return change(dryRun)
    }
    func reload(dryRun: Bool, _ caller: Caller) throws -> ChangeResource {
        try note("reload \(dryRun)", caller)
        return change(dryRun)
    }
    func lastChange() -> ChangeResource? { change(false) }
    private func change(_ dryRun: Bool) -> ChangeResource {
        let item = ChangeItem(action: .changed, kind: .endpoint, name: "e1", id: "ep_1", fields: ["url"])
        return ChangeResource(
            dryRun: dryRun, at: "2026-01-01T00:00:00.000Z", actor: "api", summary: "1 changed", items: [item])
    }

    // MARK: deliveries

    let deadLetterReasons = ["permanent_answer", "retries_exhausted"]

    /// Sequences 250 to 1, one delivery each; a call looks at no more than 100, of which it shows the even ones when
    /// a source is asked for.
    func deliveries(_ search: DeliverySearch, _ caller: Caller) throws -> Found<DeliveryResource, DeliveryPosition> {
        try note("deliveries", caller)
        asked.withLock { $0.deliverySearches.append(search) }
        var items: [DeliveryResource] = []
        var sequence = (search.before?.sequence ?? 251) - 1
        var looked = 0
        while sequence > 0, looked < 100, items.count < search.limit {
            if search.source == nil || sequence.isMultiple(of: 2) { items.append(delivery(sequence)) }
            looked += 1
            sequence -= 1
        }
        return Found(items, next: sequence > 0 ? DeliveryPosition(sequence: sequence + 1, endpoint: 1) : nil)
    }
    private func delivery(_ sequence: UInt64) -> DeliveryResource {
        DeliveryResource(
            event: "evt_\(sequence)", endpoint: Reference(id: "ep_1", name: "e1"), state: .dead, attempts: 2,
            result: "connect_failed", updatedAt: "2026-01-01T00:00:00.000Z")
    }
    func delivery(event: String, endpoint: String, _ caller: Caller) throws -> DeliveryDetail {
        try note("delivery \(event) \(endpoint)", caller)
        return DeliveryDetail(delivery: delivery(1), attempts: [])
    }
    func retry(event: String, endpoint: String, _ caller: Caller) throws -> RetryAnswer {
        try note("retry \(event) \(endpoint)", caller)
        return RetryAnswer(event: event, endpoint: Reference(id: "ep_1", name: endpoint))
    }
    func replay(_ order: ReplayOrder, _ caller: Caller) throws -> ReplayOutcome {
        try note("replay", caller)
        asked.withLock { $0.orders.append(order) }
        var outcome = ReplayOutcome(dryRun: order.isDry)
        outcome.matched = 3
        outcome.pending = 2
        outcome.accepted = order.isDry ? 0 : 3
        return outcome
    }

    // MARK: events

    func events(_ search: EventSearch, _ caller: Caller) throws -> Found<EventRow, UInt64> {
        try note("events", caller)
        asked.withLock { $0.eventSearches.append(search) }
        let last = (search.before ?? 31) - 1
        let first = last > UInt64(search.limit) ? last - UInt64(search.limit) + 1 : 1
        guard last >= first else { return Found([]) }
        return Found((first...last).reversed().map { event($0) }, next: first > 1 ? first : nil)
    }
    func trace(_ id: String, _ paging: Paging, _ caller: Caller) throws -> EventTrace {
        try note("trace \(id) \(paging.limit)", caller)
        var one = EndpointTrace(
            endpoint: Reference(id: "ep_1", name: "e1"), outcome: .notMatched,
            why: [TraceStep("not_matched_type", "it takes types that match `a`")])
        one.attempts = []
        return EventTrace(event: event(1), receipt: [TraceStep("received", "at")], endpoints: [one], next: nil)
    }
    func erase(_ id: String, _ caller: Caller) throws -> ErasureAnswer {
        try note("erase \(id)", caller)
        guard id != "evt_none" else { throw ControlError(.noSuchEvent, "there is no event `\(id)` in the log") }
        return ErasureAnswer(event: id)
    }
    func events(_ query: EventQuery, _ caller: Caller) throws -> EventPage {
        try note("follow", caller)
        asked.withLock { $0.eventQueries.append(query) }
        return EventPage(
            events: [],
            next: [query.source, query.type, query.after, "\(query.limit)"].compactMap(\.self).joined(separator: "|"))
    }
    private func event(_ sequence: UInt64) -> EventRow {
        EventRow(
            id: "evt_\(sequence)", sequence: sequence, source: "github", type: "push",
            receivedAt: "2026-01-01T00:00:00.000Z", bodyBytes: 2)
    }
    func event(_ id: String, reveal: Bool, _ caller: Caller) throws -> EventContent {
        try note("event \(id) \(reveal)", caller)
        guard id != "evt_none" else { throw ControlError(.noSuchEvent, "there is no event `\(id)` in the log") }
        let detail = EventDetail(
            event: event(1), method: "POST", target: "/in/github", headers: [["A", "b"]], body: Array("{}".utf8),
            deliveries: [])
        return EventContent(detail, deliveries: [delivery(1)])
    }

    // MARK: rejected, audit

    func rejected(_ filter: RejectedFilter, _ caller: Caller) throws -> RejectedPage {
        try note("rejected", caller)
        asked.withLock { $0.rejectedFilters.append(filter) }
        return RejectedPage(rejected: [], next: "rej_17")
    }
    func rejected(id: String, reveal: Bool, _ caller: Caller) throws -> RejectedDetail? { nil }
    func reverify(_ request: ReverifyRequest, _ caller: Caller) throws -> ReverifyResponse { throw CancellationError() }
    func audit(_ paging: Paging, _ caller: Caller) throws -> Found<AuditResource, UInt64> {
        try note("audit \(paging.after.map(String.init) ?? "-")", caller)
        let entry = AuditResource(
            id: 9, at: "2026-01-01T00:00:00.000Z", actor: "api", request: "r", action: "paused", kind: "endpoint",
            resource: "ep_1", name: "e1")
        return Found([entry], next: paging.after == nil ? 9 : nil)
    }
}

/// An answer as it came.
struct RawAnswer {
    let status: Int
    let head: String
    let body: String

    init(_ text: String) {
        let parts = text.components(separatedBy: "\r\n\r\n")
        head = parts.first ?? ""
        body = parts.dropFirst().joined(separator: "\r\n\r\n")
        status = Int(head.split(separator: " ").dropFirst().first ?? "") ?? 0
    }
    func field(_ name: String) -> String? {
        head.components(separatedBy: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ":") }
            .map { String($0.dropFirst(name.count + 1)).trimmingCharacters(in: .whitespaces) }
    }
    var json: JSONValue? { try? JSONDecoder().decode(JSONValue.self, from: Data(body.utf8)) }
    func member(_ name: String) -> JSONValue? {
        guard case .object(let members)? = json else { return nil }
        return members[name]
    }
    func text(_ name: String) -> String? {
        guard case .text(let text)? = member(name) else { return nil }
        return text
    }
    func items() -> [JSONValue] {
        guard case .list(let items)? = member("items") else { return [] }
        return items
    }
}

/// A control API that runs for the length of a test, on a port of its own.
struct ControlServer {
    let gateway: FakeGateway
    let port: Int
    /// Log lines so far.
    let log: LineBox

    final class LineBox: Sendable {
        let lines = Mutex<[String]>([])
    }

    static func run(
        _ gateway: FakeGateway = FakeGateway(), hasOpenMetrics: Bool = false,
        // Tests that try every route with every role ask more often than a tenant may.
        contract adjust: (inout ContractSettings) -> Void = { $0.rateCapacity = 100_000 },
        _ body: (ControlServer) async throws -> Void
    ) async throws {
        let (ports, signal) = AsyncStream<Int>.makeStream()
        let box = LineBox()
        let logger = Logger(label: "t") { _ in LogLines(write: { line in box.lines.withLock { $0.append(line) } }) }
        gateway.limits.withLock { adjust(&$0) }
        let api = ControlAPI(services: ControlServices(gateway), logger: logger, hasOpenMetrics: hasOpenMetrics)
        let server = Task {
            defer { signal.finish() }
            try await api.run(host: "127.0.0.1", port: 0) { signal.yield($0) }
        }
        var iterator = ports.makeAsyncIterator()
        let port = try #require(await iterator.next())
        try await body(ControlServer(gateway: gateway, port: port, log: box))
        server.cancel()
        _ = await server.result
    }

    func get(_ target: String, _ fields: [String] = [], host: String = "127.0.0.1") async throws -> RawAnswer {
        try await send("GET", target, fields, nil, host: host)
    }
    /// With the header that a change needs.
    func change(_ method: String, _ target: String, _ body: String = "") async throws -> RawAnswer {
        try await send(method, target, ["X-Sluice-Request: 1"], body, host: "127.0.0.1")
    }
    func send(
        _ method: String, _ target: String, _ fields: [String], _ body: String?, host: String
    ) async throws -> RawAnswer {
        var lines = ["\(method) \(target) HTTP/1.1", "Host: \(host)", "Connection: close"] + fields
        // As the platform, unless the fields say who.
        if !fields.contains(where: { $0.hasPrefix("Authorization:") }) {
            lines.append("Authorization: Bearer platform")
        }
        if let body { lines.append("Content-Length: \(body.utf8.count)") }
        let text = lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: text))
            var answer = ""
            for try await part in inbound { answer += String(buffer: part) }
            return RawAnswer(answer)
        }
    }
}

/// Callers of the webhooks' surfaces: a bearer, a body that says what it is, and refusals of one form.
extension ControlServer {
    func bearer(
        _ method: String, _ path: String, _ body: String? = nil, type: String? = "application/json",
        token: String = "admin@app_1"
    ) async throws -> RawAnswer {
        var fields = ["Authorization: Bearer \(token)"]
        if body != nil, let type { fields.append("Content-Type: \(type)") }
        return try await send(method, path, fields, body, host: "127.0.0.1")
    }
}
extension RawAnswer {
    /// The code of `{"error": {"code", "message"}}` and nothing else; nil for every other answer.
    var failure: String? {
        guard case .object(let members)? = json, members.count == 1, case .object(let error)? = members["error"],
            Set(error.keys) == ["code", "message"], case .text(let code)? = error["code"],
            case .text(let message)? = error["message"], !message.isEmpty
        else { return nil }
        return code
    }
}
