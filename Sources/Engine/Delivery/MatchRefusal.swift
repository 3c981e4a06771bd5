// Why an endpoint does not want an event, said for people: the questions that `Subscription` answers, one by one, and
// its filter's where nothing else keeps the event away. Pure.

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
    /// Its filter does not let the event through.
    case filter

    /// All that hold but for the filter, which is asked last; empty exactly when its subscription has the event.
    /// `sourceID` as its record says, or as its name was looked up.
    package static func all(
        _ endpoint: EndpointSpec, sourceID: SourceID, isEnveloped: Bool = false, type: String, channels: [String],
        isRequestOfSeveral: Bool
    ) -> [MatchRefusal] {
        guard !isRequestOfSeveral else { return [.requestOfSeveral] }
        let wanted = endpoint.subscription
        var refusals: [MatchRefusal] = []
        if !wanted.takes(source: sourceID, isEnveloped: isEnveloped) {
            refusals.append(endpoint.sourceIDs.isEmpty ? .closedSource : .source)
        }
        if !wanted.takes(type: Array(type.utf8)) { refusals.append(.type) }
        let list = Array(channels.joined(separator: ",").utf8)
        if !list.withView({ wanted.takes(channels: $0) }) { refusals.append(.channel) }
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
        case .filter: "its filter, as it is now, does not let it through"
        }
    }
    private static func list(_ words: [String]) -> String {
        words.isEmpty ? "its own source" : words.prefix(10).map { "`\($0)`" }.joined(separator: ", ")
    }
}
