// The providers that this version knows, by name, and the nearest names to one that it does not know.

import FastPath

package enum ProviderCatalogue {
    /// Sorted by name.
    package static let all: [Provider] =
        [
            StandardWebhooksFamily.providers, CodeHostFamily.providers, AtlassianFamily.providers,
            CommerceFamily.providers, PaymentFamily.providers, ChatFamily.providers, MeetingFamily.providers,
            DocumentFamily.providers, SocialFamily.providers, SupportFamily.providers, MessagingFamily.providers,
            OperationsFamily.providers, CloudFamily.providers, ContractFamily.providers, [generic],
        ].flatMap(\.self).sorted { $0.name < $1.name }

    /// Any scheme, as data in the configuration.
    package static let generic = Provider(
        "generic", title: "Any other sender",
        guide: ProviderGuide(
            url: "The source's URL, wherever the sender takes it.",
            secret: "What the sender signs with; `secret_encoding` says in which form.",
            notes: ["The scheme is written in the source's `scheme`: see docs/configuration.md."],
            settings: [#"scheme: { header: X-Signature, prefix: "sha256=", signed: "{body}" }"#]))

    package static func provider(named name: String) -> Provider? { all.first { $0.name == name } }

    /// At most three names within a third of the length, nearest first.
    package static func nearestNames(to name: String) -> [String] {
        let lowered = name.lowercased()
        let limit = max(2, lowered.count / 3)
        let near = all.map { (name: $0.name, distance: editDistance(lowered, $0.name)) }
            .filter { $0.distance <= limit || (!lowered.isEmpty && $0.name.hasPrefix(lowered)) }
            .sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }
        return near.prefix(3).map(\.name)
    }

    /// Insertions, deletions and substitutions from one text to the other. O(product of the lengths).
    static func editDistance(_ left: String, _ right: String) -> Int {
        let left = Array(left)
        let right = Array(right)
        var row = Array(0...right.count)
        for (i, leftCharacter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, rightCharacter) in right.enumerated() {
                let substituted = diagonal + (leftCharacter == rightCharacter ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substituted, row[j] + 1, diagonal + 1)
            }
        }
        return row[right.count]
    }
}
