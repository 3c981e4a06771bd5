// The dispatcher's orders: which event goes to which lane next. Retries first (bounded by half of each lane), then all
// lanes that keep up from one shared read, then each lane that lags by itself, by deficit round robin.
//
// A lane that has no room for an event it wants notes its place (backlog) and stays; when that list is full it leaves
// the shared place and keeps its own, and joins again when it has caught up. So the shared place never waits for
// anybody.

import FastPath

extension Dispatcher {
    /// True when a bound was met while more could have been done.
    func dispatch(now: UInt64) -> Bool {
        guard !lanes.isEmpty else { return false }
        rotation = (rotation + 1) % lanes.count
        var isBusy = serveRetries(now: now)
        isBusy = serveShared(now: now) || isBusy
        return serveLagging(now: now) || isBusy
    }

    // MARK: Retries

    private func serveRetries(now: UInt64) -> Bool {
        let nowMillis = clock.millis(at: now)
        var isBusy = false
        for step in 0..<lanes.count {
            let index = (rotation + step) % lanes.count
            let lane = lanes[index]
            sendDeferred(index, now: now)
            // Those that the disk cannot read now do not hold up the ones behind them.
            var held: [RetryEntry] = []
            serving: while held.count < Self.heldRetriesMax, lane.hasRoomForRetry(now: now), makeRoomInBatch(now: now),
                slots.hasFree
            {
                guard let entry = lane.retries.popDue(nowMillis: nowMillis) else { break }
                let origin = AttemptOrigin.retry(dueMillis: entry.key.dueMillis)
                switch attempt(index, place: entry.place, attempts: entry.attempts, origin: origin, now: now) {
                case .settled: isBusy = true
                case .unavailable: held.append(entry)
                case .blocked:
                    held.append(entry)
                    break serving
                }
            }
            for entry in held { lane.retries.putBack(entry) }
        }
        return isBusy
    }
    private static var heldRetriesMax: Int { 64 }
    private enum AttemptVerdict {
        /// Sent, or an end was made of it; what sending it counts for.
        case settled(byteCount: Int)
        case blocked
        /// The log cannot be read there now.
        case unavailable
    }
    private func sendDeferred(_ index: Int, now: UInt64) {
        let lane = lanes[index]
        while let next = lane.deferred.last, lane.hasRoomForDeferred(now: now), slots.hasFree,
            makeRoomInBatch(now: now)
        {
            guard
                case .settled = attempt(
                    index, place: next.place, attempts: next.attempts, origin: next.origin, now: now)
            else { return }
            lane.deferred.removeLast()
        }
    }
    /// Reads the event again and sends it. `origin` is nil for one that the lane has noted and never sent.
    private func attempt(_ index: Int, place: EventPlace, attempts: UInt16, origin: AttemptOrigin?, now: UInt64)
        -> AttemptVerdict
    {
        switch log.read(at: place) {
        case .event(let event) where event.place.sequence == place.sequence:
            let verdict = send(event, lane: index, attempts: attempts, origin: origin, now: now)
            let byteCount = 64 + event.fieldLines.count + event.body.count
            return verdict == .blocked ? .blocked : .settled(byteCount: byteCount)
        case .event, .end:
            bury(index, place: place, attempts: attempts, origin: origin, reason: .eventMissing, now: now)
        case .unreadable:
            // The disk may recover; it costs an attempt, so that it ends.
            eventsUnreadable += 1
            failed(
                index, place: place, attempts: attempts + 1, origin: origin, outcome: nil, lastReason: .eventMissing,
                now: now)
        case .unavailable: return .unavailable
        }
        return .settled(byteCount: 0)
    }

    // MARK: Lanes that keep up

