// Why an endpoint does not want an event, said for people: the same questions that `Subscription` answers, one by one.
// What later decides whether an endpoint wants an event (a filter) gets its case and its question here, so that the
// trace says it too. Pure.

import FastPath

package enum MatchRefusal: String, CaseIterable, Sendable {
    /// It is a request that holds several events, which are delivered in its place.
    case requestOfSeveral = "request_of_several"
    /// The endpoint names other sources.
    case source
    /// Only endpoints that name its source get its events, and this one names none.
    case closedSource = "closed_source"
    /// None of the endpoint's patterns matches its type.
    case type
    /// The endpoint asks for channels, and the event has none of them.
    case channel

    /// All that hold; empty exactly when the endpoint wants it. `sourceID` as its record says, or as its name was
    /// looked up.
    package static func all(
        _ endpoint: EndpointSpec, sourceID: SourceID, type: String, channels: [String], isRequestOfSeveral: Bool
    ) -> [MatchRefusal] {
        guard !isRequestOfSeveral else { return [.requestOfSeveral] }
        var refusals: [MatchRefusal] = []
        if endpoint.sourceIDs.isEmpty {
            if sourceID.isClosed { refusals.append(.closedSource) }
        } else if !endpoint.sourceIDs.contains(sourceID) {
            refusals.append(.source)
        }
        let settings = endpoint.settings
        if !settings.types.isEmpty, !settings.types.contains(where: { TypePattern($0).matches(type) }) {
            refusals.append(.type)
        }
        if !settings.channels.isEmpty, Set(settings.channels).isDisjoint(with: channels) { refusals.append(.channel) }
        return refusals
    }
    /// One sentence.
    package func text(_ endpoint: EndpointSpec) -> String {
        switch self {
        case .requestOfSeveral: "it holds several events, which stand before it and are delivered in its place"
        case .source: "it takes events of \(MatchRefusal.list(endpoint.settings.sources))"
        case .closedSource: "it names no source, and events of this one go to endpoints that name it"
        case .type: "it takes types that match \(MatchRefusal.list(endpoint.settings.types))"
        case .channel: "it takes events of the channels \(MatchRefusal.list(endpoint.settings.channels))"
        }
    }
    private static func list(_ words: [String]) -> String {
        words.isEmpty ? "its own source" : words.prefix(10).map { "`\($0)`" }.joined(separator: ", ")
    }
}
