// What differs between two versions of an endpoint, as operational webhooks say it: under the names that the surface
// gives the fields by which the endpoint was made. Pure.
//
// Invariant: no value is a secret: of secrets, credentials and header fields only names and numbers are said, and a URL
// goes without user information, query and fragment.

import FastPath
import Foundation

package struct EndpointChanges: Equatable, Sendable {
    private struct Field: Sendable {
        let name: String
        let isEqual: @Sendable (EndpointConfiguration, EndpointConfiguration) -> Bool
        let shown: @Sendable (EndpointConfiguration) -> PayloadValue

        init<Value: Equatable & SendableMetatype>(
            _ name: String, _ value: @escaping @Sendable (EndpointConfiguration) -> Value,
            _ shown: @escaping @Sendable (EndpointConfiguration) -> PayloadValue
        ) {
            self.name = name
            isEqual = { value($0) == value($1) }
            self.shown = shown
        }
    }
    package let members: [PayloadValue.Member]
    package var isEmpty: Bool { members.isEmpty }
    package var value: PayloadValue { .object(members) }

    package init(from old: EndpointConfiguration, to new: EndpointConfiguration) {
        let fields =
            switch new.extras.family {
            case .opsCenter: EndpointChanges.opsCenter
            case .registry, .operational, .contract:
                new.extras.signatureNames == .svix ? EndpointChanges.outbound : EndpointChanges.own
            }
        var members = fields.filter { !$0.isEqual(old, new) }.map { field in
            PayloadValue.Member(
                field.name,
                .object([PayloadValue.Member("old", field.shown(old)), PayloadValue.Member("new", field.shown(new))]))
        }
        if new.extras.family == .registry, new.extras.signatureNames != .svix {
            // The others in the words of the audit log.
            let known = Set(EndpointChanges.own.map(\.name))
            members += new.changes(from: old).filter { !known.contains($0.field) }.map { change in
                PayloadValue.Member(
                    change.field,
                    .object([
                        PayloadValue.Member("old", .text(change.before)),
                        PayloadValue.Member("new", .text(change.after)),
                    ]))
            }
        }
        self.members = members
    }

    /// It was enabled, or disabled, beside its settings.
    package init(of settings: EndpointConfiguration, switchedOn isOn: Bool) {
        var (on, off) = (settings, settings)
        (on.disabled, off.disabled) = (false, true)
        self = isOn ? EndpointChanges(from: off, to: on) : EndpointChanges(from: on, to: off)
    }

    private static let url = Field("url", { [$0.url, $0.extras.userInformation] }, { .text(PublicURL.of($0.url)) })
    private static let about = Field("description", { $0.extras.about }, { .text($0.extras.about) })
    private static let opsCenter = [
        url,
        Field("events", { $0.types }, { .texts($0.types) }),
        Field(
            "description", { $0.extras.about }, { .text($0.extras.about.isEmpty ? nil : $0.extras.about) }),
        Field("enabled", { $0.disabled }, { .flag(!$0.disabled) }),
    ]
    private static let outbound = [
        url, about,
        Field("uid", { $0.uid }, { .text($0.uid) }),
        Field("filterTypes", { $0.types }, { .texts($0.types) }),
        Field("channels", { $0.channels }, { .texts($0.channels) }),
        Field("disabled", { $0.disabled }, { .flag($0.disabled) }),
        Field("version", { $0.extras.version }, { .number($0.extras.version) }),
        Field("throttleRate", { $0.extras.throttleRate }, { .number($0.extras.throttleRate) }),
        Field("metadata", { $0.extras.metadata }, { .texts($0.extras.metadata) }),
        Field("headers", { $0.extras.fields }, { .texts($0.extras.fields.map(\.name)) }),
        Field("secret", { $0.secrets }, { _ in .text("…") }),
    ]
    private static let own = [
        url,
        Field("types", { $0.types }, { .texts($0.types) }),
        Field("sources", { $0.sources }, { .texts($0.sources) }),
        Field("channels", { $0.channels }, { .texts($0.channels) }),
        Field("disabled", { $0.disabled }, { .flag($0.disabled) }),
    ]
}

/// A URL as anybody may see it.
package enum PublicURL {
    package static func of(_ url: String) -> String {
        let open = url.prefix { $0 != "?" && $0 != "#" }
        guard let scheme = open.range(of: "://") else { return String(open) }
        let authority = open[scheme.upperBound...].prefix { $0 != "/" }
        guard let at = authority.lastIndex(of: "@") else { return String(open) }
        return open[..<scheme.upperBound] + String(open[open.index(after: at)...])
    }
}
