// From a path to the routes at it, without a look at all the others: by their number of segments, then segment by
// segment. Pure.
//
// Invariant: where a path is spelled out, what a parameter would stand for too is not at it, as the router has it.

struct RouteIndex: Sendable {
    private struct Pattern: Sendable {
        /// Nil stands for a parameter, which is any segment.
        let segments: [String?]
        let place: Int
        /// Of each segment, whether it is a word.
        let spelledOut: [Bool]
    }
    private var byCount: [Int: [Pattern]] = [:]

    init(_ routes: [Route]) {
        for (place, route) in routes.enumerated() {
            let segments = route.path.split(separator: "/").map { segment -> String? in
                segment.hasPrefix("{") ? nil : String(segment)
            }
            byCount[segments.count, default: []].append(
                Pattern(segments: segments, place: place, spelledOut: segments.map { $0 != nil }))
        }
    }
    /// Places in the list that the index was made of, in its order; `path` has no query. Empty segments do not count.
    func routes(at path: String) -> [Int] {
        let segments = path.split(separator: "/")
        guard let patterns = byCount[segments.count] else { return [] }
        let fitting = patterns.filter { pattern in
            zip(pattern.segments, segments).allSatisfy { wanted, segment in wanted.map { $0 == segment } ?? true }
        }
        guard let best = fitting.map(\.spelledOut).max(by: RouteIndex.isLess) else { return [] }
        return fitting.filter { $0.spelledOut == best }.map(\.place)
    }
    private static func isLess(_ one: [Bool], _ other: [Bool]) -> Bool {
        one.lexicographicallyPrecedes(other) { !$0 && $1 }
    }
}
