// What becomes of an endpoint's failures by their class, as the API shows and takes it.
import Engine

package struct ErrorRuleResource: Codable, Equatable, Sendable {
    package struct Backoff: Codable, Equatable, Sendable {
        package var first: String?
        package var factor: Double?
        package var max: String?
        package init() {}
    }
    package var retries: Int?
    package var backoff: Backoff?
    package var atMost: String?
    package init() {}

    init(_ rule: ErrorRule) {
        retries = rule.retries
        backoff = rule.backoff.map { own in
            var backoff = Backoff()
            backoff.first = TimeSpan.text(of: own.firstMillis)
            backoff.factor = own.factor
            backoff.max = TimeSpan.text(of: own.maxMillis)
            return backoff
        }
        atMost = rule.atMostMillis.map { TimeSpan.text(of: $0) }
    }
    var rule: ErrorRule {
        var rule = ErrorRule()
        rule.retries = retries
        rule.backoff = backoff.map { own in
            var backoff = ErrorBackoff()
            backoff.firstMillis = own.first.flatMap { TimeSpan.parse($0) } ?? backoff.firstMillis
            backoff.factor = own.factor ?? backoff.factor
            backoff.maxMillis = own.max.flatMap { TimeSpan.parse($0) } ?? backoff.maxMillis
            return backoff
        }
        rule.atMostMillis = atMost.flatMap { TimeSpan.parse($0) }
        return rule
    }
    static let schema = ObjectSchema(
        "ErrorRule", "What becomes of failures of one class.",
        [
            .optional("retries", .integer(ErrorRule.retriesRange), "How many; 0: a dead letter at once."),
            .optional("backoff", .object(backoffSchema), "The delays, in the place of the endpoint's own."),
            .optional(
                "at_most", .duration(ErrorRule.atMostRange),
                "Since the event came; no retry is planned for later than that."),
        ])
    private static let backoffSchema = ObjectSchema(
        "ErrorBackoff", BackoffResource.about, BackoffResource.delayFields)
}

package struct ErrorsResource: Codable, Equatable, Sendable {
    package var preset: String?
    package var network: ErrorRuleResource?
    package var timeout: ErrorRuleResource?
    package var tls: ErrorRuleResource?
    package var blockedAddress: ErrorRuleResource?
    package var validation: ErrorRuleResource?
    package var authentication: ErrorRuleResource?
    package var authorizationFailed: ErrorRuleResource?
    package var limit: ErrorRuleResource?
    package var server: ErrorRuleResource?
    package init() {}

    private enum CodingKeys: String, CodingKey {
        case preset, network, timeout, tls, validation, authentication, limit, server
        case blockedAddress = "blocked-address"
        case authorizationFailed = "authorization-failed"
    }
    init(_ settings: ErrorSettings) {
        preset = settings.preset?.rawValue
        for failure in FailureClass.allCases {
            self[keyPath: ErrorsResource.place(of: failure)] = settings[failure].map { ErrorRuleResource($0) }
        }
    }
    var settings: ErrorSettings {
        var settings = ErrorSettings()
        settings.preset = preset.flatMap { ErrorPreset(rawValue: $0) }
        for failure in FailureClass.allCases {
            settings[failure] = self[keyPath: ErrorsResource.place(of: failure)]?.rule
        }
        return settings
    }
    private static func place(of failure: FailureClass) -> WritableKeyPath<ErrorsResource, ErrorRuleResource?> {
        switch failure {
        case .network: \.network
        case .timeout: \.timeout
        case .tls: \.tls
        case .blockedAddress: \.blockedAddress
        case .validation: \.validation
        case .authentication: \.authentication
        case .authorizationFailed: \.authorizationFailed
        case .limit: \.limit
        case .server: \.server
        }
    }
    private static func about(_ failure: FailureClass) -> String {
        switch failure {
        case .network: "No connection, a lost one, a name that does not resolve, no HTTP."
        case .timeout: "No answer in time."
        case .tls: "TLS failed."
        case .blockedAddress: "The host's address may not be delivered to."
        case .validation: "4xx but for those of other classes."
        case .authentication: "401, 403, 407."
        case .authorizationFailed: "No access token was given for the endpoint; nothing was sent."
        case .limit: "429."
        case .server: "5xx, 408, 425 and 3xx."
        }
    }
    static let schema = ObjectSchema(
        "Errors", "What becomes of failures by their class; a class without a rule goes by `outcomes` and `retry`.",
        [
            .optional(
                "preset", .word(ErrorPreset.allCases.map(\.rawValue)),
                "Rules of all classes; a class that has its own stands above it.")
        ]
            + FailureClass.allCases.map { failure in
                ObjectSchema.Field.optional(failure.rawValue, .object(ErrorRuleResource.schema), about(failure))
            })
}
