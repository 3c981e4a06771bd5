// The keys that secrets are encrypted under: shown by name, rotated.
import Hummingbird

struct SecretsController {
    let secrets: any SecretControl
    let worker: ControlWorker

    private static let path = ControlAPI.base + "/secrets"

    var routes: [Route] {
        let (secrets, worker) = (secrets, worker)
        return [
            Route(
                method: .get, path: SecretsController.path, operation: "getSecrets", resource: "secrets",
                summary: "Which key the stored secrets are encrypted under; never a key.",
                answer: .json(SecretsResource.schema), problems: [.storeUnavailable, .notRunning]
            ) { call in ControlResponse.resource(try await worker.run { try secrets.secrets(call.caller) }) },
            Route(
                method: .post, path: SecretsController.path + "/rewrap", operation: "rewrapSecrets",
                resource: "secrets", summary: "Wrap the keys of all tenants with a new master key.",
                body: .json(RewrapOrder.schema, isOptional: true), answer: .json(RewrapResource.schema),
                problems: [.conflict, .storeUnavailable, .notRunning]
            ) { call in
                let order =
                    call.body.isEmpty ? RewrapOrder() : try BodyReading.decode(call.body, as: RewrapOrder.self)
                return ControlResponse.resource(try await worker.run { try secrets.rewrap(order, call.caller) })
            },
        ]
    }
}
