// What is not shown of a request by default: header fields whose value is a credential, and credentials in its URL.
// What is put in their place says how long they were and nothing else.

import FastPath
import Foundation

/// Where requests carry a whole secret, not something made with it.
package enum CredentialPlaces {
    /// Of a source's own scheme, and of its provider's.
    package static func of(_ source: SourceConfiguration) -> [String] {
        var places = ProviderCatalogue.provider(named: source.provider).map(of) ?? []
        if let scheme = source.scheme, ["token", "basic"].contains(scheme.algorithm) {
            places += [scheme.header] + scheme.otherHeaders
        }
        return places
    }
    static func of(_ provider: Provider) -> [String] {
        provider.schemes.compactMap(\.definition).filter { $0.algorithm == .token || $0.algorithm == .basic }
            .flatMap { $0.headers.map(\.signature) }
    }
    /// The names among them of header fields, in lower case.
    package static func headers(_ places: [String]) -> Set<String> {
        Set(places.compactMap { SchemePlaces.header($0)?.lowercased() }.filter { !$0.isEmpty })
    }
    /// The names among them of parameters of a query, in lower case.
    static func parameters(_ places: [String]) -> Set<String> {
        Set(places.filter { $0.hasPrefix("query:") }.map { $0.dropFirst("query:".count).lowercased() })
    }
}

package struct CredentialMask: Sendable {
    /// In lower case.
    private let names: Set<String>
    private let parameters: Set<String>
    private static let knownNames: Set<String> = [
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "x-auth-token",
        "x-access-token",
    ]
    private static let knownParameters: Set<String> = [
        "access_token", "token", "api_key", "apikey", "secret", "password", "hub.verify_token",
    ]

    /// With the places that carry a whole secret at any of these sources, or at any provider of the catalogue.
    package init(sources: [SourceConfiguration] = []) {
        let places = sources.flatMap(CredentialPlaces.of) + ProviderCatalogue.all.flatMap(CredentialPlaces.of)
        names = CredentialMask.knownNames.union(CredentialPlaces.headers(places))
        parameters = CredentialMask.knownParameters.union(CredentialPlaces.parameters(places))
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
            guard parts.count == 2, hidesParameter(String(parts[0])) else { return String(parameter) }
            return "\(parts[0])=\(CredentialMask.stars(parts[1].count))"
        }
        return target[...mark] + shown.joined(separator: "&")
    }

    /// However it is escaped: a reader decodes it.
    private func hidesParameter(_ name: String) -> Bool {
        parameters.contains((name.removingPercentEncoding ?? name).lowercased())
    }

    private static func stars(_ count: Int) -> String { "***(\(count) characters)" }

    /// A secret for a person who knows it: its first four characters and its length. Of a short one nothing is shown.
    package static func secret(_ text: String) -> String {
        let shown = text.count >= 12 ? String(text.prefix(4)) : ""
        return "\(shown)…(\(text.count) characters)"
    }
}
