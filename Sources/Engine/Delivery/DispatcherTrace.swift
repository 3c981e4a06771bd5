// Where one event stands at some lanes, and what holds it there: for people who ask why. Read-only; between two steps,
// on the dispatcher's thread. O(orders out + what waits at those lanes).

import FastPath

package enum LaneStanding: Equatable, Sendable {
    /// An attempt of it is being made.
    case attempting
    /// It is for this endpoint and waits for room.
    case queued
    /// It waits for those before it in the endpoint's order.
    case heldByOrder
    /// It has failed, and waits for its time.
    case scheduled
    /// The endpoint has not come to it.
    case notReached
    /// The endpoint has it behind itself.
    case behind
}

/// What keeps a lane from sending at this moment.
package enum LaneHold: Equatable, Sendable {
    case disabled
    case paused(untilMillis: Int64)
    /// Its answers have asked for less.
    case pace(untilMillis: Int64)
    /// So many deliveries a second and no more.
    case rate(untilMillis: Int64)
    /// Retries are as many as its budget has for them; holds back only what has failed.
    case budget(untilMillis: Int64)
    /// As many as it takes at once are out, or as are tried with it now.
    case concurrency
    /// The addresses of its host are being looked up.
    case address
    /// An access token is being asked for.
    case authorization
}

package struct LaneTrace: Equatable, Sendable {
    package var standing: LaneStanding
    package var holds: [LaneHold]
    package init(standing: LaneStanding, holds: [LaneHold]) {
        self.standing = standing
        self.holds = holds
    }
}

extension Dispatcher {
    /// Of those endpoints that have a lane.
    package func trace(_ sequence: UInt64, at endpoints: [EndpointID], now: UInt64) -> [EndpointID: LaneTrace] {
        var out: Set<EndpointID> = []
        slots.forEachOut { order in
            let places = order.members.map { $0.map(\.place) } ?? [order.place]
            if places.contains(where: { $0.sequence == sequence }), let lane = order.lane { out.insert(lane.id) }
        }
        var traces: [EndpointID: LaneTrace] = [:]
        for id in endpoints {
            guard let lane = lanes[id.number], !lane.isRemoved else { continue }
            let standing = out.contains(id) ? .attempting : standing(of: sequence, at: lane)
            traces[id] = LaneTrace(standing: standing, holds: holds(of: lane, now: now))
        }
        return traces
    }
    private func standing(of sequence: UInt64, at lane: Lane) -> LaneStanding {
        if let work = lane.work {
            if work.order?.isHeld(sequence) == true { return .heldByOrder }
            if work.deferred.contains(where: { $0.place.sequence == sequence }) || work.backlog.contains(sequence) {
                return .queued
            }
            if work.retries.isScheduled(sequence) { return .scheduled }
        }
        return sequence >= lane.place(shared: shared).sequence ? .notReached : .behind
    }
    private func holds(of lane: Lane, now: UInt64) -> [LaneHold] {
        var holds: [LaneHold] = []
        if lane.isDisabled { holds.append(.disabled) }
        if lane.health.state.condition == .paused { holds.append(.paused(untilMillis: lane.health.state.untilMillis)) }
        if let end = lane.pauseEnd(now: now) { holds.append(.pace(untilMillis: clock.millis(at: end))) }
        if let end = lane.holdEnd(now: now), lane.pauseEnd(now: now) == nil {
            holds.append(.rate(untilMillis: clock.millis(at: end)))
        }
        if let end = lane.budgetEnd(now: now), lane.work?.retries.nextRepeatMillis != nil {
            holds.append(.budget(untilMillis: clock.millis(at: end)))
        }
        if lane.inFlightAtTarget >= lane.allowance || lane.isFullOfFailovers { holds.append(.concurrency) }
        if lane.isAwaitingHost { holds.append(.address) }
        if isAwaitingToken(lane) { holds.append(.authorization) }
        return holds
    }
}

extension PlaceQueue {
    func contains(_ sequence: UInt64) -> Bool { all.contains { $0.sequence == sequence } }
}
