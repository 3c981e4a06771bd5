// What takes content out of the log, and the thread that goes on with what the last run of the process has left to be
// taken out.

import FastPath
import Logging
import Synchronization

final class EraserComponent: Component {
    let name = "eraser"
    private let log: LogComponent
    private let delivery: DeliveryComponent
    private let publisher: PublisherComponent
    private let logger: Logger
    private let made = StartResult<PayloadEraser>()
    private let thread = Mutex<LoopThread?>(nil)
    private let isStopping = Atomic<Bool>(false)

    init(log: LogComponent, delivery: DeliveryComponent, publisher: PublisherComponent, logger: Logger) {
        self.log = log
        self.delivery = delivery
        self.publisher = publisher
        self.logger = logger
    }
    var eraser: PayloadEraser { made.value }

    func start() throws {
        let expunged = publisher.expunged
        let eraser = PayloadEraser(
            folder: log.folder, tail: log.tail, expunged: expunged, delivery: delivery.service)
        made.set(eraser)
        guard !expunged.messagesLeft.isEmpty || !expunged.tenantsLeft.isEmpty else { return }
        do throws(ThreadStartError) {
            let started = try LoopThread(name: "eraser", urgency: .yielding) { [self] in finish(eraser) }
            thread.withLock { $0 = started }
        } catch { throw GatewayError.thread(error) }
    }
    /// Before delivery, which gives up nothing more then.
    func drain(withinMillis: Int) -> Bool {
        isStopping.store(true, ordering: .releasing)
        thread.withLock { $0.take() }?.join()
        return true
    }
    private func finish(_ eraser: PayloadEraser) {
        do { try eraser.finish { isStopping.load(ordering: .acquiring) } } catch PayloadEraser.Failure.stopped {
            return
        } catch {
            logger.error(
                "messages that were expunged are shown to nobody, and are still in the log; the next start tries again",
                metadata: ["why": "\(error)"])
        }
    }
}
