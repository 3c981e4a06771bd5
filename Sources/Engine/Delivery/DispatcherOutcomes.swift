// What the dispatcher does with an outcome: policy, schedule, the rows for the store, the lane's pace and health.

import FastPath

extension Dispatcher {
    func complete(_ came: DeliveryOutcome, now: UInt64) {
        guard let slot = slots.slot(of: came.token), let lane = slots[slot].lane else { return }
        if let order = slots[slot].failover { return complete(order, slot, came, now: now) }
        var outcome = came
        if !lane.endpoint.family.heedsRetryAfter { outcome.retryAfterSeconds = .max }
        let judged = OutcomePolicy.judge(
            outcome, wasRepeated: slots[slot].wasRepeated, by: lane.endpoint.outcomes)
        let decision = lane.endpoint.policies?.errors?.revised(judged, outcome) ?? judged
        if !isDraining, goesOnElsewhere(slot, lane, outcome, decision, now: now) { return }
        if asksForToken(slot, lane, outcome, now: now) { return }
        count(lane) { $0.record(outcome) }
        if outcome.result == .tlsFailed { tlsFailures[Int(outcome.tlsFailure.rawValue)] += 1 }
        let order = slots[slot]
        let isPlain = decision.decision == .delivered && !order.keepsAttempt
        let answer = isPlain ? [] : egress.answer(of: outcome)
        release(slot, lane)
        let wasUnsent = outcome.result == .notPrepared || decision.decision == .notAttempted
        if wasUnsent, !order.wasRepeated, order.addressesTried == 0 {
            giveBackTokens(lane, attempts: order.attempts)
        }
        let attempts = order.attempts < .max ? order.attempts + 1 : order.attempts
        judge(
            lane, TriedDelivery(place: order.place, attempts: attempts), outcome, decision, isProbe: order.isProbe,
            now: now)
        if let members = order.members {
            endBatch(members, lane, decision.decision, outcome: outcome, answer: answer, now: now)
        } else {
            keepAndApply(order, lane, decision.decision, attempts: attempts, outcome: outcome, answer: answer, now: now)
        }
        reconsider(lane, now: now)
        endIfOver(lane)
    }
    /// None of the addresses takes connections: they are asked for again, and the proxy's with them.
    func distrust(_ host: CompiledEndpoint.Host?, of lane: Lane) {
        for host in [host, lane.endpoint.environment.proxy?.host].compactMap(\.self) {
            hosts.distrust(host.name, port: host.port)
        }
    }
    private func keepAndApply(
        _ order: OrderSlot, _ lane: Lane, _ decision: DeliveryDecision, attempts: UInt16, outcome: DeliveryOutcome,
        answer: [UInt8], now: UInt64
    ) {
        let isPlain = decision == .delivered && !order.keepsAttempt
        if decision != .notAttempted, decision != .retryAtOnce {
            tellAttempt(
                order.trace, order.place, lane, attempts: order.attempts, outcome,
                isDelivered: decision == .delivered, now: now)
            // A delivery that succeeds at once costs its row and nothing else, unless it is a message's.
            if !isPlain || attempts > 1, !isLostToShadow(lane, order.origin, decision) {
                keepAttempt(
                    lane, order.place.sequence, number: attempts, outcome: outcome, answer: answer,
                    type: order.talliedType, now: now)
            }
        }
        apply(decision, lane, order, attempts: attempts, outcome: outcome, now: now)
    }
    /// Once over a fresh connection when a kept one was found dead, and at the next address when one does not take
    /// connections; neither counts as an attempt.
    private func goesOnElsewhere(
        _ slot: Int, _ lane: Lane, _ outcome: DeliveryOutcome, _ decision: OutcomeDecision, now: UInt64
    ) -> Bool {
        if decision.decision == .retryAtOnce {
            count(lane) { $0.repeatedAtOnce += 1 }
            slots[slot].wasRepeated = true
            submit(slot)
            return true
        }
        guard outcome.mayDoElsewhere else { return false }
        guard slots[slot].hasUntriedAddress else {
            distrust(lane.endpoint.host, of: lane)
            return false
        }
        slots[slot].turnToNextAddress()
        lane.addressIndex = slots[slot].addressIndex
        submit(slot)
        return true
    }
    func release(_ slot: Int, _ lane: Lane) {
        let order = slots[slot]
        guard let lease = order.lease else { preconditionFailure("an order without memory") }
        let bytes = pool.bytes(of: lease)
        if order.failover == nil {
            lane.attemptEnded(order.origin, bytes: bytes)
        } else {
            lane.failoverEnded(bytes: bytes)
        }
        shares.giveBack(bytes, wasProven: order.wasProven)
        if let tenant = order.tenant { scheduler.gaveBack(bytes, tenant, isLastOfLane: lane.inFlight == 0) }
        if !isPlanted(.keepPayload) { pool.free(lease) }
        slots.giveBack(slot)
        if lane.inFlight == 0 { pools.rest(lane) }
        // With nothing out nobody else would wake them.
        scheduler.wakeStarved(slots.outCount == 0 ? scheduler.starvedCount : 2)
    }
    /// The endpoint's pace and health.
    private func judge(
        _ lane: Lane, _ attempt: TriedDelivery, _ outcome: DeliveryOutcome, _ decision: OutcomeDecision,
        isProbe: Bool, now: UInt64
    ) {
        // What cannot be prepared says nothing of the endpoint.
        guard decision.decision != .notAttempted, outcome.result != .notPrepared else { return }
        if decision.decision != .delivered { failures[FailureClass(outcome).index] += 1 }
        let nowMillis = clock.millis(at: now)
        lane.isProven = decision.decision == .delivered
        if decision.pace != .unchanged, decision.pace != .recovered || lane.work?.pace.isFull == false {
            lane.working.pace.adjust(decision.pace, concurrency: lane.endpoint.concurrency, now: now)
        }
        if decision.decision != .retryAtOnce { noteRefusal(lane, outcome, decision, now: now) }
        var hasChanged = false
        switch decision.decision {
        case .delivered: hasChanged = lane.health.succeeded(nowMillis: nowMillis)
        case .endpointGone:
            _ = lane.health.failed(outcome.text, nowMillis: nowMillis)
            hasChanged = lane.health.disabled(.gone, nowMillis: nowMillis)
            if hasChanged { tell(.gone, attempt, outcome, of: lane, now: now) }
        case .retry, .retryAtOnce, .deadLetter, .notAttempted:
            hasChanged = lane.health.failed(outcome.text, nowMillis: nowMillis)
            endAfterDays(lane, attempt, outcome, now: now)
        }
        if let policies = lane.endpoint.policies, decision.decision != .retryAtOnce {
            let isDelivered = decision.decision == .delivered
            hasChanged =
                judge(lane, policies, outcome, isDelivered: isDelivered, isProbe: isProbe, now: now) || hasChanged
        }
        if case .pause(let seconds) = decision.pace, Int64(seconds) * 1000 >= EndpointHealth.pauseMillisMin {
            let until = nowMillis + Int64(seconds) * 1000
            hasChanged = lane.health.paused(.askedForLess, untilMillis: until, nowMillis: nowMillis) || hasChanged
        }
        if hasChanged { note(lane, now: now) }
    }
    /// Switches off what has done nothing but fail for days, where its family is switched off for that or its settings
    /// say so.
    func endAfterDays(_ lane: Lane, _ attempt: TriedDelivery, _ outcome: DeliveryOutcome, now: UInt64) {
        let own = lane.endpoint.policies?.disableAfterMillis
        guard let limit = own ?? (lane.endpoint.family.endsAfterDays ? EndpointHealth.failingMillisMax : nil),
            lane.health.failingMillis(nowMillis: clock.millis(at: now)) != nil
        else { return }
        guard lane.health.ended(afterMillis: limit, nowMillis: clock.millis(at: now)) else {
            return tellOfEnd(lane, attempt, outcome, limit: limit, now: now)
        }
        note(.failingAt100)
        tell(.failedForDays, attempt, outcome, of: lane, now: now)
        note(lane, now: now)
    }
    private func apply(
        _ decision: DeliveryDecision, _ lane: Lane, _ order: OrderSlot, attempts: UInt16, outcome: DeliveryOutcome,
        now: UInt64
    ) {
        let (place, origin) = (order.place, order.origin)
        if isLostToShadow(lane, origin, decision) { return loseToShadow(lane, place, origin, now: now) }
        switch decision {
        case .delivered:
            count(lane) { $0.delivered += 1 }
            if lane.troubledSince != 0 {
                tellRecovery(TriedDelivery(place: place, attempts: attempts), outcome, of: lane, now: now)
            }
            tally(lane, .delivered)
            write(
                lane, place: place, state: .delivered, attempts: attempts, outcome: outcome, origin: origin, now: now)
        case .retry:
            failed(
                lane, place: place, attempts: attempts, origin: origin, outcome: outcome,
                lastReason: .retriesExhausted, bornMillis: order.bornMillis, now: now)
        case .deadLetter(let reason):
            deadLetter(
                lane, place: place, attempts: attempts, origin: origin, reason: reason, outcome: outcome, now: now)
        case .endpointGone:
            deadLetter(
                lane, place: place, attempts: attempts, origin: origin, reason: .endpointGone, outcome: outcome,
                now: now)
        case .notAttempted, .retryAtOnce:
            // While draining this stays unwritten: the next start meets it again.
            putOff(DeferredAttempt(place: place, attempts: order.attempts, origin: origin), lane)
            leaveOrder(lane, place.sequence, isDone: false)
        }
    }
    /// The attempt is over, or was not made: where an order is kept, another one may go now.
    func leaveOrder(_ lane: Lane, _ sequence: UInt64, isDone: Bool) {
        if isDone, lane.coalesces { lane.work?.coalescing.ended(sequence) }
        guard let next = lane.work?.order?.ended(sequence, isDone: isDone) else { return }
        putOff(next, lane)
    }
    /// The state's row, and a notice for the log.
    func note(_ lane: Lane, now: UInt64) {
        guard !lane.isForgotten else { return }
        noteBatchStart(now: now)
        batch.states.append(lane.health.state)
        let (before, reasonBefore) = (lane.toldCondition, lane.toldReason)
        count(reason: lane.health.state.reason, of: lane)
        guard before != lane.health.state.condition else { return }
        if !lane.isRemoved {
            conditions[before, default: 0] -= 1
            conditions[lane.health.state.condition, default: 0] += 1
        }
        lane.toldCondition = lane.health.state.condition
        // A breaker that tries, and opens again, is no news.
        guard !reasonBefore.isBreaker || !lane.toldReason.isBreaker else { return }
        let notice = EndpointNotice(
            endpoint: lane.id, name: lane.endpoint.name, old: before, state: lane.health.state)
        notices.append(notice)
        show(.endpoint(lane.endpoint.tenant, notice), of: lane)
    }

