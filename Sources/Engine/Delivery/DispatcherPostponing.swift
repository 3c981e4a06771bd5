// Events that are to be delivered later (`deliver_at`): the lane that meets one gives the store a pending row that
// falls due then, and has it behind itself. Nothing of it stays in the lane but an entry of the retry queue, as far as
// there is room for that.
//
// Invariants: a row is postponed exactly while no attempt of it was made and it falls due after it was written. Such a
// row has no place in an order until it is due: what comes after it does not wait for it.

import FastPath

extension Dispatcher {
    /// True when it is met now and goes later.
    func postpones(_ event: StoredEvent, _ lane: Lane, now: UInt64) -> Bool {
        let nowMillis = clock.millis(at: now)
        guard let due = event.deliverAtMillis, due > nowMillis else { return false }
        schedule(lane, place: event.place, attempts: 0, origin: nil, due: due, now: now)
        // It may have gone to the store alone, and an order wants all of them here.
        if lane.working.retries.wantedLoad(nowMillis: nowMillis, aheadMillis: limits.retryAheadMillis) != nil {
            scheduler.makeReady(lane)
        }
        return true
    }
}

extension StoredEvent {
    /// From when on its age is counted, wall clock: it came, or it was to be delivered.
    package var bornMillis: Int64 { max(Int64(receivedAt / 1_000_000), deliverAtMillis ?? 0) }
}

extension DeliveryRow {
    package var isPostponed: Bool {
        state == .pending && AttemptCount.number(of: attempts) == 0 && dueMillis > updatedMillis
    }
}
