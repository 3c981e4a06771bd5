// Applications of the Svix-shaped API, and what lets their own people in.
import Engine
import HTTPTypes

struct ApplicationController {
    let applications: any SvixApplications
    let kept: KeptAnswers
    let worker: ControlWorker
    /// Of the listener.
    var scheme = "http"

    var routes: [Route] { reading + [create, replace, patch, remove] + signingIn + [signingOut] }

    private var reading: [Route] {
        let (applications, worker) = (applications, worker)
        return [
            .svix(
                .get, "/app", "v1.application.list", "List applications, the oldest first.",
                query: Route.svixPaging + [Route.svixOrder], answer: SvixPage<Never>.schema(SvixApplication.schema)
            ) { call in
                let paging = try call.svix.paging(isAscending: true, takesOrder: true) {
                    SvixID.resource($0, .tenant) != nil
                }
                let page = try await worker.run { try applications.applications(paging, call.caller) }
                return SvixReply(200, page.json(\.json))
            },
            .svix(
                .get, "/app/{app}", "v1.application.get", "Show an application.", answer: SvixApplication.schema
            ) { call in
                let ref = call.parameter("app")
                return SvixReply(200, try await worker.run { try applications.application(ref, call.caller) }.json)
            },
        ]
    }
    private var create: Route {
        let (applications, worker) = (applications, worker)
        return .svix(
            .post, "/app", "v1.application.create", "Make an application.",
            query: [QueryParameter("get_if_exists", .flag, "`true`: the one that has the uid is the answer (200).")],
            body: SvixApplication.draftSchema, status: 201, also: 200, answer: SvixApplication.schema, kept: kept
        ) { call in
            let getsExisting = try call.svix.flag("get_if_exists")
            let draft = try await worker.read(call) { SvixApplicationDraft(reading: &$0) }
            let (application, isNew) = try await worker.run {
                try applications.create(draft, getsExisting: getsExisting, call.caller)
            }
            return SvixReply(isNew ? 201 : 200, application.json)
        }
    }
    private var replace: Route {
        let (applications, worker) = (applications, worker)
        return .svix(
            .put, "/app/{app}", "v1.application.update",
            "Make an application what the body says; where there is none, make one (201) with the uid of the body.",
            body: SvixApplication.draftSchema, also: 201, answer: SvixApplication.schema
        ) { call in
            let ref = call.parameter("app")
            let draft = try await worker.read(call) { SvixApplicationDraft(reading: &$0) }
            let (application, isNew) = try await worker.run { try applications.replace(ref, draft, call.caller) }
            return SvixReply(isNew ? 201 : 200, application.json)
        }
    }
    private var patch: Route {
        let (applications, worker) = (applications, worker)
        return .svix(
            .patch, "/app/{app}", "v1.application.patch", "Change what the body names; `null` clears.",
            body: SvixApplication.patchSchema, answer: SvixApplication.schema
        ) { call in
            let ref = call.parameter("app")
            _ = try await worker.run { try applications.application(ref, call.caller) }
            let patch = try await worker.read(call) { SvixApplicationPatch(&$0) }
            return SvixReply(200, try await worker.run { try applications.patch(ref, patch, call.caller) }.json)
        }
    }
    private var remove: Route {
        let (applications, worker) = (applications, worker)
        return .svix(
            .delete, "/app/{app}", "v1.application.delete", "Remove an application and all that it has.", status: 204
        ) { call in
            let ref = call.parameter("app")
            try await worker.run { try applications.deleteApplication(ref, call.caller) }
            return SvixReply(204)
        }
    }

    // MARK: signing in

