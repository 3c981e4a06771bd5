// One endpoint's way through the log: where it stands, what is out with it, how fast it may go, what waits for a retry.
// Passive: the time comes in, decisions go out; the dispatcher moves the bytes. A lane knows nothing of other lanes.
//
// A lane that has nothing to do is this object and no more; what a busy one needs is its `work`, made when it is first
// wanted and dropped when the lane is quiet again.
//
// Invariants: `inFlight` counts the slots that name this lane; the mark never goes back while the process runs; an
// event before it is in the store or not wanted, one between it and the lane's place is also in `outstanding` or
// `backlog`.

import FastPath

/// Where a lane reads.
package enum LaneReading: Equatable, Sendable {
    /// Along with all others that keep up, at the shared place.
    case shared
    /// By itself, from its own place.
    case alone(EventLocation)
}

/// An attempt that could not be made and must not be forgotten; its event still holds the mark back or is scheduled.
package struct DeferredAttempt: Sendable {
    package var place: EventLocation
    package var attempts: UInt16
    package var origin: AttemptOrigin

    package init(place: EventLocation, attempts: UInt16, origin: AttemptOrigin) {
        self.place = place
        self.attempts = attempts
        self.origin = origin
    }
}

/// Whether the store knows the delivery already.
package enum AttemptOrigin: Equatable, Sendable {
    /// A first attempt; the ticket of its entry in the outstanding window.
    case first(ticket: UInt64)
    /// A pending row that was due then.
    case retry(dueMillis: Int64)
}

/// What a lane needs while it has something to do.
package final class LaneWork {
    package var outstanding = OutstandingWindow()
    package var retries: RetryQueue
    package var deferred: [DeferredAttempt] = []
    package var backlog = PlaceQueue()
    package var pace = LanePace()
    package var spacing = DeliverySpacing()
    /// While every attempt of the last moments was refused.
    package var refusals = RefusalStreak()
    /// What its endpoint's policies remember; nil when that is nothing.
    package var memory: LaneMemory?
    /// Nil when the endpoint asks for none.
    package var order: LaneOrder?
    /// Of an endpoint that wants only the newest of each key.
    package var coalescing = LaneCoalescing()
    /// Of an endpoint that gets several events in one request.
    package var window = BatchWindow()
    /// Turns in which it only read, one behind the other.
    package var readTurns: UInt8 = 0
    /// What went last was new, or else had its row: what is of the other kind goes first.
    package var sentNewLast = true
    package var retriesInFlight = 0
    /// Bytes it may still take in this round.
    package var deficit = 0
    /// Sequences from the mark on that had a row at start, ascending; those before `recordedNext` are behind the lane.
    private var recorded: [UInt64] = []
    private var recordedNext = 0

    /// `wantsAll`: of the rows, though there are no lines to keep an order by.
    package init(
        storeHasRows: Bool, recorded: [UInt64] = [], isOrdered: Bool = false, wantsAll: Bool = false
    ) {
        retries = RetryQueue(storeHasRows: storeHasRows, wantsAll: isOrdered || wantsAll)
        if isOrdered { order = LaneOrder() }
        self.recorded = recorded
    }
    /// The endpoint asks for another order from now on, or for none. What was held back goes when it is due; where
    /// there is an order, that is when everything that is out has come back and all that waits is known.
    package func reorder(isOrdered: Bool, wantsAll: Bool, isBusy: Bool) {
        for held in order?.disband() ?? [] {
            guard case .retry(let due) = held.origin else { continue }
            let key = RetryKey(dueMillis: due, sequence: held.place.sequence)
            retries.putBack(RetryEntry(key: key, position: held.place.position, attempts: held.attempts))
        }
        coalescing = LaneCoalescing()
        retries.setWantsAll(isOrdered || wantsAll)
        if wantsAll { retries.reload() }
        order = isOrdered ? LaneOrder(awaitsReturn: isBusy || !deferred.isEmpty || !retries.isEmpty) : nil
    }
    /// What was out under an earlier order is back: everything that waits is looked at again.
    package func orderBegins() {
        order?.awaitsReturn = false
        retries.reload()
    }
    /// True exactly when the order of all that waits is known, as far as that can be.
    package var mayRetry: Bool {
        guard let order else { return true }
        return order.isComplete && retries.isKnown
    }
    package func takesNew(in kind: DeliveryOrder) -> Bool {
        guard let order, order.isComplete, retries.hasAll else { return false }
        if case .ofAll = kind { return order.isEmpty }
        return order.memberCount < LaneOrder.memberCountMax
    }
    /// True exactly when the store had the event already when the lane was opened. Ask with ascending sequences.
    package func wasRecorded(_ sequence: UInt64) -> Bool {
        guard recordedNext < recorded.count else { return false }
        while recordedNext < recorded.count, recorded[recordedNext] < sequence { recordedNext += 1 }
        let isRecorded = recordedNext < recorded.count && recorded[recordedNext] == sequence
        if recordedNext == recorded.count {
            recorded = []
            recordedNext = 0
        }
        return isRecorded
    }
    /// True exactly when nothing would be lost with it.
    package var isQuiet: Bool {
        outstanding.isEmpty && backlog.isEmpty && deferred.isEmpty && retries.isEmpty && recorded.isEmpty && pace.isFull
            && spacing.isIdle && memory == nil && order?.isEmpty ?? true
    }
}

