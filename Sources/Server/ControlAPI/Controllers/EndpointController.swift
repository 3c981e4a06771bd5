// Endpoints: listed, shown, made, changed, removed; enabled, disabled, paused, retried.
//
// Invariant: a change is decided by the registry; what stands here is the form of the request alone.
import Engine
import HTTPTypes
import Hummingbird

struct EndpointController {
    let directory: any EndpointDirectory
    let control: any EndpointControl
    let registry: any RegistryControl
    let worker: ControlWorker

    private static let path = ControlAPI.base + "/endpoints"
    /// A thousand endpoints with generous lists of types.
    private static let batchBytesMax = 4 << 20
    private static let changes: [ProblemCode] = [.noSuchTenant, .conflict, .storeUnavailable, .notRunning]

    var routes: [Route] { reading + changing + operating }

    // MARK: reading

    private static let filters = [
        QueryParameter("tenant", .text, "Only those of this tenant: id, uid or name."),
        QueryParameter("state", .word(EndpointStateName.allCases.map(\.rawValue)), "Only those in this state."),
        QueryParameter("name", .text, "Only those of this name; `*` stands for anything."),
    ]

    private var reading: [Route] {
        let (directory, worker) = (directory, worker)
        return [
            Route(
                method: .get, path: EndpointController.path, operation: "listEndpoints", resource: "endpoints",
                summary: "List endpoints, in the order in which they were made.",
                query: EndpointController.filters + QueryParameter.paging,
                answer: .json(Page<EndpointResource>.schema), problems: [.noSuchTenant, .storeUnavailable, .notRunning]
            ) { call in
                var search = EndpointSearch()
                search.tenant = call.query.text("tenant")
                search.state = call.query.text("state").flatMap { EndpointStateName(rawValue: $0) }
                search.name = call.query.text("name")
                search.paging = Paging(after: try call.query.cursor(.endpoints, count: 1)?[0], limit: call.query.limit)
                let asked = search
                let found = try await worker.run { try directory.endpoints(asked, call.caller) }
                return ControlResponse.resource(
                    Page(items: found.items, next: found.next.map { Cursor(.endpoints, $0).text }))
            },
            Route(
                method: .get, path: EndpointController.path + "/{id}", operation: "getEndpoint", resource: "endpoints",
                summary: "Show an endpoint.", answer: .json(EndpointResource.schema),
                problems: [.noSuchEndpoint, .storeUnavailable, .notRunning]
            ) { call in
                let ref = call.parameter("id")
                return ControlResponse.resource(try await worker.run { try directory.endpoint(ref, call.caller) })
            },
        ]
    }

    // MARK: changing

    private var changing: [Route] { [create, replace, patch, remove] }

    private var create: Route {
        let (registry, worker) = (registry, worker)
        return Route(
            method: .post, path: EndpointController.path, operation: "createEndpoints", resource: "endpoints",
            summary: "Make an endpoint, or up to \(EndpointBatch.countMax) at once: all of them or none.",
            body: .oneOf([EndpointDraft.schema, EndpointBatch.schema]), bodyBytesMax: EndpointController.batchBytesMax,
            status: .created, answer: .json(EndpointResource.schema), problems: EndpointController.changes
        ) { call in
            let body = try BodyReading.json(call.body)
            if case .object(let members) = body, members["endpoints"] != nil {
                let drafts = try BodyReading.decode(body, as: EndpointBatch.self).endpoints
                guard !drafts.isEmpty else {
                    throw ControlError.invalid([FieldProblem(path: "endpoints", reason: "is empty")])
                }
                let made = try await worker.run { try registry.create(drafts, call.caller) }
                return ControlResponse.resource(Page(items: made), status: .created)
            }
            let draft = try BodyReading.decode(body, as: EndpointDraft.self)
            let made: EndpointResource
            do {
                guard let first = try await worker.run({ try registry.create([draft], call.caller) }).first else {
                    throw ControlError(.internalFault, "nothing was made")
                }
                made = first
            } catch let error as ControlError {
                throw EndpointController.single(error)
            }
            var response = ControlResponse.resource(made, status: .created)
            response.headers[.location] = EndpointController.path + "/" + made.id
            return response
        }
    }
    /// The registry counts from `endpoints[0]`; in a body that is one endpoint its fields stand at the top.
    private static func single(_ error: ControlError) -> ControlError {
        let prefix = "endpoints[0]."
        let errors = error.errors.map { problem in
            problem.path.hasPrefix(prefix)
                ? FieldProblem(path: String(problem.path.dropFirst(prefix.count)), reason: problem.reason) : problem
        }
        return errors.isEmpty || error.code != .invalid ? error : .invalid(errors)
    }

