// Lists of settings, each distinct one kept once. Thousands of endpoints commonly have the same event types and retry
// delays; a list of its own for each would be much of an endpoint's memory. Never for secrets: what is here may outlive
// the resource that it came from.

package struct SharedLists: Sendable {
    /// What has lists of its own everywhere must not fill the memory twice; at the bound the table starts again.
    private static let countMax = 1024
    private var texts: Set<[String]> = []
    private var numbers: Set<[Int]> = []

    package init() {}

    /// An equal list, the same one for all that are alike.
    package mutating func shared(_ list: [String]) -> [String] { SharedLists.shared(list, &texts) }
    package mutating func shared(_ list: [Int]) -> [Int] { SharedLists.shared(list, &numbers) }

    private static func shared<Value>(_ list: [Value], _ known: inout Set<[Value]>) -> [Value] {
        guard !list.isEmpty else { return [] }
        if let index = known.firstIndex(of: list) { return known[index] }
        if known.count >= countMax { known.removeAll() }
        known.insert(list)
        return list
    }
}
