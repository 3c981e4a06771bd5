// What the policies of an endpoint have to say of a delivery: before it is sent, when it is, and when it has ended. A
// lane without policies never comes here.
//
// Invariant: what a policy decides is said once: a delivery that is settled here has its row, or is of a shadow, which
// has none.

import FastPath

extension Dispatcher {
    func note(_ event: PolicyEvent) { policyEvents[event.rawValue] += 1 }

    // MARK: Before

    /// True when it is not to be sent now: it is too old, or too young. `origin` is nil for an event that the lane
    /// meets for the first time.
    func isSettled(
        _ event: StoredEvent, _ lane: Lane, _ policies: LanePolicies, attempts: UInt16, origin: AttemptOrigin?,
        now: UInt64
    ) -> Bool {
        if isPastDeadline(lane, attempts, event.bornMillis, inMillis: 0, now: now) {
            note(.deadlineExpired)
            if isLostToShadow(lane, origin ?? .first(ticket: 0), .retry) {
                if origin != nil { loseToShadow(lane, event.place, origin, now: now) }
            } else {
                deadLetter(lane, place: event.place, attempts: attempts, origin: origin, reason: .expired, now: now)
            }
            return true
        }
        let received = Int64(event.receivedAt / 1_000_000)
        guard let delay = policies.delayMillis, AttemptCount.number(of: attempts) == 0,
            !AttemptCount.isManual(attempts), received + delay > clock.millis(at: now)
        else { return false }
        putOff(event, lane, attempts: attempts, until: received + delay, origin: origin, now: now)
        return true
    }
    /// True when it has its row, and goes in a batch, or as the newest of its key, or not at all.
    func isTakenIn(
        _ event: StoredEvent, _ lane: Lane, _ policies: LanePolicies, attempts: UInt16, origin: AttemptOrigin?,
        now: UInt64
    ) -> Bool {
        if origin == nil, let batch = policies.batch {
            takeIn(event, lane, batch, now: now)
            return true
        }
        guard let settings = policies.coalesce else { return false }
        guard let origin else {
            takeIn(event, lane, settings, now: now)
            return true
        }
        return isSuperseded(event, lane, attempts: attempts, origin: origin, now: now)
    }
    /// At the time that it has when so many milliseconds have passed.
    func isPastDeadline(
        _ lane: Lane, _ attempts: UInt16, _ bornMillis: Int64, inMillis: Int64, now: UInt64
    ) -> Bool {
        guard let deadline = lane.endpoint.policies?.deadlineMillis, !AttemptCount.isReplayed(attempts) else {
            return false
        }
        return clock.millis(at: now) + inMillis - bornMillis >= deadline
    }
    /// Its row waits like that of a retry, with no attempt.
    private func putOff(
        _ event: StoredEvent, _ lane: Lane, attempts: UInt16, until due: Int64, origin: AttemptOrigin?, now: UInt64
    ) {
        note(.delayed)
        let place = event.place
        if let order = lane.endpoint.order {
            let key = lane.working.order?.key(of: place.sequence) ?? order.key(of: event, in: groups)
            lane.working.order?.enrol(place.sequence, key: key)
        }
        schedule(lane, place: place, attempts: attempts, origin: origin, due: due, now: now)
    }

    // MARK: As it goes

    func began(_ lane: Lane, _ policies: LanePolicies, attempts: UInt16, now: UInt64) {
        if let rate = policies.rate { lane.remembering.bucket.took(now: now, intervalNanos: rate.intervalNanos) }
        if policies.concurrency != nil, lane.remembering.concurrency == nil {
            lane.remembering.concurrency = AdaptiveConcurrency(max: lane.endpoint.concurrency, now: now)
        }
        guard let share = policies.retryBudget else { return }
        let memory = lane.remembering
        var budget = memory.budget ?? RetryBudget(now: now)
        if AttemptCount.number(of: attempts) == 0 {
            budget.firstAttempt(share: share)
        } else {
            budget.retry(now: now)
        }
        memory.budget = budget
    }

