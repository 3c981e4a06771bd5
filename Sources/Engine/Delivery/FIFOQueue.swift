// First in, first out, without moving what stays each time. Passive.

package struct FIFOQueue<Element> {
    private var elements: [Element] = []
    private var head = 0

    package init() {}
    package var count: Int { elements.count - head }
    package var isEmpty: Bool { head == elements.count }
    package var first: Element? { isEmpty ? nil : elements[head] }
    /// The oldest first.
    package var all: ArraySlice<Element> { elements[head...] }
    package mutating func append(_ element: Element) { elements.append(element) }
    @discardableResult
    package mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head]
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 1024, head * 2 >= elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }
}

extension FIFOQueue: Sendable where Element: Sendable {}
