// What Sluice knows about a provider, as data: how it signs, where its event id and type are, what it wants to hear,
// how it retries, what a person has to copy from where. One file a family under Providers/; docs/providers.md is
// written from it (`sluice providers list --markdown`).

import FastPath

/// Which of a provider's schemes a secret belongs to, told by its form.
package enum SecretForm: Equatable, Sendable {
    case any
    case prefixed(String)
    case notPrefixed(String)
    /// `user:password`.
    case credentials
    case notCredentials

    package func takes(_ secret: String) -> Bool {
        switch self {
        case .any: true
        case .prefixed(let prefix): secret.hasPrefix(prefix)
        case .notPrefixed(let prefix): !secret.hasPrefix(prefix)
        case .credentials: secret.contains(":")
        case .notCredentials: !secret.contains(":")
        }
    }
}

/// What a provider does when it is not answered with success.
package enum ProviderRetries: String, Equatable, Sendable {
    /// It sends the event again by itself.
    case automatic
    /// What is refused is lost unless someone sends it again by hand: such sources are refused last.
    case none
    case unknown
}

/// What a person has to do at the provider.
package struct ProviderGuide: Equatable, Sendable {
    /// Where the source's URL goes.
    package let url: String
    /// What the secret is, where it stands and which form it has.
    package let secret: String
    /// What else one should know, a sentence each.
    package var notes: [String]
    /// More lines of the ready source block, as the configuration spells them.
    package var settings: [String]

    package init(url: String, secret: String, notes: [String] = [], settings: [String] = []) {
        self.url = url
        self.secret = secret
        self.notes = notes
        self.settings = settings
    }
}

package struct Provider: Sendable {
    package let name: String
    package let title: String
    package var guide: ProviderGuide
    /// In the order in which a request is matched to them. Empty for `generic`: its scheme is in the configuration.
    package var schemes: [ProviderScheme] = []
    /// Selectors as `EventSelectors` spells them.
    package var eventID: [String] = []
    package var eventType: [String] = []
    /// What the provider itself says is the same on every try of one event and on no other event; empty where it says
    /// of nothing that it is: then no two events are the same one.
    package var dedupKey: [String] = []
    /// The same of one event, as places in it, where a request of several is split.
    package var elementKey: [String] = []
    /// How long after the first try the provider's own retries still come, where they bring the first try's signature
    /// and time. So long a time in the past passes, because `dedupKey`, which the signature covers, makes a repetition
    /// within it a duplicate.
    package var signedRetrySeconds: Int?
    /// The largest body that the provider sends, where it says so and that is more than the gateway's default.
    package var bodyBytesMax: Int?
    package var successStatus = 202
    /// JSON that the provider wants to hear after an event; nil = Sluice's own answer.
    package var successBody: StaticString?
    /// The provider's challenges; the first whose trigger fits a request answers it.
    package var handshakes: [HandshakeDefinition] = []
    /// The methods of its events; those of its challenges come on top.
    package var methods: MethodSet = .post
    package var retries = ProviderRetries.unknown
    /// The header that says which try a request is.
    package var retryHeader: String?
    /// Its requests carry the contract's envelope, and its answers have the contract's form.
    package var takesEnvelope = false
    /// What every request of it says alike.
    package var constantHeaders: [(name: String, value: String)] = []
    /// True exactly when the provider waits as long as `Retry-After` says.
    package var retryAfterHonoured = false
    /// How long the provider waits for an answer, where it says so.
    package var answerSecondsMax: Int?
    /// CIDR ranges or addresses that the provider has published as the places its webhooks come from; empty where it
    /// publishes none. An optional allow-list, never a proof.
    package var addresses: [String] = []

    /// True exactly when a challenge's answer has the MAC of what anyone may ask.
    package var signsForAnyone: Bool { handshakes.contains(where: \.signsForAnyone) }

    package init(_ name: String, title: String, guide: ProviderGuide) {
        self.name = name
        self.title = title
        self.guide = guide
    }
}
