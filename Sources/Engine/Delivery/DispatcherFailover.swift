// The last attempt before the dead-letter queue, at the second URL of an endpoint that has one. It waits for its
// addresses and for memory like every other, and for nothing that the target has asked for or is short of.
//
// Invariants: what happens there says nothing of the target: pace, condition and policies go by the target alone. Until
// it has ended, the delivery holds its ticket or its row, so a process that dies in between tries the target again and
// comes here again. Who fails here is the dead letter that it would have been.

import FastPath

extension Dispatcher {
    /// True when the delivery is no dead letter yet.
    func triesElsewhere(
        _ lane: Lane, _ place: EventLocation, _ attempts: UInt16, _ origin: AttemptOrigin?, _ reason: DeadLetterReason,
        _ outcome: DeliveryOutcome, now: UInt64
    ) -> Bool {
        guard lane.endpoint.failover != nil, !AttemptCount.isFailover(attempts), !AttemptCount.isManual(attempts),
            outcome.result != .notPrepared, reason != .expired, lane.endpoint.policies?.shadow == nil,
            !lane.isRemoved, !lane.isDeaf || AttemptCount.isDirected(attempts)
        else { return false }
        if isDraining, let origin {
            // Nothing new goes out: the next start meets it again.
            putOff(DeferredAttempt(place: place, attempts: attempts - 1, origin: origin), lane)
            leaveOrder(lane, place.sequence, isDone: false)
            return true
        }
        let known = origin ?? .first(ticket: lane.working.outstanding.append(place))
        if origin == nil { markDirty(lane) }
        lane.failoverBegan()
        failoversDue.append(FailoverOrder(lane, place, attempts: attempts, known, reason, outcome))
        return true
    }
    /// Where the log's views are nobody's. Those for which there is no room let the others pass and wait for what
    /// comes back. True when one went on.
    func serveFailovers(now: UInt64) -> Bool {
        guard !failoversDue.isEmpty, !isDraining else { return false }
        var (hasServed, readsLeft) = (false, 32)
        for _ in 0..<min(failoversDue.count, 1024) {
            guard makeRoomInBatch(now: now), readsLeft > 0, let order = failoversDue.popFirst() else { break }
            if serve(order, &readsLeft, now: now) { hasServed = true } else { failoversDue.append(order) }
        }
        return hasServed
    }
    /// False when it waits where it is. `readsLeft`: of the log.
    private func serve(_ order: FailoverOrder, _ readsLeft: inout Int, now: UInt64) -> Bool {
        let lane = order.lane
        let isDeaf = lane.isDeaf && !AttemptCount.isDirected(order.attempts)
        guard let target = lane.endpoint.failover, !lane.isRemoved, !isDeaf else {
            endUnsent(order, now: now)
            return true
        }
        order.address = target.address
        guard now >= order.notBefore, slots.hasFree, order.block.map({ hasShare($0, lane) }) ?? true else {
            return false
        }
        switch failoverWay(lane, target, now: now) {
        case .awaits(let host):
            failoversAwaitingHost[host, default: []].append(order)
            return true
        case .closed(let result):
            lane.failoverEnded(bytes: nil)
            fail(order, DeliveryOutcome(token: 0, result: result), answer: [], trace: nil, now: now)
            reconsider(lane, now: now)
            endIfOver(lane)
            return true
        case .to(let destination):
            readsLeft -= 1
            return send(order, to: destination, now: now)
        }
    }

    // MARK: the way

    private enum FailoverWay {
        case to(Destination)
        case closed(DeliveryResult)
        case awaits(String)
    }
    /// As the lane's own: addresses are asked for, checked by the rules, and reached by the same proxy.
    private func failoverWay(_ lane: Lane, _ target: FailoverTarget, now: UInt64) -> FailoverWay {
        var (found, version) = (target.literals, UInt64(0))
        if let host = target.host {
            switch hosts.look(host.name, port: host.port, now: now) {
            case .pending: return .awaits(host.name)
            case .failed: return .closed(.nameNotResolved)
            case .addresses(let addresses, let own): (found, version) = (addresses, own)
            }
            if lane.endpoint.environment.rules.refusal(of: found) != nil { return .closed(.addressRefused) }
        }
        let proxies: [SocketAddress]
        switch look(for: lane.endpoint.proxy(to: found, of: target), version: version, now: now) {
        case .pending(let host): return .awaits(host.name)
        case .failed: return .closed(.nameNotResolved)
        case .found(let addresses, let both): (proxies, version) = (addresses, both)
        }
        let route = lane.failoverRoute
        if let destination = route.known.current, route.known.version == version { return .to(destination) }
        guard
            let destination = try? lane.endpoint.destination(
                found, proxy: proxies, predecessor: route.known.last, of: target)
        else { return .closed(.addressRefused) }
        route.known.lead(to: destination, version: version)
        return .to(destination)
    }

    // MARK: the attempt

