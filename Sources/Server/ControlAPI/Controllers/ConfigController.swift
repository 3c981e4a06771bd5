// The configuration: a manifest applied or compared, the file read again, the last change reported.
import Hummingbird

struct ConfigController {
    let registry: any RegistryControl
    let worker: ControlWorker

    /// A manifest of 100,000 endpoints.
    private static let manifestBytesMax = 64 << 20
    private static let problems: [ProblemCode] = [
        .badConfiguration, .managedByManifest, .conflict, .storeUnavailable, .notRunning,
    ]

    var routes: [Route] {
        let (registry, worker) = (registry, worker)
        return [
            Route(
                method: .get, path: ControlAPI.base + "/config", operation: "getConfig", resource: "config",
                summary: "What the last change did.", answer: .json(ConfigResource.schema)
            ) { _ in
                ControlResponse.resource(ConfigResource(lastChange: try await worker.run { registry.lastChange() }))
            },
            Route(
                method: .post, path: ControlAPI.base + "/config", operation: "applyConfig", resource: "config",
                summary: "Apply a whole configuration file, or say what it would change.",
                query: [QueryParameter.dryRun], body: .manifest, bodyBytesMax: ConfigController.manifestBytesMax,
                answer: .json(ChangeResource.schema), problems: ConfigController.problems
            ) { call in
                guard !call.body.isEmpty else {
                    throw ControlError(.badRequest, "the body is empty; it must be a configuration file, YAML or JSON")
                }
                let dryRun = call.query.flag("dry_run")
                return ControlResponse.resource(
                    try await worker.run { try registry.apply(manifest: call.body, dryRun: dryRun, call.caller) })
            },
            Route(
                method: .post, path: ControlAPI.base + "/reload", operation: "reloadConfig", resource: "config",
                summary: "Read the gateway's own configuration file again and apply it.",
                query: [QueryParameter.dryRun],
                answer: .json(ChangeResource.schema), problems: ConfigController.problems
            ) { call in
                let dryRun = call.query.flag("dry_run")
                return ControlResponse.resource(
                    try await worker.run { try registry.reload(dryRun: dryRun, call.caller) })
            },
        ]
    }
}
