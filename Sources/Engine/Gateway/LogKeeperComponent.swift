// The thread that prepares segments and removes old ones. Before the journal in the list: it stops after the journal's
// driver, whose unused segments it takes back.

import FastPath
import Logging

final class LogKeeperComponent: Component {
    private struct Running: Sendable {
        let worker: LogWorker
        let mailbox: SpareMailbox
    }
    let name = "log keeper"
    private let configuration: LogConfiguration
    private let log: LogComponent
    /// Of the loop that drives the journal.
    private let driverWakeup: Wakeup
    private let logger: Logger
    private let running = StartResult<Running>()

    init(_ configuration: LogConfiguration, log: LogComponent, driverWakeup: Wakeup, logger: Logger) {
        self.configuration = configuration
        self.log = log
        self.driverWakeup = driverWakeup
        self.logger = logger
    }
    var worker: LogWorker { running.value.worker }
    var mailbox: SpareMailbox { running.value.mailbox }

    func start() throws {
        guard let wakeup = Wakeup() else { throw GatewayError.outOfDescriptors }
        guard
            let keeper = SegmentKeeper(
                folder: log.folder, segmentBytes: configuration.segmentBytes, freeBytesMin: configuration.freeBytesMin)
        else { throw GatewayError.outOfMemory(what: "the segment keeper", bytes: SegmentKeeper.zeroBytes) }
        let mailbox = SpareMailbox(keeper: wakeup, driver: driverWakeup)
        let worker = LogWorker(
            keeper: keeper, watch: LogWatch(log.folder), tail: log.tail, mailbox: mailbox, wakeup: wakeup,
            configuration: configuration, logger: logger)
        try worker.start()
        running.set(Running(worker: worker, mailbox: mailbox))
    }
    func stop() { worker.stop() }
}
