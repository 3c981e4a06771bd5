// The schemes that are code rather than data, and how a source's secrets become each one's verifier. Everything that
// can be wrong with a secret is found here, at start.

import FastPath

package enum NamedScheme: String, CaseIterable, Sendable {
    /// Secrets: ARNs of topics, certificates as PEM, or both.
    case notificationService
    /// Secrets: ids of webhooks, and certificates as PEM where they shall not be fetched.
    case payPal
    /// Secrets: the shared secret of the app's installation.
    case jiraConnect
    /// Secrets: the HMAC key as hexadecimal digits.
    case adyenItem
    /// Secrets: the app's client secret.
    case hubSpotLegacy

    /// What a person should know about what it cannot protect, as `SchemeDefinition.warnings` says it of the others.
    package var warning: String? {
        switch self {
        case .notificationService, .hubSpotLegacy: nil
        case .payPal:
            "signs the CRC-32 of the body alone, which anyone can steer: who has seen one request can send others with "
                + "another body"
        case .jiraConnect:
            "signs nothing of the body: who has seen one request can send others with any body until its token expires"
        case .adyenItem:
            "signs eight values of each item and nothing else of the body: who has seen one request can send others "
                + "with the rest changed"
        }
    }
}

/// What a source may say besides its secrets.
package struct NamedSchemeParameters: Equatable, Sendable {
    /// Jira Connect: the path of the app's base URL, such as "/in/jira".
    package var basePath = ""

    package init(basePath: String = "") { self.basePath = basePath }
}

extension NamedScheme {
    /// `certificates` brings those that are not given.
    package static func verifier(
        _ scheme: NamedScheme, secrets: [SourceSecret], parameters: NamedSchemeParameters = NamedSchemeParameters(),
        certificates: CertificateResolver = .waiting
    ) throws(SchemeError) -> any RequestVerifier {
        guard !secrets.isEmpty else { throw .noSecret }
        for (index, secret) in secrets.enumerated() where secret.value.isEmpty { throw .emptySecret(index: index) }
        switch scheme {
        case .jiraConnect: return try JiraConnectVerifier(secrets, basePath: parameters.basePath)
        case .adyenItem: return try AdyenItemVerifier(secrets)
        case .hubSpotLegacy: return try HubSpotLegacyVerifier(secrets)
        case .notificationService:
            let (given, others) = try split(secrets)
            let topics = try topics(others)
            return NotificationServiceVerifier(
                topics: topics, certificates: source(given, certificates.source(.notificationService)))
        case .payPal:
            let (given, others) = try split(secrets)
            guard !others.isEmpty else { throw .noSecret }
            let webhookIDs = try webhookIDs(others)
            return PayPalVerifier(
                webhookIDs: webhookIDs, certificates: source(given, certificates.source(.payPal)))
        }
    }

    private typealias Indexed = (index: Int, secret: SourceSecret)

    /// The certificates among the secrets, and the rest.
    private static func split(
        _ secrets: [SourceSecret]
    ) throws(SchemeError) -> (given: [TimedKey<PublicKey>], others: [Indexed]) {
        var given: [TimedKey<PublicKey>] = []
        var others: [Indexed] = []
        for (index, secret) in secrets.enumerated() {
            guard secret.value.contains("-----BEGIN") else {
                others.append((index, secret))
                continue
            }
            do throws(PublicKeyError) {
                given.append(TimedKey(try PublicKey(secret.value, for: .rsaSHA256), of: secret))
            } catch { throw .badSecret(index: index, wanted: error.message) }
        }
        return (given, others)
    }
    private static func source(
        _ given: [TimedKey<PublicKey>], _ fetched: any CertificateSource
    ) -> any CertificateSource {
        given.isEmpty ? fetched : GivenCertificates(keys: given)
    }
    private static func topics(_ secrets: [Indexed]) throws(SchemeError) -> [TimedKey<String>] {
        var topics: [TimedKey<String>] = []
        for (index, secret) in secrets {
            let parts = secret.value.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 6, parts[0] == "arn", parts[2] == "sns", parts.allSatisfy({ !$0.isEmpty }) else {
                throw .badSecret(
                    index: index,
                    wanted: "the ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:orders, or a certificate"
                        + " as PEM")
            }
            topics.append(TimedKey(secret.value, of: secret))
        }
        return topics
    }
    private static func webhookIDs(_ secrets: [Indexed]) throws(SchemeError) -> [TimedKey<String>] {
        var found: [TimedKey<String>] = []
        for (index, secret) in secrets {
            let isPlain = secret.value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x7C }
            guard isPlain else { throw .badSecret(index: index, wanted: "the id of the webhook, as PayPal shows it") }
            found.append(TimedKey(secret.value, of: secret))
        }
        return found
    }
}
