// The published document, the routes, the values and the page about them say the same.
import Engine
import Foundation
import Logging
import Server
import Testing

@Suite struct OpenAPITests {
    private func api() -> ControlAPI {
        let logger = Logger(label: "t") { _ in LogLines(write: { _ in }) }
        return ControlAPI(services: ControlServices(FakeGateway()), logger: logger)
    }
    private func object(_ value: JSONValue?) -> [String: JSONValue] {
        guard case .object(let members)? = value else { return [:] }
        return members
    }

    @Test func theServedDocumentHasExactlyTheRoutes() async throws {
        let routes = Set(api().routeNames)
        #expect(routes.count > 40)
        try await ControlServer.run { server in
            let answer = try await server.get("/api/v1/openapi.json")
            #expect(answer.text("openapi") == "3.1.0")
            let described = object(answer.member("paths")).flatMap { path, methods in
                object(methods).keys.map { "\($0.uppercased()) \(path)" }
            }
            #expect(Set(described) == routes && described.count == routes.count)
        }
    }
    @Test func everyRouteOfTheDocumentIsAnswered() async throws {
        try await ControlServer.run { server in
            for route in api().routeNames {
                let parts = route.split(separator: " ")
                let target = String(parts[1]).replacing("{id}", with: "e1").replacing("{event}", with: "evt_1")
                    .replacing("{endpoint}", with: "e1").replacing(/\{\w+\}/, with: "x")
                let answer =
                    parts[0] == "GET"
                    ? try await server.get(target) : try await server.change(String(parts[0]), target)
                // What is not there may be said to be so; that there is no such route may not.
                #expect(answer.status != 0 && answer.status != 405, "\(route)")
                #expect(!answer.body.contains("there is nothing at"), "\(route)")
            }
        }
    }
    @Test func everyReferenceAndParameterOfTheDocumentIsDefined() throws {
        let document = api().document
        let schemas = object(object(object(document)["components"])["schemas"])
        var references: [String] = []
        func walk(_ value: JSONValue) {
            switch value {
            case .object(let members):
                if case .text(let reference)? = members["$ref"] { references.append(reference) }
                members.values.forEach(walk)
            case .list(let elements): elements.forEach(walk)
            default: break
            }
        }
        walk(document)
        #expect(references.count > 100)
        for reference in Set(references) {
            let name = reference.replacing("#/components/schemas/", with: "")
            #expect(object(schemas[name])["type"] == "object", "\(reference)")
        }
        var operations: Set<String> = []
        for (path, methods) in object(object(document)["paths"]) {
            for operation in object(methods).values {
                guard case .text(let id)? = object(operation)["operationId"] else { Issue.record("\(path)"); continue }
                #expect(operations.insert(id).inserted, "\(id)")
                guard case .list(let parameters)? = object(operation)["parameters"] else { continue }
                let inPath = parameters.map { object($0) }.filter { $0["in"] == "path" }.compactMap { $0["name"] }
                let wanted = path.split(separator: "/").filter { $0.hasPrefix("{") }
                    .map { JSONValue.text(String($0.dropFirst().dropLast())) }
                #expect(inPath == wanted, "\(path)")
            }
        }
    }

    // MARK: values

    /// Holds the JSON of a value that has every field against its schema, both ways.
    private func check<Value: Described & Equatable>(_ value: Value) throws {
        let text = APIText.of(value)
        let json = try JSONReading.value(Array(text.utf8))
        #expect(SchemaCheck.errors(json, Value.schema).isEmpty, "\(Value.schema.name): \(text)")
        #expect(Set(object(json).keys) == Set(Value.schema.fields.map(\.name)), "\(Value.schema.name)")
        #expect(try JSONValueDecoder(names: .snakeCase).decode(Value.self, from: json) == value)
        // As clients read it.
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        #expect(try decoder.decode(Value.self, from: Data(text.utf8)) == value)
    }
    private let time = "2026-01-31T00:00:00.000Z"

