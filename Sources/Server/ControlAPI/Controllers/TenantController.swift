// Tenants: listed, shown, made, changed, removed.
import HTTPTypes
import Hummingbird

struct TenantController {
    let tenants: any TenantDirectory
    let control: any TenantControl
    let worker: ControlWorker

    private static let path = ControlAPI.base + "/tenants"
    private static let changes: [ProblemCode] = [.conflict, .storeUnavailable, .notRunning]

    var routes: [Route] { reading + [create, upsert, patch, rotate, remove] }

    private var reading: [Route] {
        let (tenants, worker) = (tenants, worker)
        return [
            Route(
                method: .get, path: TenantController.path, operation: "listTenants", resource: "tenants",
                summary: "List tenants, in the order in which they were made.", query: QueryParameter.paging,
                answer: .json(Page<TenantResource>.schema)
            ) { call in
                let paging = Paging(after: try call.query.cursor(.tenants, count: 1)?[0], limit: call.query.limit)
                let found = try await worker.run { try tenants.tenants(paging, call.caller) }
                return ControlResponse.resource(
                    Page(items: found.items, next: found.next.map { Cursor(.tenants, $0).text }))
            },
            Route(
                method: .get, path: TenantController.path + "/{id}", operation: "getTenant", resource: "tenants",
                summary: "Show a tenant.", answer: .json(TenantResource.schema), problems: [.noSuchTenant]
            ) { call in
                ControlResponse.resource(try await worker.run { try tenants.tenant(call.parameter("id"), call.caller) })
            },
        ]
    }

    private var create: Route {
        let (control, worker) = (control, worker)
        return Route(
            method: .post, path: TenantController.path, operation: "createTenant", resource: "tenants",
            summary: "Make a tenant. Its signing secret is in this answer and in no other.",
            body: .json(TenantDraft.schema), status: .created, answer: .json(TenantResource.schema),
            problems: TenantController.changes
        ) { call in
            let draft = try BodyReading.decode(call.body, as: TenantDraft.self)
            return TenantController.made(try await worker.run { try control.create(draft, call.caller) })
        }
    }
    private static func made(_ tenant: TenantResource) -> Response {
        var response = ControlResponse.resource(tenant, status: .created)
        response.headers[.location] = path + "/" + tenant.id
        return response
    }

    private var upsert: Route {
        let (control, worker) = (control, worker)
        return Route(
            method: .put, path: TenantController.path + "/{id}", operation: "upsertTenant", resource: "tenants",
            summary: "Make the tenant of this uid (201, as by POST), or give the one there is the name of the body.",
            body: .json(TenantDraft.schema), answer: .json(TenantResource.schema),
            problems: TenantController.changes + [.managedByManifest], otherStatus: 201
        ) { call in
            let uid = call.parameter("id")
            let draft = try BodyReading.decode(call.body, as: TenantDraft.self)
            guard draft.uid == nil || draft.uid == uid else {
                throw ControlError.invalid([FieldProblem(path: "uid", reason: "is not the uid of the path")])
            }
            let (tenant, isNew) = try await worker.run { try control.upsert(uid: uid, draft, call.caller) }
            return isNew ? TenantController.made(tenant) : ControlResponse.resource(tenant)
        }
    }

    private var patch: Route {
        let (control, worker) = (control, worker)
        return Route(
            method: .patch, path: TenantController.path + "/{id}", operation: "updateTenant", resource: "tenants",
            summary: "Change what the body names and nothing else (RFC 7396).", body: .json(TenantPatch.schema),
            answer: .json(TenantResource.schema),
            problems: TenantController.changes + [.noSuchTenant, .managedByManifest]
        ) { call in
            let ref = call.parameter("id")
            let changes = try BodyReading.json(call.body)
            let errors = SchemaCheck.errors(changes, TenantPatch.schema)
            guard errors.isEmpty else { throw ControlError.invalid(errors) }
            return ControlResponse.resource(
                try await worker.run { try control.update(ref, TenantPatch(changes), call.caller) })
        }
    }

    private var rotate: Route {
        let (control, worker) = (control, worker)
        return Route(
            method: .post, path: TenantController.path + "/{id}/rotate-secret", operation: "rotateTenantSecret",
            resource: "tenants",
            summary: "Make a new signing secret, which is in this answer and in no other; it counts at once.",
            answer: .json(TenantResource.schema), problems: [.noSuchTenant, .storeUnavailable, .notRunning]
        ) { call in
            let ref = call.parameter("id")
            return ControlResponse.resource(try await worker.run { try control.rotateSecret(ref, call.caller) })
        }
    }

    private static let withResources = QueryParameter(
        "with_resources", .flag, "`true`: its sources and endpoints go with it.")
    private var remove: Route {
        let (control, worker) = (control, worker)
        return Route(
            method: .delete, path: TenantController.path + "/{id}", operation: "deleteTenant", resource: "tenants",
            summary: "Remove a tenant and its keys; one that has sources or endpoints only `with_resources`.",
            query: [TenantController.withResources], status: .noContent, answer: .nothing,
            problems: TenantController.changes + [.noSuchTenant, .managedByManifest, .tenantInUse]
        ) { call in
            let (ref, withResources) = (call.parameter("id"), call.query.flag("with_resources"))
            try await worker.run { try control.delete(ref, withResources: withResources, call.caller) }
            return ControlResponse.nothing()
        }
    }
}
