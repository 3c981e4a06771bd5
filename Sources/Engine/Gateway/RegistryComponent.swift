// What the operator has made, read from the store and brought up to the manifest. Before anything that is built from
// it; the parts that run what it describes join as participants when they are there.

import Logging

final class RegistryComponent: Component {
    let name = "registry"
    private let configuration: GatewayConfiguration
    private let store: StoreComponent
    private let verifiers: VerifierRegistry
    private let endpoints: EndpointParticipant
    private let sources: SourceParticipant
    private let certificates: ListenerCertificates
    private let watcher: any RegistryWatcher
    let identity: IdentityProvider
    private let logger: Logger
    private struct Opened: Sendable {
        let service: RegistryService
        let kept: SQLiteRegistryStore
        let keys: KeyRing
        let newPlatformKey: String?
        let report: ChangeReport
    }
    private let opened = StartResult<Opened>()

    init(
        _ configuration: GatewayConfiguration, store: StoreComponent, verifiers: VerifierRegistry,
        endpoints: EndpointParticipant, sources: SourceParticipant, certificates: ListenerCertificates,
        watcher: any RegistryWatcher, logger: Logger
    ) {
        self.configuration = configuration
        self.store = store
        self.verifiers = verifiers
        self.endpoints = endpoints
        self.sources = sources
        self.certificates = certificates
        self.watcher = watcher
        identity = IdentityProvider(logger: logger)
        self.logger = logger
    }
    var service: RegistryService { opened.value.service }
    var audit: any AuditLog { opened.value.kept }
    /// Where master key and data keys are changed.
    var kept: SQLiteRegistryStore { opened.value.kept }
    var keys: KeyRing { opened.value.keys }
    /// The token, when this start made the platform's key.
    var newPlatformKey: String? { opened.value.newPlatformKey }
    /// What the manifest changed at this start.
    var report: ChangeReport { opened.value.report }
    /// With what the API has made.
    var configurationInForce: GatewayConfiguration { configuration.with(service.state) }

    func start() throws {
        do {
            let source = MasterKeySource(configuration.process.masterKey, folder: configuration.dataFolder)
            let kept = SQLiteRegistryStore(
                store.store.writer, secrets: try SecretStore.open(store.store.writer, source, logger: logger))
            let registry = RegistryService(store: kept, process: configuration.process, verifiers: verifiers)
            try registry.open()
            registry.add(endpoints)
            registry.add(sources)
            registry.add(certificates)
            registry.watch(watcher)
            registry.add(identity)
            let report = try registry.apply(.manifest(configuration), actor: .start)
            logger.info("configuration applied", metadata: ["changes": "\(report.diff)"])
            for warning in report.warnings { logger.warning("\(warning)") }
            let (keys, newPlatformKey) = try KeyRing.open(registry, uses: kept, folder: configuration.dataFolder)
            opened.set(
                Opened(
                    service: registry, kept: kept, keys: keys, newPlatformKey: newPlatformKey, report: report))
        } catch let error as RegistryRefusal {
            throw GatewayError.registry(error)
        } catch { throw GatewayError.store("\(error)") }
    }
}
