// The keys of an endpoint's lane policies: breaker, retry, rate, concurrency, deadline, delay, shadow. What is right
// among them is the registry's affair; its answer comes back to the line.
import Engine
import Yams

extension ConfigurationKeys {
    static let lanePolicies: [ConfigurationKey<EndpointConfiguration>] = [
        breaker, errors, rate,
        time("deadline", \.policies.deadlineMillis, LanePolicies.deadlineRange),
        time("delay", \.policies.delayMillis, LanePolicies.delayRange),
        shadow, coalesce, batch,
        time("disable_after", \.policies.disableAfterMillis, LanePolicies.disableAfterRange),
    ]
    static let retryPolicies: [ConfigurationKey<EndpointConfiguration>] = [preset, backoff, budget]

    private static func time(
        _ name: String, _ place: SettingKeyPath<EndpointConfiguration, Int?>, _ range: ClosedRange<Int>
    ) -> ConfigurationKey<EndpointConfiguration> {
        var key = ConfigurationKey<OptionalNumber>.time(name, \.value, of: OptionalNumber(), range)
        key.initial = "none"
        return .optional(key, place, never: false)
    }

    /// `breaker: on`, `off`, or a mapping.
    private static let breaker = ConfigurationKey<EndpointConfiguration>(
        name: "breaker", form: "flag or mapping", initial: "off",
        range: "on, off, or { failures, rate: { share, of, window }, cooldown, probes, on }"
    ) { node, endpoint, reading in
        var settings = BreakerSettings()
        guard node.mapping == nil else {
            readMapping(node, into: &settings, keys: breakerKeys, called: "`breaker`", reading)
            endpoint.policies.breaker = settings
            return
        }
        switch reading.text(node, key: "breaker") {
        case "on"?, "true"?: endpoint.policies.breaker = settings
        case "off"?, "false"?: endpoint.policies.breaker = nil
        case nil: break
        case _?:
            let raw = node.scalar?.string ?? ""
            reading.report(node, "`breaker`: `\(raw)` is none of on, off and a mapping such as { failures: 5 }")
        }
    }
    private static let breakerKeys: [ConfigurationKey<BreakerSettings>] = {
        let initial = BreakerSettings()
        let rate = ConfigurationKey<BreakerSettings>(name: "rate", form: "mapping") { node, settings, reading in
            var rate = BreakerSettings.Rate()
            readMapping(node, into: &rate, keys: breakerRateKeys, called: "`rate`", reading)
            settings.rate = rate
        }
        return [
            .count("failures", \.failures, of: initial, BreakerSettings.failuresRange), rate,
            .time("cooldown", \.cooldownMillis, of: initial, BreakerSettings.cooldownRange),
            .count("probes", \.probes, of: initial, BreakerSettings.probesRange),
            .texts("on", \.on, of: initial),
        ]
    }()
    private static let breakerRateKeys: [ConfigurationKey<BreakerSettings.Rate>] = {
        let initial = BreakerSettings.Rate()
        return [
            .share("share", \.share, BreakerSettings.shareRange),
            .count("of", \.of, of: initial, BreakerSettings.ofRange),
            .time("window", \.windowMillis, of: initial, BreakerSettings.windowRange),
        ]
    }()

    /// `errors: contract`, or a mapping with rules of classes.
    private static let errors = ConfigurationKey<EndpointConfiguration>(
        name: "errors", form: "word or mapping",
        range: ErrorPreset.allCases.map(\.rawValue).joined(separator: ", ") + "; or preset, and classes ("
            + FailureClass.allCases.map(\.rawValue).joined(separator: ", ")
            + "), each { retries, backoff: { first, factor, max }, at_most }"
    ) { node, endpoint, reading in
        var settings = ErrorSettings()
        if node.mapping == nil {
            let orElse = ", or a mapping such as { validation: { retries: 0 } }"
            let words = ErrorPreset.allCases.map(\.rawValue)
            guard let word = readWord(node, "errors", words, orElse: orElse, reading) else { return }
            settings.preset = ErrorPreset(rawValue: word)
        } else {
            readMapping(node, into: &settings, keys: errorKeys, called: "`errors`", reading)
        }
        endpoint.policies.errors = settings
    }
    private static let errorKeys: [ConfigurationKey<ErrorSettings>] = {
        let preset = ConfigurationKey<ErrorSettings>(name: "preset", form: "word") { node, settings, reading in
            let words = ErrorPreset.allCases.map(\.rawValue)
            guard let word = readWord(node, "preset", words, reading) else { return }
            settings.preset = ErrorPreset(rawValue: word)
        }
        return [preset]
            + FailureClass.allCases.map { failure in
                ConfigurationKey<ErrorSettings>(name: failure.rawValue, form: "mapping") { node, settings, reading in
                    var rule = ErrorRule()
                    readMapping(node, into: &rule, keys: errorRuleKeys, called: "`\(failure.rawValue)`", reading)
                    settings[failure] = rule
                }
            }
    }()
    private static let errorRuleKeys: [ConfigurationKey<ErrorRule>] = {
        let none = OptionalNumber()
        let retries = ConfigurationKey<OptionalNumber>.count("retries", \.value, of: none, ErrorRule.retriesRange)
        let most = ConfigurationKey<OptionalNumber>.time("at_most", \.value, of: none, ErrorRule.atMostRange)
        let backoff = ConfigurationKey<ErrorRule>(name: "backoff", form: "mapping") { node, rule, reading in
            var backoff = ErrorBackoff()
            let keys: [ConfigurationKey<ErrorBackoff>] = [
                .time("first", \.firstMillis, of: backoff, BackoffSettings.firstRange),
                .share("factor", \.factor, BackoffSettings.factorRange),
                .time("max", \.maxMillis, of: backoff, BackoffSettings.maxRange),
            ]
            readMapping(node, into: &backoff, keys: keys, called: "`backoff`", reading)
            rule.backoff = backoff
        }
        return [
            .optional(retries, \.retries, never: false), backoff, .optional(most, \.atMostMillis, never: false),
        ]
    }()

