// What is known of a request before any controller runs: who asks, for which tenant, and the request's id.
//
// Invariant: an id that came from outside is of harmless characters only, so that it can stand in a header and in a
// log line.
import Engine
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization

/// Who asks.
package struct Principal: Equatable, Sendable {
    /// As the audit log names it: the public id of a key.
    package let name: String
    package let role: KeyRole
    /// The public id of the tenant that this principal is confined to; nil = all tenants.
    package let tenant: String?
    /// Of the key: event types that ask for one of these are seen.
    package let featureFlags: [String]
    /// Of the tenant's own people: the gateway's own routes are closed to it.
    package let isPortal: Bool

    package init(
        name: String, role: KeyRole, tenant: String?, featureFlags: [String] = [], isPortal: Bool = false
    ) {
        self.name = name
        self.role = role
        self.tenant = tenant
        self.featureFlags = featureFlags
        self.isPortal = isPortal
    }
    /// Whoever showed no key: of a tenant that is none.
    package static let stranger = Principal(name: "stranger", role: .publisher, tenant: "")
}

/// The caller as controllers and services see it.
package struct Caller: Equatable, Sendable {
    package let principal: Principal
    package let requestID: String
    /// What the call says of the trace that it is part of, as field lines: `TraceContext.lines`.
    package let traceLines: String

    package init(principal: Principal, requestID: String, traceLines: String = "") {
        self.principal = principal
        self.requestID = requestID
        self.traceLines = traceLines
    }
}

extension HTTPFields {
    private static let traceParent = HTTPField.Name("traceparent")!
    private static let traceState = HTTPField.Name("tracestate")!
    var traceLines: String {
        contains(Self.traceParent)
            ? TraceContext.lines(parents: self[values: Self.traceParent], states: self[values: Self.traceState]) : ""
    }
}

package enum RequestID {
    package static let bytesMax = 128
    static let header = HTTPField.Name("X-Request-Id")!

    /// What a proxy or client sent, when it is sane.
    package static func accepted(_ text: String?) -> String? {
        guard let text, !text.isEmpty, text.utf8.count <= bytesMax,
            text.utf8.allSatisfy({ byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            })
        else { return nil }
        return text
    }
    /// Different each time, and no secret; without a system call, for there are thousands in a second.
    static func make() -> String {
        // SplitMix64, which gives each value once.
        var bits = first &+ count.add(1, ordering: .relaxed).newValue &* 0x9E37_79B9_7F4A_7C15
        bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
        return "req_" + String(bits ^ bits >> 31 | 1 << 63, radix: 36)
    }
    private static let first = UInt64.random(in: .min ... .max)
    private static let count = Atomic<UInt64>(0)
}

struct ControlContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    var principal = Principal.stranger
    var requestID = ""
    var traceLines = ""
    /// Whom the connection is with.
    let address: String
    let connection: ClientConnection
    /// Which our own TLS has verified.
    let certificate: ShownCertificate?

    init(source: Source) {
        coreContext = CoreRequestContextStorage(source: source)
        address = source.channel.remoteAddress?.ipAddress ?? "unknown"
        connection = ClientConnection(channel: source.channel)
        certificate = ShownCertificates.of(source.channel)
    }

    var caller: Caller { Caller(principal: principal, requestID: requestID, traceLines: traceLines) }
}

/// What a route may do with the connection itself: for answers that do not end.
struct ClientConnection: Sendable {
    private let channel: any Channel

    init(channel: any Channel) { self.channel = channel }
    /// At once, whatever waits to be sent.
    func close() { channel.close(promise: nil) }
    /// What the kernel keeps for a client that does not read.
    func limitSending(to byteCount: Int) {
        _ = channel.setOption(.socketOption(.so_sndbuf), value: SocketOptionValue(byteCount))
    }
}
