// What Sluice knows about a provider, as data: how it signs, where its event id and type are, what it wants to hear,
// how it retries. One file a family under Providers/.

import FastPath

/// Which of a provider's schemes a secret belongs to, told by its form.
package enum SecretForm: Equatable, Sendable {
    case any
    case prefixed(String)
    case notPrefixed(String)

    package func takes(_ secret: String) -> Bool {
        switch self {
        case .any: true
        case .prefixed(let prefix): secret.hasPrefix(prefix)
        case .notPrefixed(let prefix): !secret.hasPrefix(prefix)
        }
    }
}

package struct ProviderScheme: Equatable, Sendable {
    package let definition: SchemeDefinition
    package let takes: SecretForm

    package init(_ definition: SchemeDefinition, takes: SecretForm = .any) {
        self.definition = definition
        self.takes = takes
    }
}

/// What a provider does when it is not answered with success.
package enum ProviderRetries: Equatable, Sendable {
    /// It sends the event again by itself.
    case automatic
    /// What is refused is lost unless someone sends it again by hand: such sources are refused last.
    case none
    case unknown
}

package struct Provider: Sendable {
    package let name: String
    /// In the order in which a request is matched to them. Empty for `generic`: its scheme is in the configuration.
    package var schemes: [ProviderScheme] = []
    /// Selectors as `EventSelectors` spells them.
    package var eventID: [String] = []
    package var eventType: [String] = []
    package var dedupKey: [String] = ["body"]
    package var successStatus = 202
    package var handshake: HandshakeKind?
    /// The provider's challenges; the first whose trigger fits a request answers it.
    package var handshakes: [HandshakeDefinition] = []
    /// The methods of its events; those of its challenges come on top.
    package var methods: MethodSet = .post
    package var retries = ProviderRetries.unknown
    /// How long the provider waits for an answer, where it says so.
    package var answerSecondsMax: Int?

    package init(name: String) { self.name = name }
}
