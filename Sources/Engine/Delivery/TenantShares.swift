// Tenants as the dispatcher knows them while they hold or want something: what each holds of what all share, and whose
// turn it is among those whose lanes wait. Passive. A tenant that wants nothing is not here, so nothing grows with how
// many there are.
//
// A ring is deficit round robin between tenants (Shreedhar and Varghese, 1995), and each tenant's own lanes take turns
// within its turn. There are two: of lanes that are ready, and of those that lack what others hold. The second decides
// who gets what comes free.
//
// Invariants: a line stands in its ring exactly while `isListed`; a tenant with something held or a listed line is in
// `TenantShares`, and `weightSum` is the sum over those. If that failed, a tenant's share would be counted twice, or
// its lanes be forgotten.

import FastPath

/// Lanes of one tenant that wait for the same thing.
final class TenantLine {
    let tenant: TenantID
    fileprivate(set) var weight: Int
    fileprivate var lanes = FIFOQueue<Lane>()
    /// What it may still take in this turn; less than nothing when it took more.
    fileprivate(set) var credit = 0
    fileprivate(set) var isListed = false
    /// It has had the credit of this turn.
    fileprivate var isVisited = false

    fileprivate init(_ tenant: TenantID, weight: Int) {
        self.tenant = tenant
        self.weight = weight
    }
    func charge(_ cost: Int) { credit -= cost }
}

struct TenantRing {
    enum Next {
        case lane(Lane, TenantLine)
        /// No lane of it waits any more.
        case left(TenantLine)
    }
    private var lines = FIFOQueue<TenantLine>()
    private(set) var laneCount = 0
    /// What a tenant of weight 1 may take in a turn.
    private let quantum: Int

    init(quantum: Int) { self.quantum = quantum }
    /// More than one tenant waits.
    var isContended: Bool { lines.count > 1 }

    mutating func append(_ lane: Lane, to line: TenantLine) {
        line.lanes.append(lane)
        laneCount += 1
        guard !line.isListed else { return }
        line.isListed = true
        lines.append(line)
    }
    /// Turns taken for a lane are paid for by what was charged before: one a quantum of it.
    mutating func popFirst() -> Next? {
        while let line = lines.first {
            guard !line.lanes.isEmpty else {
                lines.popFirst()
                (line.isListed, line.isVisited) = (false, false)
                line.credit = min(line.credit, 0)
                return .left(line)
            }
            if !isContended {
                // What others do not want costs nothing.
                (line.credit, line.isVisited) = (0, false)
            } else if !hasTurn(line) {
                rotate()
                continue
            }
            guard let lane = line.lanes.popFirst() else { return nil }
            laneCount -= 1
            return .lane(lane, line)
        }
        return nil
    }
    private func hasTurn(_ line: TenantLine) -> Bool {
        if !line.isVisited {
            line.isVisited = true
            line.credit = min(line.credit + quantum * line.weight, quantum * line.weight)
        }
        return line.credit > 0
    }
    private mutating func rotate() {
        guard let line = lines.popFirst() else { return }
        line.isVisited = false
        lines.append(line)
    }
    /// It cannot take what there is now: the next one may.
    mutating func yield(_ line: TenantLine) { if lines.first === line, isContended { rotate() } }
}

/// One tenant, while it holds or wants something.
package final class TenantShare {
    package let tenant: TenantID
    package fileprivate(set) var weight: Int
    /// By all of its lanes together.
    package fileprivate(set) var held = ResourceShares.Amount()
    /// Lanes that hold something.
    package fileprivate(set) var holderCount = 0
    let ready: TenantLine
    let starved: TenantLine

    fileprivate init(_ tenant: TenantID, weight: Int) {
        self.tenant = tenant
        self.weight = weight
        ready = TenantLine(tenant, weight: weight)
        starved = TenantLine(tenant, weight: weight)
    }
    fileprivate var isIdle: Bool { held.orders == 0 && !ready.isListed && !starved.isListed }
    fileprivate func set(weight: Int) {
        self.weight = weight
        ready.weight = weight
        starved.weight = weight
    }
}

package struct TenantShares {
    package static let weightRange = 1...1000
    private var shares: [TenantID: TenantShare] = [:]
    /// The one that was asked for last: nearly always the next one, too.
    private var latest: TenantShare?
    /// Of those tenants alone whose weight is not 1.
    private var weights: [TenantID: Int] = [:]
    /// Of all tenants that hold or want something.
    package private(set) var weightSum = 0
    package var count: Int { shares.count }

    mutating func share(of tenant: TenantID) -> TenantShare {
        if let latest, latest.tenant == tenant { return latest }
        let share = shares[tenant] ?? made(tenant)
        latest = share
        return share
    }
    private mutating func made(_ tenant: TenantID) -> TenantShare {
        let share = TenantShare(tenant, weight: weights[tenant] ?? 1)
        shares[tenant] = share
        weightSum += share.weight
        return share
    }
    mutating func took(_ block: Int, _ share: TenantShare, isFirstOfLane: Bool) {
        share.held.orders += 1
        share.held.bytes += block
        if isFirstOfLane { share.holderCount += 1 }
    }
    mutating func enlarged(from before: Int, to after: Int, _ share: TenantShare) {
        precondition(share.held.bytes >= before)
        share.held.bytes += after - before
    }
    mutating func gaveBack(_ block: Int, _ share: TenantShare, isLastOfLane: Bool) {
        precondition(share.held.orders > 0 && share.held.bytes >= block)
        share.held.orders -= 1
        share.held.bytes -= block
        if isLastOfLane { share.holderCount -= 1 }
        retire(share.tenant)
    }
    /// It goes if it holds and wants nothing.
    mutating func retire(_ tenant: TenantID) {
        guard let share = shares[tenant], share.isIdle else { return }
        shares[tenant] = nil
        if latest === share { latest = nil }
        weightSum -= share.weight
    }
    /// `weights`: of tenants that have changed, or with `replacing` all that there are; 1 goes without saying.
    mutating func set(_ weights: [TenantID: Int], replacing: Bool) {
        if replacing { self.weights = [:] }
        for (tenant, weight) in weights { self.weights[tenant] = weight == 1 ? nil : weight }
        weightSum = 0
        for share in shares.values {
            share.set(weight: self.weights[share.tenant] ?? 1)
            weightSum += share.weight
        }
    }
}