    // MARK: Rows

    /// `type`: of the event, where attempts are counted by it. `host`: of the second URL, where it went there.
    func keepAttempt(
        _ lane: Lane, _ sequence: UInt64, number: UInt16, outcome: DeliveryOutcome, answer: [UInt8], type: String?,
        host: String? = nil, now: UInt64
    ) {
        guard !lane.isForgotten else { return }
        noteBatchStart(now: now)
        if let type {
            let isSuccess = lane.endpoint.outcomes.meaning(of: outcome.status) == .delivered
            tally(
                lane,
                .attempt(
                    AttemptNote(
                        type: type, isSuccess: outcome.result == .answered && isSuccess,
                        number: AttemptCount.number(of: number), micros: outcome.durationMicros,
                        endedMillis: clock.millis(at: now))))
        }
        batch.attempts.append(
            AttemptRow(
                endpoint: lane.id, sequence: sequence, number: number, endedMillis: clock.millis(at: now),
                timing: AttemptTiming(outcome), status: outcome.status, result: outcome.result,
                systemError: outcome.systemError, answer: answer, host: host))
    }
    /// After a failure that may pass: the next attempt by the schedule, or a dead letter when there is none.
    /// `outcome` is nil when no attempt was made because the event could not be read.
    /// `origin` is nil for an event that never was an order.
    func failed(
        _ lane: Lane, place: EventLocation, attempts: UInt16, origin: AttemptOrigin?, outcome: DeliveryOutcome?,
        lastReason: DeadLetterReason, bornMillis: Int64? = nil, now: UInt64
    ) {
        if endIfSuperseded(place, lane, attempts: attempts, origin: origin, now: now) { return }
        guard let delay = delayMillis(lane, attempts, outcome) else {
            deadLetter(
                lane, place: place, attempts: attempts, origin: origin, reason: lastReason, outcome: outcome, now: now)
            return
        }
        if let bornMillis,
            let reason = tooLate(lane, attempts, outcome, bornMillis, inMillis: Int64(delay), now: now)
        {
            deadLetter(
                lane, place: place, attempts: attempts, origin: origin, reason: reason, outcome: outcome, now: now)
            return
        }
        count(lane) { $0.retried += 1 }
        // Also one whose event could not be read holds back what follows.
        if case .ofAll? = lane.endpoint.order {
            lane.working.order?.enrol(place.sequence, key: DeliveryOrder.commonKey)
        }
        let due = clock.millis(at: now) + Int64(delay)
        if AttemptCount.scheduled(attempts) == 1, let outcome {
            let attempt = TriedDelivery(place: place, attempts: attempts)
            tell(.failing, attempt, outcome, of: lane, nextMillis: due, now: now)
        }
        schedule(lane, place: place, attempts: attempts, outcome: outcome, origin: origin, due: due, now: now)
    }
    /// The row of an attempt that is made at `due`, and the lane comes back for it. `origin` as above.
    func schedule(
        _ lane: Lane, place: EventLocation, attempts: UInt16, outcome: DeliveryOutcome? = nil, origin: AttemptOrigin?,
        due: Int64, now: UInt64
    ) {
        // Before the row counts as pending: a queue that is made now has all that the store has.
        let work = lane.working
        write(
            lane, place: place, state: .pending, attempts: attempts, outcome: outcome, origin: origin, due: due,
            now: now)
        let key = RetryKey(dueMillis: due, sequence: place.sequence)
        work.retries.schedule(RetryEntry(key: key, position: place.position, attempts: attempts))
        if lane.coalesces { work.coalescing.scheduled(place.sequence, attempts: attempts, dueMillis: due) }
        scheduler.wake(lane, at: clock.nanos(at: due))
    }
    /// `origin` as above.
    func deadLetter(
        _ lane: Lane, place: EventLocation, attempts: UInt16, origin: AttemptOrigin?, reason: DeadLetterReason,
        outcome: DeliveryOutcome? = nil, now: UInt64
    ) {
        if let outcome, triesElsewhere(lane, place, attempts, origin, reason, outcome, now: now) { return }
        setAside(
            lane, place: place, attempts: attempts, origin: origin, reason: reason, outcome: outcome, now: now)
    }
    func setAside(
        _ lane: Lane, place: EventLocation, attempts: UInt16, origin: AttemptOrigin?, reason: DeadLetterReason,
        outcome: DeliveryOutcome?, now: UInt64
    ) {
        count(lane) { $0.recordDeadLetter(reason) }
        if let outcome {
            tell(.exhausted, TriedDelivery(place: place, attempts: attempts), outcome, of: lane, now: now)
        }
        tally(lane, .givenUp)
        write(
            lane, place: place, state: .dead, attempts: attempts, outcome: outcome, origin: origin, reason: reason,
            now: now)
    }
    /// The row, and with it the event leaves the outstanding window or the retry queue.
    func write(
        _ lane: Lane, place: EventLocation, state: DeliveryState, attempts: UInt16, outcome: DeliveryOutcome?,
        origin: AttemptOrigin?, reason: DeadLetterReason? = nil, due: Int64 = 0, now: UInt64
    ) {
        let row = DeliveryRow(
            endpoint: lane.id, place: place, state: state, attempts: attempts, status: outcome?.status ?? 0,
            result: outcome?.result ?? .abandoned, reason: reason, dueMillis: due,
            updatedMillis: clock.millis(at: now), timing: outcome.map(AttemptTiming.init) ?? AttemptTiming())
        record(row, lane, now: now)
        show(.delivery(lane.endpoint.tenant, row), of: lane)
        tellEnd(row, now: now)
        adjust(lane, pending: state == .pending ? 1 : 0, dead: state == .dead ? 1 : 0)
        switch origin {
        case .first(let ticket):
            lane.working.outstanding.resolve(ticket)
            markDirty(lane)
        case .retry:
            adjust(lane, pending: -1, dead: 0)
            lane.working.retries.resolved(place.sequence)
        case nil: break
        }
        if state != .pending {
            forgetPreparedSize(of: lane, place.sequence)
            forgetReauthorized(lane, place.sequence)
        }
        leaveOrder(lane, place.sequence, isDone: state != .pending)
    }
    /// Of the rows that the store keeps.
    func adjust(_ lane: Lane, pending: Int, dead: Int) {
        guard !lane.isForgotten else { return }
        lane.pendingCount += pending
        lane.deadCount += dead
        pendingTotal += pending
        deadTotal += dead
    }
    /// In the batch of the row that it is about.
    func tally(_ lane: Lane, _ kind: TallyNote.Kind) {
        guard lane.endpoint.family.keepsTally, !lane.isForgotten else { return }
        batch.tallies.append(TallyNote(lane.id, kind))
    }
    func record(_ row: DeliveryRow, _ lane: Lane, now: UInt64) {
        guard !lane.isForgotten else { return }
        noteBatchStart(now: now)
        if isPlanted(.forgetRetryRow), row.state == .pending { return }
        batch.rows.append(row)
    }
}

