// TLS of the control listener, where its configuration has it: each connection gets the context that is in force when
// it is made, so that a reload's certificates are shown to new ones and running ones go on. What is in force says of
// open connections too whose client's certificate is believed: whoever is not any more is cut off.
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
    private struct Shown {
        let certificate: ShownCertificate
        let channel: any Channel
    }
    private static let known = Mutex<[ObjectIdentifier: Shown]>([:])

    static func of(_ channel: any Channel) -> ShownCertificate? {
        known.withLock { $0.isEmpty ? nil : $0[ObjectIdentifier(channel)]?.certificate }
    }
    static func note(_ certificate: ShownCertificate, of channel: any Channel) {
        let identity = ObjectIdentifier(channel)
        known.withLock { $0[identity] = Shown(certificate: certificate, channel: channel) }
        channel.closeFuture.whenComplete { _ in known.withLock { $0[identity] = nil } }
    }
    static var channels: [any Channel] { known.withLock { $0.values.map(\.channel) } }
}

/// Without a context there is no handshake, and no connection.
struct ControlTLS: ServerChildChannel {
    let base: HTTP1Channel
    let context: @Sendable () -> TLSContext?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        channel.eventLoop.makeCompletedFuture {
            guard let first = context(),
                let stream = TLSStream(
                    accepting: first, failed: ControlTLSFigures.failed,
                    opened: { [context] in ControlTLS.opened($0, $1, now: context) })
            else { throw ChannelError.operationUnsupported }
            try channel.pipeline.syncOperations.addHandler(stream)
        }.flatMap { base.setup(channel: channel, logger: logger) }
    }
    func handle(value: HTTP1Channel.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }

    private static func opened(_ stream: TLSStream, _ channel: any Channel, now: () -> TLSContext?) {
        ControlTLSFigures.opened(isResumed: stream.isResumed)
        guard let peer = stream.peer else { return }
        ShownCertificates.note(ShownCertificate(ends: peer.ends, subject: peer.subject.text), of: channel)
        // Its handshake may have begun before the last reload, which did not know of it. The next one does.
        judge(stream, channel, by: now())
    }
    /// After a reload. O(connections that have shown a certificate), each on its own loop.
    static func changed(to context: TLSContext?) {
        for channel in ShownCertificates.channels {
            channel.eventLoop.execute {
                guard let stream = try? channel.pipeline.syncOperations.handler(type: TLSStream.self) else { return }
                judge(stream, channel, by: context)
            }
        }
    }
    private static func judge(_ stream: TLSStream, _ channel: any Channel, by context: TLSContext?) {
        if let context, stream.isPeerBelieved(by: context) { return }
        ControlTLSFigures.cutOff()
        stream.cutOff(channel)
    }
}
