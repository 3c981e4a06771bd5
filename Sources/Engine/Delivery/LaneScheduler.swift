// Which lanes have something to do: a ready list, those that wait for a resource, and timers. Passive; the time comes
// in. The dispatcher looks at no other lane, so what is idle costs nothing but its memory.
//
// Invariants: a lane is in the ready list exactly while `isReady`, in the starved list exactly while `isStarved`, never
// in both; `timerAt` is the time of its only valid timer, `.max` when there is none (older entries of the heap are
// stale, skipped, and at most half of the heap). If they fail, a lane is forgotten forever, or served twice in one
// round.

/// What the scheduler keeps in each lane.
package struct LaneSchedule {
    fileprivate(set) var timerAt = UInt64.max
    /// Of the valid timer; older entries of the heap have others.
    fileprivate var timerStamp: UInt32 = 0
    fileprivate(set) var isReady = false
    fileprivate(set) var isStarved = false
}

package struct LaneScheduler {
    /// Ordered by time.
    private struct Timer: Comparable {
        let at: UInt64
        let stamp: UInt32
        let lane: Lane
        var isValid: Bool { lane.schedule.timerStamp == stamp && lane.schedule.timerAt == at }
        static func < (left: Timer, right: Timer) -> Bool { left.at < right.at }
        static func == (left: Timer, right: Timer) -> Bool { left.at == right.at }
    }
    private var ready = LaneQueue()
    private var starved = LaneQueue()
    private var timers = BinaryHeap<Timer>()
    /// Entries of the heap that are valid.
    private var validCount = 0

    package init() {}

    package var readyCount: Int { ready.count }
    package var starvedCount: Int { starved.count }
    /// Entries of the heap, stale ones included.
    package var timerCount: Int { timers.count }
    /// Nil when no timer is set.
    package var nextTimer: UInt64? { timers.first?.at }

    package mutating func makeReady(_ lane: Lane) {
        guard !lane.schedule.isReady else { return }
        // A starved one that is ready for another reason as well stays where it is: it still lacks the resource.
        guard !lane.schedule.isStarved else { return }
        lane.schedule.isReady = true
        ready.append(lane)
    }
    /// The lane that has been ready longest; it leaves the list.
    package mutating func popReady() -> Lane? {
        guard let lane = ready.popFirst() else { return nil }
        lane.schedule.isReady = false
        return lane
    }
    /// It wants a resource that others hold; the next `wakeStarved` calls bring it back in its turn.
    package mutating func starve(_ lane: Lane) {
        guard !lane.schedule.isStarved, !lane.schedule.isReady else { return }
        lane.schedule.isStarved = true
        starved.append(lane)
    }
    /// A resource came free: the `count` that wait longest may try again.
    package mutating func wakeStarved(_ count: Int) {
        for _ in 0..<count {
            guard let lane = starved.popFirst() else { return }
            lane.schedule.isStarved = false
            makeReady(lane)
        }
    }
    /// Makes the lane ready at `time`, unless an earlier timer does so already.
    package mutating func wake(_ lane: Lane, at time: UInt64) {
        guard time < lane.schedule.timerAt else { return }
        if lane.schedule.timerAt == .max { validCount += 1 }
        lane.schedule.timerAt = time
        lane.schedule.timerStamp &+= 1
        timers.insert(Timer(at: time, stamp: lane.schedule.timerStamp, lane: lane))
        dropStale()
    }
    /// A lane whose next retry is a day away and that fails now and then sets an earlier timer each time: without this
    /// the overtaken ones would pile up for that day. O(n log n) once for n/2 insertions.
    private mutating func dropStale() {
        guard timers.count >= LaneScheduler.timerCountMin, timers.count > 2 * validCount else { return }
        timers.removeAll { !$0.isValid }
    }
    private static let timerCountMin = 64
    /// Lanes whose time has come become ready.
    package mutating func fireTimers(now: UInt64) {
        while let first = timers.first, first.at <= now {
            timers.popFirst()
            guard first.isValid else { continue }
            first.lane.schedule.timerAt = .max
            validCount -= 1
            makeReady(first.lane)
        }
    }
}

/// First in, first out.
private struct LaneQueue {
    private var lanes: [Lane] = []
    private var head = 0

    var count: Int { lanes.count - head }
    mutating func append(_ lane: Lane) { lanes.append(lane) }
    mutating func popFirst() -> Lane? {
        guard head < lanes.count else { return nil }
        let lane = lanes[head]
        head += 1
        if head == lanes.count {
            lanes.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 1024, head * 2 >= lanes.count {
            lanes.removeFirst(head)
            head = 0
        }
        return lane
    }
}
