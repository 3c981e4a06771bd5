// What is to happen at a time, in the order of the times; of two things of one time, the one that was said first.

package struct Agenda {
    private struct Entry {
        var due: UInt64
        var order: UInt64
        var run: () -> Void
        func isBefore(_ other: Entry) -> Bool { due != other.due ? due < other.due : order < other.order }
    }
    private var heap: [Entry] = []
    private var nextOrder: UInt64 = 0

    package init() {}
    package var nextDue: UInt64? { heap.first?.due }
    package mutating func add(_ due: UInt64, _ run: @escaping () -> Void) {
        heap.append(Entry(due: due, order: nextOrder, run: run))
        nextOrder += 1
        var place = heap.count - 1
        while place > 0, heap[place].isBefore(heap[(place - 1) / 2]) {
            heap.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }
    /// The first that is due; nil when nothing is.
    package mutating func take(_ now: UInt64) -> (() -> Void)? {
        guard let first = heap.first, first.due <= now else { return nil }
        let last = heap.removeLast()
        if heap.isEmpty { return first.run }
        heap[0] = last
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count && heap[child].isBefore(heap[least]) {
                least = child
            }
            if least == place { return first.run }
            heap.swapAt(place, least)
            place = least
        }
    }
}
