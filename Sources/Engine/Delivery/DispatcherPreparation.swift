// Deliveries of endpoints that ask for a transformation or a redaction: from the lane's decision to send over the
// workers to the egress loop. The slot, its memory and its place in the lane's order are taken before, so that shares,
// order, drain and counts are those of every other delivery.
//
// Invariants: a slot that is with the workers has a lease and a lane that counts it, and no request; what comes back
// for settings that are no longer the lane's is prepared anew, so that nothing goes out by half of each.

import FastPath

/// A delivery, as the dispatcher finds it again.
struct PreparedKey: Hashable {
    let endpoint: EndpointID
    let sequence: UInt64
}

extension Dispatcher {
    /// Bytes of body and field lines that are taken memory for.
    func roomBytes(for event: StoredEvent, _ lane: Lane) -> Int {
        let received = event.fieldLines.count + event.body.count
        guard lane.endpoint.preparation(of: event) != nil else { return received }
        let known = preparedSizes[PreparedKey(endpoint: lane.id, sequence: event.place.sequence)]
        return known ?? Preparation.bytesExpected(for: received)
    }
    /// The delivery has ended, and is prepared no more.
    func forgetPreparedSize(of lane: Lane, _ sequence: UInt64) {
        guard !preparedSizes.isEmpty else { return }
        preparedSizes[PreparedKey(endpoint: lane.id, sequence: sequence)] = nil
    }
    func forgetPreparedSizes(of endpoint: EndpointID) {
        guard !preparedSizes.isEmpty else { return }
        preparedSizes = preparedSizes.filter { $0.key.endpoint != endpoint }
    }
    /// Deliveries whose size is remembered until they are prepared again; for the proof that none stays.
    package var preparedSizeCount: Int { preparedSizes.count }
    /// True exactly when the event needs no preparation, or one more may be handed over.
    func mayPrepare(_ event: StoredEvent, _ lane: Lane) -> Bool {
        guard lane.endpoint.preparation(of: event) != nil else { return true }
        return preparer?.hasRoom(for: event.fieldLines.count + event.body.count) ?? false
    }
    /// The slot's memory is written when it comes back.
    func prepare(_ event: StoredEvent, _ lane: Lane, _ preparation: Preparation, slot: Int) {
        preparationFigures.out += 1
        preparer?.submit(
            PreparationOrder(
                event, token: slots.token(slot), endpoint: lane.endpoint, preparation, logIdentity: log.identity))
    }
    /// True when it stopped at its bound.
    func takePrepared(now: UInt64) -> Bool {
        guard preparationFigures.out > 0, let preparer else { return false }
        var count = 0
        while count < limits.outcomesPerStep {
            guard makeRoomInBatch(now: now) else { return false }
            guard let prepared = preparer.nextPrepared() else { return false }
            preparationFigures.out -= 1
            take(prepared, now: now)
            scheduler.wakeStarved(1)
            count += 1
        }
        return true
    }
    private func take(_ prepared: PreparedDelivery, now: UInt64) {
        let order = prepared.order
        guard let slot = slots.slot(of: order.token), let lane = slots[slot].lane else { return }
        guard order.batch == nil else { return takeBatch(prepared, lane, slot: slot, now: now) }
        let key = PreparedKey(endpoint: lane.id, sequence: order.place.sequence)
        let known = preparedSizes.removeValue(forKey: key)
        // Paused, disabled, removed or broken meanwhile: it waits like everything else of the lane.
        let isDeaf = lane.isDeaf && !AttemptCount.isDirected(slots[slot].attempts)
        // A pause of the target is none of its second URL's.
        let isStopped = lane.isStopped && (slots[slot].failover == nil || lane.isRemoved)
        guard lane.endpoint === order.endpoint, !isStopped, !isDeaf else { return putBack(order, now: now) }
        let event: PreparedEvent
        switch prepared.result {
        case .success(let made): event = made
        case .failure(let failure): return fail(order, failure, now: now)
        }
        let wanted = event.fieldLines.count + event.body.count
        let room = known ?? Preparation.bytesExpected(for: order.byteCount)
        guard wanted <= room else {
            // The next time so much is taken, if there can be so much.
            guard pool.blockBytes(for: requestBytes(order, lane, room: wanted)) != nil else {
                return fail(order, .tooLarge, now: now)
            }
            preparedSizes[key] = wanted
            return putBack(order, now: now)
        }
        preparationFigures.prepared += 1
        for (index, count) in event.redactions.enumerated() { preparationFigures.redactions[index] += count }
        send(event, order, lane, slot: slot, now: now)
    }
    private func requestBytes(_ order: PreparationOrder, _ lane: Lane, room: Int) -> Int {
        requestBytes(
            room: room, lane, sourceBytes: order.source.count, typeBytes: order.eventType.count,
            subjectBytes: order.clientSubject.count)
    }
    /// As much memory as a request takes.
    func requestBytes(room: Int, _ lane: Lane, sourceBytes: Int, typeBytes: Int, subjectBytes: Int) -> Int {
        MessageID.byteCount + sourceBytes + typeBytes + subjectBytes + ForwardedFields.ownBytesMax
            + lane.endpoint.fieldLines.count + (lane.endpoint.signer?.lineBytesMax ?? 0) + room
            + (spans == nil ? 0 : TraceContext.lineBytes)
    }
    /// As if it had never been handed over.
    private func putBack(_ order: PreparationOrder, now: UInt64) {
        complete(DeliveryOutcome(token: order.token, result: .abandoned), now: now)
    }
    private func fail(_ order: PreparationOrder, _ failure: PreparationFailure, now: UInt64) {
        preparationFigures.failures[Int(failure.rawValue)] += 1
        complete(DeliveryOutcome(failure, token: order.token), now: now)
    }
    private func send(
        _ prepared: PreparedEvent, _ order: PreparationOrder, _ lane: Lane, slot: Int, now: UInt64
    ) {
        guard let lease = slots[slot].lease else { preconditionFailure("an order without memory") }
        let attempt = UInt32(AttemptCount.number(of: slots[slot].attempts)) + 1
        let ends = order.source.withView { source in
            order.eventType.withView { type in
                order.clientSubject.withView { subject in
                    prepared.fieldLines.withView { lines in
                        prepared.body.withView { body in
                            let event = StoredEvent(
                                place: order.place, next: order.place, receivedAt: order.receivedAt,
                                tenant: lane.endpoint.tenant, sourceID: order.sourceID, source: source,
                                eventType: type, fieldLines: lines, body: body, verdict: order.verdict,
                                clientSubject: subject)
                            return write(
                                event, lane, attempt: attempt, trace: slots[slot].trace, token: slots[slot].token,
                                to: lease, now: now)
                        }
                    }
                }
            }
        }
        (slots[slot].idEnd, slots[slot].linesEnd, slots[slot].bodyEnd) = (ends.idEnd, ends.linesEnd, ends.bodyEnd)
        submit(slot)
    }
}

extension DeliveryOutcome {
    init(_ failure: PreparationFailure, token: UInt64) {
        self.init(token: token, result: .notPrepared)
        systemError = failure.rawValue
    }
    package var preparationFailure: PreparationFailure? {
        result == .notPrepared ? PreparationFailure(rawValue: systemError) : nil
    }
}
