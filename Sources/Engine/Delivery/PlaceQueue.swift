// Events that a lane wants and had no room for when all others passed them: each is read once more when there is room,
// instead of everything from there on. Bounded; a lane that is further behind reads by itself.

package struct PlaceQueue {
    /// 16 bytes each.
    package static let countMax = 1024
    private var places: [EventLocation] = []
    private var head = 0

    package init() {}
    package var count: Int { places.count - head }
    package var isEmpty: Bool { head == places.count }
    package var isFull: Bool { count >= PlaceQueue.countMax }
    var all: ArraySlice<EventLocation> { places[head...] }
    package var first: EventLocation? { isEmpty ? nil : places[head] }
    package mutating func append(_ place: EventLocation) {
        if head > PlaceQueue.countMax {
            places.removeFirst(head)
            head = 0
        }
        places.append(place)
    }
    package mutating func removeFirst() {
        head += 1
        guard head == places.count else { return }
        places.removeAll(keepingCapacity: true)
        head = 0
    }
}
