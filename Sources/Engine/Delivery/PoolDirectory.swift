// Which lane has which of the egress loop's connection pools. A lane gets one when it first sends and keeps it while
// nobody else needs it, so that its connections are used again.
//
// Invariant: a pool belongs to one lane at most; a lane with something in flight keeps its pool. There are more pools
// than orders, so a lane that may send always gets one. If a pool were taken from a lane with orders out, another
// lane's requests would wait behind its concurrency.

/// Whose requests go through a pool: a lane, or a lane's way to its second URL.
package protocol PoolHolder: AnyObject {
    var pool: UInt32? { get }
    var inFlight: Int { get }
    var restStamp: UInt32 { get set }
    func take(pool: UInt32)
    func forgetPool()
}

package struct PoolDirectory {
    private var free: [UInt32]
    /// Lanes that had nothing in flight at some time, oldest first; stale entries are skipped.
    private var resting: [(lane: any PoolHolder, stamp: UInt32)] = []
    private var head = 0

    package init(poolCount: Int) { free = (0..<UInt32(poolCount)).reversed() }

    package mutating func pool(for lane: any PoolHolder) -> UInt32 {
        if let pool = lane.pool { return pool }
        let pool = free.popLast() ?? takeFromResting()
        lane.take(pool: pool)
        return pool
    }
    /// Nothing of the lane is in flight any more.
    package mutating func rest(_ lane: any PoolHolder) {
        guard lane.pool != nil else { return }
        lane.restStamp &+= 1
        resting.append((lane, lane.restStamp))
        // A lane that rests often has many stale entries; O(n) once for n of them.
        if resting.count - head > 4 * max(free.capacity, 1024) { compact() }
    }
    /// The lane ends.
    package mutating func release(_ lane: any PoolHolder) {
        guard let pool = lane.pool else { return }
        lane.forgetPool()
        lane.restStamp &+= 1
        free.append(pool)
    }
    private mutating func takeFromResting() -> UInt32 {
        while head < resting.count {
            let (lane, stamp) = resting[head]
            head += 1
            guard lane.restStamp == stamp, lane.inFlight == 0, let pool = lane.pool else { continue }
            lane.forgetPool()
            if head * 2 > resting.count { compact() }
            return pool
        }
        preconditionFailure("more lanes in flight than pools")
    }
    private mutating func compact() {
        resting = resting[head...].filter { $0.lane.restStamp == $0.stamp }
        head = 0
    }
}