    private static let preset = ConfigurationKey<EndpointConfiguration>(
        name: "preset", form: "word", range: RetryPreset.allCases.map(\.rawValue).joined(separator: ", ")
    ) { node, endpoint, reading in
        let words = RetryPreset.allCases.map(\.rawValue)
        guard let word = readWord(node, "preset", words, reading) else { return }
        endpoint.retryPolicy.preset = RetryPreset(rawValue: word)
    }
    private static let backoff = ConfigurationKey<EndpointConfiguration>(
        name: "backoff", form: "mapping", range: "{ first, factor, max, attempts }"
    ) { node, endpoint, reading in
        let initial = BackoffSettings()
        var backoff = initial
        let keys: [ConfigurationKey<BackoffSettings>] = [
            .time("first", \.firstMillis, of: initial, BackoffSettings.firstRange),
            .share("factor", \.factor, BackoffSettings.factorRange),
            .time("max", \.maxMillis, of: initial, BackoffSettings.maxRange),
            .count("attempts", \.attempts, of: initial, BackoffSettings.attemptsRange),
        ]
        readMapping(node, into: &backoff, keys: keys, called: "`backoff`", reading)
        endpoint.retryPolicy.backoff = backoff
    }
    private static let budget = ConfigurationKey<EndpointConfiguration>(
        name: "budget", form: "share",
        range: "\(RetrySettings.budgetRange.lowerBound) to \(RetrySettings.budgetRange.upperBound)"
    ) { node, endpoint, reading in
        guard let share = readNumber(node, "budget", RetrySettings.budgetRange, reading) else { return }
        endpoint.retryPolicy.budget = share
    }

    private static let rate = ConfigurationKey<EndpointConfiguration>(
        name: "rate", form: "mapping", range: "{ per_second or per_minute, burst }"
    ) { node, endpoint, reading in
        var rate = RateSettings()
        let number = { (name: String) in
            ConfigurationKey<OptionalNumber>.count(name, \.value, of: OptionalNumber(), RateSettings.range)
        }
        let keys: [ConfigurationKey<RateSettings>] = [
            .optional(number("per_second"), \.perSecond, never: false),
            .optional(number("per_minute"), \.perMinute, never: false),
            .count("burst", \.burst, of: rate, RateSettings.burstRange),
        ]
        readMapping(node, into: &rate, keys: keys, called: "`rate`", reading)
        endpoint.policies.rate = rate
    }

    private static let shadow = ConfigurationKey<EndpointConfiguration>(
        name: "shadow", form: "mapping", range: "{ share }"
    ) { node, endpoint, reading in
        var shadow = ShadowSettings()
        let share = ConfigurationKey<ShadowSettings>.share("share", \.share, ShadowSettings.shareRange)
        readMapping(node, into: &shadow, keys: [share.required], called: "`shadow`", reading)
        endpoint.policies.shadow = shadow
    }

    /// `concurrency: 16`, or `{ max: 64, min: 2, target: 500ms }`.
    static let concurrency: ConfigurationKey<EndpointConfiguration> = {
        let initial = EndpointConfiguration()
        let fixed = ConfigurationKey<EndpointConfiguration>.count("concurrency", \.concurrency, of: initial, 1...4096)
        return ConfigurationKey(
            name: "concurrency", form: "number or mapping", initial: fixed.initial,
            range: fixed.range + ", or { max, min, target }"
        ) { node, endpoint, reading in
            guard node.mapping != nil else { return fixed.read(node, &endpoint, reading) }
            let most = ConfigurationKey<EndpointConfiguration>.count("max", \.concurrency, of: initial, 1...4096)
            endpoint.policies.concurrency = AdaptiveSettings()
            let keys: [ConfigurationKey<EndpointConfiguration>] = [
                most.required,
                .count("min", \.adaptive.min, of: initial, 1...4096),
                .time("target", \.adaptive.targetMillis, of: initial, AdaptiveSettings.targetRange),
            ]
            readMapping(node, into: &endpoint, keys: keys, called: "`concurrency`", reading)
        }
    }()
}

// What is made when it is first spoken of.
extension EndpointConfiguration {
    fileprivate var retryPolicy: RetrySettings {
        get { policies.retry ?? RetrySettings() }
        set { policies.retry = newValue }
    }
    fileprivate var adaptive: AdaptiveSettings {
        get { policies.concurrency ?? AdaptiveSettings() }
        set { policies.concurrency = newValue }
    }
}

extension ConfigurationKey {
    /// A number that need not be whole.
    fileprivate static func share(
        _ name: String, _ place: SettingKeyPath<Root, Double>, _ range: ClosedRange<Double>
    ) -> ConfigurationKey {
        ConfigurationKey(name: name, form: "share") { node, root, reading in
            if let number = readNumber(node, name, range, reading) { root[keyPath: place] = number }
        }
    }
}

private func readNumber(
    _ node: Node, _ name: String, _ range: ClosedRange<Double>, _ reading: ConfigurationReading
) -> Double? {
    guard let text = reading.text(node, key: name) else { return nil }
    guard let number = Double(text), range.contains(number) else {
        let raw = node.scalar?.string ?? ""
        reading.report(
            node, "`\(name)`: `\(raw)` is not a number from \(range.lowerBound) to \(range.upperBound)")
        return nil
    }
    return number
}