    private func send(_ order: FailoverOrder, to destination: Destination, now: UInt64) -> Bool {
        let lane = order.lane
        let read = log.read(at: order.place)
        if case .unavailable = read {
            order.notBefore = now + 100_000_000
            scheduler.wake(lane, at: order.notBefore)
            return false
        }
        guard case .event(let event) = read, event.place.sequence == order.place.sequence, !event.isErased else {
            endUnsent(order, now: now)
            return true
        }
        let bytes = requestBytes(
            room: roomBytes(for: event, lane), lane, sourceBytes: event.source.count,
            typeBytes: event.eventType.count, subjectBytes: event.clientSubject.count)
        guard let block = pool.blockBytes(for: bytes) else {
            endUnsent(order, now: now)
            return true
        }
        order.block = block
        guard hasShare(block, lane), mayPrepare(event, lane), let lease = pool.allocate(bytes) else { return false }
        let preparation = lane.endpoint.preparation(of: event)
        let trace = traced(event, lane, attempts: order.attempts, now: now)
        let ends =
            preparation != nil
            ? (idEnd: 0, linesEnd: 0, bodyEnd: 0)
            : write(
                event, lane, attempt: UInt32(AttemptCount.number(of: order.attempts)) + 1, trace: trace, token: nil,
                to: lease, now: now)
        let tenant = takeShare(
            block, lane, byteCount: 64 + event.fieldLines.count + event.body.count, isProven: false)
        lane.failoverTook(bytes: block)
        let route = lane.failoverRoute
        order.route = route
        route.began()
        var out = OrderSlot(lane: lane, destination: destination, pool: pools.pool(for: route), origin: order.origin)
        (out.place, out.attempts, out.lease) = (event.place, order.attempts, lease)
        (out.idEnd, out.linesEnd, out.bodyEnd) = ends
        (out.wasProven, out.tenant, out.bornMillis) = (false, tenant, event.bornMillis)
        (out.keepsAttempt, out.trace, out.failover) = (true, trace, order)
        let slot = slots.take(out)
        if let preparation { prepare(event, lane, preparation, slot: slot) } else { submit(slot) }
        return true
    }
    /// What all share: as for an endpoint of which nothing is known, whatever its target has shown.
    private func hasShare(_ block: Int, _ lane: Lane) -> Bool {
        var asking = asking(lane)
        asking.isProven = false
        return shares.allows(block, asking)
    }
    /// It has come back.
    func complete(_ order: FailoverOrder, _ slot: Int, _ outcome: DeliveryOutcome, now: UInt64) {
        let lane = order.lane
        let isUndecided = isUndecided(slot, outcome)
        if isUndecided, !isDraining { return goOn(slot, outcome) }
        if outcome.mayDoElsewhere { distrust(lane.endpoint.failover?.host, of: lane) }
        let answer = egress.answer(of: outcome)
        let trace = slots[slot].trace
        release(slot, lane)
        if let route = order.route {
            route.ended()
            if route.inFlight == 0 { pools.rest(route) }
        }
        let meaning = lane.endpoint.outcomes.meaning(of: outcome.status)
        if outcome.result == .abandoned, !isDraining {
            // Prepared anew, with what has changed meanwhile or with more room.
            order.route = nil
            lane.failoverBegan()
            failoversDue.append(order)
        } else if outcome.result == .abandoned || isUndecided {
            // The next start tries the target again.
            putOff(DeferredAttempt(place: order.place, attempts: order.attempts - 1, origin: order.origin), lane)
            leaveOrder(lane, order.place.sequence, isDone: false)
        } else if outcome.result == .answered, meaning == .delivered {
            failoverFigures.delivered += 1
            note(order, outcome, answer: answer, trace: trace, isDelivered: true, now: now)
            count(lane) { $0.delivered += 1 }
            tally(lane, .delivered)
            write(
                lane, place: order.place, state: .delivered, attempts: order.number, outcome: outcome,
                origin: order.origin, now: now)
        } else {
            fail(order, outcome, answer: answer, trace: trace, now: now)
        }
        reconsider(lane, now: now)
        endIfOver(lane)
    }
    /// As everywhere: a connection that was found dead, an address that takes nobody while there are others.
    private func isUndecided(_ slot: Int, _ outcome: DeliveryOutcome) -> Bool {
        isFoundDead(slot, outcome) || outcome.mayDoElsewhere && slots[slot].hasUntriedAddress
    }
    private func isFoundDead(_ slot: Int, _ outcome: DeliveryOutcome) -> Bool {
        outcome.lostReusedConnection && !slots[slot].wasRepeated
    }
    private func goOn(_ slot: Int, _ outcome: DeliveryOutcome) {
        if isFoundDead(slot, outcome) {
            slots[slot].wasRepeated = true
        } else {
            slots[slot].turnToNextAddress()
        }
        submit(slot)
    }
    private func fail(
        _ order: FailoverOrder, _ outcome: DeliveryOutcome, answer: [UInt8], trace: AttemptTrace?, now: UInt64
    ) {
        failoverFigures.failed += 1
        note(order, outcome, answer: answer, trace: trace, isDelivered: false, now: now)
        setAside(order, attempts: order.number, now: now)
    }
    /// In its history, as an attempt of its own.
    private func note(
        _ order: FailoverOrder, _ outcome: DeliveryOutcome, answer: [UInt8], trace: AttemptTrace?, isDelivered: Bool,
        now: UInt64
    ) {
        tellAttempt(
            trace, order.place, order.lane, attempts: order.attempts, outcome, isDelivered: isDelivered,
            elsewhere: order.address, now: now)
        keepAttempt(
            order.lane, order.place.sequence, number: order.number, outcome: outcome, answer: answer, type: nil,
            host: order.address?.hostField, now: now)
    }
    private func endUnsent(_ order: FailoverOrder, now: UInt64) {
        order.lane.failoverEnded(bytes: nil)
        setAside(order, attempts: order.attempts, now: now)
        reconsider(order.lane, now: now)
        endIfOver(order.lane)
    }
    /// The dead letter that it would have been.
    private func setAside(_ order: FailoverOrder, attempts: UInt16, now: UInt64) {
        setAside(
            order.lane, place: order.place, attempts: attempts, origin: order.origin, reason: order.reason,
            outcome: order.outcome, now: now)
    }
}