    @Test func endpointsHaveTheFieldsOfTheirSchema() throws {
        var status = EndpointStatusResource()
        (status.reason, status.since, status.until, status.lastError) = ("gone", time, time, "status 410")
        (status.lastFailureAt, status.lastSuccessAt, status.oldestWaitingSeconds) = (time, time, 1.5)
        try check(status)
        let timeouts = TimeoutsResource(connect: "5s", head: "15s", total: "30s")
        var retry = RetryResource(delays: ["5s"], jitter: 0.5)
        (retry.preset, retry.backoff, retry.budget) = ("svix", BackoffResource(), 0.5)
        var tls = EndpointTLSResource()
        (tls.ca, tls.certificate, tls.key, tls.crl) = ("a.pem", "b.pem", "b.key", "c.pem")
        try check(tls)
        var endpoint = EndpointResource(
            id: "ep_1", name: "a", tenant: Reference(id: "app_1", name: "default"), url: "http://h/", concurrency: 1,
            timeouts: timeouts, retry: retry, status: status)
        (endpoint.uid, endpoint.filter) = ("u", ["type": "a"])
        endpoint.outcomes = ["404": "retry"]
        endpoint.tls = tls
        var signature = SignatureConfiguration()
        (signature.header, signature.signed, signature.prefix) = ("X-S", "{timestamp}{body}", "v0=")
        (signature.encoding, signature.list, signature.timestampHeader) = ("base64", "comma", "X-T")
        signature.secretEncoding = "hex"
        try check(SignatureResource(signature))
        endpoint.signature = SignatureResource(signature)
        let authorization = try authorization()
        (endpoint.headers, endpoint.authorization) = (["X-Api_Key": "***"], authorization)
        var rate = RateResource()
        (rate.perSecond, rate.burst) = (5, 2)
        (endpoint.breaker, endpoint.rate) = (.settings(BreakerForm()), rate)
        endpoint.shadow = ShadowResource(share: 0.5)
        var coalesce = CoalesceResource(key: ["group"])
        coalesce.within = "5s"
        var batch = BatchResource()
        (batch.events, batch.within, batch.bytes, batch.format) = (10, "1s", 4096, .ndjson)
        try check(coalesce)
        try check(batch)
        (endpoint.coalesce, endpoint.batch) = (coalesce, batch)
        endpoint.errors = ErrorsResource()
        (endpoint.deadline, endpoint.delay, endpoint.disableAfter) = ("1d", "1m", "5d")
        try check(endpoint)
        endpoint.concurrency = .adaptive(ConcurrencyResource.Adaptive(max: 9))
        endpoint.ordered = .byKey(["json:$.a"])
        try check(endpoint)
        try check(timeouts)
        try check(retry)
        var draft = EndpointDraft()
        (draft.name, draft.uid, draft.tenant, draft.url) = ("a", "u", "default", "http://h/")
        (draft.sources, draft.types, draft.secrets, draft.concurrency) = (["s"], ["t"], ["x"], 1)
        (draft.timeouts, draft.retry, draft.forwardHeaders, draft.disabled) = (timeouts, retry, true, false)
        draft.signature = SignatureResource(signature)
        (draft.headers, draft.authorization) = (["X-Api_Key": "k"], authorization)
        (draft.tls, draft.filter) = (tls, ["body": ["camelCase": ["$startsWith": "a"]]])
        (draft.redact, draft.transform) = (.flag(true), [TransformStepResource(.pick(paths: ["$.a"]))])
        (draft.breaker, draft.rate, draft.shadow) = (.flag(true), rate, ShadowResource(share: 0.5))
        (draft.coalesce, draft.batch) = (coalesce, batch)
        draft.errors = ErrorsResource()
        (draft.deadline, draft.delay, draft.disableAfter) = ("1d", "1m", "5d")
        (draft.outcomes, draft.ordered, draft.channels) = (["preset": "ops-center", "4xx": "dead"], .flag(true), ["c"])
        try check(draft)
        try check(EndpointBatch(endpoints: [draft]))
        let published = PublishAnswer(status: "duplicate", id: "evt_1")
        try check(published)
        #expect(published.text == APIText.of(published))
        try check(PauseOrder(for: "1h"))
    }
    /// All that an endpoint may have one of, with every field.
    private func authorization() throws -> AuthorizationResource {
        var (authorization, basic) = (EndpointAuthorization(), BasicCredentials())
        (basic.username, basic.password) = ("u", "p")
        var oauth = ClientCredentialsSettings()
        (oauth.tokenURL, oauth.clientID, oauth.clientSecret) = ("https://l.example/t", "c", "s")
        (oauth.scopes, oauth.audience, oauth.authStyle) = (["a"], "x", .body)
        (authorization.basic, authorization.bearer, authorization.oauth2) = (basic, "t", oauth)
        let resource = AuthorizationResource(authorization)
        try check(resource)
        return resource
    }
    @Test func filtersHaveTheFieldsOfTheirSchema() throws {
        var given = GivenEvent()
        (given.type, given.source, given.channels, given.body) = ("t", "s", ["c"], "{}")
        (given.headers, given.payload) = (["A": "b"], ["camelCase": 1])
        try check(given)
        var trial = FilterTrial()
        (trial.filter, trial.endpoint, trial.event, trial.given) = (["type": "a"], "e", "evt_1", given)
        try check(trial)
        let result = FilterResult(try CompiledFilter(.object(["type": .text("t")])).trace(given))
        try check(result)
        let row = EventRow(id: "evt_1", sequence: 1, source: "s", type: "t", receivedAt: time, bodyBytes: 1)
        try check(
            EventEndpoint(
                endpoint: Reference(id: "ep_1", name: "a"), reason: .filter, disabled: true, filter: result))
        var order = FilterPreviewOrder(from: time)
        (order.filter, order.until, order.cursor) = (["type": "a"], time, "c")
        try check(order)
        var page = FilterPreview()
        (page.gainedExamples, page.lostExamples, page.next) = ([row], [row], "n")
        try check(page)
    }
    @Test func deliveriesHaveTheFieldsOfTheirSchema() throws {
        let timing = TimingResource(totalMillis: 3, connectMillis: 1, firstByteMillis: 2.5)
        var delivery = DeliveryResource(
            event: "evt_1", endpoint: Reference(id: "ep_1", name: "a"), state: .dead, attempts: 2, result: "answered",
            updatedAt: time)
        (delivery.status, delivery.reason, delivery.nextAttemptAt, delivery.timing) = (500, "gone", time, timing)
        (delivery.source, delivery.type, delivery.receivedAt) = ("s", "t", time)
        delivery.class = "authentication"
        try check(delivery)
        var attempt = AttemptResource(number: 1, endedAt: time, timing: timing, result: "connect_failed")
        (attempt.failover, attempt.host) = (true, "second.test:8443")
        (attempt.status, attempt.systemError, attempt.answer, attempt.answerBase64) = (500, "refused", "no", "bm8=")
        (attempt.tlsError, attempt.proxyStatus, attempt.preparationError) = ("expired", 407, "not_json")
        (attempt.authorizationError, attempt.tokenStatus) = ("refused", 401)
        try check(attempt)
        try check(DeliveryDetail(delivery: delivery, attempts: [attempt]))
        try check(RetryAnswer(event: "evt_1", endpoint: Reference(id: "ep_1", name: "a")))
        var order = ReplayOrder()
        (order.event, order.endpoint, order.source, order.type) = ("evt_1", "a", "s", "t")
        (order.from, order.until, order.states, order.dryRun) = (time, time, [.dead, .delivered, .missing], true)
        try check(order)
        try check(ReplayOutcome(dryRun: true))
    }
    @Test func repairsHaveTheFieldsOfTheirSchema() throws {
        var draft = RepairDraft(action: "forward")
        (draft.endpoint, draft.to, draft.states, draft.source) = ("a", "b", [.dead, .delivered], "s")
        (draft.type, draft.reason, draft.class, draft.status) = ("t", "cancelled", "authentication", "5xx")
        (draft.from, draft.until, draft.failedFrom, draft.failedUntil) = (time, time, time, time)
        (draft.perSecond, draft.dryRun, draft.events) = (5, false, ["evt_1"])
        try check(draft)
        var order = RepairOrder(.forward)
        (order.endpoint, order.destination, order.source, order.type) = (1, 2, "s", "t")
        (order.reason, order.failureClass) = ("cancelled", "authentication")
        (order.statusFirst, order.statusLast) = (500, 599)
        (order.receivedFrom, order.receivedUntil, order.failedFrom, order.failedUntil) = (1, 2, 3, 4)
        (order.actor, order.sequences) = ("key_1", [1])
        var repair = Repair(order, nowMillis: 5)
        repair.note = "why"
        let resource = RepairResource(repair) { Reference(id: "ep_\($0)", name: "e\($0)") }
        #expect(resource.status == "5xx" && resource.endpoint?.name == "e1" && resource.to?.name == "e2")
        try check(resource)
        let group = DeadLetterGroup(failureClass: .failure(.authentication), reason: .permanentAnswer, count: 3)
        try check(
            DeadLetterCounts(
                endpoint: Reference(id: "ep_1", name: "a"), total: 3, counts: [DeadLetterCount(group)]))
        try check(DeadLetterCount(group))
    }
    @Test func eventsHaveTheFieldsOfTheirSchema() throws {
        let event = EventRow(
            id: "evt_1", sequence: 1, source: "s", type: "t", receivedAt: time, bodyBytes: 1, providerId: "p",
            clientSubject: "CN=c", part: "event", erased: true)
        try check(event)
        try check(ErasureAnswer(event: "evt_1"))
        let detail = EventDetail(
            event: event, method: "POST", target: "/", headers: [["A", "b"]], body: [0x61], deliveries: [])
        var content = EventContent(detail, deliveries: [])
        (content.bodyBase64, content.expunged) = ("YQ==", true)
        try check(content)
        let step = TraceStep("paused", "it is paused", until: time)
        try check(step)
        var one = EndpointTrace(endpoint: Reference(id: "ep_1", name: "a"), outcome: .pending, why: [step])
        one.attempts = []
        one.delivery = DeliveryResource(
            event: "evt_1", endpoint: Reference(id: "ep_1", name: "a"), state: .pending, attempts: 1,
            result: "answered", updatedAt: time)
        try check(one)
        let trace = EventTrace(event: event, receipt: [step], endpoints: [one], next: "c")
        let members = object(try JSONDecoder().decode(JSONValue.self, from: Data(APIText.of(trace).utf8)))
        #expect(Set(members.keys).union(["rejected"]) == Set(EventTrace.schema.fields.map(\.name)))
        var order = ReverifyRequest()
        (order.source, order.ids, order.dryRun) = ("s", ["rej_1"], true)
        try check(order)
    }
    @Test func registryAndStatusHaveTheFieldsOfTheirSchema() throws {
        var tenant = TenantResource(
            id: "app_1", tenantId: "00000000-0000-4000-8000-000000000001", name: "a", uid: "u", sources: 1,
            endpoints: 2)
        (tenant.createdAt, tenant.signingSecret) = (time, "whsec_c2VjcmV0")
        let limit = RateLimitResource(RateLimitConfiguration(capacity: 1, perSecond: 2, perMinute: 3, perHour: 4))
        try check(limit)
        tenant.rateLimit = limit
        try check(tenant)
        var draft = TenantDraft(name: "a", uid: "u", rateLimit: limit)
        draft.weight = 2
        try check(draft)
        var key = KeyResource(keyId: "key_1", name: "ci", role: "viewer", tenantId: "*", createdAt: time)
        (key.expiresAt, key.lastUsedAt, key.token) = (time, time, "sluice_")
        key.tenant = Reference(id: "app_1", name: "a")
        try check(key)
        try check(KeyOrder(tenantId: "*", role: "viewer", name: "ci", expiresAt: time))
        var source = SourceResource(
            id: "src_1", name: "s", tenant: Reference(id: "app_1", name: "a"), provider: "github", path: "/in/s",
            mode: "observe", durability: "memory", unverified: true, secretCount: 0)
        (source.uid, source.requests, source.rateLimit, source.schemas) = ("u", ["accepted": 3], limit, ["*"])
        try check(source)
        let item = ChangeItem(action: .added, kind: .source, name: "s", id: "src_1", fields: ["path"])
        try check(item)
        let change = ChangeResource(
            dryRun: true, at: time, actor: "api", summary: "1 changed", items: [item], warnings: ["w"])
        try check(change)
        try check(ConfigResource(lastChange: change))
        try check(
            AuditResource(
                id: 1, at: time, actor: "api", request: "r", action: "added", kind: "source", resource: "src_1",
                name: "s", detail: "path"))
        var status = StatusResource(
            version: "1", startedAt: time, uptimeSeconds: 1,
            problems: [ReadinessProblem(code: "log_full", message: "no space")], ingest: ["127.0.0.1:1"])
        status.endpoints = ["active": 1]
        status.deliveries.oldestWaitingSeconds = 2
        try check(status)
        try check(SecretsResource(masterKey: "0a", keptIn: .environment, since: time, dataKeys: 1))
        try check(RewrapOrder(dataKeys: true))
        try check(RewrapResource(previousMasterKey: "0a", masterKey: "0b", dataKeys: 1, values: 2, clean: false))
        try check(ProblemDocument(ControlError.invalid([FieldProblem(path: "a", reason: "b")]), request: "r"))
    }

    // MARK: the page

    private func page() throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appendingPathComponent("docs/http-api.md"), encoding: .utf8)
    }
    @Test func thePageHasEveryRouteAndEveryCode() throws {
        let page = try page()
        for route in api().routeNames { #expect(page.contains("`\(route)"), "\(route)") }
        for code in ProblemCode.allCases {
            #expect(page.contains("| `\(code.rawValue)` | \(code.status) |"), "\(code)")
        }
    }
    @Test func thePageHasEveryFieldOfEveryObject() throws {
        let page = try page()
        let schemas = object(object(object(api().document)["components"])["schemas"])
        for (name, schema) in schemas where !name.hasPrefix("Deprecated") {
            for field in object(object(schema)["properties"]).keys {
                #expect(page.contains("`\(field)`"), "\(name).\(field)")
            }
        }
    }
}
