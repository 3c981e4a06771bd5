// What others ask of the dispatcher while it runs: endpoints that changed, replays, conditions that an operator sets, a
// copy of the numbers. Everything here happens between two steps, on the dispatcher's thread.

import FastPath

/// One event to be sent again.
package struct Replay: Sendable {
    package var endpoint: EndpointID
    package var place: EventLocation
    /// What the store had of it when it was asked; nil = nothing.
    package var state: DeliveryState?
    /// One attempt, which is not tried again when it fails; one that waits for its retry is sent now in its place.
    package var isManual = false
    /// It is for this endpoint whatever its subscription and its condition say, and goes by its schedule; no lane meets
    /// the event by itself.
    package var isDirected = false
    /// Store time; what is for later is sent no sooner, unless by hand.
    package var notBeforeMillis: Int64 = 0

    package init(endpoint: EndpointID, place: EventLocation, state: DeliveryState?) {
        self.endpoint = endpoint
        self.place = place
        self.state = state
    }
}

/// What became of it.
package enum ReplayResult: Equatable, Sendable {
    case accepted
    /// A delivery of it is already waiting or out.
    case alreadyPending
    /// The lane has not come to it yet; it will be delivered anyway.
    case notReached
    case unknownEndpoint
    /// It gets nothing until somebody enables it.
    case endpointDisabled
    /// Not in the log, or not there any more.
    case unknownEvent
    /// A request that holds several events; each of them can be sent again.
    case requestOfSeveral
    /// The store cannot take it now.
    case busy
}

/// What an operator does to an endpoint.
package enum EndpointCommand: Equatable, Sendable {
    case enable
    case disable
    /// Nil = until it is enabled.
    case pause(millis: Int64?)
    /// What waits for a later attempt is tried now.
    case retryNow
}

