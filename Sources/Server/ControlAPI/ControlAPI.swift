// The control API: one listener on the admin port, its controllers and its worker threads. One event loop of its
// own; nothing here is on the way of an event. docs/http-api.md is its reference.
import Engine
import FastPath
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore

package struct ControlAPI: Sendable {
    package static let base = "/api/v1"

    let services: ControlServices
    let logger: Logger
    /// `/metrics` asks for no key.
    let hasOpenMetrics: Bool
    let worker = ControlWorker()
    /// A key is revoked at once, whatever the others are busy with.
    let keyWorker = ControlWorker()
    /// What takes as long as there is to do: a replay of millions goes on for minutes, and so may verifying again.
    let bulkWorker = ControlWorker()
    /// The log of a webhook may have much to read.
    let webhookWorker = ControlWorker()
    /// A reader that comes back waits for nobody.
    let streamWorker = ControlWorker()
    /// Polls read as much of the log as a page takes.
    let pollWorker = ControlWorker()
    /// A filter is tried on as much of the log as a page takes.
    let filterWorker = ControlWorker()
    /// So is a schema.
    let schemaWorker = ControlWorker()
    /// So is a transformation, which takes longer an event.
    let transformationWorker = ControlWorker()
    /// What the contract edge asks of registry and store.
    let contractWorker = ControlWorker()
    /// Probes, scrapes and the status queue behind nothing.
    let statusWorker = ControlWorker()
    private let kept: KeptAnswers
    private let contractAnswers: ContractAnswers
    /// What the listener shows now; nil without TLS.
    private var tls: (@Sendable () -> TLSContext?)?

    package init(services: ControlServices, logger: Logger, hasOpenMetrics: Bool = false) {
        self.hasOpenMetrics = hasOpenMetrics
        self.services = services
        self.logger = logger
        kept = KeptAnswers(folder: services.outbound.keptFolder)
        contractAnswers = ContractAnswers(folder: services.outbound.keptFolder)
    }
    /// It speaks TLS alone, with what `context` says at each connection.
    mutating func secure(_ context: @escaping @Sendable () -> TLSContext?) { tls = context }

    /// Serves until the task is cancelled. `onRunning` gets the port in use; throws when the address cannot be bound.
    package func run(host: String, port: Int, onRunning: @escaping @Sendable (Int) -> Void) async throws {
        kept.prepare()
        contractAnswers.prepare()
        let application = Application(
            router: router(host: host), server: server,
            configuration: ApplicationConfiguration(address: .hostname(host, port: port)),
            onServerRunning: { channel in onRunning(channel.localAddress?.port ?? port) },
            eventLoopGroupProvider: .shared(ControlExecutor.shared.group),
            logger: ControlAPI.quietLogger)
        try await withTaskExecutorPreference(ControlExecutor.shared) { try await application.run() }
    }

    private var server: HTTPServerBuilder {
        guard let tls else { return .http1() }
        return HTTPServerBuilder { ControlTLS(base: HTTP1Channel(responder: $0), context: tls) }
    }

    // Hummingbird's own notices are about itself, not about what an operator acts on.
    private static let quietLogger: Logger = {
        var logger = Logger(label: "sluice.admin")
        logger.logLevel = .critical
        return logger
    }()

    func router(host: String) -> Router<ControlContext> {
        let table = table
        let router = Router(context: ControlContext.self, options: .autoGenerateHeadEndpoints)
        for middleware in ControlMiddleware.ordered(
            host: host, logger: logger, routes: table, keys: services.signIn, contract: edge(table, host: host))
        {
            router.add(middleware: middleware)
        }
        table.add(to: router)
        return router
    }

    /// Every route, in the order of the documentation.
    var table: RouteTable {
        let described =
            StatusController(health: services.health, worker: statusWorker).routes
            + TenantController(tenants: services.tenants, control: services.tenantControl, worker: keyWorker).routes
            + KeyController(keys: services.keys, worker: keyWorker).routes
            + SourceController(sources: services.sources, worker: worker).routes
            + EndpointController(
                directory: services.endpoints, control: services.endpointControl, registry: services.registry,
                worker: worker
            ).routes
            + DeliveryController(deliveries: services.deliveries, replays: services.replays, worker: worker).routes
            + EventController(events: services.events, worker: worker).routes
            + FilterController(filters: services.filters, worker: filterWorker).routes
            + SchemaController(schemas: services.schemas, worker: schemaWorker).routes
            + TransformationController(trials: services.transformations, worker: transformationWorker).routes
            + StreamController(streams: services.streams, worker: streamWorker).routes
            + PublishController(publishing: services.publishing).routes
            + ReplayController(replays: services.replays, worker: bulkWorker).routes
            + RepairController(repairs: services.repairs, worker: worker).routes
            + RejectedController(rejected: services.rejected, worker: worker, bulkWorker: bulkWorker).routes
            + ConfigController(registry: services.registry, worker: worker).routes
            + AuditController(audit: services.audit, worker: worker).routes
            + SecretsController(secrets: services.secrets, worker: bulkWorker).routes + outbound
            + OpsCenterController(webhooks: services.opsCenter, worker: webhookWorker).routes
            + OperationalController(webhooks: services.operational, worker: webhookWorker).routes
            + contract
            + DeprecatedController(services: services, worker: worker, bulkWorker: bulkWorker).routes
        let document = DocumentController.route(describing: described, hasOpenMetrics: hasOpenMetrics)
        return RouteTable(described + [document], hasOpenMetrics: hasOpenMetrics)
    }

    /// Where there is none, its paths are nowhere.
    private var contract: [Route] {
        guard services.contract.contractSettings.isEnabled else { return [] }
        return ContractController(webhooks: services.contract, worker: contractWorker).routes
    }
    private func edge(_ table: RouteTable, host: String) -> ContractEdge? {
        guard services.contract.contractSettings.isEnabled else { return nil }
        let parameters = EdgeParameters(
            settings: services.contract.contractSettings, host: host, routes: EdgeRoutes(table.routes),
            keeper: services.contract, answers: contractAnswers)
        let runner = EdgeRunner(
            list: EdgeMiddlewares.ordered(parameters), keeper: services.contract, logger: logger)
        return ContractEdge(runner: runner)
    }

    /// The Svix-shaped API.
    private var outbound: [Route] {
        let services = services.outbound
        return OutboundHealthController(health: self.services.health, worker: statusWorker).routes
            + ApplicationController(
                applications: services.applications, kept: kept, worker: keyWorker,
                scheme: tls == nil ? "http" : "https"
            ).routes
            + EventTypeController(types: services.eventTypes, kept: kept, worker: worker).routes
            + EventTypeImportController(types: services.eventTypes, kept: kept, worker: worker).routes
            + OutboundEndpointController(
                endpoints: services.endpoints, applications: services.applications, kept: kept, worker: worker
            ).routes
            + MessageController(
                messages: services.messages, applications: services.applications, kept: kept, worker: worker
            ).routes
            + ExampleController(
                messages: services.messages, types: services.eventTypes, endpoints: services.endpoints, kept: kept,
                worker: worker
            ).routes
            + AttemptController(attempts: services.attempts, kept: kept, worker: worker).routes
            + PollerController(pollers: services.pollers, kept: kept, worker: pollWorker).routes
            + ReplayTaskController(
                replays: services.replays, endpoints: services.endpoints, kept: kept, worker: worker
            ).routes + BackgroundTaskController(tasks: services.replays.tasks, worker: worker).routes
            + StatisticsController(statistics: services.statistics, kept: kept, worker: worker).routes
            + operationalEndpoints
    }

    /// Operational webhooks as that API has them.
    private var operationalEndpoints: [Route] {
        OutboundEndpointController(
            endpoints: services.outbound.operational, applications: services.outbound.applications, kept: kept,
            worker: webhookWorker, form: .operational
        ).routes.map { route in
            var route = route
            route.resource = Route.organization
            return route
        }
    }

    package var edgeRoutes: EdgeRoutes { EdgeRoutes(contract) }
    /// What `/api/v1/openapi.json` says.
    package var document: JSONValue { OpenAPIDocument.of(table, version: Gateway.version) }
    /// Method and path of every route, such as `GET /api/v1/endpoints/{id}`.
    package var routeNames: [String] { table.routes.map { "\($0.method.rawValue) \($0.path)" } }
}