extension AttemptTiming {
    init(_ outcome: DeliveryOutcome) {
        self.init()
        totalMicros = outcome.durationMicros
        connectMicros = outcome.connectMicros
        firstByteMicros = outcome.firstByteMicros
    }
}

extension DeliveryOutcome {
    /// No connection was made, by us or by the proxy, and another address may do. What a proxy refuses (a 4xx) it
    /// refuses at all of them.
    var mayDoElsewhere: Bool {
        switch result {
        case .connectFailed, .connectTimedOut: true
        case .proxyRefused: (500..<600).contains(systemError)
        default: false
        }
    }
    /// One line for an operator.
    package var text: String {
        switch result {
        case .answered: "answered \(status)"
        case .connectFailed: "connection refused or failed: \(systemText(systemError))"
        case .connectTimedOut: "no connection within the connect time-out"
        case .headTimedOut: "no answer within the time-out"
        case .totalTimedOut: "the attempt took longer than the total time-out"
        case .connectionLost:
            systemError == 0 ? "connection closed before an answer" : "connection lost: \(systemText(systemError))"
        case .badAnswer: "what came is no HTTP answer"
        case .answerTooLarge: "interim answers without end"
        case .abandoned: "not attempted"
        case .nameNotResolved: "the host name does not resolve"
        case .addressRefused: "the host's address may not be delivered to"
        case .tlsFailed: "TLS: \(tlsFailure.explanation) (\(tlsFailure.code))"
        case .proxyRefused:
            systemError == 0 ? "the proxy's answer is not HTTP/1.1" : "the proxy answered \(systemError)"
        case .notPrepared: "not sent: \(preparationFailure?.explanation ?? "it cannot be prepared")"
        case .authorizationFailed: "no access token: \(tokenFault?.explanation ?? "none was given")"
        }
    }
}
