// What the listeners' TLS needs over time: new ticket keys, and a word in the log before a certificate expires. A
// thread that sleeps for hours.

import FastPath
import Foundation
import Logging
import Synchronization

final class TicketKeyComponent: Component {
    let name = "ticket keys"
    /// A key opens tickets for two rotations after its own.
    private static let rotationMillis: Int32 = 8 * 3_600_000
    private let certificates: ListenerCertificates
    private let logger: Logger
    private let running = Mutex<(thread: LoopThread, wakeup: Wakeup)?>(nil)
    private let isStopping = Atomic<Bool>(false)

    init(_ certificates: ListenerCertificates, logger: Logger) {
        self.certificates = certificates
        self.logger = logger
    }
    func start() throws {
        guard !certificates.contexts.isEmpty else { return }
        guard let wakeup = Wakeup() else { throw GatewayError.outOfDescriptors }
        let thread: LoopThread
        do {
            thread = try LoopThread(name: "ticket-keys", urgency: .yielding) { [self] in run(wakeup) }
        } catch { throw GatewayError.thread(error) }
        running.withLock { $0 = (thread, wakeup) }
    }
    func stop() {
        isStopping.store(true, ordering: .releasing)
        guard let (thread, wakeup) = running.withLock({ $0.take() }) else { return }
        wakeup.signal()
        thread.join()
    }
    private func run(_ wakeup: Wakeup) {
        warn()
        while !isStopping.load(ordering: .acquiring) {
            let wasWoken = wakeup.sleep(
                timeoutMillis: TicketKeyComponent.rotationMillis, unless: { isStopping.load(ordering: .acquiring) })
            if wasWoken { continue }
            if isStopping.load(ordering: .acquiring) { return }
            certificates.rotateTicketKeys()
            warn()
        }
    }
    private func warn() {
        let now = Int64(Date().timeIntervalSince1970)
        for one in certificates.certificates where one.expiresAt - now < ListenerCertificate.warningDays * 86_400 {
            logger.warning(
                "a certificate is about to expire or has expired",
                metadata: [
                    "listener": "\(one.listener)", "certificate": "\(one.file)",
                    "days": "\((one.expiresAt - now) / 86_400)",
                ])
        }
    }
}
