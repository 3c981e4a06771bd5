// Every key of the configuration file, in one table: name, form, default, range and the place in
// `GatewayConfiguration`. A key that is not here does not exist; one that is here is in docs/configuration.md (a test
// compares them).
import Engine
import Yams

package enum ConfigurationKeys {
    /// All keys as the documentation lists them, in the order of the file.
    package static var all: [KeyDescription] { top.flatMap { $0.descriptions(prefix: "") } }

    static let top: [ConfigurationKey<GatewayConfiguration>] = {
        let initial = GatewayConfiguration()
        let first: [ConfigurationKey<GatewayConfiguration>] = [
            listen,
            admin,
            .flag("open_metrics", \.process.openMetrics, of: initial),
            identityProvider,
            .path("data", \.process.dataFolder, of: initial),
            .masterKey,
        ]
        let rest: [ConfigurationKey<GatewayConfiguration>] = [
            loops,
            .time("grace", \.live.gracePeriodMillis, of: initial, 0...3_600_000),
            .word("verifier", \.process.verifierEngine, of: initial),
            .count("verifier_threads", \.process.verifierThreadCount, of: initial, 1...64),
            .count("verifier_queue", \.process.verifierQueueCount, of: initial, 64...65_536),
            .section(
                "rejected", \.self,
                keys: [
                    .count("per_second", \.live.rejectedPerSecondMax, of: initial, 0...10_000),
                    .count("keep", \.process.rejected.countMax, of: initial, 0...1_000_000),
                    .size("bytes", \.process.rejected.bytesMax, of: initial, (1 << 20)...(16 << 30)),
                ]),
            .section("limits", \.process.limits, keys: limits),
            .section(
                "expressions", \.self,
                keys: [
                    .size("tenant", \.live.expressions.tenantBytesMax, of: initial, (1 << 20)...(64 << 30)),
                    .size("total", \.live.expressions.bytesMax, of: initial, (1 << 20)...(64 << 30)),
                ]),
            .section("log", \.process.log, keys: log),
            .section("dedup", \.self, keys: dedup),
            .section("delivery", \.self, keys: delivery),
            opsCenter,
            operational, contract, conditions, traces,
            .items("sources", called: "source", \.sources, keys: source),
            .items("endpoints", called: "endpoint", \.endpoints, keys: endpoint),
        ]
        return first + edge + rest
    }()

    private static let loops = ConfigurationKey<GatewayConfiguration>(
        name: "loops", form: "number or auto", initial: "auto", range: "1 to 64, or auto"
    ) { node, root, reading in
        guard let text = reading.text(node, key: "loops") else { return }
        if text == "auto" {
            root.process.loops = .auto
        } else if let count = Int(text), (1...64).contains(count) {
            root.process.loops = .fixed(count)
        } else {
            reading.report(
                node, "`loops`: `\(node.scalar?.string ?? "")` is neither `auto` nor a number from 1 to 64")
        }
    }

    private static let limits: [ConfigurationKey<LimitsConfiguration>] = {
        let initial = LimitsConfiguration()
        let times = 100...3_600_000
        return [
            .size("request_line", \.requestLineBytesMax, of: initial, 1024...65_536),
            .size("head", \.headBytesMax, of: initial, 4096...65_536),
            .count("fields", \.fieldCountMax, of: initial, 16...256),
            .size("body", \.bodyBytesMax, of: initial, 1...(64 << 20)),
            .time("head_time", \.headMillisMax, of: initial, times),
            .time("body_time", \.bodyMillisMax, of: initial, times),
            .time("idle_time", \.idleMillisMax, of: initial, times),
            .time("send_time", \.sendMillisMax, of: initial, times),
            .time("commit_time", \.commitMillisMax, of: initial, times),
            .count("connections", \.connectionCountMax, of: initial, 1...1_000_000),
            .count("connections_per_address", \.connectionsPerAddressMax, of: initial, 0...1_000_000),
            .size("assembly", \.assemblyBytes, of: initial, (1 << 20)...(64 << 30)),
        ]
    }()

    private static let log: [ConfigurationKey<LogConfiguration>] = {
        let initial = LogConfiguration()
        return [
            .size("segment", \.segmentBytes, of: initial, (1 << 20)...(4 << 30)),
            .section("retention", \.self, keys: retention),
            .size("free_space", \.freeBytesMin, of: initial, 0...(1 << 50)),
            .size("group", \.groupBytes, of: initial, (64 << 10)...(1 << 30)),
        ]
    }()

    private static let retention: [ConfigurationKey<LogConfiguration>] = {
        let initial = LogConfiguration()
        var box = OptionalNumber()
        box.value = initial.retentionBytes ?? 0
        let size = ConfigurationKey<OptionalNumber>.size("size", \.value, of: box, (1 << 20)...(1 << 50))
        box.value = initial.retentionMillis ?? 0
        let age = ConfigurationKey<OptionalNumber>.time("age", \.value, of: box, 1000...(3650 * 86_400_000))
        return [
            .optional(size, \.retentionBytes, never: true),
            .optional(age, \.retentionMillis, never: true),
        ]
    }()

    private static let windowMillisMax = 365 * 86_400_000

    private static let dedup: [ConfigurationKey<GatewayConfiguration>] = {
        let initial = GatewayConfiguration()
        return [
            .count("entries", \.process.dedupEntryCount, of: initial, 1024...(1 << 32)),
            .time("window", \.live.dedupWindowMillis, of: initial, 0...windowMillisMax),
        ]
    }()

    private static let delivery: [ConfigurationKey<GatewayConfiguration>] = {
        let initial = GatewayConfiguration()
        return [
            .texts("allow", \.live.allow, of: initial),
            proxy,
            .time("history", \.live.historyMillis, of: initial, 0...(3650 * 86_400_000)),
            .size("buffer", \.process.deliveryBufferBytes, of: initial, (1 << 20)...(64 << 30)),
            .count("connections", \.process.deliveryConnectionCountMax, of: initial, 16...65_536),
        ]
    }()

    private static let proxy: ConfigurationKey<GatewayConfiguration> = {
        let initial = ProxySettings(url: "")
        let keys: [ConfigurationKey<ProxySettings>] = [
            .text("url", \.url, of: initial).required, .texts("except", \.exceptions, of: initial),
        ]
        return ConfigurationKey(
            name: "proxy", form: "mapping", nested: keys.flatMap { $0.descriptions(prefix: ".") }
        ) { node, root, reading in
            var proxy = initial
            readMapping(node, into: &proxy, keys: keys, called: "`proxy`", reading)
            if !proxy.url.isEmpty { root.live.proxy = proxy }
        }
    }()

    private static let source: [ConfigurationKey<SourceConfiguration>] = {
        let initial = SourceConfiguration()
        let event: [ConfigurationKey<SourceConfiguration>] = [
            .texts("id", \.eventID, of: initial), .texts("type", \.eventType, of: initial),
            .texts("group", \.eventGroup, of: initial),
        ]
        let window = ConfigurationKey<OptionalNumber>.time(
            "window", \.value, of: OptionalNumber(), 0...windowMillisMax)
        let dedup: [ConfigurationKey<SourceConfiguration>] = [
            .texts("key", \.dedupKey, of: initial),
            inherited(.optional(window, \.dedupWindowMillis, never: false), from: "dedup.window"),
        ]
        let body = ConfigurationKey<OptionalNumber>.size("body", \.value, of: OptionalNumber(), 1...(64 << 20))
        let tolerance = ConfigurationKey<OptionalNumber>.time(
            "tolerance", \.value, of: OptionalNumber(), 1000...(7 * 86_400_000))
        let own: [ConfigurationKey<SourceConfiguration>] = [
            .text("name", \.name, of: initial).required,
            .text("tenant", \.tenant, of: initial),
            .optionalText("uid", \.uid),
            inherited(.text("provider", \.provider, of: initial), from: initial.provider),
            path,
            .sourceSecrets("secrets", \.secrets),
            .flag("unverified", \.unverified, of: initial),
            scheme,
            .section("event", \.self, keys: event),
            .section("dedup", \.self, keys: dedup),
            .optionalText("split", \.split),
            inherited(.optional(body, \.bodyBytesMax, never: false), from: "limits.body"),
            .word("durability", \.durability, of: initial),
            .word("mode", \.mode, of: initial),
            answer,
            inherited(.optional(tolerance, \.timestampToleranceMillis, never: false), from: "the scheme's"),
        ]
        return own + sourceSchemas + sourceEdge
    }()

    /// Where the default of a key comes from when it is not a value of its own.
    private static func inherited<Root>(_ key: ConfigurationKey<Root>, from words: String) -> ConfigurationKey<Root> {
        var copy = key
        copy.initial = words
        return copy
    }

    private static let path = ConfigurationKey<SourceConfiguration>(
        name: "path", form: "list of text", initial: "/in/NAME, or /in/TENANT/NAME"
    ) { node, source, reading in
        let paths = readItems(node, reading) { reading.text($0, key: "path") }
        source.path = paths.first
        source.otherPaths = Array(paths.dropFirst())
    }

    private static let answer = ConfigurationKey<SourceConfiguration>(
        name: "answer", form: "mapping", nested: answerKeys.flatMap { $0.descriptions(prefix: ".") }
    ) { node, source, reading in
        var answer = AnswerConfiguration()
        readMapping(node, into: &answer, keys: answerKeys, called: "`answer`", reading)
        source.answer = answer
    }
    private static let answerKeys: [ConfigurationKey<AnswerConfiguration>] = {
        let status = ConfigurationKey<OptionalNumber>.count("status", \.value, of: OptionalNumber(), 200...299)
        return [
            inherited(.optional(status, \.status, never: false), from: "the provider's"),
            inherited(.optionalText("type", \.type), from: "application/json"),
            inherited(.optionalText("body", \.body), from: "the provider's, else one that names the event"),
        ]
    }()

    private static let scheme = ConfigurationKey<SourceConfiguration>(
        name: "scheme", form: "mapping", nested: SchemeKeys.scheme.flatMap { $0.descriptions(prefix: ".") }
    ) { node, source, reading in
        var scheme = SchemeConfiguration()
        readMapping(node, into: &scheme, keys: SchemeKeys.scheme, called: "`scheme`", reading)
        source.scheme = scheme
    }

    private static let endpoint: [ConfigurationKey<EndpointConfiguration>] = {
        let initial = EndpointConfiguration()
        let times = 10...600_000
        let timeouts: [ConfigurationKey<EndpointConfiguration>] = [
            .time("connect", \.connectMillisMax, of: initial, times),
            .time("head", \.headMillisMax, of: initial, times),
            .time("total", \.totalMillisMax, of: initial, times),
        ]
        return [
            .text("name", \.name, of: initial).required,
            .text("tenant", \.tenant, of: initial),
            .optionalText("uid", \.uid),
            .text("url", \.url, of: initial).required,
            .endpointTLS,
            .texts("sources", \.sources, of: initial),
            .texts("types", \.types, of: initial),
            .texts("channels", \.channels, of: initial),
            filter,
            .secrets("secret", \.secrets),
            signature,
            headers,
            authorization,
            concurrency,
            .section("timeouts", \.self, keys: timeouts),
            .section(
                "retry", \.self,
                keys: [.times("delays", \.retryDelaysMillis, of: initial), jitter(initial)] + retryPolicies),
            outcomes,
            ordered,
            redact,
            transform,
            .flag("forward_headers", \.forwardsHeaders, of: initial),
            .flag("disabled", \.disabled, of: initial),
        ] + lanePolicies
    }()

    private static func jitter(_ initial: EndpointConfiguration) -> ConfigurationKey<EndpointConfiguration> {
        ConfigurationKey(name: "jitter", form: "share", range: "0 to 1") { node, endpoint, reading in
            guard let text = reading.text(node, key: "jitter") else { return }
            guard let share = Double(text), (0.0...1.0).contains(share) else {
                return reading.report(
                    node, "`jitter`: `\(node.scalar?.string ?? "")` is not a share from 0 to 1, such as 0.1")
            }
            endpoint.retryJitter = share
        }.with(initial: "\(initial.retryJitter)")
    }
}

extension ConfigurationKey {
    fileprivate func with(initial words: String) -> ConfigurationKey {
        var copy = self
        copy.initial = words
        return copy
    }
}

// The file speaks of times; where the value is kept in seconds, it is read and written through these.
extension LiveSettings {
    fileprivate var dedupWindowMillis: Int {
        get { Int(dedupWindowSeconds) * 1000 }
        set { dedupWindowSeconds = UInt32(clamping: newValue / 1000) }
    }
}
extension SourceConfiguration {
    fileprivate var dedupWindowMillis: Int? {
        get { dedupWindowSeconds.map { Int($0) * 1000 } }
        set { dedupWindowSeconds = newValue.map { UInt32(clamping: $0 / 1000) } }
    }
    fileprivate var timestampToleranceMillis: Int? {
        get { timestampToleranceSeconds.map { $0 * 1000 } }
        set { timestampToleranceSeconds = newValue.map { $0 / 1000 } }
    }
}
