// One way in which a provider proves who it is: data for the scheme language, or the name of a verifier in code.

import FastPath

package enum ProviderRule: Equatable, Sendable {
    case data(SchemeDefinition)
    case named(NamedScheme)
}

package struct ProviderScheme: Equatable, Sendable {
    package let rule: ProviderRule
    package let takes: SecretForm

    package init(_ definition: SchemeDefinition, takes: SecretForm = .any) {
        rule = .data(definition)
        self.takes = takes
    }
    package init(named scheme: NamedScheme, takes: SecretForm = .any) {
        rule = .named(scheme)
        self.takes = takes
    }
    /// Nil for a verifier in code.
    package var definition: SchemeDefinition? {
        if case .data(let definition) = rule { definition } else { nil }
    }
}
