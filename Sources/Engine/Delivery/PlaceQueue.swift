// Events that a lane wants and had no room for when all others passed them: each is read once more when there is room,
// instead of everything from there on. Bounded; a lane that is further behind reads by itself.

package struct PlaceQueue {
    /// 16 bytes each.
    package static let countMax = 1024
    private var places = FIFOQueue<EventLocation>()

    package init() {}
    package var count: Int { places.count }
    package var isEmpty: Bool { places.isEmpty }
    package var isFull: Bool { count >= PlaceQueue.countMax }
    var all: ArraySlice<EventLocation> { places.all }
    package var first: EventLocation? { places.first }
    package mutating func append(_ place: EventLocation) { places.append(place) }
    package mutating func removeFirst() { places.popFirst() }
}
