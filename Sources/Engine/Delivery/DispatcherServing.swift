// The dispatcher's orders: which event goes to which lane next. Lanes that have something of their own to do come
// first, by tenant in turn and then each for its quantum (deficit round robin on both levels): attempts that were put
// off, then retries and what it is behind with, either of which goes first when the other has gone last. Then all lanes
// that keep up, from one shared read.
//
// A lane that has no room for an event it wants notes its place (backlog) and stays; when that list is full it leaves
// the shared place and keeps its own, and joins again when it has caught up. So the shared place never waits for
// anybody.

import FastPath

extension Dispatcher {
    /// Why a lane's turn ended.
    enum TurnEnd {
        /// Nothing is left that could go out now.
        case done
        /// Its own bound: an outcome of its own brings it back.
        case laneFull
        /// Others hold what it wants, or the store's queue is full.
        case starved
        /// Its quantum is used up.
        case more
        /// The log cannot be read there now.
        case unavailable
    }
    private static var heldRetriesMax: Int { 64 }
    /// Of filters, for as much of a turn as a byte.
    private static var workPerByte: Int { 16 }
    private static var orderReadsMax: Int { 64 }
    private static var readTurnsMax: UInt8 { 64 }
    private static var unavailableNanos: UInt64 { 100_000_000 }

    /// True when lanes are left that are ready. What has come free goes to those that wait for it, before others may
    /// want it too.
    func serveReady(now: UInt64) -> Bool {
        if scheduler.tryCount > 0, scheduler.isContended {
            keepsToParts = true
            let refused = serveStarved(now: now)
            keepsToParts = false
            scheduler.wakeStarved(refused)
        }
        _ = serveStarved(now: now)
        var count = min(scheduler.readyCount, limits.lanesPerStep)
        while count > 0, mayFilter, let lane = scheduler.popReady() {
            count -= 1
            _ = served(lane, now: now)
        }
        return scheduler.readyCount > 0 || slots.hasFree && scheduler.tryCount > 0
    }
    /// Returns how many could not take what there is.
    private func serveStarved(now: UInt64) -> Int {
        var (count, refused) = (limits.lanesPerStep, 0)
        while count > 0, slots.hasFree, mayFilter, let lane = scheduler.popStarved() {
            count -= 1
            let outBefore = slots.outCount
            let end = served(lane, now: now)
            if end == .starved { refused += 1 }
            // It wanted nothing after all: another may try in its place.
            if end != .starved, slots.outCount == outBefore { scheduler.wakeStarved(1) }
        }
        return refused
    }
    /// What is over the step's budget of filters waits for the next.
    private var mayFilter: Bool { filterWork < limits.filterWorkPerStep }
    private func served(_ lane: Lane, now: UInt64) -> TurnEnd {
        lanesServed += 1
        let end = serve(lane, now: now)
        switch end {
        case .more: scheduler.goesOn(lane)
        case .starved: scheduler.starve(lane)
        case .unavailable: scheduler.wake(lane, at: now + Self.unavailableNanos)
        case .done, .laneFull: rest(lane, now: now)
        }
        scheduler.served(lacks: end == .starved && slots.hasFree)
        return end
    }
    /// Looks at a lane again after something about it changed.
    func reconsider(_ lane: Lane, now: UInt64) {
        let end = log.committedEnd.sequence
        if lane.hasImmediateWork(
            nowMillis: clock.millis(at: now), aheadMillis: limits.retryAheadMillis, shared: shared, end: end)
        {
            scheduler.makeReady(lane)
        } else {
            rest(lane, now: now)
        }
    }
    /// Sets the timer that brings it back, and drops what it does not need while it is quiet.
    func rest(_ lane: Lane, now: UInt64) {
        if case .alone(let place) = lane.reading, !lane.isStopped, place.sequence >= log.committedEnd.sequence {
            if !lane.isJoining {
                lane.isJoining = true
                joining.append(lane)
            }
        }
        if lane.health.state.condition == .paused, lane.health.state.untilMillis > 0 {
            scheduler.wake(lane, at: clock.nanos(at: lane.health.state.untilMillis))
        }
        guard let work = lane.work else { return }
        work.spacing.expire(now: now)
        if let end = lane.holdEnd(now: now) {
            scheduler.wake(lane, at: end)
        } else if !lane.isStopped {
            wakeForRetries(of: lane, work, now: now)
        }
        if work.memory != nil { restMemory(lane, work, now: now) }
        if lane.isAllBack, work.isQuiet { lane.work = nil }
        // So that nothing is kept of a lane that has nothing more to send.
        if lane.inFlight == 0, !work.spacing.isIdle { scheduler.wake(lane, at: work.spacing.idleAt) }
    }

