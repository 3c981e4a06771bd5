// The policies of an endpoint's lane as the API shows and takes them. What is right among them is the registry's
// affair; what stands here is their form.
import Engine

/// `true`, `false`, or a breaker with settings of its own.
package enum BreakerResource: Codable, Equatable, Sendable {
    case flag(Bool)
    case settings(BreakerForm)

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else {
            self = .settings(try container.decode(BreakerForm.self))
        }
    }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .flag(let flag): try container.encode(flag)
        case .settings(let form): try container.encode(form)
        }
    }
    init(_ settings: BreakerSettings?) { self = settings.map { .settings(BreakerForm($0)) } ?? .flag(false) }
    /// Nil: none.
    var settings: BreakerSettings? {
        switch self {
        case .flag(let isOn): isOn ? BreakerSettings() : nil
        case .settings(let form): form.settings
        }
    }
    static let about = """
        Leaves an endpoint that only fails alone for a time, then tries it with a few probes; `true`: with the \
        defaults; `false`: none.
        """
}

package struct BreakerForm: Codable, Equatable, Sendable {
    package var failures: Int?
    package var rate: BreakerRateForm?
    package var cooldown: String?
    package var probes: Int?
    package var on: [String]?
    package init() {}

    init(_ settings: BreakerSettings) {
        failures = settings.failures
        rate = settings.rate.map { BreakerRateForm($0) }
        cooldown = TimeSpan.text(of: settings.cooldownMillis)
        probes = settings.probes
        on = settings.on
    }
    var settings: BreakerSettings {
        var settings = BreakerSettings()
        settings.failures = failures ?? settings.failures
        settings.rate = rate?.settings
        settings.cooldownMillis = cooldown.flatMap { TimeSpan.parse($0) } ?? settings.cooldownMillis
        settings.probes = probes ?? settings.probes
        settings.on = on ?? settings.on
        return settings
    }
    static let schema = ObjectSchema(
        "Breaker", "When an endpoint is left alone, and when it is tried again.",
        [
            .optional("failures", .integer(BreakerSettings.failuresRange), "It opens after so many in a row."),
            .optional("rate", .object(BreakerRateForm.schema), "It opens by their share too."),
            .optional("cooldown", .duration(BreakerSettings.cooldownRange), "How long it stays open."),
            .optional(
                "probes", .integer(BreakerSettings.probesRange),
                "Then so many go, one at a time; all must succeed, and one that fails opens it again."),
            .optional(
                "on", .list(.text, countMax: BreakerTriggers.countMax),
                "What counts as a failure: statuses (`429`), classes (`5xx`), `timeout`, `network`, `tls`, "
                    + "`blocked-address`."),
        ])
}

package struct BreakerRateForm: Codable, Equatable, Sendable {
    package var share: Double?
    package var of: Int?
    package var window: String?
    package init() {}

    init(_ rate: BreakerSettings.Rate) {
        share = rate.share
        of = rate.of
        window = TimeSpan.text(of: rate.windowMillis)
    }
    var settings: BreakerSettings.Rate {
        var rate = BreakerSettings.Rate()
        rate.share = share ?? rate.share
        rate.of = of ?? rate.of
        rate.windowMillis = window.flatMap { TimeSpan.parse($0) } ?? rate.windowMillis
        return rate
    }
    static let schema = ObjectSchema(
        "BreakerRate", "A share of failures that is too much.",
        [
            .optional("share", .number(BreakerSettings.shareRange), "Of the attempts that ended within `window`."),
            .optional("of", .integer(BreakerSettings.ofRange), "Fewer attempts than this say nothing."),
            .optional("window", .duration(BreakerSettings.windowRange), "The time that is looked at."),
        ])
}

