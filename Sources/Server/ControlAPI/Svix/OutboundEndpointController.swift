// Endpoints of applications in the Svix-shaped API, their secrets and their header fields.
import Engine
import HTTPTypes

struct OutboundEndpointController {
    let endpoints: any SvixEndpoints
    let applications: any SvixApplications
    let kept: KeptAnswers
    let worker: ControlWorker
    var form = Form.application

    /// Whose endpoints they are; what they are asked is the same.
    enum Form {
        case application
        /// Of operational webhooks, which are the caller's tenant's.
        case operational

        var list: String { self == .application ? "/app/{app}/endpoint" : "/operational-webhook/endpoint" }
        var one: String { list + "/{endpoint}" }
        var operation: String { self == .application ? "v1.endpoint" : "v1.operational-webhook.endpoint" }
    }

    var routes: [Route] {
        let all = reading + [create, replace, patch, remove] + secrets + headers
        return form == .application ? all : all.filter { $0.method != .patch }
    }

    /// Which endpoint a call is about.
    private struct Place {
        let application: String
        let endpoint: String
        init(_ call: Call) { (application, endpoint) = (call.parameter("app"), call.parameter("endpoint")) }
    }

    private var reading: [Route] {
        let (endpoints, worker) = (endpoints, worker)
        return [
            .svix(
                .get, form.list, "\(form.operation).list", "List endpoints, the newest first.",
                query: Route.svixPaging + [Route.svixOrder], answer: SvixPage<Never>.schema(SvixEndpoint.schema)
            ) { call in
                let paging = try call.svix.paging(isAscending: false, takesOrder: true) {
                    SvixID.resource($0, .endpoint) != nil
                }
                let application = call.parameter("app")
                let page = try await worker.run { try endpoints.endpoints(application, paging, call.caller) }
                return SvixReply(200, page.json(\.json))
            },
            .svix(
                .get, form.one, "\(form.operation).get", "Show an endpoint.",
                answer: SvixEndpoint.schema
            ) { call in
                let place = Place(call)
                return SvixReply(
                    200,
                    try await worker.run {
                        try endpoints.endpoint(place.application, place.endpoint, call.caller)
                    }.json)
            },
        ]
    }
    /// The application is looked for before the body is read.
    private func read<Value: Sendable>(
        _ call: Call, _ read: @escaping @Sendable (inout SvixBody) throws -> Value
    ) async throws -> Value {
        let (applications, application) = (applications, call.parameter("app"))
        if form == .application {
            _ = try await worker.run { try applications.application(application, call.caller) }
        }
        return try await worker.read(call, read)
    }

    private var create: Route {
        let (endpoints, worker) = (endpoints, worker)
        return .svix(
            .post, form.list, "\(form.operation).create", "Make an endpoint.",
            body: SvixEndpoint.draftSchema, status: 201, answer: SvixEndpoint.schema, kept: kept
        ) { call in
            let (draft, secret, headers) = try await read(call) { body in
                let (draft, secret) = (SvixEndpointDraft(&body), body.secret("secret"))
                let hasHeaders = body.members["headers"].map { $0 != .null } ?? false
                let headers = hasHeaders ? body.headers()?.compactMapValues { $0 } ?? [:] : [:]
                return (draft, secret, headers)
            }
            let application = call.parameter("app")
            return SvixReply(
                made: try await worker.run {
                    try endpoints.create(application, draft, secret: secret, headers: headers, call.caller)
                })
        }
    }
    private var replace: Route {
        let (endpoints, worker) = (endpoints, worker)
        return .svix(
            .put, form.one, "\(form.operation).update",
            "Make an endpoint what the body says, but for its secrets and header fields; where there is none, make one "
                + "(201) with the uid of the body.",
            body: SvixEndpoint.updateSchema, also: 201, answer: SvixEndpoint.schema
        ) { call in
            let (draft, place) = (try await read(call) { SvixEndpointDraft(&$0) }, Place(call))
            let (endpoint, isNew) = try await worker.run {
                try endpoints.replace(place.application, place.endpoint, draft, call.caller)
            }
            return SvixReply(isNew ? 201 : 200, endpoint.json)
        }
    }
    private var patch: Route {
        let (endpoints, worker) = (endpoints, worker)
        return .svix(
            .patch, form.one, "\(form.operation).patch", "Change what the body names; `null` clears.",
            body: SvixEndpoint.patchSchema, answer: SvixEndpoint.schema
        ) { call in
            let (patch, place) = (try await read(call) { SvixEndpointPatch(&$0) }, Place(call))
            return SvixReply(
                200,
                try await worker.run {
                    try endpoints.patch(place.application, place.endpoint, patch, call.caller)
                }.json)
        }
    }
    private var remove: Route {
        let (endpoints, worker) = (endpoints, worker)
        return .svix(
            .delete, form.one, "\(form.operation).delete", "Remove an endpoint.", status: 204
        ) { call in
            let place = Place(call)
            try await worker.run { try endpoints.deleteEndpoint(place.application, place.endpoint, call.caller) }
            return SvixReply(204)
        }
    }