    /// At the next due time, or when the budget has a token again. What is due and waits for room needs no timer.
    private func wakeForRetries(of lane: Lane, _ work: LaneWork, now: UInt64) {
        let nowMillis = clock.millis(at: now)
        var due = work.retries.nextDueMillis
        if let end = lane.budgetEnd(now: now), let repeated = work.retries.nextRepeatMillis, repeated <= nowMillis {
            note(.budgetHeld)
            scheduler.wake(lane, at: end)
            due = work.retries.nextFirstMillis
        }
        if lane.batchesInOrder, let repeated = work.retries.nextRepeatMillis { due = repeated }
        if let due, due > nowMillis { scheduler.wake(lane, at: clock.nanos(at: due)) }
    }

    private func serve(_ lane: Lane, now: UInt64) -> TurnEnd {
        endPause(lane, now: now)
        guard !lane.isStopped else { return .done }
        guard lane.holdEnd(now: now) == nil else { return .done }
        askForRetries(lane, now: now)
        guard case .known(let way) = way(to: lane, now: now) else { return .done }
        let work = lane.working
        work.deficit = min(work.deficit, 0) + limits.quantumBytes
        var end = sendDeferred(lane, way: way, now: now)
        if end == .done { end = findOrder(lane, now: now) }
        if let batch = lane.endpoint.policies?.batch {
            if end == .done { end = serveBatches(lane, batch, way: way, now: now) }
            if end == .done || end == .laneFull { end = serveBacklog(lane, way: way, now: now) }
            if end == .done { end = readAlone(lane, way: way, now: now) }
            // What was read may have filled one.
            let isWaiting = lane.hasUnsentBatch(nowMillis: clock.millis(at: now))
            if end == .done || end == .laneFull, isWaiting, lane.hasRoomForRetry(now: now) { end = .more }
        } else if lane.coalesces {
            if end == .done { end = readOn(lane, way: way, now: now) }
            if end == .done { end = serveRetries(lane, way: way, now: now) }
        } else if end == .done {
            end = serveInTurn(lane, way: way, now: now)
        }
        // What was sent may have ended at once and let another one go.
        let hasTurn = end == .done || end == .laneFull && lane.hasRoomForDeferred(now: now)
        if hasTurn, !work.deferred.isEmpty { end = .more }
        if end != .more { work.deficit = 0 }
        return end
    }
    /// What is new and what has its row each go first when the other has gone last. Where one of them could have all
    /// that there is (a place, a token of the rate, the quantum), both have half of it.
    private func serveInTurn(_ lane: Lane, way: Way, now: UInt64) -> TurnEnd {
        var end = TurnEnd.done
        if !lane.working.sentNewLast { end = serveNew(lane, way: way, isFirst: true, now: now) }
        // What is new may lie where the log cannot be read; retries lie elsewhere.
        if end == .done || end == .laneFull || end == .unavailable { end = serveRetries(lane, way: way, now: now) }
        // Retries at their bound do not stop what is new.
        if end == .done || end == .laneFull { end = serveNew(lane, way: way, isFirst: false, now: now) }
        return end
    }
    /// `isFirst`: what has its row comes behind it.
    private func serveNew(_ lane: Lane, way: Way, isFirst: Bool, now: UInt64) -> TurnEnd {
        let end = serveBacklog(lane, way: way, isFirst: isFirst, now: now)
        return end == .done ? readAlone(lane, way: way, isFirst: isFirst, now: now) : end
    }
    /// Of the lane, and of its tenant where others wait.
    func hasTurn(_ work: LaneWork) -> Bool { work.deficit > 0 && !scheduler.isTurnOver }
    func pay(_ byteCount: Int, _ work: LaneWork) {
        work.deficit -= byteCount
        scheduler.charge(byteCount)
    }
    /// As far as the log goes, or the lane's bound, so that what is sent is the newest; not for ever, where more comes
    /// than it reads. `.done`: what waits may go.
    private func readOn(_ lane: Lane, way: Way, now: UInt64) -> TurnEnd {
        let work = lane.working
        guard work.readTurns < Self.readTurnsMax else {
            work.readTurns = 0
            return .done
        }
        var end = serveBacklog(lane, way: way, now: now)
        if end == .done { end = readAlone(lane, way: way, now: now) }
        if end == .done, lane.reading == .shared, shared.sequence < log.committedEnd.sequence {
            // Others read for it in this step.
            work.deficit = 0
            end = .more
        }
        work.readTurns = end == .more ? work.readTurns + 1 : 0
        return end == .laneFull ? .done : end
    }
    /// Every row that a queue left to the store must be on its way there before the page is asked for, and so must what
    /// is to be cancelled: a page that was read before that would bring it back.
    private func askForRetries(_ lane: Lane, now: UInt64) {
        guard lane.work != nil || lane.pendingCount > 0 else { return }
        let nowMillis = clock.millis(at: now)
        while let load = lane.working.retries.wantedLoad(nowMillis: nowMillis, aheadMillis: limits.retryAheadMillis) {
            guard questions.isEmpty, store.hasRoom else { return scheduler.wake(lane, at: now + Self.unavailableNanos) }
            if !batch.isEmpty { seal(now: now) }
            guard store.hasRoom else { return scheduler.wake(lane, at: now + Self.unavailableNanos) }
            store.submit(.loadPending(endpoint: lane.id, load, limit: RetryQueue.pageCount))
            lane.working.retries.beginLoad(load)
        }
    }

