// What must hold for an endpoint's filter: that it compiles; and which fields none reads. Pure.

import FastPath

package enum FilterRules {
    static func issues(_ endpoint: EndpointConfiguration, _ path: FieldPath) -> [ValidationIssue] {
        guard let filter = endpoint.policies.filter else { return [] }
        do throws(ValidationIssue) { _ = try CompiledFilter(filter) } catch { return [error.under(path["filter"])] }
        return []
    }
    /// Header fields that carry a secret of one of these sources.
    package static func withheld(_ sources: [SourceConfiguration]) -> [HeaderName] {
        CredentialPlaces.headers(sources.flatMap { CredentialPlaces.of($0) }).map { HeaderName($0) }
    }
}