/// What is counted for one lane.
package final class LaneTally {
    package var counters = LaneCounters()
    package init() {}
}

package final class Lane: PoolHolder {
    /// How its endpoint does; nil while there is nothing to say of it.
    private final class Past {
        var health: EndpointHealth
        /// See `Lane.troubledSince`.
        var troubledSince: Int64 = 0
        init(_ health: EndpointHealth) { self.health = health }
    }
    /// Where its requests go; nil until it has one to send.
    private final class Route {
        var pool: UInt32?
        var known = KnownDestination()
        var failover: FailoverRoute?
    }
    package var endpoint: CompiledEndpoint
    private var past: Past?
    private var route: Route?
    package var work: LaneWork?
    /// Nil until the first attempt of this process.
    package var tally: LaneTally?
    // From here on in an order that leaves no gaps.
    package var schedule = LaneSchedule()
    package var isDirty = false
    /// True exactly when its last attempt succeeded: see `ResourceShares`.
    package var isProven = false
    package private(set) var held = ResourceShares.Amount()
    /// Deliveries that go to its second URL, or wait to, and those of them that are in flight; they take nothing of
    /// what the target may have.
    package private(set) var failoverCount = 0
    private var failoversOut = 0
    package var inFlightAtTarget: Int { inFlight - failoversOut }
    /// Nothing of it is out, or waits to go to its second URL.
    package var isAllBack: Bool { inFlight == 0 && failoverCount == 0 }
    /// Pending and dead rows of the store.
    package var pendingCount = 0
    package var deadCount = 0
    package var reading: LaneReading
    /// The configuration names it no more; the lane ends when nothing of it is out.
    package var isRemoved = false
    /// Nothing about it is kept any more.
    package var isForgotten = false
    /// The address that answered last: outlives the work, for a lane that is given an event now and then would try one
    /// that does not answer each time.
    package var addressIndex: UInt8 = 0
    /// The condition that was last told to the outside.
    package var toldCondition: EndpointCondition
    package var restStamp: UInt32 = 0
    /// What the last sealed batch said, and what the store has confirmed; nil = it follows the shared mark.
    package var sealedMark: EventLocation?
    /// True exactly while it is in the list of those that a reply of the resolver brings back.
    package var isAwaitingHost = false
    /// True exactly while it stands in the list of those that will join the shared place.
    package var isJoining = false
    /// Of the condition that was last told.
    package var toldReason: EndpointReason

    package init(_ endpoint: CompiledEndpoint, state: EndpointState, mark: EventLocation?) {
        self.endpoint = endpoint
        if state != EndpointState(endpoint: endpoint.id) { past = Past(EndpointHealth(state)) }
        toldCondition = state.condition
        toldReason = state.reason
        reading = mark.map { .alone($0) } ?? .shared
        sealedMark = mark
    }
    package var health: EndpointHealth {
        get { past?.health ?? EndpointHealth(EndpointState(endpoint: id)) }
        set {
            if let past { past.health = newValue } else { past = Past(newValue) }
        }
    }
    package var counters: LaneCounters? { tally?.counters }
    package var breakerPhase: BreakerPhase { past?.health.breakerPhase ?? .closed }
    /// Store time since when somebody who listens knows that it fails; 0 = nobody does.
    package var troubledSince: Int64 {
        get { past?.troubledSince ?? 0 }
        set { past?.troubledSince = newValue }
    }

    /// Its connection pool in the egress loop, while it has one; `destination` is kept as long.
    package var pool: UInt32? { route?.pool }
    package var destination: Destination? { route?.known.current }
    package var destinationVersion: UInt64 { route?.known.version ?? 0 }
    package var lastDestination: Destination? { route?.known.last }
    private var routeTaken: Route {
        let taken = route ?? Route()
        route = taken
        return taken
    }
    package func take(pool: UInt32) { routeTaken.pool = pool }
    package func lead(to destination: Destination, version: UInt64) {
        routeTaken.known.lead(to: destination, version: version)
    }
    package func renewDestination() {
        route?.known.renew()
        route?.failover?.known.renew()
    }
    /// The way to its second URL.
    package var failoverRoute: FailoverRoute {
        let known = routeTaken.failover ?? FailoverRoute()
        routeTaken.failover = known
        return known
    }
    /// Nil while nothing has gone there.
    package var knownFailoverRoute: FailoverRoute? { route?.failover }
    /// Whatever it has next leads through another pool, without connections.
    package func forgetPool() { route = nil }
    package var id: EndpointID { endpoint.id }
    package var inFlight: Int { held.orders }
    /// Its endpoint wants only the newest event of each key.
    package var coalesces: Bool { endpoint.policies?.coalesce != nil }
    /// Gets nothing now, whatever it wants.
    package var isStopped: Bool {
        if endpoint.family.dropsWhileDisabled { return isRemoved || past?.health.state.condition == .paused }
        return isRemoved || endpoint.configuration.disabled || past?.health.state.isStopped ?? false
    }
    /// It is disabled, and what comes meanwhile goes past it; only what is for it whatever its condition is sent.
    package var isDeaf: Bool { endpoint.family.dropsWhileDisabled && isDisabled }
    package var isDisabled: Bool {
        endpoint.configuration.disabled || past?.health.state.condition == .disabled
    }
    /// What it needs while busy, made if it has none.
    package var working: LaneWork {
        if let work { return work }
        let made = LaneWork(
            storeHasRows: pendingCount > 0, isOrdered: endpoint.order != nil, wantsAll: batchesInOrder)
        work = made
        return made
    }
    /// Where its policies remember; made if they have nothing yet.
    package var remembering: LaneMemory {
        let work = working
        if let memory = work.memory { return memory }
        let made = LaneMemory()
        work.memory = made
        return made
    }
    /// Requests that it may have out at once now.
    package var allowance: Int { allowance(work) }
    private func allowance(_ work: LaneWork?) -> Int {
        let whole = work.map { $0.refusals.isOn ? 1 : $0.pace.allowance(endpoint.concurrency) } ?? endpoint.concurrency
        guard let policies = endpoint.policies else { return whole }
        if policies.batch != nil, endpoint.configuration.ordered { return min(whole, 1) }
        // One probe at a time.
        if breakerPhase == .halfOpen { return min(whole, 1) }
        return work?.memory?.concurrency.map { min(whole, $0.allowance) } ?? whole
    }
    /// Whether one more attempt may go out: a first one, or one that was put off. Where only the newest of a key is
    /// wanted: whether one more event may be met.
    package func hasRoom(now: UInt64) -> Bool {
        if let batch = endpoint.policies?.batch { return !isStopped && takesNew(for: batch) }
        if coalesces, let order = endpoint.order { return !isStopped && working.takesNew(in: order) }
        guard !isStopped, mayHaveAnother else { return false }
        if let order = endpoint.order, !working.takesNew(in: order) { return false }
        guard let work else { return true }
        return !isHeld(work, now: now) && !work.outstanding.isFull
    }
    private var mayHaveAnother: Bool {
        inFlightAtTarget < allowance(work) && !isFullOfFailovers
    }
    /// As many as its concurrency are at its second URL or wait to be: nothing new, so that what waits has a bound.
    package var isFullOfFailovers: Bool { failoverCount >= max(1, endpoint.concurrency) }
    /// Two batches wait at most: the rest waits in the log. What is to be delivered later than they go is in none.
    private func takesNew(for batch: BatchSettings) -> Bool {
        guard let work else { return !batchesInOrder || pendingCount == 0 }
        return !work.retries.hasFirsts(2 * batch.events, until: work.window.last)
            && (!batchesInOrder || work.retries.hasAll)
    }
    /// One batch goes when the one before it is done.
    package var batchesInOrder: Bool { endpoint.policies?.batch != nil && endpoint.configuration.ordered }
    /// One is due, or full.
    package func hasBatch(nowMillis: Int64) -> Bool {
        guard let work else { return false }
        if let due = work.retries.nextDueMillis, due <= nowMillis { return true }
        return work.retries.nextFirstMillis.map { $0 <= work.window.fullUntil } ?? false
    }
    /// Of first attempts, with nothing before it that it waits for.
    package func hasUnsentBatch(nowMillis: Int64) -> Bool {
        guard let work, let due = work.retries.unsentDueMillis else { return false }
        let waits = batchesInOrder && work.retries.nextRepeatMillis != nil
        return !waits && due <= max(nowMillis, work.window.fullUntil)
    }
    private func isHeld(_ work: LaneWork, now: UInt64) -> Bool {
        work.pace.isPaused(now: now) || spacingEnd(work, now: now) != nil
    }
    private func spacingEnd(_ work: LaneWork, now: UInt64) -> UInt64? {
        let throttle = endpoint.spacingNanos.flatMap { work.spacing.end(now: now, intervalNanos: $0) }
        guard let rate = endpoint.policies?.rate, let memory = work.memory,
            let end = memory.bucket.end(now: now, intervalNanos: rate.intervalNanos, burst: rate.burst)
        else { return throttle }
        return max(throttle ?? 0, end)
    }
    /// When the next one that has failed may be tried again, where a budget holds it back. First attempts that wait for
    /// their time go all the same.
    package func budgetEnd(now: UInt64) -> UInt64? {
        guard endpoint.policies?.retryBudget != nil else { return nil }
        return work?.memory?.budget?.end(now: now)
    }
    /// Retries take at most half of what the lane may have out, so that an endpoint that failed for a day still gets
    /// its new events.
    package func hasRoomForRetry(now: UInt64) -> Bool {
        let allowance = allowance(work)
        guard !isStopped, mayHaveAnother, let work, work.mayRetry else { return false }
        if batchesInOrder, !work.retries.isKnown { return false }
        // Where only the newest is wanted, and in batches, everything that is sent is sent as a retry is.
        let most = coalesces || endpoint.policies?.batch != nil ? allowance : max(1, allowance / 2)
        return work.retriesInFlight < most && !isHeld(work, now: now)
    }
    /// What is new takes at most half where it goes first, so that what waits for its turn has the other.
    package func hasRoomBeforeRetries(now: UInt64) -> Bool {
        inFlightAtTarget - (work?.retriesInFlight ?? 0) < max(1, allowance / 2) && hasRoom(now: now)
    }
    /// A deferred attempt is already in the outstanding window or scheduled, so it needs neither.
    package func hasRoomForDeferred(now: UInt64) -> Bool {
        guard !isStopped, mayHaveAnother else { return false }
        return work.map { !isHeld($0, now: now) } ?? true
    }
    /// When it may go on; nil when nothing holds it back, or nothing that time ends.
    package func pauseEnd(now: UInt64) -> UInt64? {
        guard let work, work.pace.isPaused(now: now) else { return nil }
        return work.pace.pausedUntil
    }
    /// The same, for its rate too.
    package func holdEnd(now: UInt64) -> UInt64? {
        guard let work else { return nil }
        let pause = work.pace.isPaused(now: now) ? work.pace.pausedUntil : 0
        let end = max(pause, spacingEnd(work, now: now) ?? 0)
        return end > 0 ? end : nil
    }
    package func attemptBegan(_ origin: AttemptOrigin, bytes: Int) {
        held.orders += 1
        held.bytes += bytes
        if case .retry = origin { working.retriesInFlight += 1 }
    }
    package func attemptEnded(_ origin: AttemptOrigin, bytes: Int) {
        precondition(held.orders > 0 && held.bytes >= bytes)
        held.orders -= 1
        held.bytes -= bytes
        if case .retry = origin { working.retriesInFlight -= 1 }
    }
    /// One more for the second URL. It waits for its turn; then it has taken so many bytes.
    package func failoverBegan() { failoverCount += 1 }
    package func failoverTook(bytes: Int) {
        held.orders += 1
        held.bytes += bytes
        failoversOut += 1
    }
    /// `bytes` nil: it never was sent.
    package func failoverEnded(bytes: Int?) {
        precondition(failoverCount > 0)
        failoverCount -= 1
        guard let bytes else { return }
        precondition(failoversOut > 0 && held.orders > 0 && held.bytes >= bytes)
        held.orders -= 1
        held.bytes -= bytes
        failoversOut -= 1
    }
    package func place(shared: EventLocation) -> EventLocation {
        switch reading {
        case .shared: shared
        case .alone(let place): place
        }
    }
    /// Everything that the lane wants before this sequence has been met: it is out, done, or has its row.
    package func frontier(shared: EventLocation) -> UInt64 {
        work?.backlog.first?.sequence ?? place(shared: shared).sequence
    }
    /// Where a restart would go on; nil = with the shared mark. Places in the backlog are behind every outstanding one.
    package func mark() -> EventLocation? {
        if !isPlanted(.markPassesOutstanding), let held = work?.outstanding.oldest ?? work?.backlog.first {
            return held
        }
        switch reading {
        case .shared: return nil
        case .alone(let place): return place
        }
    }
    /// Something is there that could go out now, as far as the lane alone can tell.
    package func hasImmediateWork(nowMillis: Int64, aheadMillis: Int64, shared: EventLocation, end: UInt64) -> Bool {
        guard !isStopped else { return false }
        if case .alone(let place) = reading, place.sequence < end || place.sequence == shared.sequence { return true }
        guard let work else { return pendingCount > 0 }
        if !work.deferred.isEmpty || !work.backlog.isEmpty || work.order?.unread.isEmpty == false { return true }
        if let due = work.retries.nextDueMillis, due <= nowMillis { return true }
        if endpoint.policies?.batch != nil, hasBatch(nowMillis: nowMillis) { return true }
        return work.retries.wantedLoad(nowMillis: nowMillis, aheadMillis: aheadMillis) != nil
    }
}
