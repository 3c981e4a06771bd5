// Events that are to be delivered later (`deliver_at`): the lane that meets one gives the store a pending row that
// falls due then, and has it behind itself. Nothing of it stays in the lane but an entry of the retry queue, as far as
// there is room for that. The same holds for what an endpoint's `delay` holds back.
//
// Where `delay` is shortened, everything that waits for its first attempt is due that much sooner: of a row nobody
// knows which of the two it waits for, so what is met too early because of that is put off again.
//
// Invariants: a row is postponed exactly while no attempt of it was made and it falls due after it was written. Such a
// row has no place in an order until it is due: what comes after it does not wait for it.

import FastPath

extension Dispatcher {
    /// True when no attempt of it was made and it goes later.
    func postpones(
        _ event: StoredEvent, _ lane: Lane, attempts: UInt16, origin: AttemptOrigin?, now: UInt64
    ) -> Bool {
        guard AttemptCount.number(of: attempts) == 0, !AttemptCount.isManual(attempts) else { return false }
        let nowMillis = clock.millis(at: now)
        guard let due = event.deliverAtMillis, due > nowMillis else { return false }
        schedule(lane, place: event.place, attempts: attempts, origin: origin, due: due, now: now)
        // It may have gone to the store alone, and an order wants all of them here.
        if lane.working.retries.wantedLoad(nowMillis: nowMillis, aheadMillis: limits.retryAheadMillis) != nil {
            scheduler.makeReady(lane)
        }
        return true
    }
    /// The endpoint's `delay` is another from now on; one that has grown is asked for when a delivery is due.
    func delayChanged(_ lane: Lane, from old: Int?, to new: Int?, now: UInt64) {
        let (old, new) = (old ?? 0, new ?? 0)
        guard new < old, lane.pendingCount > 0 else { return }
        ask(.advance(endpoint: lane.id, millis: Int64(old - new), nowMillis: clock.millis(at: now)), now: now)
    }
}

extension StoredEvent {
    /// From when on its age is counted, wall clock: it came, or it was to be delivered.
    package var bornMillis: Int64 { max(Int64(receivedAt / 1_000_000), deliverAtMillis ?? 0) }
}

extension DeliveryRow {
    package var kind: RetryKind { AttemptCount.number(of: attempts) == 0 ? .first : .again }
    package var isPostponed: Bool {
        state == .pending && kind == .first && dueMillis > updatedMillis
    }
}
