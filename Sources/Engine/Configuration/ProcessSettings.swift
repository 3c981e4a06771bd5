// What a process takes once, at its start: listeners, memory, threads, the log. A change of any of it needs a restart.
//
// Invariant: nothing that a running gateway can change is in here (`LiveSettings`, sources and endpoints are apart), so
// the compiler tells which is which.

package struct ProcessSettings: Equatable, Sendable {
    /// Ingest listeners: `HOST:PORT`, `[V6]:PORT` or `unix:PATH`.
    package var listen = ["127.0.0.1:8080"]
    /// By the address as it stands in `listen`; the others are plain.
    package var listenTLS: [String: ListenerTLS] = [:]
    /// `true` or `false` for all listeners, or those of `listen` whose connections begin with a PROXY preamble.
    package var proxyProtocol = ["false"]
    package var admin = "127.0.0.1:8081"
    /// Nil: the control listener speaks plain HTTP.
    package var adminTLS: ListenerTLS?
    /// `/metrics` of the control listener asks for no key.
    package var openMetrics = false
    package var dataFolder = "./sluice-data"
    package var masterKey = MasterKeyPlace.dataFolder
    package var loops = LoopCount.auto
    package var limits = LimitsConfiguration()
    package var log = LogConfiguration()
    /// Entries of 32 bytes.
    package var dedupEntryCount = 1 << 20
    /// Memory for events that are being delivered, bytes.
    package var deliveryBufferBytes = 64 << 20
    /// Outbound connections at most, idle ones included; each request in flight has one.
    package var deliveryConnectionCountMax = 2048
    /// A fixed wall clock in unix seconds for signature windows: tests only.
    package var testClock: UInt64?
    package var verifierEngine = VerifierEngineChoice.auto
    /// Threads for signatures that are too slow for an ingest loop, and how many requests of each loop may wait for
    /// them.
    package var verifierThreadCount = 1
    package var verifierQueueCount = 1024
    package var rejected = RejectedConfiguration()
    package var schedules = FamilySchedules()
    package var conditions = ConditionSettings()
    package var contract = ContractSettings()
    /// Nil = no traces.
    package var traces: TraceSettings?
    package init() {}
}

extension ProcessSettings {
    /// The manifest's keys whose values differ, in the manifest's order.
    package func differingKeys(from other: ProcessSettings) -> [String] {
        ProcessSettings.fields.filter { !$0.isEqual(self, other) }.map(\.key)
    }

    private struct Field: Sendable {
        let key: String
        let isEqual: @Sendable (ProcessSettings, ProcessSettings) -> Bool

        init<Value: Equatable & SendableMetatype>(
            _ key: String, _ value: @escaping @Sendable (ProcessSettings) -> Value
        ) {
            self.key = key
            isEqual = { value($0) == value($1) }
        }
    }
    private static let fields: [Field] = [
        Field("listen") { $0.listen }, Field("listen.tls") { $0.listenTLS },
        Field("admin") { $0.admin }, Field("admin.tls") { $0.adminTLS },
        Field("open_metrics") { $0.openMetrics }, Field("data") { $0.dataFolder },
        Field("master_key") { $0.masterKey },
        Field("proxy_protocol") { $0.proxyProtocol }, Field("loops") { $0.loops },
        Field("verifier") { $0.verifierEngine }, Field("verifier_threads") { $0.verifierThreadCount },
        Field("verifier_queue") { $0.verifierQueueCount }, Field("rejected.keep") { $0.rejected.countMax },
        Field("rejected.bytes") { $0.rejected.bytesMax },
        Field("limits.request_line") { $0.limits.requestLineBytesMax }, Field("limits.head") { $0.limits.headBytesMax },
        Field("limits.fields") { $0.limits.fieldCountMax },
        Field("limits.body") { $0.limits.bodyBytesMax }, Field("limits.head_time") { $0.limits.headMillisMax },
        Field("limits.body_time") { $0.limits.bodyMillisMax }, Field("limits.idle_time") { $0.limits.idleMillisMax },
        Field("limits.send_time") { $0.limits.sendMillisMax },
        Field("limits.commit_time") { $0.limits.commitMillisMax },
        Field("limits.connections") { $0.limits.connectionCountMax },
        Field("limits.connections_per_address") { $0.limits.connectionsPerAddressMax },
        Field("limits.assembly") { $0.limits.assemblyBytes }, Field("log.segment") { $0.log.segmentBytes },
        Field("log.retention.size") { $0.log.retentionBytes }, Field("log.retention.age") { $0.log.retentionMillis },
        Field("log.free_space") { $0.log.freeBytesMin }, Field("log.group") { $0.log.groupBytes },
        Field("dedup.entries") { $0.dedupEntryCount }, Field("delivery.buffer") { $0.deliveryBufferBytes },
        Field("delivery.connections") { $0.deliveryConnectionCountMax },
        Field("ops_center.retry_delays") { $0.schedules.opsCenter.delaysMillis },
        Field("ops_center.attempt_timeout") { $0.schedules.opsCenter.attemptMillisMax },
        Field("operational.retry_delays") { $0.schedules.operational.delaysMillis },
        Field("operational.attempt_timeout") { $0.schedules.operational.attemptMillisMax },
        Field("contract.enabled") { $0.contract.isEnabled }, Field("contract.cors_origins") { $0.contract.origins },
        Field("contract.heartbeat") { $0.contract.heartbeatMillis },
        Field("contract.rate_capacity") { $0.contract.rateCapacity },
        Field("contract.rate_refill") { $0.contract.rateRefill }, Field("contract.metrics") { $0.contract.hasMetrics },
        Field("conditions.refused_share") { $0.conditions.refusedPercent },
        Field("conditions.refused_count") { $0.conditions.refusedCountMin },
        Field("conditions.free_space") { $0.conditions.freeBytesMin },
        Field("conditions.lagging") { $0.conditions.laggingMillis },
        Field("conditions.certificate_days") { $0.conditions.certificateDays },
        Field("traces") { $0.traces },
    ]
}

package enum LoopCount: Equatable, Sendable { case auto, fixed(Int) }
package enum VerifierEngineChoice: String, CaseIterable, Sendable { case auto, openssl, multibuffer }

/// Sizes in bytes, times in milliseconds; the names and defaults of `FastPath.IngestLimits`.
package struct LimitsConfiguration: Equatable, Sendable {
    package var requestLineBytesMax = 8192
    package var headBytesMax = 65_536
    package var fieldCountMax = 100
    package var bodyBytesMax = 1 << 20
    package var headMillisMax = 10_000
    package var bodyMillisMax = 25_000
    package var idleMillisMax = 70_000
    package var sendMillisMax = 30_000
    package var commitMillisMax = 15_000
    package var connectionCountMax = 10_000
    /// Of one client address; 0 = as many as there are.
    package var connectionsPerAddressMax = 0
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
    /// Bytes of one commit group (two are kept in memory). What no operator has set is what takes GitHub's largest
    /// event, where the segments are large enough for it.
    package var groupBytes: Int {
        get { ownGroupBytes ?? max(16 << 20, min(32 << 20, segmentBytes / 2)) }
        set { ownGroupBytes = newValue }
    }
    private var ownGroupBytes: Int?
    package init() {}
}