    private static let portalSchema = ObjectSchema(
        "AppPortalAccessIn", "Who is to get in.",
        [
            .optional(
                "application", .orNull(.object(SvixApplication.draftSchema)), "Made when there is none of its uid."),
            .optional("featureFlags", .list(.text), "Event types that ask for one of these are seen."),
            .optional("expiry", .orNull(.integer(60...SvixPortalOrder.secondsDefault)), "Seconds; 28 days by default."),
            .optional("readOnly", .orNull(.flag), "`true`: nothing can be changed."),
        ])
    private static let portalAnswer = ObjectSchema(
        "AppPortalAccessOut", "What lets somebody in.",
        [
            .required("url", .text, "Where this API is described."),
            .required("token", .text, "Of this application alone, with an end; shown once."),
        ])
    private var signingIn: [Route] {
        let (applications, worker, scheme) = (applications, worker, scheme)
        @Sendable func answer(_ call: Call, _ order: SvixPortalOrder) async throws -> SvixReply {
            let ref = call.parameter("app")
            let token = try await worker.run { try applications.portalToken(ref, order, call.caller) }
            let url = "\(scheme)://\(call.authority)\(ControlAPI.base)/openapi.json"
            return SvixReply(200, ["url": .text(url), "token": .text(token)], isSecret: true)
        }
        return [
            .svix(
                .post, "/auth/app-portal-access/{app}", "v1.authentication.app-portal-access",
                "Make a token of one application, for its own people.", body: ApplicationController.portalSchema,
                answer: ApplicationController.portalAnswer, kept: kept
            ) { call in
                let ref = call.parameter("app")
                let (order, draft) = try await worker.read(call) { body -> (SvixPortalOrder, SvixApplicationDraft?) in
                    // For one that there is, what it would be made of does not matter.
                    let exists = (try? applications.application(ref, call.caller)) != nil
                    return (ApplicationController.portalOrder(&body), exists ? nil : body.application(for: ref))
                }
                if let draft {
                    _ = try await worker.run { try applications.create(draft, getsExisting: true, call.caller) }
                }
                return try await answer(call, order)
            },
            .svix(
                .post, "/auth/dashboard-access/{app}", "v1.authentication.dashboard-access",
                "The form of before of app-portal-access; takes no body.", answer: ApplicationController.portalAnswer,
                kept: kept
            ) { call in try await answer(call, SvixPortalOrder()) },
            .svix(
                .post, "/auth/logout", "v1.authentication.logout", "Not to be had: tokens end, or are revoked as keys.",
                status: 501, answer: SvixError.schema
            ) { _ in
                throw SvixError(501, "not_implemented", "tokens end by themselves; `DELETE /api/v1/keys/…` revokes")
            },
        ]
    }
    private static let expireSchema = ObjectSchema(
        "ApplicationTokenExpireIn", "Which tokens are to end, and when.",
        [
            .optional("expiry", .orNull(.integer(0...0)), "They end at once."),
            .optional("sessionIds", .orNull(.list(.text, countMax: 0)), "Tokens are of no session."),
        ])
    /// What is asked for and not to be had is refused: whoever ends tokens counts on it.
    private var signingOut: Route {
        let (applications, worker) = (applications, worker)
        return .svix(
            .post, "/auth/app/{app}/expire-all", "v1.authentication.expire-all",
            "End all tokens that app-portal-access gave for an application.", body: ApplicationController.expireSchema,
            status: 204, kept: kept
        ) { call in
            let ref = call.parameter("app")
            _ = try await worker.run { try applications.application(ref, call.caller) }
            try await worker.run {
                var body = try SvixBody(call.body, isOptional: true)
                if let expiry = body.givenInteger("expiry", 0...Int(Int32.max)).value, expiry > 0 {
                    body.report("expiry", message: "must be 0 or left out: tokens end at once")
                }
                if body.members["sessionIds"].map({ ![.null, .list([])].contains($0) }) ?? false {
                    body.report("sessionIds", message: "must be left out: tokens are of no session here")
                }
                try body.finish()
                try applications.endPortalTokens(ref, call.caller)
            }
            return SvixReply(204)
        }
    }
    private static func portalOrder(_ body: inout SvixBody) -> SvixPortalOrder {
        var order = SvixPortalOrder()
        order.featureFlags = body.labels("featureFlags", count: 0...100).value ?? []
        order.seconds = body.givenInteger("expiry", 60...SvixPortalOrder.secondsDefault).value ?? order.seconds
        order.isReadOnly = body.givenFlag("readOnly").value ?? false
        return order
    }
}

extension SvixBody {
    mutating func givenFlag(_ name: String) -> SvixGiven<Bool> {
        given(name, "true or false") { if case .bool(let flag) = $0 { flag } else { nil } }
    }
    /// The application that is made when the path names none: its uid is the one of the path.
    mutating func application(for ref: String) -> SvixApplicationDraft? {
        guard var inner = object("application") else { return nil }
        let draft = SvixApplicationDraft(reading: &inner)
        if draft.uid == nil {
            inner.report("uid", message: "the uid of the path is needed here too", .uidMissing)
        } else if draft.uid != ref {
            inner.report("uid", message: "is not the uid of the path", .uidMismatch)
        }
        take(inner)
        return draft
    }
}