    private func serveShared(now: UInt64) -> Bool {
        let end = log.committedEnd.sequence
        var count = 0
        while sharedCount > 0, shared.sequence < end {
            guard count < limits.sharedEventsPerStep else { return true }
            guard slots.hasFree, makeRoomInBatch(now: now) else { return false }
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
    private func offerShared(_ event: StoredEvent, now: UInt64) {
        for index in subscriptions.lanes(source: event.source, type: event.eventType) {
            let lane = lanes[index]
            guard lane.reading == .shared, !lane.wasRecorded(event.place.sequence) else { continue }
            if lane.backlog.isEmpty, offer(event, lane: index, now: now) { continue }
            if !lane.backlog.isFull {
                lane.backlog.append(event.place)
            } else {
                lane.reading = .alone(event.place)
                sharedCount -= 1
            }
        }
    }
    /// False when there is no room or no memory for it now.
    private func offer(_ event: StoredEvent, lane index: Int, now: UInt64) -> Bool {
        guard lanes[index].hasRoom(now: now), slots.hasFree, makeRoomInBatch(now: now) else { return false }
        return send(event, lane: index, attempts: 0, origin: nil, now: now) != .blocked
    }

    // MARK: Lanes that lag

    private func serveLagging(now: UInt64) -> Bool {
        var isBusy = false
        let end = log.committedEnd.sequence
        for step in 0..<lanes.count {
            let index = (rotation + step) % lanes.count
            let lane = lanes[index]
            if lane.reading == .shared, lane.backlog.isEmpty { continue }
            guard lane.hasRoom(now: now) else { continue }
            lane.deficit += limits.quantumBytes
            let wantsMore = workOffBacklog(index, now: now) && readAlone(index, end: end, now: now)
            if wantsMore { isBusy = true } else { lane.deficit = 0 }
        }
        return isBusy
    }
    /// True when the lane may read on.
    private func workOffBacklog(_ index: Int, now: UInt64) -> Bool {
        let lane = lanes[index]
        while let place = lane.backlog.first, lane.deficit > 0 {
            // Before the read, which is the costly part.
            guard lane.hasRoom(now: now), slots.hasFree, makeRoomInBatch(now: now) else { return false }
            guard case .settled(let byteCount) = attempt(index, place: place, attempts: 0, origin: nil, now: now) else {
                return false
            }
            lane.deficit -= byteCount
            lane.backlog.removeFirst()
        }
        return true
    }
    /// True when only the deficit stopped it.
    private func readAlone(_ index: Int, end: UInt64, now: UInt64) -> Bool {
        let lane = lanes[index]
        guard lane.deficit > 0 else { return true }
        while case .alone(let place) = lane.reading {
            if sharedCount == 0 || place.sequence == shared.sequence {
                shared = place
                lane.reading = .shared
                sharedCount += 1
                return place.sequence < end
            }
            guard place.sequence < end, slots.hasFree, makeRoomInBatch(now: now) else { return false }
            guard lane.deficit > 0 else { return true }
            switch log.read(at: place) {
            case .end, .unavailable: return false
            case .unreadable(let next):
                passOver(place.sequence..<next.sequence)
                lane.reading = .alone(next)
            case .event(let event):
                eventsRead += 1
                // What a lane does not want costs it the reading only.
                var cost = 64 + event.body.count / 8
                if subscriptions.lanes(source: event.source, type: event.eventType).contains(index),
                    !lane.wasRecorded(event.place.sequence)
                {
                    guard offer(event, lane: index, now: now) else { return false }
                    cost = 64 + event.fieldLines.count + event.body.count
                }
                lane.deficit -= cost
                lane.reading = .alone(event.next)
            }
        }
        return false
    }

    private func passOver(_ sequences: Range<UInt64>) {
        eventsUnreadable += UInt64(sequences.count)
        passedOver = min(passedOver?.lowerBound ?? .max, sequences.lowerBound)
            ..< max(passedOver?.upperBound ?? 0, sequences.upperBound)
    }

    // MARK: One order

    /// `origin` is nil for an event that the lane meets for the first time.
    private func send(
        _ event: StoredEvent, lane index: Int, attempts: UInt16, origin: AttemptOrigin?, now: UInt64
    ) -> SendVerdict {
        let lane = lanes[index]
        let bytes =
            EventID.byteCount + event.fieldLines.count + event.source.count + event.eventType.count
            + ForwardedFields.ownBytesMax + event.body.count
        guard let block = pool.blockBytes(for: bytes) else {
            bury(index, place: event.place, attempts: attempts, origin: origin, reason: .tooLarge, now: now)
            return .settled
        }
        guard mayLease(block, lane: lane), let lease = pool.allocate(bytes) else { return .blocked }
        let id = EventID(logIdentity: log.identity, sequence: event.place.sequence)
        let idEnd = pool.write(id, to: lease, at: 0)
        let linesEnd = ForwardedFields.write(
            received: event.fieldLines, forwarding: lane.settings.forwarding, id: id, source: event.source,
            eventType: event.eventType, verdict: event.verdict, attempt: UInt32(attempts) + 1,
            withheld: lane.settings.withheld, to: pool,
            lease: lease, at: idEnd)
        let bodyEnd = pool.write(event.body, to: lease, at: linesEnd)
        let known = origin ?? .first(ticket: lane.outstanding.append(event.place))
        if origin == nil {
            lane.counters.recordQueueWait(millis: clock.millis(at: now) - Int64(event.receivedAt / 1_000_000))
        }
        lane.attemptBegan(known, bytes: block)
        let slot = slots.take(
            OrderSlot(
                lane: index, origin: known, place: event.place, attempts: attempts, lease: lease, linesEnd: linesEnd,
                bodyEnd: bodyEnd))
        if !unsent.isEmpty || !egress.submit(slots.order(slot, egressIndex: lane.settings.egressIndex, pool: pool)) {
            unsent.append(slot)
        }
        return .sent
    }
    /// Half of the memory is everybody's; of the other half each lane has its share, so that a few slow endpoints with
    /// large events leave room for all others. One event at a time is always allowed.
    private func mayLease(_ block: Int, lane: Lane) -> Bool {
        if lane.leasedBytes == 0 || pool.leasedBytes + block <= pool.byteCount / 2 { return true }
        return lane.leasedBytes + block <= pool.byteCount / 2 / lanes.count
    }
}

private enum SendVerdict { case sent, settled, blocked }