extension Dispatcher {
    /// Those that have a lane, removed ones included.
    package func known(among endpoints: [EndpointID]) -> Set<EndpointID> {
        Set(endpoints.filter { lanes[$0.number]?.isForgotten == false })
    }
    /// Lanes that are new begin where their plan says; known ones keep their place and what is out.
    package func publish(_ plans: [LanePlan], now: UInt64) {
        // Those that follow the shared mark first: a lane with a mark of its own may move the shared place to it while
        // nobody else reads there.
        for plan in plans where plan.mark == nil { publish(plan, now: now) }
        for plan in plans where plan.mark != nil { publish(plan, now: now) }
    }
    private func publish(_ plan: LanePlan, now: UInt64) {
        if let lane = lanes[plan.endpoint.id.number], !lane.isForgotten {
            change(lane, to: plan.endpoint, now: now)
        } else {
            open(plan, now: now)
        }
    }
    private func open(_ plan: LanePlan, now: UInt64) {
        let lane = Lane(plan.endpoint, state: plan.state, mark: plan.mark)
        adjust(lane, pending: plan.open.pending, dead: plan.open.dead)
        if !plan.recorded.isEmpty {
            lane.work = LaneWork(
                storeHasRows: lane.pendingCount > 0, recorded: plan.recorded, isOrdered: lane.endpoint.order != nil,
                wantsAll: lane.batchesInOrder)
        }
        recallTrouble(of: lane)
        lanes[lane.id.number] = lane
        conditions[lane.toldCondition, default: 0] += 1
        begin(countingBreakerOf: lane)
        subscribe(lane)
        if lane.health.returned(nowMillis: clock.millis(at: now)) {
            note(lane, now: now)
        }
        if let mark = plan.mark {
            committedMarks[lane.id] = mark
            if !join(lane, at: mark) { reconsider(lane, now: now) }
        } else {
            sharedCount += 1
        }
        leaveBreaker(lane, now: now)
        if lane.health.state.condition == .paused { rest(lane, now: now) }
        guard lane.pendingCount > 0 else { return }
        // What waits holds back what comes, so all of it must be known first.
        guard lane.endpoint.order == nil, !lane.batchesInOrder else { return scheduler.makeReady(lane) }
        scheduler.wake(lane, at: clock.nanos(at: plan.open.dueMillis - limits.retryAheadMillis))
    }
    private func subscribe(_ lane: Lane) {
        matcher.set(
            lane.endpoint.subscription, of: lane.id, tenant: lane.endpoint.tenant, subscriber: lane)
    }
    private func change(_ lane: Lane, to endpoint: CompiledEndpoint, now: UInt64) {
        let (old, new) = (lane.endpoint.configuration, endpoint.configuration)
        let hasMoved = new.url != old.url
        let hasOtherOrder =
            new.ordered != old.ordered || new.orderKey != old.orderKey
            || new.policies.coalesce?.key != old.policies.coalesce?.key
            || (new.policies.batch == nil) != (old.policies.batch == nil)
        let (wasDeaf, before) = (lane.isDeaf, lane.endpoint)
        if endpoint.tenant != lane.endpoint.tenant { matcher.remove(lane.id, tenant: lane.endpoint.tenant) }
        lane.endpoint = endpoint
        changeCredentials(of: lane, from: before, now: now)
        subscribe(lane)
        lane.renewDestination()
        if hasOtherOrder {
            lane.work?.reorder(
                isOrdered: endpoint.order != nil, wantsAll: lane.batchesInOrder,
                isBusy: !lane.isAllBack)
            // Nothing may be out that would bring it back, and what waits is to be read.
            scheduler.makeReady(lane)
        }
        if lane.isRemoved {
            lane.isRemoved = false
            removedCount -= 1
            conditions[lane.toldCondition, default: 0] += 1
            if lane.health.returned(nowMillis: clock.millis(at: now)) {
                note(lane, now: now)
            }
        }
        lane.work?.memory?.settingsChanged(from: old.policies, to: new.policies)
        delayChanged(lane, from: old.policies.delayMillis, to: new.policies.delayMillis, now: now)
        if endpoint.preparation == nil { forgetPreparedSizes(of: lane.id) }
        // Whatever the old place asked for or did, the new one has not.
        if hasMoved, lane.health.state.reason != .operatorRequest {
            lane.work?.pace = LanePace()
            lane.work?.refusals = RefusalStreak()
            lane.work?.memory = nil
            lane.isProven = false
            let staysDisabled = endpoint.family.dropsWhileDisabled && lane.health.state.condition == .disabled
            if !staysDisabled, lane.health.enabled(nowMillis: clock.millis(at: now)) { note(lane, now: now) }
        }
        leaveBreaker(lane, now: now)
        if wasDeaf, !lane.isDeaf { passBy(lane) }
        reconsider(lane, now: now)
    }
    /// What came while it was deaf stays behind it.
    private func passBy(_ lane: Lane) {
        let end = log.committedEnd
        guard lane.place(shared: shared).sequence < end.sequence else { return }
        guard lane.reading != .shared else { return leaveShared(lane, at: end) }
        lane.reading = .alone(end)
        markDirty(lane)
    }
    /// They get nothing any more. With `forgetting` their places and rows go too.
    package func remove(_ endpoints: [EndpointID], forgetting: Bool, now: UInt64) {
        for id in endpoints {
            guard let lane = lanes[id.number] else { continue }
            matcher.remove(id, tenant: lane.endpoint.tenant)
            if lane.reading == .shared { leaveShared(lane, at: shared) }
            if !lane.isRemoved {
                lane.isRemoved = true
                removedCount += 1
                conditions[lane.toldCondition, default: 0] -= 1
            }
            if forgetting, !lane.isForgotten {
                adjust(lane, pending: -lane.pendingCount, dead: -lane.deadCount)
                backlogTotal -= lane.work?.backlog.count ?? 0
                lane.isForgotten = true
                count(reason: .none, of: lane)
                committedMarks[id] = nil
                forgetPreparedSizes(of: id)
                if !reauthorized.isEmpty { reauthorized = reauthorized.filter { $0.endpoint != id } }
                dirty.removeAll { $0 === lane }
                lane.isDirty = false
            } else if !forgetting, lane.health.removed(nowMillis: clock.millis(at: now)) {
                note(lane, now: now)
            }
            endIfOver(lane)
        }
        if forgetting { ask(.forget(endpoints), now: now) }
    }
    /// Nothing of a removed lane is out any more. One whose place is kept stays known, so that it can come back.
    func endIfOver(_ lane: Lane) {
        guard lane.isRemoved, lane.isAllBack else { return }
        if let route = lane.knownFailoverRoute { pools.release(route) }
        pools.release(lane)
        selection.remove(lane)
        guard lane.isForgotten, lanes[lane.id.number] === lane else { return }
        lanes[lane.id.number] = nil
        removedCount -= 1
    }

