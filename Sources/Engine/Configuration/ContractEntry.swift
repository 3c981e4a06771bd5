// What an entry of the contract's registry (`/v1/webhooks/registry`) says beyond what every endpoint has, and the
// policies that follow from it. Plain values; `ContractRules` has the bounds.
//
// Invariant: what follows from an entry is written by `apply` and nowhere else, so that the two never differ.
import FastPath

package struct ContractEntry: Equatable, Codable, Sendable {
    package struct Bucket: Equatable, Codable, Sendable {
        package var name = "default"
        package var capacity = 100
        /// Tokens a second.
        package var refill = 10
        package init() {}
    }
    package struct Retry: Equatable, Codable, Sendable {
        package var retries = 5
        package var firstMillis = 10_000
        package var factor = 2.0
        package var maxMillis = 300_000
        package var atMostSeconds = 900
        package var hasJitter = true
        package init() {}
    }
    /// Of the catalogue, for sources of the ingest port.
    package static let providerName = "contract"
    package static let secretRange = 16...256
    package static let schemaVersionDefault = "1"

    package var schemaVersion = ContractEntry.schemaVersionDefault
    package var bucket = Bucket()
    package var retry = Retry()
    package var isSigned = true
    /// The name of a certificate that its target is shown.
    package var certificate: String?
    /// Gets one attempt before the dead-letter queue.
    package var failoverURL: String?
    package var timeoutMillis = 30_000
    package init() {}
    static func failoverPath(under path: FieldPath) -> FieldPath { path["delivery_policy"]["failover_url"] }

    /// Of a failure that the target asked to slow down for.
    private static let limitRetries = 3
    private static let limitAtMostMillis = 1_800_000

    /// What the envelope signs: the request's id, its time and its body.
    package static let form: SignatureForm = {
        var form = SignatureForm(header: "X-Signature", signed: [.id, .text("."), .timestamp, .text("."), .body])
        form.timestampHeader = "X-Timestamp"
        return form
    }()
    var signatureForm: SignatureForm? { isSigned ? ContractEntry.form : nil }

    /// By the class of the error, as the contract has it.
    private var errors: ErrorSettings {
        var backoff = ErrorBackoff()
        (backoff.firstMillis, backoff.factor, backoff.maxMillis) = (retry.firstMillis, retry.factor, retry.maxMillis)
        if !retry.hasJitter { backoff.isSteady = true }
        var passing = ErrorRule()
        (passing.retries, passing.backoff) = (retry.retries, backoff)
        passing.atMostMillis = retry.atMostSeconds * 1000
        var limited = ErrorRule()
        (limited.retries, limited.backoff) = (ContractEntry.limitRetries, backoff)
        limited.atMostMillis = ContractEntry.limitAtMostMillis
        var settings = ErrorSettings()
        settings.preset = .contract
        for failure in FailureClass.allCases {
            switch failure {
            case .network, .timeout, .tls, .blockedAddress, .server: settings[failure] = passing
            case .limit: settings[failure] = limited
            case .validation, .authentication, .authorizationFailed: break
            }
        }
        return settings
    }
    /// The policies and times of the endpoint that the entry is of.
    package func apply(to settings: inout EndpointConfiguration) {
        settings.extras.contract = Boxed(self)
        var policies = settings.policies
        policies.errors = errors
        var rate = RateSettings()
        (rate.perSecond, rate.burst) = (bucket.refill, bucket.capacity)
        policies.rate = rate
        let isUsual = schemaVersion == ContractEntry.schemaVersionDefault
        policies.transform =
            isUsual ? nil : [.constant(path: "$.schema_version", json: PlainJSON.text(schemaVersion).json)]
        settings.policies = policies
        settings.connectMillisMax = min(timeoutMillis, EndpointConfiguration().connectMillisMax)
        settings.headMillisMax = timeoutMillis
        settings.totalMillisMax = timeoutMillis
    }
    /// For a difference and the audit.
    package var text: String {
        let (first, most) = (TimeSpan.text(of: retry.firstMillis), TimeSpan.text(of: retry.maxMillis))
        let waits = "\(first) × \(retry.factor) to \(most)"
        return "schema \(schemaVersion), bucket \(bucket.name) \(bucket.capacity)/\(bucket.refill), "
            + "retries \(retry.retries) after \(waits), at most \(TimeSpan.text(of: retry.atMostSeconds * 1000)), "
            + "\(isSigned ? "signed" : "not signed"), timeout \(TimeSpan.text(of: timeoutMillis))"
            + (certificate.map { ", certificate \($0)" } ?? "")
            + (failoverURL.map { ", failover \(withoutQuery($0))" } ?? "")
    }
}

/// The error classes of the contract, which are fewer than Sluice's own.
package enum ContractErrorClass: String, CaseIterable, Sendable {
    case transient, validation, auth
    case rateLimited = "rate_limited"

    package init(_ failure: FailureClass) {
        switch failure {
        case .network, .timeout, .tls, .blockedAddress, .server: self = .transient
        case .validation: self = .validation
        case .authentication, .authorizationFailed: self = .auth
        case .limit: self = .rateLimited
        }
    }
}
