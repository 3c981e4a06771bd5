// The keys of webhooks that a surface of their own makes: when their deliveries are tried again, and how long an
// attempt may take.
import Engine
import Yams

extension ConfigurationKeys {
    static let opsCenter: ConfigurationKey<GatewayConfiguration> = .section(
        "ops_center", \.process.schedules.opsCenter, keys: scheduleKeys(FamilySchedule.opsCenter))

    static let operational: ConfigurationKey<GatewayConfiguration> = .section(
        "operational", \.process.schedules.operational, keys: scheduleKeys(FamilySchedule.operational))

    private static func scheduleKeys(_ initial: FamilySchedule) -> [ConfigurationKey<FamilySchedule>] {
        [
            .times("retry_delays", \.delaysMillis, of: initial),
            .time("attempt_timeout", \.attemptMillisMax, of: initial, 10...600_000),
        ]
    }
}

extension ConfigurationKey {
    /// A list of waits.
    static func times(_ name: String, _ place: SettingKeyPath<Root, [Int]>, of root: Root) -> ConfigurationKey {
        ConfigurationKey(
            name: name, form: "list of times", initial: root[keyPath: place].map(TimeSpan.text).joined(separator: ", "),
            range: "0s to 30d, at most 64 of them; [] = never again"
        ) { node, root, reading in
            let items = readItems(node, reading) { item -> Int? in
                guard let text = reading.text(item, key: name) else { return nil }
                if let millis = TimeSpan.parse(text), millis <= 30 * 86_400_000 { return millis }
                reading.report(
                    item, "`\(name)`: `\(item.scalar?.string ?? "")` is not a time from 0s to 30d, such as 5m")
                return nil
            }
            if items.count > 64 { reading.report(node, "`\(name)`: \(items.count) of them; at most 64") }
            root[keyPath: place] = items
        }
    }
}
