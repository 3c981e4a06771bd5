// The last to start: from here on a change of the registry reaches what runs.

final class ParticipationComponent: Component {
    let name = "participation"
    private let delivery: DeliveryComponent
    private let journal: JournalComponent
    private let ingest: IngestComponent
    private let rejected: RejectedComponent
    private let registry: RegistryComponent
    private let headBytesMax: Int
    private let endpoints: EndpointParticipant
    private let sources: SourceParticipant

    init(
        delivery: DeliveryComponent, journal: JournalComponent, ingest: IngestComponent, rejected: RejectedComponent,
        registry: RegistryComponent, headBytesMax: Int, endpoints: EndpointParticipant, sources: SourceParticipant
    ) {
        self.delivery = delivery
        self.journal = journal
        self.ingest = ingest
        self.rejected = rejected
        self.registry = registry
        self.headBytesMax = headBytesMax
        self.endpoints = endpoints
        self.sources = sources
    }
    func start() throws {
        endpoints.run(
            EndpointParticipant.Running(
                delivery: delivery.service, commitSignal: journal.signal))
        sources.run(SourceParticipant.Running(ingest: ingest, rejected: rejected))
        registry.service.bound(bodyBytesMax: ingest.blockBytesMax - headBytesMax)
    }
}
