// The routes of the contract edge.
import Engine
import FastPath
import HTTPTypes
import Hummingbird
import NIOCore

struct ContractController {
    let webhooks: any ContractWebhooks
    let worker: ControlWorker

    private static let base = "/v1/webhooks"
    private static let registry = base + "/registry"
    private static let paging = [
        QueryParameter("limit", .count(ContractPaging.limitRange), "At most so many items; 50 by default."),
        QueryParameter("cursor", .text, "Where to go on: `next_cursor` of the page before, with the same filters."),
    ]
    private static func paging(_ call: Call) -> ContractPaging {
        var paging = ContractPaging()
        paging.limit = call.query.count("limit") ?? ContractPaging.limitDefault
        paging.cursor = call.query.text("cursor")
        return paging
    }

    var routes: [Route] { [session, ingest, stream] + entries + deliveries + [test, replay, audit] }

    // MARK: sessions and events

    private var session: Route {
        let webhooks = webhooks
        var traits = EdgeTraits { call in
            var seconds = SessionTokens.secondsRange.upperBound
            if !call.body.isEmpty {
                var body = try ContractFields(call.body, knowing: ["ttl_seconds"])
                seconds = body.count("ttl_seconds", SessionTokens.secondsRange) ?? seconds
                try body.check()
            }
            let made = try webhooks.openSession(seconds: seconds, call.caller)
            return EdgeReply(
                201,
                [
                    "session_token": .text(made.token), "role": .text(made.role.name),
                    "expires_at": .text(TimeText.of(nanoseconds: made.endSeconds * 1_000_000_000)),
                    "tenant_id": made.tenant.map { .text($0) } ?? .null,
                ])
        }
        traits.needsEnvelope = false
        return .contract(
            .post, "/v1/auth/session", "createContractSession",
            "Open a session: a JWT in place of the API key, for an hour at most.",
            body: .json(ContractSchemas.sessionOrder, isOptional: true), status: 201,
            answer: .json(ContractSchemas.session), traits)
    }
    private var ingest: Route {
        let (webhooks, worker) = (webhooks, worker)
        var traits = EdgeTraits { call in
            let tenant = try webhooks.tenantUUID(call.caller)
            let read: @Sendable () throws -> ContractIngest = { try ContractIngest(call.body, tenant: tenant) }
            let order = try await call.body.count > 64 << 10 ? worker.run(read) : read()
            let (ids, isDuplicate) = try await webhooks.ingest(
                order, key: call.idempotencyKey ?? call.caller.requestID, digest: Digest.sha256(call.body), call.caller)
            return EdgeReply(
                202,
                ContractIngest.answer(
                    ids, isBatch: order.isBatch, isDuplicate: isDuplicate, correlation: call.caller.requestID))
        }
        traits.needsProof = true
        traits.isIngest = true
        traits.repetition = .always(seconds: EdgeTraits.daySeconds)
        return .contract(
            .post, ContractController.base + "/ingest", "ingestContractEvents",
            "Take one event, or a batch of them. Answered when they are on disk.",
            body: .oneOf([ContractSchemas.event, ContractSchemas.batch]), bodyBytesMax: ContractIngest.bodyBytesMax,
            status: 202, answer: .json(ContractSchemas.accepted), isFrequent: true, traits)
    }
    private var stream: Route {
        let (webhooks, worker) = (webhooks, worker)
        return .contract(
            .get, ContractController.base + "/events", "streamContractEvents",
            "Events and deliveries of the tenant, live, as server-sent events; `Last-Event-ID` resumes.",
            answer: .text("text/event-stream"),
            EdgeTraits { call in
                let connection = call.connection
                let after = call.fields[StreamController.lastEventID].flatMap { $0.isEmpty ? nil : $0 }
                let place = try await worker.run {
                    try webhooks.openStream(
                        after: after, token: call.token ?? "", hangUp: { connection?.close() }, call.caller)
                }
                connection?.limitSending(to: StreamController.sendBytes)
                return EdgeReply(
                    200, .stream(StreamController.body(of: place), contentType: "text/event-stream"))
            })
    }

    // MARK: the registry

    private var entries: [Route] {
        let (webhooks, worker) = (webhooks, worker)
        let item = ContractController.registry + "/{webhook_id}"
        let filters = [
            QueryParameter("event_type", .text, "Only entries with exactly this name or pattern."),
            QueryParameter("active", .flag, "Only those that are active, or are not."),
        ]
        return [
            .contract(
                .get, ContractController.registry, "listContractEntries", "List entries, the newest first.",
                query: filters + ContractController.paging, answer: .json(ContractSchemas.entryPage),
                EdgeTraits { call in
                    let active = call.query.text("active").map { $0 == "true" }
                    return EdgeReply(
                        200,
                        try await worker.run {
                            try webhooks.entries(
                                type: call.query.text("event_type"), isActive: active, ContractController.paging(call),
                                call.caller)
                        }.json)
                }),
            .contract(
                .post, ContractController.registry, "createContractEntry",
                "Make an entry. Without a `secret` one is made, and shown once.",
                body: .json(ContractSchemas.draft), status: 201, answer: .json(ContractSchemas.made),
                ContractController.keyed { call in
                    let (entry, secret) = try await worker.run {
                        let change = try ContractEntryChange(
                            call.body, isNew: true, tenant: try webhooks.tenantUUID(call.caller))
                        return try webhooks.createEntry(change, call.caller)
                    }
                    var reply = EdgeReply(201, entry.json(secret: secret))
                    if secret != nil { reply.keptText = entry.json().json }
                    return reply
                }),
            .contract(
                .get, item, "getContractEntry", "Show an entry.", answer: .json(ContractSchemas.entry),
                EdgeTraits { call in
                    let id = call.parameter("webhook_id")
                    return EdgeReply(200, try await worker.run { try webhooks.entry(id, call.caller) }.json())
                }),
            .contract(
                .patch, item, "updateContractEntry", "Change what the body names.",
                body: .json(ContractSchemas.patch), answer: .json(ContractSchemas.entry),
                ContractController.keyed { call in
                    let id = call.parameter("webhook_id")
                    return EdgeReply(
                        200,
                        try await worker.run {
                            _ = try webhooks.entry(id, call.caller)
                            let change = try ContractEntryChange(
                                call.body, isNew: false, tenant: try webhooks.tenantUUID(call.caller))
                            return try webhooks.updateEntry(id, change, call.caller)
                        }.json())
                }),
            .contract(
                .delete, item, "deleteContractEntry", "Remove an entry; what waits for a later attempt goes with it.",
                status: 204, answer: .nothing,
                ContractController.keyed { call in
                    try await worker.run { try webhooks.deleteEntry(call.parameter("webhook_id"), call.caller) }
                    return EdgeReply(204)
                }),
        ]
    }
    /// Of a route whose repetitions within a day do nothing.
    private static func keyed(_ reply: @escaping @Sendable (Call) async throws -> EdgeReply) -> EdgeTraits {
        var traits = EdgeTraits(reply: reply)
        traits.repetition = .always(seconds: EdgeTraits.daySeconds)
        return traits
    }

