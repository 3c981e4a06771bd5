// What the listeners' TLS needs over time: new ticket keys, and a word in the log before a certificate expires.

import Dispatch
import Foundation
import Logging
import Synchronization

final class TicketKeyComponent: Component {
    let name = "ticket keys"
    /// A key opens tickets for two rotations after its own.
    private static let hours = 8
    private static let warningDays: Int64 = 14
    private let certificates: ListenerCertificates
    private let logger: Logger
    /// Dispatch's own are safe to use from any thread.
    private struct Timer: @unchecked Sendable { let source: any DispatchSourceTimer }
    private let timer = Mutex<Timer?>(nil)

    init(_ certificates: ListenerCertificates, logger: Logger) {
        self.certificates = certificates
        self.logger = logger
    }
    func start() {
        guard !certificates.contexts.isEmpty else { return }
        let made = DispatchSource.makeTimerSource(queue: .global(qos: .utility))
        made.schedule(deadline: .now() + .seconds(Self.hours * 3600), repeating: .seconds(Self.hours * 3600))
        made.setEventHandler { [self] in
            certificates.rotateTicketKeys()
            warn()
        }
        made.resume()
        let kept = Timer(source: made)
        timer.withLock { $0 = kept }
        warn()
    }
    func stop() { timer.withLock { $0.take() }?.source.cancel() }

    private func warn() {
        let now = Int64(Date().timeIntervalSince1970)
        for one in certificates.certificates where one.expiresAt - now < Self.warningDays * 86_400 {
            logger.warning(
                "a certificate is about to expire or has expired",
                metadata: [
                    "listener": "\(one.listener)", "certificate": "\(one.file)",
                    "days": "\((one.expiresAt - now) / 86_400)",
                ])
        }
    }
}
