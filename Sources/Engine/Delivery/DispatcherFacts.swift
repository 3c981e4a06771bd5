// What the dispatcher tells of failures and recoveries, for the sake of operational webhooks, and of every outcome to
// those who watch live. Nothing of it costs a delivery anything that succeeds at an endpoint which was not failing, nor
// one of a tenant for which nobody listens.
//
// Invariant: nothing is told of operational endpoints.

import FastPath

extension Dispatcher {
    func tell(
        _ kind: AttemptFact.Kind, _ delivery: TriedDelivery, _ outcome: DeliveryOutcome, of lane: Lane,
        nextMillis: Int64 = 0, now: UInt64
    ) {
        guard let feed, lane.endpoint.family != .operational, !lane.isForgotten,
            feed.isWatched(lane.endpoint.tenant)
        else { return }
        var fact = fact(kind, delivery, outcome, of: lane, now: now)
        fact.nextMillis = nextMillis
        feed.add(.attempt(fact))
        guard !kind.isEnd, lane.troubledSince == 0 else { return }
        lane.troubledSince = fact.atMillis
        // So that a recovery is told after a restart too.
        noteBatchStart(now: now)
        batch.states.append(lane.health.state)
    }
    /// That the endpoint will be disabled, at the marks on the way there. What was told is in the store with the batch,
    /// so that a restart does not tell it again.
    func tellOfEnd(
        _ lane: Lane, _ delivery: TriedDelivery, _ outcome: DeliveryOutcome, limit: Int64, now: UInt64
    ) {
        let nowMillis = clock.millis(at: now)
        guard !lane.isForgotten, let percent = lane.health.alert(afterMillis: limit, nowMillis: nowMillis),
            let failing = lane.health.failingMillis(nowMillis: nowMillis)
        else { return }
        note(percent >= 90 ? .failingAt90 : percent >= 70 ? .failingAt70 : .failingAt50)
        noteBatchStart(now: now)
        batch.states.append(lane.health.state)
        guard let feed, lane.endpoint.family != .operational, feed.isWatched(lane.endpoint.tenant) else { return }
        var fact = fact(.failingFor(percent: percent), delivery, outcome, of: lane, now: now)
        (fact.sinceMillis, fact.nextMillis) = (nowMillis - failing, nowMillis - failing + limit)
        feed.add(.attempt(fact))
    }
    /// To those who watch live; without them one load.
    func show(_ fact: @autoclosure () -> StreamFact, of lane: Lane) {
        guard let stream, stream.isWanted, lane.endpoint.family != .operational, !lane.isForgotten else { return }
        stream.add(fact())
    }
    func tellRecovery(_ delivery: TriedDelivery, _ outcome: DeliveryOutcome, of lane: Lane, now: UInt64) {
        var fact = fact(.recovered, delivery, outcome, of: lane, now: now)
        fact.sinceMillis = lane.troubledSince
        lane.troubledSince = 0
        guard let feed, !lane.isForgotten, feed.isWatched(lane.endpoint.tenant) else { return }
        feed.add(.attempt(fact))
        noteBatchStart(now: now)
        batch.states.append(lane.health.state)
    }
    private func fact(
        _ kind: AttemptFact.Kind, _ delivery: TriedDelivery, _ outcome: DeliveryOutcome, of lane: Lane, now: UInt64
    ) -> AttemptFact {
        AttemptFact(
            kind, tenant: lane.endpoint.tenant, endpoint: lane.id, delivery: delivery, outcome: outcome,
            atMillis: clock.millis(at: now))
    }
    /// What the store has of a lane that is opened: its last attempt had failed.
    func recallTrouble(of lane: Lane) {
        let state = lane.health.state
        guard lane.endpoint.family != .operational, state.lastFailureMillis > state.lastSuccessMillis,
            !state.reason.isRemoval
        else { return }
        lane.troubledSince = state.condition == .failing ? state.sinceMillis : state.lastFailureMillis
    }
}
