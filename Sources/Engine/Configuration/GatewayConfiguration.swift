// The configuration as plain values, already parsed and with its secrets resolved; Server makes it from YAML, Engine
// compiles it. Defaults live here and nowhere else; `docs/configuration.md` documents each.

import FastPath

package struct GatewayConfiguration: Sendable {
    /// Ingest listeners: `HOST:PORT`, `[V6]:PORT` or `unix:PATH`.
    package var listen = ["127.0.0.1:8080"]
    /// Scheme and host as senders use them, such as `https://hooks.example.com`; nil = told by each request.
    package var publicURL: String?
    /// CIDR ranges of proxies whose word on a request's origin counts; `unix` for local sockets.
    package var trustedProxies: [String] = []
    /// `true` or `false` for all listeners, or those of `listen` whose connections begin with a PROXY preamble.
    package var proxyProtocol = ["false"]
    package var admin = "127.0.0.1:8081"
    package var dataFolder = "./sluice-data"
    package var loops = LoopCount.auto
    package var limits = LimitsConfiguration()
    package var log = LogConfiguration()
    package var dedup = DedupConfiguration()
    package var delivery = DeliveryConfiguration()
    package var sources: [SourceConfiguration] = []
    package var endpoints: [EndpointConfiguration] = []
    /// How long `SIGTERM` waits for what is in flight, milliseconds.
    package var gracePeriodMillis = 10_000
    /// A fixed wall clock in unix seconds for signature windows: tests only.
    package var testClock: UInt64?
    package var verifierEngine = VerifierEngineChoice.auto
    /// Threads for signatures that are too slow for an ingest loop, and how many requests of each loop may wait for
    /// them.
    package var verifierThreadCount = 1
    package var verifierQueueCount = 1024
    /// Refused requests copied for a closer look, a second and source; 0 = none.
    package var rejectedPerSecondMax = 100
    package var rejected = RejectedConfiguration()

    package init() {}
}

extension GatewayConfiguration {
    /// The sources, each with the public URL that holds for it.
    package var sourcesWithPublicURL: [SourceConfiguration] {
        sources.map { source in
            var copy = source
            copy.publicURL = source.publicURL ?? publicURL
            return copy
        }
    }
}

package enum LoopCount: Equatable, Sendable { case auto, fixed(Int) }
package enum VerifierEngineChoice: String, CaseIterable, Sendable { case auto, openssl, multibuffer }

/// Sizes in bytes, times in milliseconds; the names and defaults of `FastPath.IngestLimits`.
package struct LimitsConfiguration: Equatable, Sendable {
    package var requestLineBytesMax = 8192
    package var headBytesMax = 65_536
    package var bodyBytesMax = 1 << 20
    package var headMillisMax = 10_000
    package var bodyMillisMax = 25_000
    package var idleMillisMax = 70_000
    package var sendMillisMax = 30_000
    package var connectionCountMax = 10_000
    /// Memory for requests that do not fit one receive buffer, bytes; shared by all connections of a loop.
    package var assemblyBytes = 64 << 20
    package init() {}
}

package struct LogConfiguration: Equatable, Sendable {
    /// docs/why/segment-size.md has the measurement.
    package var segmentBytes = 64 << 20
    /// Bytes and age after which whole segments that no endpoint needs go; nil = never for that reason.
    package var retentionBytes: Int? = 64 << 30
    package var retentionMillis: Int? = 7 * 86_400_000
    /// Refuse new events when less than this is free on the disk.
    package var freeBytesMin = 256 << 20
    /// Bytes of one commit group (two are kept in memory).
    package var groupBytes = 16 << 20
    package init() {}
}

package struct DedupConfiguration: Equatable, Sendable {
    /// Entries of 32 bytes.
    package var entryCount = 1 << 20
    package var windowSeconds: UInt32 = 86_400
    package init() {}
}

package struct DeliveryConfiguration: Equatable, Sendable {
    /// CIDR ranges that endpoints may live in although they are not global (loopback, private, …).
    package var allow: [String] = []
    /// Rows of delivered history are kept so long.
    package var historyMillis = 7 * 86_400_000
    /// Memory for events that are out with endpoints, bytes.
    package var bufferBytes = 64 << 20
    package init() {}
}

/// What a failed signature means: the request is refused, or kept with the verdict (for a cut-over).
package enum SourceMode: String, CaseIterable, Sendable { case enforce, observe }

package enum Durability: String, CaseIterable, Sendable { case fsync, written, memory }

package struct SourceConfiguration: Sendable {
    package var name = ""
    /// A name of the provider catalogue, or `generic`.
    package var provider = "generic"
    /// Default `/in/<name>`.
    package var path: String?
    /// Resolved values, never shown.
    package var secrets: [SourceSecret] = []
    package var unverified = false
    /// Scheme and host as the sender uses them; nil = the gateway's.
    package var publicURL: String?
    /// CIDR ranges that requests are taken from, `provider` for the catalogue's; empty = from everywhere.
    package var allowAddresses: [String] = []
    /// What a challenge must repeat (Meta).
    package var verifyToken: String?
    /// Who may ask to send (CloudEvents): host names or URLs, `*` for any.
    package var allowedOrigins: [String] = []
    /// For `generic`, or to override the provider's.
    package var scheme: SchemeConfiguration?
    package var eventID: [String] = []
    package var eventType: [String] = []
    package var dedupKey: [String] = []
    package var dedupWindowSeconds: UInt32?
    package var bodyBytesMax: Int?
    package var durability = Durability.fsync
    package var mode = SourceMode.enforce
    package var timestampToleranceSeconds: Int?
    /// Where it stands in the file, for messages.
    package var line = 0
    package init() {}
}

package struct EndpointConfiguration: Sendable {
    package var name = ""
    package var url = ""
    /// Names of sources; empty = all.
    package var sources: [String] = []
    /// Patterns with `*` over the event type; empty = all.
    package var types: [String] = []
    /// Standard Webhooks secrets, base 64 with or without `whsec_`; all of them sign, so that one can rotate. Empty =
    /// unsigned.
    package var secrets: [String] = []
    package var concurrency = 16
    package var connectMillisMax = 5_000
    package var headMillisMax = 15_000
    package var totalMillisMax = 30_000
    /// Delays before the 2nd, 3rd … attempt, milliseconds; after the last the delivery is a dead letter.
    package var retryDelaysMillis = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400].map { $0 * 1000 }
    /// Half-width of the jitter as a share of the delay, 0 to 1.
    package var retryJitter = 0.1
    /// Forward the provider's own header fields (hop-by-hop and framing ones never go).
    package var forwardsHeaders = true
    /// A disabled endpoint keeps its place in the log and gets nothing.
    package var disabled = false
    package var line = 0
    package init() {}
}