    /// Of tenants; all others have 1. O(tenants that hold or want something).
    package func set(weights: [TenantID: Int], replacing: Bool) {
        scheduler.set(weights: weights, replacing: replacing)
    }

    // MARK: Conditions

    /// Durable with the next batch. False for an endpoint that is not there.
    package func perform(_ command: EndpointCommand, on endpoint: EndpointID, now: UInt64) -> Bool {
        guard let lane = lanes[endpoint.number], !lane.isRemoved else { return false }
        let nowMillis = clock.millis(at: now)
        var hasChanged = false
        let wasDeaf = lane.isDeaf
        switch command {
        case .enable:
            lane.work?.pace = LanePace()
            lane.work?.refusals = RefusalStreak()
            lane.work?.memory?.breaker = CircuitBreaker()
            hasChanged = lane.health.enabled(nowMillis: nowMillis)
        case .disable: hasChanged = lane.health.disabled(.operatorRequest, nowMillis: nowMillis)
        case .pause(let millis):
            hasChanged = lane.health.paused(
                .operatorRequest, untilMillis: millis.map { nowMillis + $0 } ?? 0, nowMillis: nowMillis)
        case .retryNow:
            lane.work?.pace = LanePace()
            lane.work?.refusals = RefusalStreak()
            if lane.health.state.condition == .paused, lane.health.state.reason == .askedForLess {
                hasChanged = lane.health.enabled(nowMillis: nowMillis)
            } else if lane.breakerPhase == .open {
                hasChanged = move(lane, to: .halfOpen, now: now)
            }
            if lane.pendingCount > 0 { ask(.expedite(endpoint: endpoint, due: nowMillis), now: now) }
        }
        if hasChanged {
            note(lane, now: now)
            batch.isDurable = true
        }
        if wasDeaf, !lane.isDeaf { passBy(lane) }
        reconsider(lane, now: now)
        return true
    }
    /// Endpoints that will get such an event, unless they are disabled before it reaches them.
    package func subscriberCount(tenant: TenantID, source: SourceID, type: [UInt8]) -> Int {
        type.withView { view in
            matcher.subscribers(tenant: tenant, source: source, type: view).count { !$0.isDeaf && !$0.isRemoved }
        }
    }
    /// Whether one that is not disabled would get such an event. `channels`: of the event, comma-separated.
    package func isWanted(tenant: TenantID, source: SourceID, type: [UInt8], channels: [UInt8]) -> Bool {
        type.withView { type in
            channels.withView { channels in
                matcher.subscribers(tenant: tenant, source: source, type: type, channels: channels)
                    .contains { !$0.isRemoved && !$0.isDisabled }
            }
        }
    }

    // MARK: Replays

