// The keys of the contract edge, `/v1/webhooks`.
import Engine

extension ConfigurationKeys {
    static let contract: ConfigurationKey<GatewayConfiguration> = .section(
        "contract", \.process.contract, keys: contractKeys(ContractSettings()))

    private static func contractKeys(_ initial: ContractSettings) -> [ConfigurationKey<ContractSettings>] {
        [
            .flag("enabled", \.isEnabled, of: initial),
            .texts("cors_origins", \.origins, of: initial),
            .time("heartbeat", \.heartbeatMillis, of: initial, 100...300_000),
            .count("rate_capacity", \.rateCapacity, of: initial, 1...1_000_000),
            .count("rate_refill", \.rateRefill, of: initial, 1...1_000_000),
            .flag("metrics", \.hasMetrics, of: initial),
        ]
    }
}