    // MARK: secrets

    private static let graceSecondsDefault = 86_400

    private var secrets: [Route] {
        let (endpoints, worker) = (endpoints, worker)
        return [
            .svix(
                .get, form.one + "/secret", "\(form.operation).get-secret",
                "Show what a receiver verifies with.", answer: SvixEndpoint.secretSchema
            ) { call in
                let place = Place(call)
                let key = try await worker.run {
                    try endpoints.secret(place.application, place.endpoint, call.caller)
                }
                return SvixReply(200, ["key": .text(key)], isSecret: true)
            },
            .svix(
                .post, form.one + "/secret/rotate", "\(form.operation).rotate-secret",
                "Sign with another secret; the old one signs too for a while.", body: SvixEndpoint.rotateSchema,
                answer: SvixEndpoint.secretSchema, kept: kept
            ) { call in
                let place = Place(call)
                let (secret, given) = try await read(call) { body in
                    (body.secret("key"), body.givenInteger("gracePeriodSeconds", 0...604_800).value)
                }
                let grace = given ?? OutboundEndpointController.graceSecondsDefault
                let key = try await worker.run {
                    try endpoints.rotate(
                        place.application, place.endpoint, to: secret, graceSeconds: grace, call.caller)
                }
                return SvixReply(200, ["key": .text(key)], isSecret: true)
            },
        ]
    }

    // MARK: header fields

    private var headers: [Route] {
        let (endpoints, worker) = (endpoints, worker)
        @Sendable func set(_ call: Call, merges: Bool) async throws -> SvixReply {
            let (headers, place) = (try await read(call) { $0.headers(isPatch: merges) ?? [:] }, Place(call))
            try await worker.run {
                try endpoints.setHeaders(place.application, place.endpoint, headers, merges: merges, call.caller)
            }
            return SvixReply(204)
        }
        return [
            .svix(
                .get, form.one + "/headers", "\(form.operation).get-headers",
                "Show the header fields of an endpoint's deliveries; of some the name alone.",
                answer: SvixEndpoint.headersSchema
            ) { call in
                let place = Place(call)
                let all = try await worker.run {
                    try endpoints.headers(place.application, place.endpoint, call.caller)
                }
                let shown = all.compactMapValues(\.self).filter { name, _ in
                    !SvixHeaders.sensitive.contains(name.lowercased())
                }
                let hidden = all.keys.filter { shown[$0] == nil }.sorted().map { JSONValue.text($0) }
                let values = shown.mapValues { JSONValue.text($0) }
                return SvixReply(200, ["headers": .object(values), "sensitive": .list(hidden)])
            },
            .svix(
                .put, form.one + "/headers", "\(form.operation).update-headers",
                "Set all header fields.", body: SvixEndpoint.headersDraftSchema, status: 204
            ) { call in try await set(call, merges: false) },
            .svix(
                .patch, form.one + "/headers", "\(form.operation).patch-headers",
                "Set those that are named; `null` takes one away.", body: SvixEndpoint.headersPatchSchema, status: 204
            ) { call in try await set(call, merges: true) },
        ]
    }
}

extension SvixReply {
    package init(made endpoint: SvixEndpoint) {
        self.init(201, endpoint.json, isSecret: !OutboundURL.split(endpoint.settings.url).user.isEmpty)
    }
}
