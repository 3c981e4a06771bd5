// Who drives the journal: the only ingest loop, or a thread of its own that several loops share.
// docs/why/journal-driver.md has the measurement behind the choice.

import FastPath
import Foundation

final class JournalComponent: Component {
    private struct Ready: Sendable {
        let signal: CommitSignal
        /// One a loop, each to be taken once.
        let ports: [TransferBox<JournalClient>]
        let injection: JournalLink
        let publishing: JournalLink
        /// Nil when the only loop drives the journal.
        let thread: LoopThread?
        let memoryBytes: Int
    }
    let name = "journal"
    /// Shared with the only loop when that drives the journal.
    let metrics = IngestMetrics()
    private let configuration: GatewayConfiguration
    private let controls: LoopControls
    private let registry: RegistryComponent
    private let log: LogComponent
    private let logKeeper: LogKeeperComponent
    private let delivery: DeliveryComponent
    private let injectorWakeup: Wakeup
    private let publisherWakeup: Wakeup
    private let ready = StartResult<Ready>()

    init(
        _ configuration: GatewayConfiguration, controls: LoopControls, registry: RegistryComponent, log: LogComponent,
        logKeeper: LogKeeperComponent, delivery: DeliveryComponent
    ) throws(GatewayError) {
        self.configuration = configuration
        self.controls = controls
        self.registry = registry
        self.log = log
        self.logKeeper = logKeeper
        self.delivery = delivery
        guard let injector = Wakeup(), let publisher = Wakeup() else { throw .outOfDescriptors }
        injectorWakeup = injector
        publisherWakeup = publisher
    }
    /// Tells delivery of commits.
    var signal: CommitSignal { ready.value.signal }
    var ports: [TransferBox<JournalClient>] { ready.value.ports }
    /// By which a worker thread puts an event into the log.
    var injection: JournalLink { ready.value.injection }
    /// By which the API puts events into the log, many at once.
    var publishing: JournalLink { ready.value.publishing }
    var memoryBytes: Int { ready.value.memoryBytes }
    private var identity: UInt64 { log.folder.identity.identity }

    func start() throws {
        let signal = CommitSignal(delivery.service.wakeup)
        signal.setWanted(registry.service.state.endpoints.count > 0)
        let injection = try link(from: injectorWakeup, least: 1 << 20, receiptCount: EventInjector.eventCountMax)
        let publishing = try link(from: publisherWakeup, least: 4 << 20, receiptCount: EventPort.eventCountMax)
        let workers = [injection, publishing]
        let driver = JournalDriver(
            journal: log.takeJournal(firstSegment: logKeeper.worker.prepareFirst), logIdentity: identity,
            folder: log.folder.directory, tail: log.tail, spares: logKeeper.mailbox, reader: signal, metrics: metrics,
            ticketCountMax: log.ticketCount)
        guard let control = controls.journal else {
            let port = JournalClient(driver: driver, wakeup: controls.loops[0].wakeup, injections: workers)
            return ready.set(
                Ready(
                    signal: signal, ports: [TransferBox(port)], injection: injection, publishing: publishing,
                    thread: nil, memoryBytes: JournalComponent.byteCount(of: workers)))
        }
        let links = try controls.loops.map { try link(to: control, from: $0) }
        let thread = try run(TransferBox(driver), links: links + workers, control)
        ready.set(
            Ready(
                signal: signal,
                ports: links.enumerated().map { loop, link in
                    TransferBox(JournalClient(link: link, loopIndex: loop, logIdentity: identity))
                }, injection: injection, publishing: publishing, thread: thread,
                memoryBytes: JournalComponent.byteCount(of: links + workers)))
    }
    private static func byteCount(of links: [JournalLink]) -> Int { links.reduce(0) { $0 + $1.events.byteCount } }

    /// After the loops: what they offered is committed.
    func drain(withinMillis: Int) -> Bool {
        controls.journal?.drain()
        ready.value.thread?.join()
        return true
    }

    private func run(
        _ driver: TransferBox<JournalDriver>, links: [JournalLink], _ control: JournalControl
    ) throws(GatewayError) -> LoopThread {
        let failure = StartFailure()
        let thread: LoopThread
        do {
            thread = try LoopThread(name: "journal", urgency: .prompt) {
                runJournalLoop(driver: driver, links: links, shared: control) { failure.set(GatewayError.ring($0)) }
            }
        } catch { throw .thread(error) }
        while control.stage == .starting { Thread.sleep(forTimeInterval: StartFailure.pollSeconds) }
        guard control.stage != .failed else {
            thread.join()
            throw failure.error
        }
        return thread
    }
    private func link(to journal: JournalControl, from loop: IngestControl) throws(GatewayError) -> JournalLink {
        do {
            return try JournalLink(
                eventBytes: ringBytes(least: 8 << 20, events: 4), eventBytesMax: configuration.log.groupBytes,
                receiptCount: configuration.limits.connectionCountMax, journalWakeup: journal.wakeup,
                loopWakeup: loop.wakeup)
        } catch { throw .outOfMemory(what: "the ring to the journal", bytes: error.byteCount) }
    }
    /// For events that come from workers, whom `wakeup` wakes.
    private func link(from wakeup: Wakeup, least: Int, receiptCount: Int) throws(GatewayError) -> JournalLink {
        do {
            return try JournalLink(
                eventBytes: ringBytes(least: least, events: 2), eventBytesMax: configuration.log.groupBytes,
                receiptCount: receiptCount, journalWakeup: controls.driverWakeup, loopWakeup: wakeup)
        } catch { throw .outOfMemory(what: "the ring of injected events", bytes: error.byteCount) }
    }
    /// A power of two that takes the largest event several times.
    private func ringBytes(least: Int, events: Int) -> Int {
        let largest = SourceTopology.bodyBytesMax(registry.configurationInForce) + configuration.limits.headBytesMax
        var bytes = least
        while bytes < events * largest {
            bytes *= 2
        }
        return bytes
    }
}
