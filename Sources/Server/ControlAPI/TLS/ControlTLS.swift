// TLS of the control listener, where its configuration has it: each connection gets the context that is in force when
// it is made, so that a reload's certificates are shown to new ones and running ones go on.
import FastPath
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import Synchronization

/// What a client has shown and the listener's authorities have signed.
package struct ShownCertificate: Equatable, Sendable {
    /// Seconds since 1970.
    package let ends: Int64
    package let subject: String

    package init(ends: Int64, subject: String) {
        self.ends = ends
        self.subject = subject
    }
    /// A connection may outlive the certificate that it began with.
    func isGood(atSeconds seconds: UInt64) -> Bool { ends >= Int64(clamping: seconds) }
}

/// Of open connections, by their channel; nothing of those that have shown none.
enum ShownCertificates {
    private static let known = Mutex<[ObjectIdentifier: ShownCertificate]>([:])

    static func of(_ channel: any Channel) -> ShownCertificate? {
        known.withLock { $0.isEmpty ? nil : $0[ObjectIdentifier(channel)] }
    }
    static func note(_ certificate: ShownCertificate, of channel: any Channel) {
        let identity = ObjectIdentifier(channel)
        known.withLock { $0[identity] = certificate }
        channel.closeFuture.whenComplete { _ in known.withLock { $0[identity] = nil } }
    }
}

/// Without a context there is no handshake, and no connection.
struct ControlTLS: ServerChildChannel {
    let base: HTTP1Channel
    let context: @Sendable () -> TLSContext?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        channel.eventLoop.makeCompletedFuture {
            guard let context = context(), let stream = TLSStream(accepting: context, opened: Self.note) else {
                throw ChannelError.operationUnsupported
            }
            try channel.pipeline.syncOperations.addHandler(stream)
        }.flatMap { base.setup(channel: channel, logger: logger) }
    }
    func handle(value: HTTP1Channel.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }

    private static func note(_ channel: any Channel, _ peer: PeerCertificate?) {
        guard let peer else { return }
        ShownCertificates.note(ShownCertificate(ends: peer.ends, subject: peer.subject.text), of: channel)
    }
}