package struct BackoffResource: Codable, Equatable, Sendable {
    package var first: String?
    package var factor: Double?
    package var max: String?
    package var attempts: Int?
    package init() {}

    init(_ settings: BackoffSettings) {
        first = TimeSpan.text(of: settings.firstMillis)
        factor = settings.factor
        max = TimeSpan.text(of: settings.maxMillis)
        attempts = settings.attempts
    }
    var settings: BackoffSettings {
        var settings = BackoffSettings()
        settings.firstMillis = first.flatMap { TimeSpan.parse($0) } ?? settings.firstMillis
        settings.factor = factor ?? settings.factor
        settings.maxMillis = max.flatMap { TimeSpan.parse($0) } ?? settings.maxMillis
        settings.attempts = attempts ?? settings.attempts
        return settings
    }
    static let about = "Delays at random between nothing and a bound that grows with each attempt."
    static let delayFields: [ObjectSchema.Field] = [
        .optional("first", .duration(BackoffSettings.firstRange), "The bound of the first delay."),
        .optional("factor", .number(BackoffSettings.factorRange), "By which it grows."),
        .optional("max", .duration(BackoffSettings.maxRange), "It never grows beyond this."),
    ]
    static let schema = ObjectSchema(
        "Backoff", about,
        delayFields + [
            .optional("attempts", .integer(BackoffSettings.attemptsRange), "How many there are, with the first.")
        ])
}

package struct RateResource: Codable, Equatable, Sendable {
    package var perSecond: Int?
    package var perMinute: Int?
    package var burst: Int?
    package init() {}

    init(_ settings: RateSettings) {
        perSecond = settings.perSecond
        perMinute = settings.perMinute
        burst = settings.burst
    }
    var settings: RateSettings {
        var settings = RateSettings()
        settings.perSecond = perSecond
        settings.perMinute = perMinute
        settings.burst = burst ?? settings.burst
        return settings
    }
    static let schema = ObjectSchema(
        "Rate", "How fast it is delivered to at most; one of `per_second` and `per_minute`.",
        [
            .optional("per_second", .integer(RateSettings.range), "So many deliveries a second."),
            .optional("per_minute", .integer(RateSettings.range), "So many a minute."),
            .optional("burst", .integer(RateSettings.burstRange), "What may go at once after a time of quiet."),
        ])
}

package struct ShadowResource: Codable, Equatable, Sendable {
    package var share: Double
    package init(share: Double) { self.share = share }

    var settings: ShadowSettings {
        var settings = ShadowSettings()
        settings.share = share
        return settings
    }
    static let schema = ObjectSchema(
        "Shadow", "It gets a share of its events, each once: nothing is retried, nothing becomes a dead letter.",
        [.required("share", .number(ShadowSettings.shareRange), "Chosen by a hash, always the same for one event.")])
}

/// A number, or bounds within which it is found out.
package enum ConcurrencyResource: Codable, Equatable, Sendable, ExpressibleByIntegerLiteral {
    case fixed(Int)
    case adaptive(Adaptive)

    package struct Adaptive: Codable, Equatable, Sendable {
        package var max: Int
        package var min: Int?
        package var target: String?
        package init(max: Int) { self.max = max }
    }
    package init(integerLiteral value: Int) { self = .fixed(value) }
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int.self) {
            self = .fixed(number)
        } else {
            self = .adaptive(try container.decode(Adaptive.self))
        }
    }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .fixed(let number): try container.encode(number)
        case .adaptive(let bounds): try container.encode(bounds)
        }
    }
    init(_ settings: EndpointConfiguration) {
        guard let adaptive = settings.policies.concurrency else {
            self = .fixed(settings.concurrency)
            return
        }
        var bounds = Adaptive(max: settings.concurrency)
        bounds.min = adaptive.min
        bounds.target = TimeSpan.text(of: adaptive.targetMillis)
        self = .adaptive(bounds)
    }
    static let range = 1...4096
    static let schema = ObjectSchema(
        "AdaptiveConcurrency", "Bounds within which the number of requests in flight is found out.",
        [
            .required("max", .integer(range), "Never more; where it begins."),
            .optional("min", .integer(range), "Never fewer."),
            .optional("target", .duration(AdaptiveSettings.targetRange), "Slower answers halve it."),
        ])
    static let about = "Requests in flight at once; an object: as many as it takes without failing or becoming slow."
}

