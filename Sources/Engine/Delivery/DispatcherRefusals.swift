// Endpoints that take nobody: attempts that are not made, because the one before them was refused a moment ago.
//
// Invariant: what an operator sends by hand is always tried, and so is the first that falls due a tenth of a second
// after the last refusal; an endpoint that takes connections again is found then, and everything else that is due goes
// to it.

import FastPath

extension Dispatcher {
    func noteRefusal(_ lane: Lane, _ outcome: DeliveryOutcome, _ decision: OutcomeDecision, now: UInt64) {
        let isRefusal = outcome.isRefusal(decision)
        // Nearly all of them.
        guard isRefusal || lane.work?.refusals.isEmpty == false else { return }
        lane.working.refusals.ended(outcome, isRefusal: isRefusal, now: now)
    }
    func isRefusedUnmade(_ lane: Lane, _ attempts: UInt16, now: UInt64) -> Bool {
        guard let work = lane.work, work.refusals.holds(now: now), !AttemptCount.isManual(attempts)
        else { return false }
        return lane.endpoint.policies?.breaker == nil
    }
    /// As if it had been tried with the same result, but for the endpoint's condition and the policies, which go by
    /// what was tried.
    func failUnmade(_ event: StoredEvent, _ lane: Lane, attempts: UInt16, origin: AttemptOrigin?, now: UInt64) {
        let streak = lane.working.refusals
        var outcome = DeliveryOutcome(token: 0, result: streak.result)
        (outcome.status, outcome.systemError) = (streak.status, streak.systemError)
        tellAttempt(
            traced(event, lane, attempts: attempts, now: now), event.place, lane, attempts: attempts, outcome,
            isDelivered: false, now: now)
        count(lane) { $0.record(outcome) }
        note(.refusedUnmade)
        if isLostToShadow(lane, origin, .retry) { return loseToShadow(lane, event.place, origin, now: now) }
        keepAttempt(
            lane, event.place.sequence, number: attempts + 1, outcome: outcome, answer: [],
            type: lane.endpoint.family.keepsTally ? event.eventType.text : nil, now: now)
        failed(
            lane, place: event.place, attempts: attempts + 1, origin: origin, outcome: outcome,
            lastReason: .retriesExhausted, bornMillis: event.bornMillis, now: now)
    }
}