    // MARK: deliveries

    private var deliveries: [Route] {
        let (webhooks, worker) = (webhooks, worker)
        let filters = [
            QueryParameter("webhook_id", .text, "Only deliveries of this entry."),
            QueryParameter("status", .word(ContractStatus.allCases.map(\.rawValue)), "Only those that are so."),
            QueryParameter("event_type", .text, "Only deliveries of events of this type."),
        ]
        return [
            .contract(
                .get, ContractController.base + "/deliveries", "listContractDeliveries",
                "List deliveries, those of the newest event first.", query: filters + ContractController.paging,
                answer: .json(ContractSchemas.deliveryPage),
                EdgeTraits { call in
                    var search = ContractDeliverySearch()
                    search.webhook = call.query.text("webhook_id")
                    search.status = call.query.text("status").flatMap { ContractStatus(rawValue: $0) }
                    search.type = call.query.text("event_type")
                    search.paging = ContractController.paging(call)
                    let asked = search
                    return EdgeReply(
                        200, try await worker.run { try webhooks.contractDeliveries(asked, call.caller) }.json)
                }),
            .contract(
                .get, ContractController.base + "/deliveries/{delivery_id}", "getContractDelivery",
                "Show a delivery with its attempts.", answer: .json(ContractSchemas.deliveryDetail),
                EdgeTraits { call in
                    let id = call.parameter("delivery_id")
                    return EdgeReply(200, try await worker.run { try webhooks.contractDelivery(id, call.caller) })
                }),
        ]
    }
    private var test: Route {
        let webhooks = webhooks
        var traits = EdgeTraits { call in
            // It waits for its target: on a queue of its own, behind nobody else's.
            EdgeReply(
                200,
                try await ControlWorker().run { try webhooks.dryRun(try ContractTestOrder(call.body), call.caller) })
        }
        traits.repetition = .whenAsked(seconds: 60)
        return .contract(
            .post, ContractController.base + "/test", "testContractEntry",
            "Send an entry one marked request, and show what it answers. Leaves no trace.",
            body: .json(ContractSchemas.testOrder), answer: .json(ContractSchemas.testResult), traits)
    }
    private var replay: Route {
        let (webhooks, worker) = (webhooks, worker)
        return .contract(
            .post, ContractController.base + "/dlq/replay", "replayContractDeliveries",
            "Deliver again what is in the dead-letter queue, by id or by a filter, at most 1000 at once.",
            body: .json(ContractSchemas.replayOrder), status: 202, answer: .json(ContractSchemas.replays),
            ContractController.keyed { call in
                let replays = try await worker.run {
                    try webhooks.replay(try ContractReplayOrder(call.body), call.caller)
                }
                return EdgeReply(202, ["replays": .list(replays)])
            })
    }
    private var audit: Route {
        let (webhooks, worker) = (webhooks, worker)
        let words = ContractAuditCategory.allCases.map(\.rawValue)
        return .contract(
            .get, ContractController.base + "/audit", "listContractAudit",
            "Who changed what, who was refused, what was sent and sent again: the newest first.",
            query: [QueryParameter("category", .word(words), "Only these.")] + ContractController.paging,
            answer: .json(ContractSchemas.auditPage),
            EdgeTraits { call in
                let category = call.query.text("category").flatMap { ContractAuditCategory(rawValue: $0) }
                let paging = ContractController.paging(call)
                return EdgeReply(200, try await worker.run { try webhooks.audit(category, paging, call.caller) }.json)
            })
    }
}

extension Route {
    /// `path` is from the root.
    static func contract(
        _ method: HTTPRequest.Method, _ path: String, _ operation: String, _ summary: String,
        query: [QueryParameter] = [], body: Body? = nil, bodyBytesMax: Int = Route.bodyBytesMax, status: Int = 200,
        answer: Answer, isFrequent: Bool = false, _ traits: EdgeTraits
    ) -> Route {
        var route = Route(
            method: method, path: path, operation: operation, resource: "contract", summary: summary, query: query,
            body: body, bodyBytesMax: bodyBytesMax, status: HTTPResponse.Status(code: status), answer: answer
        ) { call in try await traits.reply(call).response }
        route.surface = .contract
        route.isFrequent = isFrequent
        route.edge = traits
        return route
    }
}