    private var replace: Route {
        let (registry, worker) = (registry, worker)
        return Route(
            method: .put, path: EndpointController.path + "/{id}", operation: "replaceEndpoint", resource: "endpoints",
            summary: "Make an endpoint what the body says; what is absent takes its default.",
            body: .json(EndpointDraft.schema), answer: .json(EndpointResource.schema),
            problems: EndpointController.changes + [.noSuchEndpoint, .managedByManifest]
        ) { call in
            let ref = call.parameter("id")
            let draft = try BodyReading.decode(call.body, as: EndpointDraft.self)
            do {
                return ControlResponse.resource(
                    try await worker.run { try registry.replace(ref, with: draft, revision: nil, call.caller) })
            } catch let error as ControlError {
                throw EndpointController.single(error)
            }
        }
    }

    private var patch: Route {
        let (registry, worker) = (registry, worker)
        let schema = EndpointDraft.patchSchema
        return Route(
            method: .patch, path: EndpointController.path + "/{id}", operation: "updateEndpoint", resource: "endpoints",
            summary: "Change what the body names and nothing else (RFC 7396); `null` means the default.",
            body: .json(schema), answer: .json(EndpointResource.schema),
            problems: EndpointController.changes + [.noSuchEndpoint, .managedByManifest]
        ) { call in
            let ref = call.parameter("id")
            let changes = try BodyReading.json(call.body)
            let errors = SchemaCheck.errors(changes, schema)
            guard errors.isEmpty else { throw ControlError.invalid(errors) }
            do {
                let changed = try await worker.run {
                    let (current, revision) = try registry.draft(of: ref, call.caller)
                    let merged = try BodyReading.json(of: current).merged(with: changes)
                    let lacking = SchemaCheck.errors(merged, EndpointDraft.schema)
                    guard lacking.isEmpty else { throw ControlError.invalid(lacking) }
                    let draft = try BodyReading.decode(merged, as: EndpointDraft.self)
                    return try registry.replace(ref, with: draft, revision: revision, call.caller)
                }
                return ControlResponse.resource(changed)
            } catch let error as ControlError {
                throw EndpointController.single(error)
            }
        }
    }

    private var remove: Route {
        let (registry, worker) = (registry, worker)
        return Route(
            method: .delete, path: EndpointController.path + "/{id}", operation: "deleteEndpoint",
            resource: "endpoints",
            summary: "Remove an endpoint; what waits for it is given up, its history stays for its time.",
            status: .noContent, answer: .nothing,
            problems: [.noSuchEndpoint, .managedByManifest, .conflict, .storeUnavailable, .notRunning]
        ) { call in
            let ref = call.parameter("id")
            try await worker.run { try registry.remove(ref, call.caller) }
            return ControlResponse.nothing()
        }
    }

    // MARK: operating

    private var operating: [Route] {
        let control = control
        return [
            operation("enable", "enableEndpoint", "Deliver to it again: ends a pause and a disablement.") {
                try control.enable($0, $2)
            },
            operation("disable", "disableEndpoint", "Deliver nothing to it until it is enabled; what comes waits.") {
                try control.disable($0, $2)
            },
            operation("pause", "pauseEndpoint", "Deliver nothing to it for a time.", body: PauseOrder.schema) {
                try control.pause($0, forMillis: $1, $2)
            },
            operation("retry-now", "retryEndpointNow", "Attempt everything that waits for a later attempt at once.") {
                try control.retryNow($0, $2)
            },
        ]
    }

    /// `act` gets the endpoint, the length of the pause and the caller.
    private func operation(
        _ verb: String, _ name: String, _ summary: String, body: ObjectSchema? = nil,
        _ act: @escaping @Sendable (String, Int?, Caller) throws -> Void
    ) -> Route {
        let (directory, worker) = (directory, worker)
        return Route(
            method: .post, path: EndpointController.path + "/{id}/" + verb, operation: name, resource: "endpoints",
            summary: summary + " The answer is the endpoint as it is then.",
            body: body.map { .json($0, isOptional: true) }, answer: .json(EndpointResource.schema),
            problems: [.noSuchEndpoint, .endpointStopped, .conflict, .storeUnavailable, .notRunning]
        ) { call in
            let ref = call.parameter("id")
            let order = call.body.isEmpty ? PauseOrder() : try BodyReading.decode(call.body, as: PauseOrder.self)
            let millis = order.for.flatMap { TimeSpan.parse($0) }
            return ControlResponse.resource(
                try await worker.run {
                    try act(ref, millis, call.caller)
                    return try directory.endpoint(ref, call.caller)
                })
        }
    }
}

extension EndpointDraft {
    /// Every field may be absent; the tenant cannot be changed.
    static let patchSchema = ObjectSchema(
        "EndpointPatch", "What of an endpoint is to change.", schema.fields.filter { $0.name != "tenant" }
    ).asPatch(named: "EndpointPatch")
}
