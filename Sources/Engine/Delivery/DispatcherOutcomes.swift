// What the dispatcher does with an outcome: policy, schedule, the row for the store, the lane's pace.

import FastPath

extension Dispatcher {
    func settle(_ outcome: DeliveryOutcome, now: UInt64) {
        guard let slot = slots.slot(of: outcome.token) else { return }
        let order = slots[slot]
        let lane = lanes[order.lane]
        lane.counters.record(outcome)
        let verdict = AnswerPolicy.judge(outcome, wasRepeated: order.wasRepeated)
        if verdict.decision == .retryAtOnce, !isDraining {
            repeatAtOnce(slot, lane: lane)
            return
        }
        release(slot, lane: lane)
        lane.adjust(verdict.pace, now: now)
        let attempts = order.attempts < .max ? order.attempts + 1 : order.attempts
        switch verdict.decision {
        case .delivered:
            lane.counters.delivered += 1
            write(
                order.lane, place: order.place, state: .delivered, attempts: attempts, outcome: outcome,
                origin: order.origin,
                now: now)
        case .retry:
            failed(
                order.lane, place: order.place, attempts: attempts, origin: order.origin, outcome: outcome,
                lastReason: .retriesExhausted, now: now)
        case .deadLetter(let reason):
            bury(
                order.lane, place: order.place, attempts: attempts, origin: order.origin, reason: reason,
                outcome: outcome,
                now: now)
        case .endpointGone:
            disable(lane, because: .gone)
            bury(
                order.lane, place: order.place, attempts: attempts, origin: order.origin, reason: .endpointGone,
                outcome: outcome, now: now)
        case .notAttempted, .retryAtOnce:
            // While draining this stays unwritten: the next start meets it again.
            lane.deferred.append(DeferredAttempt(place: order.place, attempts: order.attempts, origin: order.origin))
        }
    }
    private func repeatAtOnce(_ slot: Int, lane: Lane) {
        lane.counters.repeatedAtOnce += 1
        slots[slot].wasRepeated = true
        if !egress.submit(slots.order(slot, egressIndex: lane.settings.egressIndex, pool: pool)) { unsent.append(slot) }
    }
    private func release(_ slot: Int, lane: Lane) {
        let order = slots[slot]
        guard let lease = order.lease else { preconditionFailure("an order without memory") }
        lane.attemptEnded(order.origin, bytes: pool.bytes(of: lease))
        pool.free(lease)
        slots.giveBack(slot)
    }
    func disable(_ lane: Lane, because stop: EndpointStop) {
        guard lane.stop == nil else { return }
        lane.stop = stop
        batch.switches.append(EndpointSwitch(endpoint: lane.number, stop: stop))
    }

    /// After a failure that may pass: the next attempt by the schedule, or a dead letter when there is none.
    /// `outcome` is nil when no attempt was made because the event could not be read.
    /// `origin` is nil for an event that never was an order.
    func failed(
        _ index: Int, place: EventPlace, attempts: UInt16, origin: AttemptOrigin?, outcome: DeliveryOutcome?,
        lastReason: DeadLetterReason, now: UInt64
    ) {
        let lane = lanes[index]
        let delay = lane.settings.schedule.delayMillis(
            afterAttempts: Int(attempts), retryAfterSeconds: outcome?.retryAfterSeconds ?? .max, using: &generator)
        guard let delay else {
            bury(
                index, place: place, attempts: attempts, origin: origin, reason: lastReason, outcome: outcome, now: now)
            return
        }
        lane.counters.retried += 1
        let due = clock.millis(at: now) + Int64(delay)
        write(
            index, place: place, state: .pending, attempts: attempts, outcome: outcome, origin: origin, due: due,
            now: now)
        lane.retries.schedule(
            RetryEntry(
                key: RetryKey(dueMillis: due, sequence: place.sequence), position: place.position, attempts: attempts))
    }
    /// `origin` as above.
    func bury(
        _ index: Int, place: EventPlace, attempts: UInt16, origin: AttemptOrigin?, reason: DeadLetterReason,
        outcome: DeliveryOutcome? = nil, now: UInt64
    ) {
        lanes[index].counters.recordDeadLetter(reason)
        write(
            index, place: place, state: .dead, attempts: attempts, outcome: outcome, origin: origin, reason: reason,
            now: now)
    }
    /// The row, and with it the event leaves the outstanding window or the retry queue.
    private func write(
        _ index: Int, place: EventPlace, state: DeliveryState, attempts: UInt16, outcome: DeliveryOutcome?,
        origin: AttemptOrigin?, reason: DeadLetterReason? = nil, due: Int64 = 0, now: UInt64
    ) {
        let lane = lanes[index]
        record(
            DeliveryRow(
                endpoint: lane.number, place: place, state: state, attempts: attempts, status: outcome?.status ?? 0,
                result: outcome?.result ?? .abandoned, reason: reason, dueMillis: due,
                updatedMillis: clock.millis(at: now)),
            lane: lane, now: now)
        switch origin {
        case .first(let ticket): lane.outstanding.resolve(ticket)
        case .retry: lane.retries.resolved(place.sequence)
        case nil: break
        }
    }
}
