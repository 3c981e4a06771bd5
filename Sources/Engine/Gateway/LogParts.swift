// The log and the listeners as a start takes them: recovered folder, journal, spares; one set of listeners a loop.
import FastPath
import Foundation
import Logging
import Synchronization

/// Carries a loop's reason for not starting to the thread that waits for it.
final class FailureBox: Sendable {
    private let stored = Mutex<GatewayError?>(nil)
    func set(_ error: GatewayError) { stored.withLock { $0 = error } }
    func set(_ error: IngestStartError) {
        switch error {
        case .ring(let error): set(GatewayError.ring(error))
        case .outOfMemory(let bytes): set(GatewayError.outOfMemory(what: "the ingest loop", bytes: bytes))
        }
    }
    var error: GatewayError { stored.withLock { $0 } ?? .outOfDescriptors }
}

/// The data folder, taken and recovered, with the journal ready for whoever drives it.
final class LogParts {
    let folder: LogFolder
    let tail: CommittedTail
    let report: RecoveryReport
    let worker: LogWorker
    let memoryBytes: Int
    private let mailbox: SpareMailbox
    private let journal: Handover<Journal>
    private let hasSegment: Bool
    private static let ticketsBeside = 64

    /// `driverWakeup` wakes the loop that will drive the journal.
    init(
        _ recovered: consuming RecoveredLog, _ configuration: GatewayConfiguration, driverWakeup: Wakeup,
        logger: Logger
    ) throws(GatewayError) {
        folder = recovered.folder
        report = recovered.report
        for line in report.lines { logger.warning("recovery", metadata: ["found": "\(line)"]) }
        hasSegment = recovered.current != nil
        let dedupBytes = recovered.dedupByteCount
        let journal: Journal
        do {
            journal = try recovered.makeJournal(
                segmentBytes: configuration.log.segmentBytes, groupBytes: configuration.log.groupBytes,
                groupTicketCountMax: LogParts.ticketCount(configuration))
        } catch { throw .log(error) }
        tail = CommittedTail(journal)
        self.journal = Handover(journal)
        memoryBytes = dedupBytes + 2 * configuration.log.groupBytes
        guard let keeperWakeup = Wakeup() else { throw .outOfDescriptors }
        mailbox = SpareMailbox(keeper: keeperWakeup, driver: driverWakeup)
        guard
            let keeper = SegmentKeeper(
                folder: folder, segmentBytes: configuration.log.segmentBytes,
                freeBytesMin: configuration.log.freeBytesMin)
        else { throw .outOfMemory(what: "the segment keeper", bytes: 1 << 20) }
        worker = LogWorker(
            keeper: keeper, tail: tail, mailbox: mailbox, wakeup: keeperWakeup, configuration: configuration.log,
            logger: logger)
    }
    /// Makes the data folder when there is none, and takes its lock.
    static func recover(_ configuration: GatewayConfiguration) throws(GatewayError) -> RecoveredLog {
        let settings = RecoverySettings(
            dedupEntryCount: configuration.dedup.entryCount,
            dedupWindowSecondsMax: SourceTable.dedupWindowSecondsMax(configuration),
            nowSeconds: UInt32(truncatingIfNeeded: ProcessResources.wallNanos / 1_000_000_000))
        do { return try Recovery.open(path: configuration.dataFolder, settings: settings) } catch {
            throw .log(error)
        }
    }
    /// Each connection has at most one event under way.
    private static func ticketCount(_ configuration: GatewayConfiguration) -> Int {
        configuration.limits.connectionCountMax * GatewayAssembly.loopCount(configuration) + ticketsBeside
    }

    /// Once. A fresh folder gets its first segment here, so that nobody is refused for want of one.
    func makeDriver(
        _ configuration: GatewayConfiguration, reader: CommitSignal, metrics: IngestMetrics
    ) -> JournalDriver {
        var journal = journal.take()
        if !hasSegment, let first = worker.prepareFirst() {
            let isWanted = journal.takeSpareRequest(now: ProcessResources.monotonicNanos)
            precondition(isWanted, "a journal without a segment wants one")
            journal.spareBecameReady(first)
        }
        return JournalDriver(
            journal: journal, logIdentity: folder.identity.identity, folder: folder.directory, tail: tail,
            spares: mailbox, reader: reader, metrics: metrics, ticketCountMax: LogParts.ticketCount(configuration))
    }
}

/// The sockets of all loops: of each TCP address one a loop, so that the kernel spreads connections; Unix sockets are
/// shared.
struct Listeners {
    private(set) var all: [Listener] = []
    private(set) var byLoop: [[Int32]]
    private(set) var texts: [String] = []

    init(_ configuration: GatewayConfiguration, loopCount: Int) throws(GatewayError) {
        byLoop = Array(repeating: [], count: loopCount)
        do throws(ListenError) {
            for text in configuration.listen {
                let first = try Listener(text, isShared: loopCount > 1)
                all.append(first)
                texts.append(first.text)
                byLoop[0].append(first.descriptor)
                for loop in 1..<max(loopCount, 1) {
                    if first.unixPath != nil {
                        byLoop[loop].append(first.descriptor)
                    } else {
                        // The port that the first one took, should it have been 0.
                        let next = try Listener(first.text, isShared: true)
                        all.append(next)
                        byLoop[loop].append(next.descriptor)
                    }
                }
            }
        } catch {
            close()
            throw .listen(error)
        }
    }
    func activate() throws(GatewayError) {
        do throws(ListenError) {
            for listener in all { try listener.activate() }
        } catch { throw .listen(error) }
    }
    func close() { for listener in all { listener.close() } }
}
