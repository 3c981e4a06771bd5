// Orders that wait for a worker, by tenant in turn, so that the many or slow ones of one keep no other's waiting behind
// all of them. Passive; whoever owns it locks it.
//
// Invariants: a tenant is in `turn` exactly once while it has orders that wait, else not; the orders of one tenant come
// out as they went in; every step is O(1), amortized.

package struct PreparationQueue {
    /// Taken from the front without moving the rest each time.
    private struct Line<Element> {
        private var elements: [Element?] = []
        private var head = 0
        var isEmpty: Bool { head == elements.count }

        mutating func append(_ element: Element) { elements.append(element) }
        mutating func popFirst() -> Element? {
            guard !isEmpty else { return nil }
            let first = elements[head]
            elements[head] = nil
            head += 1
            if isEmpty {
                elements.removeAll(keepingCapacity: true)
                head = 0
            } else if head >= 256 {
                elements.removeFirst(head)
                head = 0
            }
            return first
        }
    }
    private var lines: [TenantID: Line<PreparationOrder>] = [:]
    private var turn = Line<TenantID>()
    package private(set) var byteCount = 0
    package var isEmpty: Bool { turn.isEmpty }

    package init() {}

    package mutating func append(_ order: PreparationOrder) {
        let tenant = order.endpoint.tenant
        if lines[tenant] == nil { turn.append(tenant) }
        lines[tenant, default: Line()].append(order)
        byteCount += order.byteCount
    }
    package mutating func popFirst() -> PreparationOrder? {
        guard let tenant = turn.popFirst(), let order = lines[tenant]?.popFirst() else { return nil }
        if lines[tenant]?.isEmpty == true { lines[tenant] = nil } else { turn.append(tenant) }
        byteCount -= order.byteCount
        return order
    }
}