    /// Nothing of it has gone out, so it costs the endpoint's rate and its budget nothing.
    func giveBackTokens(_ lane: Lane, attempts: UInt16) {
        guard let work = lane.work else { return }
        if let interval = lane.endpoint.spacingNanos { work.spacing.gaveBack(intervalNanos: interval) }
        guard let policies = lane.endpoint.policies, let memory = work.memory else { return }
        if let rate = policies.rate { memory.bucket.gaveBack(intervalNanos: rate.intervalNanos) }
        guard let share = policies.retryBudget else { return }
        if AttemptCount.number(of: attempts) == 0 {
            memory.budget?.gaveBackFirst(share: share)
        } else {
            memory.budget?.gaveBackRetry()
        }
    }

    // MARK: When it has ended

    /// True when the endpoint's condition, or the reason of it, has changed.
    func judge(
        _ lane: Lane, _ policies: LanePolicies, _ outcome: DeliveryOutcome, isDelivered: Bool, isProbe: Bool,
        now: UInt64
    ) -> Bool {
        // Without a token nothing was tried: a probe that was none is no success, and no failure either.
        guard outcome.result != .authorizationFailed else { return false }
        if let settings = policies.concurrency {
            adapt(lane, settings, outcome, isDelivered: isDelivered, now: now)
        }
        if isDelivered, policies.shadow != nil { note(.shadowDelivered) }
        guard let settings = policies.breaker else { return false }
        let phase = lane.breakerPhase
        let isFailure = !isDelivered && policies.triggers.contains(outcome)
        // A success where nothing is remembered: nearly all of them.
        if !isFailure, phase == .closed, settings.rate == nil, lane.work?.memory == nil { return false }
        let next = lane.remembering.breaker.ended(
            isFailure: isFailure, isProbe: isProbe, in: phase, by: settings, now: now)
        return next == phase ? false : move(lane, to: next, now: now)
    }
    private func adapt(
        _ lane: Lane, _ settings: AdaptiveSettings, _ outcome: DeliveryOutcome, isDelivered: Bool, now: UInt64
    ) {
        let memory = lane.remembering
        guard var limit = memory.concurrency else { return }
        let isFailure = !isDelivered && FailureClass(outcome).isOfLoad
        // Its own slot has been given back already.
        let change = limit.ended(
            isFailure: isFailure, micros: outcome.durationMicros, inFlight: lane.inFlightAtTarget + 1,
            max: lane.endpoint.concurrency, by: settings, now: now)
        memory.concurrency = limit
        switch change {
        case .same: break
        case .raised: note(.concurrencyRaised)
        case .lowered: note(.concurrencyLowered)
        }
    }

    // MARK: The breaker

    /// True when it has moved: an operator's word outranks it.
    func move(_ lane: Lane, to phase: BreakerPhase, now: UInt64) -> Bool {
        let nowMillis = clock.millis(at: now)
        let cooldown = Int64(lane.endpoint.policies?.breaker?.cooldownMillis ?? 0)
        guard lane.health.moved(to: phase, untilMillis: nowMillis + cooldown, nowMillis: nowMillis) else {
            return false
        }
        switch phase {
        case .open: note(.breakerOpened)
        case .halfOpen:
            lane.work?.memory?.breaker.beginProbing()
            note(.breakerProbed)
        case .closed:
            lane.working.pace.beginSlowly(concurrency: lane.endpoint.concurrency)
            note(.breakerClosed)
        }
        return true
    }
    /// A pause whose time has come, if it has.
    func endPause(_ lane: Lane, now: UInt64) {
        guard lane.health.pauseEnded(nowMillis: clock.millis(at: now)) else { return }
        if lane.breakerPhase == .halfOpen {
            lane.work?.memory?.breaker.beginProbing()
            note(.breakerProbed)
        }
        note(lane, now: now)
    }
    /// Its settings have no breaker any more, and it was open.
    func leaveBreaker(_ lane: Lane, now: UInt64) {
        guard lane.breakerPhase != .closed, lane.endpoint.policies?.breaker == nil else { return }
        if move(lane, to: .closed, now: now) { note(lane, now: now) }
    }
    /// What a start, or one that comes back, has of it.
    func begin(countingBreakerOf lane: Lane) {
        let phase = lane.toldReason.breakerPhase
        if phase != .closed { breakers[phase, default: 0] += 1 }
    }
    func count(reason: EndpointReason, of lane: Lane) {
        let (before, phase) = (lane.toldReason.breakerPhase, reason.breakerPhase)
        lane.toldReason = reason
        guard before != phase else { return }
        if before != .closed { breakers[before, default: 0] -= 1 }
        if phase != .closed { breakers[phase, default: 0] += 1 }
    }

