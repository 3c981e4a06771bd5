// The keys of what may be sent: a limit as a preset or a mapping, and the tenants that have one.
import Engine
import Yams

extension ConfigurationKeys {
    static let tenants = ConfigurationKey<GatewayConfiguration>(
        name: "tenants", form: "list", nested: tenantKeys.flatMap { $0.descriptions(prefix: "[].") }
    ) { node, root, reading in
        if node.scalar?.string.isEmpty == true { return }
        guard let sequence = node.sequence else {
            return reading.report(node, "`tenants` takes a list: each tenant begins with `- name: …`")
        }
        for (index, item) in sequence.enumerated() {
            var tenant = TenantSettings()
            reading.at(.index(index)) { readMapping(item, into: &tenant, keys: tenantKeys, called: "tenant", reading) }
            root.live.tenants.append(tenant)
        }
    }
    private static let tenantKeys: [ConfigurationKey<TenantSettings>] = [
        .text("name", \.name, of: TenantSettings()).required, .rateLimit(\.rateLimit),
        .optional(
            .count("weight", \.value, of: OptionalNumber(value: 1), TenantShares.weightRange), \.weight, never: false),
    ]
    fileprivate static let limitKeys: [ConfigurationKey<RateLimitConfiguration>] = {
        func count(_ name: String, _ place: SettingKeyPath<RateLimitConfiguration, Int?>, _ range: ClosedRange<Int>)
            -> ConfigurationKey<RateLimitConfiguration>
        { .optional(.count(name, \.value, of: OptionalNumber(), range), place, never: false) }
        return [
            count("capacity", \.capacity, RateLimitConfiguration.capacityRange),
            count("per_second", \.perSecond, RateLimitConfiguration.perSecondRange),
            count("per_minute", \.perMinute, RateLimitConfiguration.windowRange),
            count("per_hour", \.perHour, RateLimitConfiguration.windowRange),
        ]
    }()
}

extension ConfigurationKey {
    /// `rate_limit: token-bucket`, or `{ capacity: 100, per_second: 10 }`.
    static func rateLimit(_ place: SettingKeyPath<Root, RateLimitConfiguration?>) -> ConfigurationKey {
        let presets = RateLimitPreset.allCases.map(\.rawValue)
        let keys = ConfigurationKeys.limitKeys
        return ConfigurationKey(
            name: "rate_limit", form: "word or mapping",
            range: presets.joined(separator: ", ") + "; or " + keys.map(\.name).joined(separator: ", ")
        ) { node, root, reading in
            guard node.mapping != nil else {
                let orElse = ", or a mapping such as { capacity: 100, per_second: 10 }"
                guard let word = readWord(node, "rate_limit", presets, orElse: orElse, reading) else { return }
                root[keyPath: place] = RateLimitPreset(rawValue: word)?.limit
                return
            }
            var limit = RateLimitConfiguration()
            readMapping(node, into: &limit, keys: keys, called: "`rate_limit`", reading)
            root[keyPath: place] = limit
        }
    }
}
