// Event types of the Svix-shaped API.
import Engine
import HTTPTypes

struct EventTypeController {
    let types: any SvixEventTypes
    let kept: KeptAnswers
    let worker: ControlWorker

    var routes: [Route] { reading + [create, replace, patch, remove] }

    private var reading: [Route] {
        let (types, worker) = (types, worker)
        return [
            .svix(
                .get, "/event-type", "v1.event-type.list", "List event types by name.",
                query: Route.svixPaging + [
                    Route.svixOrder, QueryParameter("include_archived", .flag, "`true`: archived ones too."),
                    QueryParameter("with_content", .flag, "`true`: with their schemas."),
                ], answer: SvixPage<Never>.schema(SvixEventType.schema)
            ) { call in
                let paging = try call.svix.paging(isAscending: true) { SvixRules.isLabel($0) }
                let includesArchived = try call.svix.flag("include_archived")
                let withContent = try call.svix.flag("with_content")
                let page = try await worker.run {
                    try types.eventTypes(paging, includesArchived: includesArchived, call.caller)
                }
                return SvixReply(200, page.json { $0.json(withContent: withContent) })
            },
            .svix(
                .get, "/event-type/{name}", "v1.event-type.get", "Show an event type.", answer: SvixEventType.schema
            ) { call in
                let name = call.parameter("name")
                return SvixReply(200, try await worker.run { try types.eventType(name, call.caller) }.json())
            },
        ]
    }
    private var create: Route {
        let (types, worker) = (types, worker)
        return .svix(
            .post, "/event-type", "v1.event-type.create", "Declare an event type, or bring an archived one back.",
            body: SvixEventType.draftSchema, bodyBytesMax: Route.svixContentBytesMax, status: 201,
            answer: SvixEventType.schema, kept: kept
        ) { call in
            let type = try await worker.read(call) { SvixEventType(&$0, name: nil) }
            return SvixReply(201, try await worker.run { try types.create(type, call.caller) }.json())
        }
    }
    private var replace: Route {
        let (types, worker) = (types, worker)
        return .svix(
            .put, "/event-type/{name}", "v1.event-type.update",
            "Make an event type what the body says; where there is none, declare it (201).",
            body: SvixEventType.updateSchema, bodyBytesMax: Route.svixContentBytesMax, also: 201,
            answer: SvixEventType.schema
        ) { call in
            let name = call.parameter("name")
            guard SvixRules.isLabel(name) else {
                throw SvixError.invalid(["path", "event_type_name"], SvixRules.aboutLabel())
            }
            let type = try await worker.read(call) { SvixEventType(&$0, name: name) }
            let (made, isNew) = try await worker.run { try types.replace(type, call.caller) }
            return SvixReply(isNew ? 201 : 200, made.json())
        }
    }
    private var patch: Route {
        let (types, worker) = (types, worker)
        return .svix(
            .patch, "/event-type/{name}", "v1.event-type.patch", "Change what the body names; `null` clears.",
            body: SvixEventType.patchSchema, bodyBytesMax: Route.svixContentBytesMax, answer: SvixEventType.schema
        ) { call in
            let name = call.parameter("name")
            let patch = try await worker.read(call) { SvixEventTypePatch(&$0) }
            return SvixReply(200, try await worker.run { try types.patch(name, patch, call.caller) }.json())
        }
    }
    private var remove: Route {
        let (types, worker) = (types, worker)
        return .svix(
            .delete, "/event-type/{name}", "v1.event-type.delete", "Archive an event type.",
            query: [QueryParameter("expunge", .flag, "`true`: remove it for good.")], status: 204
        ) { call in
            let (name, expunge) = (call.parameter("name"), try call.svix.flag("expunge"))
            try await worker.run { try types.deleteEventType(name, expunge: expunge, call.caller) }
            return SvixReply(204)
        }
    }
}