    /// Sends events again that their endpoints have behind them, or gives them ones that they never had: the same
    /// `webhook-id`, attempts counted from the start. What the store had of them may be old by now; what has come since
    /// is in batches on their way, and the store says then what each replaces.
    package func replay(_ replays: [Replay], now: UInt64) -> [ReplayResult] {
        if !batch.rows.isEmpty {
            guard store.hasRoom else { return replays.map { _ in .busy } }
            seal(now: now)
        }
        return replays.map { replay($0, now: now) }
    }
    private func replay(_ replay: Replay, now: UInt64) -> ReplayResult {
        let (place, state) = (replay.place, replay.state)
        guard let lane = lanes[replay.endpoint.number], !lane.isRemoved else { return .unknownEndpoint }
        guard replay.isDirected || !lane.isDisabled else { return .endpointDisabled }
        let mark = lane.mark() ?? shared
        // What has a row the lane has behind it, even while an older event still holds its mark back.
        guard state != nil || replay.isDirected || place.sequence < mark.sequence else { return .notReached }
        guard makeRoomInBatch(now: now) else { return .busy }
        let isTaken = replay.isManual && lane.working.retries.take(place.sequence)
        guard isTaken || state != .pending && !lane.working.retries.isScheduled(place.sequence) else {
            return .alreadyPending
        }
        let nowMillis = clock.millis(at: now)
        let due = replay.isManual ? nowMillis : max(nowMillis, replay.notBeforeMillis)
        let policies = lane.endpoint.policies
        let hasDeadline = policies?.deadlineMillis != nil || policies?.errors != nil
        let attempts =
            (replay.isManual ? AttemptCount.manual : 0) | (replay.isDirected ? AttemptCount.directed : 0)
            | (hasDeadline ? AttemptCount.replayed : 0)
        count(lane) { $0.replayed += 1 }
        let row = DeliveryRow(
            endpoint: lane.id, place: place, state: .pending, attempts: attempts, status: 0, result: .abandoned,
            reason: nil, dueMillis: due, updatedMillis: nowMillis)
        record(row, lane, now: now)
        batch.replays.append(DeliveryKey(row))
        adjust(lane, pending: 1, dead: 0)
        batch.isDurable = true
        let key = RetryKey(dueMillis: due, sequence: place.sequence)
        lane.working.retries.schedule(RetryEntry(key: key, position: place.position, attempts: attempts))
        if !row.isPostponed { note(waiting: row, lane) }
        scheduler.makeReady(lane)
        return .accepted
    }

    // MARK: Numbers

    package func status(of endpoint: EndpointID, now: UInt64) -> LaneStatus? {
        guard let lane = lanes[endpoint.number], !lane.isRemoved else { return nil }
        return status(lane, now: now)
    }
    private func status(_ lane: Lane, now: UInt64) -> LaneStatus {
        let place = lane.place(shared: shared).sequence
        let end = log.committedEnd.sequence
        var state = lane.health.state
        if lane.endpoint.configuration.disabled {
            state.condition = .disabled
            state.reason = .configuration
        }
        return LaneStatus(
            endpoint: lane.id, tenant: lane.endpoint.tenant, name: lane.endpoint.name, state: state,
            inFlight: lane.inFlightAtTarget + lane.failoverCount, pending: max(lane.pendingCount, 0),
            dead: max(lane.deadCount, 0),
            backlog: lane.work?.backlog.count ?? 0, lagEvents: end > place ? end - place : 0,
            isSlowed: lane.pauseEnd(now: now) != nil, oldestOutstanding: lane.mark()?.sequence)
    }
    /// The first sequence that a lane still needs as the store knows it; nil when none needs any. Removed endpoints and
    /// those that said 410 hold nothing back, ones that are disabled otherwise do.
    package func lowWater() -> UInt64? {
        var lowest: UInt64?
        if sharedCount > 0 { lowest = committedShared.sequence }
        for (id, mark) in committedMarks {
            guard let lane = lanes[id.number], !lane.isRemoved, !lane.health.state.reason.isEnd else { continue }
            lowest = min(lowest ?? .max, mark.sequence)
        }
        return lowest
    }
    package func metrics(now: UInt64) -> DeliveryMetrics {
        var metrics = DeliveryMetrics()
        selection.refresh()
        metrics.lanes = selection.selected.map { lane, base in
            LaneMetrics(status: status(lane, now: now), counters: lane.counters?.less(base) ?? LaneCounters())
        }
        metrics.others = metrics.lanes.reduce(totals) { $0.less($1.counters) }
        metrics.endpointCount = lanes.count - removedCount
        metrics.conditions = conditions
        metrics.breakers = breakers
        metrics.policyEvents = policyEvents
        metrics.failures = failures
        metrics.pending = pendingTotal
        metrics.dead = deadTotal
        metrics.backlog = backlogTotal
        metrics.eventsRead = eventsRead
        metrics.eventsUnreadable = eventsUnreadable
        metrics.tlsFailures = tlsFailures
        metrics.preparation = preparationFigures
        metrics.tokens = tokens.figures
        metrics.failovers = failoverFigures
        metrics.payloadBytesLeased = pool.leasedBytes
        metrics.payloadBytes = pool.byteCount
        metrics.ordersOut = slots.outCount
        metrics.batchesWaiting = batchesOut
        metrics.starvedLanes = scheduler.starvedCount
        metrics.lowWater = lowWater()
        return metrics
    }
}