// MARK: From and to the settings

extension EndpointConfiguration {
    /// Durations of a draft have been checked.
    package mutating func take(policiesOf draft: EndpointDraft) {
        policies.breaker = draft.breaker?.settings
        policies.errors = draft.errors?.settings
        policies.rate = draft.rate?.settings
        policies.deadlineMillis = draft.deadline.flatMap { TimeSpan.parse($0) }
        policies.delayMillis = draft.delay.flatMap { TimeSpan.parse($0) }
        policies.shadow = draft.shadow?.settings
        policies.coalesce = draft.coalesce?.settings
        policies.batch = draft.batch?.settings
        policies.disableAfterMillis = draft.disableAfter.flatMap { TimeSpan.parse($0) }
        var retry = RetrySettings()
        retry.preset = draft.retry?.preset.flatMap { RetryPreset(rawValue: $0) }
        retry.backoff = draft.retry?.backoff?.settings
        retry.budget = draft.retry?.budget
        policies.retry = retry == RetrySettings() ? nil : retry
        switch draft.concurrency {
        case nil: break
        case .fixed(let number)?: concurrency = number
        case .adaptive(let bounds)?:
            concurrency = bounds.max
            var adaptive = AdaptiveSettings()
            adaptive.min = bounds.min ?? adaptive.min
            adaptive.targetMillis = bounds.target.flatMap { TimeSpan.parse($0) } ?? adaptive.targetMillis
            policies.concurrency = adaptive
        }
    }
}

extension EndpointDraft {
    package mutating func show(_ policies: EndpointPolicies) {
        breaker = BreakerResource(policies.breaker)
        errors = policies.errors.map { ErrorsResource($0) }
        rate = policies.rate.map { RateResource($0) }
        deadline = policies.deadlineMillis.map { TimeSpan.text(of: $0) }
        delay = policies.delayMillis.map { TimeSpan.text(of: $0) }
        shadow = policies.shadow.map { ShadowResource(share: $0.share) }
        coalesce = policies.coalesce.map { CoalesceResource($0) }
        batch = policies.batch.map { BatchResource($0) }
        disableAfter = policies.disableAfterMillis.map { TimeSpan.text(of: $0) }
    }
}

extension EndpointResource {
    package mutating func show(_ policies: EndpointPolicies) {
        breaker = BreakerResource(policies.breaker)
        errors = policies.errors.map { ErrorsResource($0) }
        rate = policies.rate.map { RateResource($0) }
        deadline = policies.deadlineMillis.map { TimeSpan.text(of: $0) }
        delay = policies.delayMillis.map { TimeSpan.text(of: $0) }
        shadow = policies.shadow.map { ShadowResource(share: $0.share) }
        coalesce = policies.coalesce.map { CoalesceResource($0) }
        batch = policies.batch.map { BatchResource($0) }
        disableAfter = policies.disableAfterMillis.map { TimeSpan.text(of: $0) }
    }
}

extension ObjectSchema {
    /// Of a draft, and of an endpoint as it is shown.
    static let lanePolicyFields: [Field] = [
        .optional("errors", .object(ErrorsResource.schema), "What becomes of failures by their class."),
        .optional("rate", .object(RateResource.schema), "How fast it is delivered to at most."),
        .optional(
            "deadline", .duration(LanePolicies.deadlineRange),
            "Deliveries whose event is older die with the reason `expired`."),
        .optional(
            "delay", .duration(LanePolicies.delayRange), "Delivered no earlier than so long after the event came."),
        .optional("shadow", .object(ShadowResource.schema), "It gets a share of the traffic to look at."),
        .optional("coalesce", .object(CoalesceResource.schema), "Only the newest of what waits with one key."),
        .optional("batch", .object(BatchResource.schema), "Several events in one request."),
        .optional(
            "disable_after", .duration(LanePolicies.disableAfterRange),
            "It is disabled when it has done nothing but fail for so long."),
    ]
}
