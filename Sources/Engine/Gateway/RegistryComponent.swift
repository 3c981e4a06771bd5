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
    let identity: IdentityProvider
    private let logger: Logger
    private struct Opened: Sendable {
        let service: RegistryService
        let audit: any AuditLog
        let keys: KeyRing
        let newPlatformKey: String?
        let report: ChangeReport
    }
    private let opened = StartResult<Opened>()

    init(
        _ configuration: GatewayConfiguration, store: StoreComponent, verifiers: VerifierRegistry,
        endpoints: EndpointParticipant, sources: SourceParticipant, certificates: ListenerCertificates, logger: Logger
    ) {
        self.configuration = configuration
        self.store = store
        self.verifiers = verifiers
        self.endpoints = endpoints
        self.sources = sources
        self.certificates = certificates
        identity = IdentityProvider(logger: logger)
        self.logger = logger
    }
    var service: RegistryService { opened.value.service }
    var audit: any AuditLog { opened.value.audit }
    var keys: KeyRing { opened.value.keys }
    /// The token, when this start made the platform's key.
    var newPlatformKey: String? { opened.value.newPlatformKey }
    /// What the manifest changed at this start.
    var report: ChangeReport { opened.value.report }
    /// With what the API has made.
    var configurationInForce: GatewayConfiguration { configuration.with(service.state) }

    func start() throws {
        let kept = SQLiteRegistryStore(store.store.writer)
        let registry = RegistryService(store: kept, process: configuration.process, verifiers: verifiers)
        do {
            try registry.open()
            registry.add(endpoints)
            registry.add(sources)
            registry.add(certificates)
            registry.add(identity)
            let report = try registry.apply(.manifest(configuration), actor: .start)
            logger.info("configuration applied", metadata: ["changes": "\(report.diff)"])
            let (keys, newPlatformKey) = try KeyRing.open(registry, uses: kept, folder: configuration.dataFolder)
            opened.set(
                Opened(
                    service: registry, audit: kept, keys: keys, newPlatformKey: newPlatformKey, report: report))
        } catch let error as RegistryRefusal {
            throw GatewayError.registry(error)
        } catch { throw GatewayError.store("\(error)") }
    }
}
