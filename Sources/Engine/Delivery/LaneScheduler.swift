// Which lanes have something to do: those that are ready, those that wait for a resource, each by tenant in turn
// (`TenantShares`), and timers. Passive; the time comes in. The dispatcher looks at no other lane, so what is idle
// costs nothing but its memory.
//
// Invariants: a lane is in the ready ring exactly while `isReady`, in the starved one exactly while `isStarved`, never
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
    package private(set) var tenants = TenantShares()
    private var ready: TenantRing
    private var starved: TenantRing
    /// So many starved lanes may try again.
    private var tries = 0
    /// Whose turn it is, while a lane of it is served.
    private var serving: (line: TenantLine, isContended: Bool, isStarved: Bool)?
    private var timers = BinaryHeap<Timer>()
    /// Entries of the heap that are valid.
    private var validCount = 0

    /// `unit`: what an order costs that takes less memory than its part of it.
    package init(unit: Int = 32 << 10) {
        ready = TenantRing(quantum: unit * LaneScheduler.readyUnits)
        starved = TenantRing(quantum: unit)
    }
    /// Orders in one turn of a tenant of weight 1 while there is enough for all: so that turns cost little.
    private static let readyUnits = 16

    package var readyCount: Int { ready.laneCount }
    package var starvedCount: Int { starved.laneCount }
    /// Lanes of more than one tenant wait for what others hold.
    package var isContended: Bool { starved.isContended }
    /// Starved lanes that may try again now.
    package var tryCount: Int { min(tries, starved.laneCount) }
    /// Entries of the heap, stale ones included.
    package var timerCount: Int { timers.count }
    /// Nil when no timer is set.
    package var nextTimer: UInt64? { timers.first?.at }

    package mutating func makeReady(_ lane: Lane) {
        guard !lane.schedule.isReady else { return }
        // A starved one that is ready for another reason as well stays where it is: it still lacks the resource.
        guard !lane.schedule.isStarved else { return }
        lane.schedule.isReady = true
        ready.append(lane, to: tenants.share(of: lane.endpoint.tenant).ready)
    }
    /// Of the tenant whose turn it is, the lane that has been ready longest; it leaves the list. It is served until
    /// `served` is called.
    package mutating func popReady() -> Lane? {
        while let next = ready.popFirst() {
            switch next {
            case .left(let line): tenants.retire(line.tenant)
            case .lane(let lane, let line):
                lane.schedule.isReady = false
                serving = (line, ready.isContended, false)
                return lane
            }
        }
        return nil
    }
    /// It wants a resource that others hold; the next `wakeStarved` calls let it try again in its turn.
    package mutating func starve(_ lane: Lane) {
        guard !lane.schedule.isStarved, !lane.schedule.isReady else { return }
        lane.schedule.isStarved = true
        starved.append(lane, to: tenants.share(of: lane.endpoint.tenant).starved)
    }
    /// A resource came free: `count` of those that wait may try again.
    package mutating func wakeStarved(_ count: Int) {
        // One that cannot take what there is may be asked again before others are.
        tries = min(tries + count, max(starved.laneCount, LaneScheduler.triesMax))
    }
    private static let triesMax = 64
    /// The next that may try again, as `popReady`.
    package mutating func popStarved() -> Lane? {
        while tries > 0, let next = starved.popFirst() {
            switch next {
            case .left(let line): tenants.retire(line.tenant)
            case .lane(let lane, let line):
                tries -= 1
                lane.schedule.isStarved = false
                serving = (line, starved.isContended, true)
                return lane
            }
        }
        if starved.laneCount == 0 { tries = 0 }
        return nil
    }

    // MARK: The turn of a tenant

    /// True exactly when the tenant whose lane is served has had its turn, and others wait for theirs.
    package var isTurnOver: Bool { serving.map { $0.isContended && $0.line.credit <= 0 } ?? false }
    /// Nothing where no lane is served.
    package func charge(_ cost: Int) { serving?.line.charge(cost) }
    /// The turn of the lane that was popped last is over. `lacks`: what it wants is not there for it, though it may be
    /// for others.
    package mutating func served(lacks: Bool) {
        if lacks, let serving, serving.isStarved { starved.yield(serving.line) }
        serving = nil
    }
    /// It has something to do yet: it waits where it has waited.
    package mutating func goesOn(_ lane: Lane) {
        guard let serving, serving.isStarved, serving.isContended else { return makeReady(lane) }
        starve(lane)
        wakeStarved(1)
    }
    package mutating func took(_ block: Int, of tenant: TenantID, isFirstOfLane: Bool) -> TenantShare {
        let share = tenants.share(of: tenant)
        tenants.took(block, share, isFirstOfLane: isFirstOfLane)
        return share
    }
    package mutating func gaveBack(_ block: Int, _ share: TenantShare, isLastOfLane: Bool) {
        tenants.gaveBack(block, share, isLastOfLane: isLastOfLane)
    }
    /// An order takes another block than it had.
    package mutating func enlarged(from before: Int, to after: Int, _ share: TenantShare) {
        tenants.enlarged(from: before, to: after, share)
    }
    package mutating func share(of tenant: TenantID) -> TenantShare { tenants.share(of: tenant) }
    package mutating func set(weights: [TenantID: Int], replacing: Bool) {
        tenants.set(weights, replacing: replacing)
    }

    // MARK: Timers

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