    /// Reads the events of pending deliveries whose place in the lane's order is not known yet.
    private func findOrder(_ lane: Lane, now: UInt64) -> TurnEnd {
        guard let order = lane.endpoint.order, let work = lane.work, work.order != nil else { return .done }
        if work.order?.awaitsReturn == true {
            guard lane.isAllBack else { return .laneFull }
            work.orderBegins()
            askForRetries(lane, now: now)
        }
        var count = 0
        while let place = work.order?.nextUnread() {
            guard work.retries.isScheduled(place.sequence) else { continue }
            if case .ofAll = order {
                work.order?.enrol(place.sequence, key: DeliveryOrder.commonKey)
                continue
            }
            // It may end here.
            guard makeRoomInBatch(now: now) else {
                work.order?.note(place)
                return .starved
            }
            switch log.read(at: place) {
            case .event(let event) where event.place.sequence == place.sequence && !event.isErased:
                if lane.coalesces {
                    enter(pending: event, lane, now: now)
                } else {
                    work.order?.enrol(place.sequence, key: order.key(of: event, in: groups))
                }
            case .unavailable:
                work.order?.note(place)
                return .unavailable
            // Its attempt says what became of it.
            case .event, .end, .unreadable: break
            }
            count += 1
            guard count < Self.orderReadsMax else { return .more }
        }
        return .done
    }

    // MARK: Attempts that were put off, and retries

    private func sendDeferred(_ lane: Lane, way: Way, now: UInt64) -> TurnEnd {
        while let next = lane.working.deferred.last {
            guard hasTurn(lane.working) else { return .more }
            guard lane.hasRoomForDeferred(now: now) else { return .laneFull }
            guard makeRoomInBatch(now: now) else { return .starved }
            // Taken out before: its end may let another one go.
            lane.working.deferred.removeLast()
            guard !waitsForBudget(next, lane, now: now) else { continue }
            let result = attempt(
                lane, place: next.place, attempts: next.attempts, origin: next.origin, way: way, now: now)
            if case .ended(let byteCount) = result {
                pay(byteCount, lane.working)
                continue
            }
            lane.working.deferred.append(next)
            if case .blocked = result { return .starved }
            return .unavailable
        }
        return .done
    }
    /// True when it is a retry that has to ask for its budget like every other: it stands among those again. Where an
    /// order is kept it has its turn, which no other may take.
    private func waitsForBudget(_ deferred: DeferredAttempt, _ lane: Lane, now: UInt64) -> Bool {
        guard AttemptCount.number(of: deferred.attempts) > 0, case .retry(let due) = deferred.origin,
            lane.endpoint.order == nil, lane.budgetEnd(now: now) != nil
        else { return false }
        let key = RetryKey(dueMillis: due, sequence: deferred.place.sequence)
        lane.working.retries.putBack(
            RetryEntry(key: key, position: deferred.place.position, attempts: deferred.attempts))
        return true
    }
    private func serveRetries(_ lane: Lane, way: Way, now: UInt64) -> TurnEnd {
        let nowMillis = clock.millis(at: now)
        // Those that the disk cannot read now do not hold up the ones behind them.
        var held: [RetryEntry] = []
        var end = TurnEnd.done
        serving: while held.count < Self.heldRetriesMax {
            guard lane.hasRoomForRetry(now: now) else {
                if let due = lane.work?.retries.nextDueMillis, due <= nowMillis { end = .laneFull }
                break
            }
            guard makeRoomInBatch(now: now) else {
                end = .starved
                break
            }
            let isSpent = lane.budgetEnd(now: now) != nil
            guard let entry = lane.working.retries.popDue(nowMillis: nowMillis, withRepeats: !isSpent) else { break }
            // What ends without being sent takes no room, but is read.
            guard hasTurn(lane.working) else {
                held.append(entry)
                end = .more
                break
            }
            guard !standsBehindUnmet(entry, lane) else {
                held.append(entry)
                continue
            }
            let origin = AttemptOrigin.retry(dueMillis: entry.key.dueMillis)
            let put = DeferredAttempt(place: entry.place, attempts: entry.attempts, origin: origin)
            if lane.working.order?.holdsBack(put) == true { continue }
            switch attempt(lane, place: entry.place, attempts: entry.attempts, origin: origin, way: way, now: now) {
            case .ended(let byteCount):
                lane.working.sentNewLast = false
                pay(byteCount, lane.working)
            case .unavailable: held.append(entry)
            case .blocked:
                held.append(entry)
                end = .starved
                break serving
            }
        }
        // Some may have been superseded since.
        for entry in held where lane.working.retries.isScheduled(entry.key.sequence) {
            lane.working.retries.putBack(entry)
        }
        if !held.isEmpty, end == .done { scheduler.wake(lane, at: now + Self.unavailableNanos) }
        return end
    }

