// What is not shown of a request by default: header fields whose value is a credential, and credentials in its URL.
// What is put in their place says how long they were and nothing else.

import FastPath

package struct CredentialMask: Sendable {
    /// In lower case.
    private let names: Set<String>
    private static let known: Set<String> = [
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "x-auth-token",
        "x-access-token",
    ]
    private static let parameters: Set<String> = ["access_token", "token", "api_key", "apikey", "secret", "password"]

    /// With the headers that carry a whole secret at any of these sources, or at any provider of the catalogue.
    package init(sources: [SourceConfiguration] = []) {
        var names = CredentialMask.known
        let configured = sources.flatMap { SourceCompiler.definitions(of: $0) }
        let catalogued = ProviderCatalogue.all.flatMap { $0.schemes.compactMap(\.definition) }
        for definition in configured + catalogued where CredentialMask.isCredential(definition) {
            names.formUnion(definition.headers.compactMap { SchemePlaces.header($0.signature)?.lowercased() })
        }
        self.names = names
    }
    private static func isCredential(_ definition: SchemeDefinition) -> Bool {
        definition.algorithm == .token || definition.algorithm == .basic
    }

    package func hides(_ name: String) -> Bool { names.contains(name.lowercased()) }

    package func value(_ value: String, of name: String) -> String {
        guard hides(name) else { return value }
        // The name of an authentication scheme is none of the secret.
        let words = value.split(separator: " ", maxSplits: 1)
        if name.lowercased().hasSuffix("authorization"), words.count == 2 {
            return "\(words[0]) \(CredentialMask.stars(words[1].count))"
        }
        return CredentialMask.stars(value.count)
    }
    package func headers(_ headers: [[String]]) -> [[String]] {
        headers.map { pair in pair.count == 2 ? [pair[0], value(pair[1], of: pair[0])] : pair }
    }

    /// A request target with the values of parameters that are credentials masked.
    package func target(_ target: String) -> String {
        guard let mark = target.firstIndex(of: "?") else { return target }
        let query = target[target.index(after: mark)...].split(separator: "&", omittingEmptySubsequences: false)
        let shown = query.map { parameter -> String in
            let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, CredentialMask.parameters.contains(parts[0].lowercased()) else {
                return String(parameter)
            }
            return "\(parts[0])=\(CredentialMask.stars(parts[1].count))"
        }
        return target[...mark] + shown.joined(separator: "&")
    }

    private static func stars(_ count: Int) -> String { "***(\(count) characters)" }

    /// A secret for a person who knows it: its first four characters and its length. Of a short one nothing is shown.
    package static func secret(_ text: String) -> String {
        let shown = text.count >= 12 ? String(text.prefix(4)) : ""
        return "\(shown)…(\(text.count) characters)"
    }
}
