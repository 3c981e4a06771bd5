// Endpoints that want only the newest event of each key. What the lane meets gets its row at once, due now or when its
// time of waiting is over, and takes the place of what waits with the same key; it is sent like a retry is, once the
// lane has read on as far as the log goes. So what is sent is the newest that is there, and what is superseded has
// ended behind a row of the one that goes instead.
//
// Invariants: of each key at most one is out (`LaneOrder`), and what is out is left alone; one that fails is tried
// again only while no newer one is here. A delivery is superseded in the same batch as the row of the newer one, or a
// later one, never in an earlier one: after a crash the newer one is in the store, or its event is read again.

import FastPath

extension Dispatcher {
    /// Where it stands among those of its key; `tag` nil: it has none, and stands alone.
    private func coalescingKey(of event: StoredEvent, _ lane: Lane) -> (key: UInt64, tag: UInt64?) {
        let alone = event.place.sequence &* 0x9E37_79B9_7F4A_7C15
        guard case .byKey(let key)? = lane.endpoint.order else { return (alone, nil) }
        return key.withValue(of: event, in: groups) { value -> (key: UInt64, tag: UInt64?) in
            // Keyed anew in each process, so that nobody can make two values agree in both.
            var hasher = Hasher()
            hasher.combine(value.array)
            return (OrderKey.hash(of: value), UInt64(bitPattern: Int64(hasher.finalize())))
        } ?? (alone, nil)
    }
    /// An event that the lane meets for the first time.
    func takeIn(_ event: StoredEvent, _ lane: Lane, _ settings: CoalesceSettings, now: UInt64) {
        let nowMillis = clock.millis(at: now)
        let received = Int64(event.receivedAt / 1_000_000)
        var due = max(nowMillis, received + Int64(settings.withinMillis ?? 0))
        guard let older = enter(event, lane, attempts: 0, dueMillis: due) else {
            note(.superseded)
            return write(
                lane, place: event.place, state: .superseded, attempts: 0, outcome: nil, origin: nil, now: now)
        }
        // The time of waiting began with the first of the key.
        for one in older where AttemptCount.number(of: one.attempts) == 0 {
            due = min(due, max(one.dueMillis, nowMillis))
        }
        schedule(lane, place: event.place, attempts: 0, origin: nil, due: due, now: now)
        for one in older { supersede(one.place, lane, attempts: one.attempts, origin: .retry(dueMillis: 0), now: now) }
        scheduler.makeReady(lane)
    }
    /// Its place among those of its key, and in the order; nil: a newer one is here. Returns those whose place it takes
    /// and that are not out.
    private func enter(
        _ event: StoredEvent, _ lane: Lane, attempts: UInt16, dueMillis: Int64
    ) -> [LaneCoalescing.Entry]? {
        let (place, work) = (event.place, lane.working)
        let (key, tag) = coalescingKey(of: event, lane)
        var older: [LaneCoalescing.Entry] = []
        if let tag {
            let entry = LaneCoalescing.Entry(place: place, attempts: attempts, dueMillis: dueMillis, tag: tag)
            guard case .newest(let before) = work.coalescing.meet(entry, key: key) else { return nil }
            older = before.filter { work.order?.isOut($0.place.sequence) != true }
        }
        work.order?.enrol(place.sequence, key: key)
        return older
    }
    /// A pending row whose event is read after a start.
    func enter(pending event: StoredEvent, _ lane: Lane, now: UInt64) {
        let sequence = event.place.sequence
        let known = lane.working.coalescing.takeNoted(sequence) ?? (attempts: 0, dueMillis: 0)
        // What is to be delivered later takes its place when it is due.
        if let due = event.deliverAtMillis, due > clock.millis(at: now) { return }
        guard let older = enter(event, lane, attempts: known.attempts, dueMillis: known.dueMillis) else {
            return supersede(
                event.place, lane, attempts: known.attempts, origin: .retry(dueMillis: known.dueMillis), now: now)
        }
        for one in older { supersede(one.place, lane, attempts: one.attempts, origin: .retry(dueMillis: 0), now: now) }
    }
    /// True when it has ended, because a newer one of its key is here: what is due, put off, or replayed.
    func isSuperseded(
        _ event: StoredEvent, _ lane: Lane, attempts: UInt16, origin: AttemptOrigin, now: UInt64
    ) -> Bool {
        let sequence = event.place.sequence
        guard lane.working.order?.key(of: sequence) == nil else {
            return endIfSuperseded(event.place, lane, attempts: attempts, origin: origin, now: now)
        }
        guard let older = enter(event, lane, attempts: attempts, dueMillis: clock.millis(at: now)) else {
            supersede(event.place, lane, attempts: attempts, origin: origin, now: now)
            return true
        }
        for one in older { supersede(one.place, lane, attempts: one.attempts, origin: .retry(dueMillis: 0), now: now) }
        return false
    }
    /// True when it has ended: it is not to be tried again. O(1) for lanes that do not coalesce.
    func endIfSuperseded(
        _ place: EventLocation, _ lane: Lane, attempts: UInt16, origin: AttemptOrigin?, now: UInt64
    ) -> Bool {
        guard lane.coalesces, lane.work?.coalescing.hasNewer(than: place.sequence) == true else { return false }
        supersede(place, lane, attempts: attempts, origin: origin, now: now)
        return true
    }
    private func supersede(
        _ place: EventLocation, _ lane: Lane, attempts: UInt16, origin: AttemptOrigin?, now: UInt64
    ) {
        note(.superseded)
        let work = lane.working
        // One that is held back, or has just been taken out of the queue, is not in it.
        if case .retry? = origin { work.retries.drop(place.sequence) }
        write(lane, place: place, state: .superseded, attempts: attempts, outcome: nil, origin: origin, now: now)
    }
    /// An attempt that may go now, or could not be made: it stands where a newer one finds it.
    func putOff(_ attempt: DeferredAttempt, _ lane: Lane) {
        guard lane.coalesces, case .retry(let due) = attempt.origin else {
            return lane.working.deferred.append(attempt)
        }
        let key = RetryKey(dueMillis: due, sequence: attempt.place.sequence)
        lane.working.retries.putBack(
            RetryEntry(key: key, position: attempt.place.position, attempts: attempt.attempts))
    }
}

extension Dispatcher {
    /// A pending row that the lane has just learnt of, where an order is kept: its key is found later.
    func note(waiting row: DeliveryRow, _ lane: Lane) {
        let work = lane.working
        guard work.order?.key(of: row.place.sequence) == nil else { return }
        if lane.coalesces {
            work.coalescing.note(row.place.sequence, attempts: row.attempts, dueMillis: row.dueMillis)
        }
        work.order?.note(row.place)
    }
}