    /// After a restart: it was held back behind one that was out when the process died, has no row, and is to be read
    /// again. Only while the lane can read on.
    private func standsBehindUnmet(_ entry: RetryEntry, _ lane: Lane) -> Bool {
        guard let order = lane.endpoint.order, case .byKey = order else { return false }
        guard entry.key.sequence >= lane.frontier(shared: shared) else { return false }
        return lane.work?.takesNew(in: order) ?? false
    }

    // MARK: What a lane is behind with

    private func serveBacklog(_ lane: Lane, way: Way, isFirst: Bool = false, now: UInt64) -> TurnEnd {
        let work = lane.working
        while let place = work.backlog.first {
            guard hasTurn(work) else { return .more }
            // Before the read, which is the costly part.
            guard isFirst ? lane.hasRoomBeforeRetries(now: now) : lane.hasRoom(now: now) else { return .laneFull }
            guard makeRoomInBatch(now: now) else { return .starved }
            switch attempt(lane, place: place, attempts: 0, origin: nil, way: way, now: now) {
            case .ended(let byteCount):
                work.sentNewLast = true
                pay(byteCount, work)
            case .blocked: return .starved
            case .unavailable: return .unavailable
            }
            work.backlog.removeFirst()
            backlogTotal -= 1
            markDirty(lane)
        }
        return .done
    }
    private func readAlone(_ lane: Lane, way: Way, isFirst: Bool = false, now: UInt64) -> TurnEnd {
        let work = lane.working
        let end = log.committedEnd.sequence
        while case .alone(let place) = lane.reading {
            // Whoever is alone at the shared place is behind as long as there is something to read: from there it would
            // take what others want, in no turn.
            if place.sequence >= end || sharedCount > 0, join(lane, at: place) { return .done }
            guard place.sequence < end else { return .done }
            guard hasTurn(work) else { return .more }
            guard isFirst ? lane.hasRoomBeforeRetries(now: now) : lane.hasRoom(now: now) else { return .laneFull }
            guard makeRoomInBatch(now: now) else { return .starved }
            switch log.read(at: place) {
            case .end: return .done
            case .unavailable: return .unavailable
            case .unreadable(let next):
                passOver(place.sequence..<next.sequence)
                lane.reading = .alone(next)
                markDirty(lane)
            case .event(let event):
                eventsRead += 1
                // What a lane does not want costs it the reading only.
                let before = filterWork
                let isWanted = wants(lane, event)
                var cost = event.readingCost + (filterWork - before) / Self.workPerByte
                if isWanted, !work.wasRecorded(event.place.sequence) {
                    guard case .ended(let byteCount) = send(event, lane, attempts: 0, origin: nil, way: way, now: now)
                    else { return .starved }
                    cost = max(cost, byteCount)
                }
                work.sentNewLast = true
                pay(cost, work)
                lane.reading = .alone(event.next)
                markDirty(lane)
            }
        }
        return .done
    }
    private func wants(_ lane: Lane, _ event: StoredEvent) -> Bool {
        event.tenant == lane.endpoint.tenant && !event.isRequestOfBatch && !event.isErased && !lane.isDeaf
            && lane.endpoint.subscription.wants(
                source: sourceID(of: event), isEnveloped: event.isEnveloped, type: event.eventType.array,
                channels: event.channels)
            && passesFilter(lane, event)
    }
    /// Of events that the lane wants otherwise; what its filter does not let through is counted. A shadow's share is
    /// asked for here, before anything of the event is kept for it.
    private func passesFilter(_ lane: Lane, _ event: StoredEvent) -> Bool {
        if let shadow = lane.endpoint.policies?.shadow, !shadow.wants(event.place.sequence, endpoint: lane.id) {
            return false
        }
        guard let filter = lane.endpoint.filter else { return true }
        guard filter.verdict(on: FilterInput(event), work: &filterWork) != .matches else { return true }
        count(lane) { $0.filtered += 1 }
        return false
    }
    /// True when the lane reads with the others from now on.
    func join(_ lane: Lane, at place: EventLocation) -> Bool {
        if sharedCount == 0, place.sequence > shared.sequence { shared = place }
        guard place.sequence == shared.sequence else { return false }
        lane.reading = .shared
        sharedCount += 1
        markDirty(lane)
        return true
    }

