// Keys of the control API: listed, shown, made, revoked.
import HTTPTypes
import Hummingbird

struct KeyController {
    let keys: any KeyControl
    let worker: ControlWorker

    private static let path = ControlAPI.base + "/keys"

    var routes: [Route] {
        let (keys, worker) = (keys, worker)
        return [
            Route(
                method: .get, path: KeyController.path, operation: "listKeys", resource: "keys",
                summary: "List keys, in the order in which they were made; never their tokens.",
                query: [QueryParameter("tenant", .text, "Only those of this tenant: UUID, id, uid or name.")]
                    + QueryParameter.paging,
                answer: .json(Page<KeyResource>.schema), problems: [.noSuchTenant, .notRunning]
            ) { call in
                let paging = Paging(after: try call.query.cursor(.keys, count: 1)?[0], limit: call.query.limit)
                let tenant = call.query.text("tenant")
                let found = try await worker.run { try keys.keys(tenant: tenant, paging, call.caller) }
                return ControlResponse.resource(
                    Page(items: found.items, next: found.next.map { Cursor(.keys, $0).text }))
            },
            Route(
                method: .get, path: KeyController.path + "/{id}", operation: "getKey", resource: "keys",
                summary: "Show a key; never its token.", answer: .json(KeyResource.schema),
                problems: [.noSuchKey, .notRunning]
            ) { call in
                ControlResponse.resource(try await worker.run { try keys.key(call.parameter("id"), call.caller) })
            },
            Route(
                method: .post, path: KeyController.path, operation: "createKey", resource: "keys",
                summary: "Make a key. Its token is in this answer and in no other.", body: .json(KeyOrder.schema),
                status: .created, answer: .json(KeyResource.schema),
                problems: [.noSuchTenant, .storeUnavailable, .notRunning]
            ) { call in
                let order = try BodyReading.decode(call.body, as: KeyOrder.self)
                let key = try await worker.run { try keys.create(order, call.caller) }
                var response = ControlResponse.resource(key, status: .created)
                response.headers[.location] = KeyController.path + "/" + key.keyId
                return response
            },
            Route(
                method: .delete, path: KeyController.path + "/{id}", operation: "revokeKey", resource: "keys",
                summary: "Revoke a key: its token is refused from then on.", status: .noContent, answer: .nothing,
                problems: [.noSuchKey, .conflict, .storeUnavailable, .notRunning]
            ) { call in
                try await worker.run { try keys.revoke(call.parameter("id"), call.caller) }
                return ControlResponse.nothing()
            },
        ]
    }
}
