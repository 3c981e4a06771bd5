// From a path to the routes at it, without a look at all the others: by their number of segments, then segment by
// segment. Pure.

struct RouteIndex: Sendable {
    private struct Pattern: Sendable {
        /// Nil stands for a parameter, which is any segment.
        let segments: [String?]
        let place: Int
        var parameterCount: Int { segments.count { $0 == nil } }
    }
    private var byCount: [Int: [Pattern]] = [:]

    init(_ routes: [Route]) {
        for (place, route) in routes.enumerated() {
            let segments = route.path.split(separator: "/").map { segment -> String? in
                segment.hasPrefix("{") ? nil : String(segment)
            }
            byCount[segments.count, default: []].append(Pattern(segments: segments, place: place))
        }
        // As the router has it: what is named comes before a parameter.
        for (count, patterns) in byCount {
            byCount[count] = patterns.sorted { ($0.parameterCount, $0.place) < ($1.parameterCount, $1.place) }
        }
    }
    /// Places in the list that the index was made of, those with the fewest parameters first; `path` has no query.
    /// Empty segments do not count.
    func routes(at path: String) -> [Int] {
        let segments = path.split(separator: "/")
        guard let patterns = byCount[segments.count] else { return [] }
        return patterns.filter { pattern in
            zip(pattern.segments, segments).allSatisfy { wanted, segment in wanted.map { $0 == segment } ?? true }
        }.map(\.place)
    }
}