    // MARK: Lanes that keep up

    /// True when its bound was met while more could have been read.
    func serveShared(now: UInt64) -> Bool {
        if !joining.isEmpty { letJoin() }
        let end = log.committedEnd.sequence
        var count = 0
        defer { if count > 0, !joining.isEmpty { letJoin() } }
        while sharedCount > 0, shared.sequence < end {
            guard count < limits.sharedEventsPerStep else { return true }
            // Without a free slot, too: what comes may be of a tenant that has none out, and is to have its turn.
            guard makeRoomInBatch(now: now) else { return false }
            switch log.read(at: shared) {
            case .end, .unavailable: return false
            case .unreadable(let next):
                passOver(shared.sequence..<next.sequence)
                shared = next
            case .event(let event):
                eventsRead += 1
                offerShared(event, now: now)
                shared = event.next
            }
            count += 1
        }
        return false
    }
    private func letJoin() {
        let end = log.committedEnd.sequence
        joining.removeAll { lane in
            let stays = !lane.isRemoved && waitsToJoin(lane, end: end)
            lane.isJoining = stays
            return !stays
        }
    }
    private func waitsToJoin(_ lane: Lane, end: UInt64) -> Bool {
        guard case .alone(let place) = lane.reading, !join(lane, at: place) else { return false }
        // The shared place has gone past it, or events have come that it can read by itself.
        guard place.sequence < end else { return true }
        scheduler.makeReady(lane)
        return false
    }
    func sourceID(of event: StoredEvent) -> SourceID { groups.source(of: event) }
    private func offerShared(_ event: StoredEvent, now: UInt64) {
        guard !event.isRequestOfBatch, !event.isErased else { return }
        let subscribers = matcher.subscribers(
            tenant: event.tenant, source: sourceID(of: event), isEnveloped: event.isEnveloped, type: event.eventType,
            channels: event.channels)
        for lane in subscribers where lane.reading == .shared && !lane.isDeaf {
            // It asks its filter in a turn of its own, and is back when it has caught up.
            guard lane.endpoint.filter == nil || mayFilter else {
                leaveShared(lane, at: event.place)
                scheduler.makeReady(lane)
                continue
            }
            guard passesFilter(lane, event) else { continue }
            if let work = lane.work {
                guard !work.wasRecorded(event.place.sequence) else { continue }
                if work.backlog.isEmpty, offer(event, lane, now: now) { continue }
            } else if offer(event, lane, now: now) {
                continue
            }
            putOff(event, lane)
        }
    }
    private func putOff(_ event: StoredEvent, _ lane: Lane) {
        let work = lane.working
        guard !work.backlog.isFull else { return leaveShared(lane, at: event.place) }
        work.backlog.append(event.place)
        backlogTotal += 1
        markDirty(lane)
    }
    /// False when there is no room or no memory for it now; somebody then brings the lane back.
    private func offer(_ event: StoredEvent, _ lane: Lane, now: UInt64) -> Bool {
        guard lane.hasRoom(now: now) else {
            if let end = lane.holdEnd(now: now) { scheduler.wake(lane, at: end) }
            return false
        }
        guard slots.hasFree, makeRoomInBatch(now: now) else {
            scheduler.starve(lane)
            return false
        }
        switch way(to: lane, now: now) {
        case .awaited: return false
        case .known(let way):
            guard way.isOpen else {
                scheduler.makeReady(lane)
                return false
            }
            guard case .ended = send(event, lane, attempts: 0, origin: nil, way: way, now: now) else {
                scheduler.starve(lane)
                return false
            }
            return true
        }
    }
    private func passOver(_ sequences: Range<UInt64>) {
        eventsUnreadable += UInt64(sequences.count)
        let before = passedOver ?? sequences
        passedOver =
            min(before.lowerBound, sequences.lowerBound)..<max(before.upperBound, sequences.upperBound)
    }
}
