// The log of the data folder, recovered: what was committed, and the journal that goes on behind it.

import FastPath
import Logging

final class LogComponent: Component {
    private struct Opened: Sendable {
        let tail: CommittedTail
        let report: RecoveryReport
        let journal: TransferBox<Journal>
        let memoryBytes: Int
    }
    /// What is under way beside one event of each connection.
    private static let extraTicketCount = 64

    let name = "log"
    /// Events under way at most: each connection has one.
    let ticketCount: Int
    private let configuration: GatewayConfiguration
    private let logger: Logger
    private let dataFolder: DataFolderComponent
    private let store: StoreComponent
    private let registry: RegistryComponent
    private let opened = StartResult<Opened>()

    init(
        _ configuration: GatewayConfiguration, loopCount: Int, dataFolder: DataFolderComponent, store: StoreComponent,
        registry: RegistryComponent, logger: Logger
    ) {
        ticketCount = configuration.limits.connectionCountMax * loopCount + LogComponent.extraTicketCount
        self.configuration = configuration
        self.logger = logger
        self.dataFolder = dataFolder
        self.store = store
        self.registry = registry
    }
    var folder: LogFolder { dataFolder.folder }
    var tail: CommittedTail { opened.value.tail }
    var report: RecoveryReport { opened.value.report }
    var memoryBytes: Int { opened.value.memoryBytes }

    func start() throws {
        let settings = RecoverySettings(
            dedupEntryCount: configuration.dedupEntryCount,
            dedupWindowSecondsMax: max(
                SourceTopology.dedupWindowSecondsMax(registry.configurationInForce), OfferIdentity.windowSeconds),
            nowSeconds: UInt32(truncatingIfNeeded: ProcessResources.wallNanos / 1_000_000_000))
        let floor = try store.sequenceFloor()
        do throws(LogOpenError) {
            var recovered = try Recovery.open(folder: folder, settings: settings)
            recovered.raise(to: floor)
            let report = recovered.report
            for line in report.lines { logger.warning("recovery", metadata: ["found": "\(line)"]) }
            let memoryBytes = recovered.dedupByteCount + 2 * configuration.log.groupBytes
            let journal = try recovered.makeJournal(
                segmentBytes: configuration.log.segmentBytes, groupBytes: configuration.log.groupBytes,
                groupTicketCountMax: ticketCount)
            let tail = CommittedTail(journal)
            opened.set(
                Opened(tail: tail, report: report, journal: TransferBox(journal), memoryBytes: memoryBytes))
        } catch { throw GatewayError.log(error) }
    }
    /// Once. A fresh folder gets its first segment here, so that no event is refused while the first one is prepared.
    func takeJournal(firstSegment: () -> SegmentDescriptor?) -> Journal {
        var journal = opened.value.journal.take()
        if journal.currentSegment == nil, let first = firstSegment() {
            let isWanted = journal.takeSpareRequest(now: ProcessResources.monotonicNanos)
            precondition(isWanted, "a journal without a segment wants one")
            journal.spareBecameReady(first)
        }
        return journal
    }
}
