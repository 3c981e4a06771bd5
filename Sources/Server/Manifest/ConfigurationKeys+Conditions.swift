// The keys that say when the gateway tells of its own condition.
import Engine

extension ConfigurationKeys {
    static let conditions: ConfigurationKey<GatewayConfiguration> = .section(
        "conditions", \.process.conditions, keys: conditionKeys(ConditionSettings()))

    private static func conditionKeys(_ initial: ConditionSettings) -> [ConfigurationKey<ConditionSettings>] {
        [
            .count("refused_share", \.refusedPercent, of: initial, 1...100),
            .count("refused_count", \.refusedCountMin, of: initial, 1...1_000_000),
            .size("free_space", \.freeBytesMin, of: initial, 0...(1 << 50)),
            .time("lagging", \.laggingMillis, of: initial, 1000...86_400_000),
            .count("certificate_days", \.certificateDays, of: initial, 1...365),
        ]
    }
}
