// A binary heap with the smallest element first. Insertion and removal are O(log n).

package struct BinaryHeap<Element: Comparable> {
    /// Element i is not greater than 2i + 1 and 2i + 2, its children.
    private var elements: [Element] = []

    package init() {}
    package var count: Int { elements.count }
    package var isEmpty: Bool { elements.isEmpty }
    package var first: Element? { elements.first }
    /// In no order that means anything.
    package var unordered: [Element] { elements }

    package mutating func insert(_ element: Element) {
        elements.append(element)
        var index = elements.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard elements[index] < elements[parent] else { break }
            elements.swapAt(index, parent)
            index = parent
        }
    }
    @discardableResult
    package mutating func popFirst() -> Element? {
        guard let first = elements.first, let last = elements.popLast() else { return nil }
        guard !elements.isEmpty else { return first }
        elements[0] = last
        var index = 0
        while true {
            let left = index * 2 + 1
            guard left < elements.count else { break }
            let right = left + 1
            let child = right < elements.count && elements[right] < elements[left] ? right : left
            guard elements[child] < elements[index] else { break }
            elements.swapAt(index, child)
            index = child
        }
        return first
    }
    package mutating func removeAll() { elements.removeAll() }
    /// O(n log n).
    package mutating func removeAll(where isUnwanted: (Element) -> Bool) {
        elements.removeAll(where: isUnwanted)
        elements.sort()
    }
    /// Keeps the `count` smallest and returns the others, ascending. O(n log n).
    package mutating func split(keeping count: Int) -> ArraySlice<Element> {
        elements.sort()
        let others = elements.dropFirst(count)
        elements.removeLast(others.count)
        return others
    }
}
