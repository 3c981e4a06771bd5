// `traces`: where traces are sent, and which.
import Engine
import Yams

extension ConfigurationKeys {
    static let traces: ConfigurationKey<GatewayConfiguration> = {
        let initial = TraceSettings()
        let keys: [ConfigurationKey<TraceSettings>] = [
            .text("endpoint", \.endpoint, of: initial).required,
            ratio(initial),
            .flag("parent", \.heedsParent, of: initial),
            traceHeaders,
            .text("service_name", \.serviceName, of: initial),
            .time("timeout", \.timeoutMillis, of: initial, 100...60_000),
        ]
        return ConfigurationKey(
            name: "traces", form: "mapping", nested: keys.flatMap { $0.descriptions(prefix: ".") }
        ) { node, root, reading in
            var settings = initial
            readMapping(node, into: &settings, keys: keys, called: "`traces`", reading)
            root.process.traces = settings
        }
    }()

    private static func ratio(_ initial: TraceSettings) -> ConfigurationKey<TraceSettings> {
        ConfigurationKey(name: "ratio", form: "share", initial: "\(initial.ratio)", range: "0 to 1") {
            node, settings, reading in
            guard let text = reading.text(node, key: "ratio") else { return }
            guard let share = Double(text), (0.0...1.0).contains(share) else {
                return reading.report(
                    node, "`ratio`: `\(node.scalar?.string ?? "")` is not a share from 0 to 1, such as 0.01")
            }
            settings.ratio = share
        }
    }

    /// Names are free; values are secrets, since a collector's key is one of them.
    private static let traceHeaders = ConfigurationKey<TraceSettings>(
        name: "headers", form: "mapping of secrets"
    ) { node, settings, reading in
        guard let mapping = node.mapping else {
            return reading.report(node, "`headers` takes names and values, as in `Authorization: file:PATH`")
        }
        for (name, value) in mapping {
            let key = name.scalar?.string ?? ""
            reading.at(.key(key)) {
                guard let secret = reading.secret(value, key: key) else { return }
                settings.headers.append(TraceHeader(key, secret))
            }
        }
    }
}