    // MARK: After a failure

    /// Until the next attempt; nil when there is none.
    func delayMillis(_ lane: Lane, _ attempts: UInt16, _ outcome: DeliveryOutcome?) -> Int? {
        if lane.endpoint.policies?.shadow != nil { return nil }
        let (own, count) = (lane.endpoint.schedule, AttemptCount.scheduled(attempts))
        if let errors = lane.endpoint.policies?.errors, let outcome {
            return errors.delayMillis(afterAttempts: count, outcome, own: own, using: &generator)
        }
        return own.delayMillis(
            afterAttempts: count, retryAfterSeconds: outcome?.retryAfterSeconds ?? .max, using: &generator)
    }
    /// Why an attempt in so many milliseconds is not worth waiting for; nil when it is.
    func tooLate(
        _ lane: Lane, _ attempts: UInt16, _ outcome: DeliveryOutcome?, _ bornMillis: Int64, inMillis: Int64,
        now: UInt64
    ) -> DeadLetterReason? {
        if isPastDeadline(lane, attempts, bornMillis, inMillis: inMillis, now: now) {
            note(.deadlineExpired)
            return .expired
        }
        // What the endpoint's own `delay` has held back is none of the failure's time.
        guard let outcome, let policies = lane.endpoint.policies, let most = policies.errors?.atMostMillis(outcome),
            !AttemptCount.isReplayed(attempts),
            clock.millis(at: now) + inMillis - bornMillis >= most + (policies.delayMillis ?? 0)
        else { return nil }
        return .retriesExhausted
    }

    // MARK: Shadows

    /// Nothing is kept of it. A replay has its row already, and ends as one.
    func isLostToShadow(_ lane: Lane, _ origin: AttemptOrigin?, _ decision: DeliveryDecision) -> Bool {
        guard lane.endpoint.policies?.shadow != nil else { return false }
        if case .retry? = origin { return false }
        switch decision {
        case .retry, .deadLetter, .endpointGone: return true
        case .delivered, .retryAtOnce, .notAttempted: return false
        }
    }
    func loseToShadow(_ lane: Lane, _ place: EventLocation, _ origin: AttemptOrigin?, now: UInt64) {
        note(.shadowFailed)
        tellLostToShadow(lane, place, now: now)
        forgetPreparedSize(of: lane, place.sequence)
        forgetReauthorized(lane, place.sequence)
        guard case .first(let ticket)? = origin else { return }
        lane.working.outstanding.resolve(ticket)
        markDirty(lane)
    }

    // MARK: Rest

    /// What policies remember goes when it means nothing any more; a timer sees to that.
    func restMemory(_ lane: Lane, _ work: LaneWork, now: UInt64) {
        guard let memory = work.memory else { return }
        if let rate = lane.endpoint.policies?.rate,
            memory.bucket.end(now: now, intervalNanos: rate.intervalNanos, burst: rate.burst) != nil
        {
            note(.rateHeld)
        }
        if memory.isAtRest(now: now) {
            // What is out has something to say of the limit yet, however long it takes.
            if lane.inFlight == 0 || memory.concurrency == nil { work.memory = nil }
        } else if lane.inFlight == 0, let end = memory.restsAt {
            scheduler.wake(lane, at: end)
        }
    }
}

extension FailureClass {
    /// Fewer requests at once may end it.
    var isOfLoad: Bool {
        switch self {
        case .network, .timeout, .tls, .limit, .server: true
        case .blockedAddress, .validation, .authentication, .authorizationFailed: false
        }
    }
}
