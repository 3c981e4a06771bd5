// Endpoints that get many events in one request. What the lane meets gets its row at once, due when the batch that it
// joins is; what is due at one time goes together. One request is one attempt: it takes one slot, one share of the
// memory and one token of a rate, and its outcome is every member's, each with a row of its own.
//
// Invariants: all members of a request have been tried as often; they are out together and come back together, to one
// due time when they failed, so that a retry has the same members and with them the same id. A member that cannot be
// read or made, or is too old, ends by itself before the others go.

import FastPath

/// One event of a request that has several.
struct BatchMember {
    let place: EventLocation
    let attempts: UInt16
    let dueMillis: Int64
    let bornMillis: Int64
    /// Nil where its event is not traced.
    var trace: AttemptTrace?
    var origin: AttemptOrigin { .retry(dueMillis: dueMillis) }
    var entry: RetryEntry {
        RetryEntry(
            key: RetryKey(dueMillis: dueMillis, sequence: place.sequence), position: place.position, attempts: attempts)
    }
}

/// What goes into a request, as far as it has been read.
private struct BatchDraft {
    var members: [BatchMember] = []
    var body: BatchBody
    /// Where the endpoint asks for a transformation or a redaction: nothing is written yet.
    var items: [PreparationBatch.Item] = []
    var itemBytes = 0
}

extension Dispatcher {
    /// So many that are for later are looked at in a turn, to find a full batch behind them.
    private static var earlyMax: Int { 64 }
    /// An event that the lane meets for the first time.
    func takeIn(_ event: StoredEvent, _ lane: Lane, _ settings: BatchSettings, now: UInt64) {
        let due = lane.working.window.join(
            event.body.count, nowMillis: clock.millis(at: now), by: settings)
        schedule(lane, place: event.place, attempts: 0, origin: nil, due: due, now: now)
        if lane.working.window.fullUntil >= due { scheduler.makeReady(lane) }
    }

    // MARK: As it goes

    func serveBatches(_ lane: Lane, _ settings: BatchSettings, way: Way, now: UInt64) -> TurnEnd {
        let work = lane.working
        let nowMillis = clock.millis(at: now)
        // Of `deliver_at` before a full one's end; back before anybody else looks.
        var early: [RetryEntry] = []
        defer { putBack(early, lane) }
        while true {
            guard lane.hasRoomForRetry(now: now) else {
                return lane.hasBatch(nowMillis: nowMillis) ? .laneFull : .done
            }
            guard makeRoomInBatch(now: now), slots.hasFree else { return .starved }
            let group = work.retries.popGroup(
                nowMillis: nowMillis, firstsUntil: work.window.fullUntil,
                withRepeats: lane.budgetEnd(now: now) == nil, inOrder: lane.batchesInOrder,
                countMax: min(settings.events, work.window.countMax))
            guard let first = group.first, early.count < Self.earlyMax else {
                putBack(group, lane)
                let waits = lane.batchesInOrder && work.retries.nextRepeatMillis != nil
                if !early.isEmpty, !waits { work.window.fullOnesWent() }
                return .done
            }
            guard hasTurn(work) else {
                putBack(group, lane)
                return .more
            }
            if first.isRepeat { work.window.taken(first.key.dueMillis) }
            let before = early.count
            switch send(group, lane, settings, way: way, early: &early, now: now) {
            // What is put back costs nothing, or a small turn would be over before what goes.
            case .ended(let byteCount): if early.count == before { pay(byteCount, work) }
            case .blocked: return .starved
            case .unavailable: return .unavailable
            }
        }
    }
    func putBack(_ entries: some Sequence<RetryEntry>, _ lane: Lane) {
        for entry in entries { lane.working.retries.putBack(entry) }
    }
    /// What is left of the group goes back to where it was.
    private func send(
        _ group: [RetryEntry], _ lane: Lane, _ settings: BatchSettings, way: Way, early: inout [RetryEntry],
        now: UInt64
    ) -> SendResult {
        var draft = BatchDraft(body: BatchBody(settings.format))
        guard let policies = lane.endpoint.policies,
            read(group, into: &draft, early: &early, lane, policies, settings, now: now)
        else { return .unavailable }
        guard let first = draft.members.first else { return .ended(byteCount: 64 * group.count) }
        guard case .to(let destination) = way else {
            guard case .closed(let result) = way else { return .blocked }
            notSent(draft.members, lane, policies, result: result, now: now)
            return .ended(byteCount: 64 * group.count)
        }
        let room =
            draft.items.isEmpty
            ? draft.body.bytes.count : Preparation.bytesExpected(for: draft.itemBytes) + 256 * draft.items.count
        let token = token(of: lane)
        let bytes = batchBytes(room: room + (token?.line.count ?? 0), lane)
        guard let block = pool.blockBytes(for: bytes) else {
            return sendLess(draft.members, lane, settings, way: way, early: &early, now: now)
        }
        guard draft.items.isEmpty || preparer?.hasRoom(for: draft.itemBytes) == true,
            shares.allows(block, asking(lane)), let lease = pool.allocate(bytes)
        else {
            putBack(draft.members.map(\.entry), lane)
            return .blocked
        }
        let byteCount = 64 * group.count + room
        let tenant = takeShare(block, lane, byteCount: byteCount)
        if let interval = lane.endpoint.spacingNanos { lane.working.spacing.took(now: now, intervalNanos: interval) }
        began(lane, policies, attempts: first.attempts, now: now)
        lane.attemptBegan(first.origin, bytes: block)
        var order = OrderSlot(
            lane: lane, destination: destination, pool: pools.pool(for: lane), origin: first.origin,
            place: first.place, attempts: first.attempts, lease: lease, addressIndex: lane.addressIndex,
            wasProven: lane.isProven, tenant: tenant, isProbe: lane.breakerPhase == .halfOpen,
            bornMillis: first.bornMillis)
        order.members = draft.members
        order.token = token
        let slot = slots.take(order)
        if let preparation = lane.endpoint.preparation {
            preparationFigures.out += 1
            preparer?.submit(
                PreparationOrder(
                    PreparationBatch(format: settings.format, items: draft.items), token: slots.token(slot),
                    endpoint: lane.endpoint, preparation, place: first.place))
        } else {
            submit(draft.body.closed, lane, settings, slot: slot, now: now)
        }
        return .ended(byteCount: byteCount)
    }
    /// More than the delivery memory takes at once.
    private func sendLess(
        _ members: [BatchMember], _ lane: Lane, _ settings: BatchSettings, way: Way, early: inout [RetryEntry],
        now: UInt64
    ) -> SendResult {
        guard members.count > 1 else {
            for one in members {
                deadLetter(
                    lane, place: one.place, attempts: one.attempts, origin: one.origin, reason: .tooLarge, now: now)
            }
            return .ended(byteCount: 64)
        }
        let half = members.count / 2
        putBack(members[half...].map(\.entry), lane)
        return send(members[..<half].map(\.entry), lane, settings, way: way, early: &early, now: now)
    }
    /// False when the log cannot be read now; everything is back then. What has no room goes back.
    private func read(
        _ group: [RetryEntry], into draft: inout BatchDraft, early: inout [RetryEntry], _ lane: Lane,
        _ policies: LanePolicies, _ settings: BatchSettings, now: UInt64
    ) -> Bool {
        var rest = group[...]
        while let entry = rest.first {
            let origin = AttemptOrigin.retry(dueMillis: entry.key.dueMillis)
            switch log.read(at: entry.place) {
            case .event(let event) where event.place.sequence == entry.key.sequence && event.isErased:
                deadLetter(
                    lane, place: entry.place, attempts: entry.attempts, origin: origin, reason: .erased, now: now)
            case .event(let event)
            where event.place.sequence == entry.key.sequence && isEarly(event, entry, now: now):
                early.append(entry)
            case .event(let event) where event.place.sequence == entry.key.sequence:
                let isOver = isSettled(event, lane, policies, attempts: entry.attempts, origin: origin, now: now)
                guard isOver || add(event, entry, to: &draft, lane, settings, now: now) else {
                    putBack(rest, lane)
                    return true
                }
            case .event, .end:
                deadLetter(
                    lane, place: entry.place, attempts: entry.attempts, origin: origin, reason: .eventMissing, now: now)
            case .unreadable:
                eventsUnreadable += 1
                failed(
                    lane, place: entry.place, attempts: entry.attempts + 1, origin: origin, outcome: nil,
                    lastReason: .eventMissing, now: now)
            case .unavailable:
                putBack(draft.members.map(\.entry), lane)
                putBack(rest, lane)
                return false
            }
            rest = rest.dropFirst()
        }
        return true
    }
    /// A batch that is full goes before its time, what is to be delivered later does not.
    private func isEarly(_ event: StoredEvent, _ entry: RetryEntry, now: UInt64) -> Bool {
        let nowMillis = clock.millis(at: now)
        return entry.key.dueMillis > nowMillis && (event.deliverAtMillis ?? 0) > nowMillis
    }
    /// False when there is no room for it beside the others.
    private func add(
        _ event: StoredEvent, _ entry: RetryEntry, to draft: inout BatchDraft, _ lane: Lane, _ settings: BatchSettings,
        now: UInt64
    ) -> Bool {
        let id = EventID(logIdentity: log.identity, sequence: event.place.sequence)
        let item = PreparationBatch.Item(event, id: event.sourceID.isMessage ? MessageID(id).text : id.text)
        let isFirst = draft.members.isEmpty
        if lane.endpoint.preparation != nil {
            guard isFirst || draft.itemBytes + item.byteCount <= settings.bytes else { return false }
            draft.items.append(item)
            draft.itemBytes += item.byteCount
        } else {
            let written = item.written(fieldLines: item.fieldLines, body: item.body)
            guard isFirst || draft.body.has(roomFor: written, in: settings.bytes) else { return false }
            draft.body.append(written)
        }
        draft.members.append(
            BatchMember(
                place: entry.place, attempts: entry.attempts, dueMillis: entry.key.dueMillis,
                bornMillis: event.bornMillis, trace: traced(event, lane, attempts: entry.attempts, now: now)))
        return true
    }
    /// As much memory as such a request takes.
    private func batchBytes(room: Int, _ lane: Lane) -> Int {
        requestBytes(room: room, lane, sourceBytes: 0, typeBytes: 0, subjectBytes: 0) + 2 * BatchBody.idBytes + 128
    }
    private func submit(_ body: [UInt8], _ lane: Lane, _ settings: BatchSettings, slot: Int, now: UInt64) {
        let order = slots[slot]
        guard let lease = order.lease, let members = order.members else {
            preconditionFailure("a batch without memory or members")
        }
        let endpoint = lane.endpoint
        let id = Array(
            BatchBody.id(
                logIdentity: log.identity, endpoint: lane.id, sequences: members.map(\.place.sequence)
            ).utf8)
        let idEnd = id.withView { pool.write($0, to: lease, at: 0) }
        var lines = endpoint.fieldLines
        if FieldLineList(lines).value(of: "content-type") == nil {
            lines += Array("Content-Type: \(BatchBody.contentType(settings.format))\r\n".utf8)
        }
        lines += Array((endpoint.names == .svix ? "svix-id: " : "webhook-id: ").utf8) + id
        let attempt = AttemptCount.number(of: order.attempts) + 1
        lines += Array("\r\nSluice-Batch: \(members.count)\r\nSluice-Attempt: \(attempt)\r\n".utf8)
        if let token = order.token { lines += token.line }
        if let signer = endpoint.signer {
            let seconds = UInt64(max(0, clock.millis(at: now)) / 1000)
            lines += body.withView { signer.lines(id: id, body: $0, seconds: seconds, names: endpoint.names) }
        }
        let linesEnd = lines.withView { pool.write($0, to: lease, at: idEnd) }
        let bodyEnd = body.withView { pool.write($0, to: lease, at: linesEnd) }
        (slots[slot].idEnd, slots[slot].linesEnd, slots[slot].bodyEnd) = (idEnd, linesEnd, bodyEnd)
        note(.batchSent)
        submit(slot)
    }

    // MARK: What the workers have made

    func takeBatch(_ prepared: PreparedDelivery, _ lane: Lane, slot: Int, now: UInt64) {
        let token = prepared.order.token
        guard lane.endpoint === prepared.order.endpoint, !lane.isStopped, let settings = lane.endpoint.policies?.batch,
            case .success(let event) = prepared.result, var members = slots[slot].members
        else { return complete(DeliveryOutcome(token: token, result: .abandoned), now: now) }
        for (index, failure) in prepared.failures.sorted(by: { $0.key > $1.key }) {
            preparationFigures.failures[Int(failure.rawValue)] += 1
            setAside(members.remove(at: index), lane, DeliveryOutcome(failure, token: token), now: now)
        }
        slots[slot].members = members
        let bytes = batchBytes(room: event.body.count + (slots[slot].token?.line.count ?? 0), lane)
        if members.count == 1, pool.blockBytes(for: bytes) == nil {
            preparationFigures.failures[Int(PreparationFailure.tooLarge.rawValue)] += 1
            setAside(members.removeLast(), lane, DeliveryOutcome(.tooLarge, token: token), now: now)
            slots[slot].members = members
        }
        guard !members.isEmpty, enlarge(slot, lane, to: bytes) else {
            return complete(DeliveryOutcome(token: token, result: .abandoned), now: now)
        }
        preparationFigures.prepared += UInt64(members.count)
        for (index, count) in event.redactions.enumerated() { preparationFigures.redactions[index] += count }
        submit(event.body, lane, settings, slot: slot, now: now)
    }
    /// It cannot be made into what its endpoint is to get; the others go without it.
    private func setAside(_ member: BatchMember, _ lane: Lane, _ outcome: DeliveryOutcome, now: UInt64) {
        count(lane) { $0.record(outcome) }
        let attempts = member.attempts < .max ? member.attempts + 1 : member.attempts
        tellAttempt(member, lane, outcome, isDelivered: false, now: now)
        keepAttempt(lane, member.place.sequence, number: attempts, outcome: outcome, answer: [], type: nil, now: now)
        deadLetter(
            lane, place: member.place, attempts: attempts, origin: member.origin, reason: .transformationFailed,
            outcome: outcome, now: now)
    }
    /// More came out than was taken memory for. False when there is none now; of what never has room, the half goes the
    /// next time.
    private func enlarge(_ slot: Int, _ lane: Lane, to bytes: Int) -> Bool {
        let order = slots[slot]
        guard let old = order.lease, pool.bytes(of: old) < bytes else { return true }
        guard pool.blockBytes(for: bytes) != nil else {
            lane.working.window.halve()
            return false
        }
        let before = pool.bytes(of: old)
        // Before, for nothing is written yet: what needs more than half of the memory would never have it.
        pool.free(old)
        guard let lease = pool.allocate(bytes) else {
            // There is room for it: it has just been free.
            slots[slot].lease = pool.allocate(before)
            return false
        }
        let after = pool.bytes(of: lease)
        lane.attemptEnded(order.origin, bytes: before)
        shares.giveBack(before, wasProven: order.wasProven)
        shares.take(after, isProven: order.wasProven)
        if let tenant = order.tenant { scheduler.enlarged(from: before, to: after, tenant) }
        lane.attemptBegan(order.origin, bytes: after)
        slots[slot].lease = lease
        return true
    }

    // MARK: When it has ended

    /// The outcome of the request is that of each.
    func endBatch(
        _ members: [BatchMember], _ lane: Lane, _ decision: DeliveryDecision, outcome: DeliveryOutcome,
        answer: [UInt8], now: UInt64
    ) {
        guard let first = members.first else { return }
        let attempts = first.attempts < .max ? first.attempts + 1 : first.attempts
        switch decision {
        case .notAttempted, .retryAtOnce: return putBack(members.map(\.entry), lane)
        case .delivered, .retry, .deadLetter, .endpointGone: break
        }
        for one in members {
            if decision != .delivered || attempts > 1 {
                keepAttempt(
                    lane, one.place.sequence, number: attempts, outcome: outcome, answer: answer, type: nil, now: now)
            }
        }
        switch decision {
        case .delivered:
            count(lane) { $0.delivered += UInt64(members.count) }
            if lane.troubledSince != 0 {
                tellRecovery(TriedDelivery(place: first.place, attempts: attempts), outcome, of: lane, now: now)
            }
            for one in members {
                tellAttempt(one, lane, outcome, isDelivered: true, now: now)
                write(
                    lane, place: one.place, state: .delivered, attempts: attempts, outcome: outcome,
                    origin: one.origin, now: now)
            }
        case .retry: failed(members, lane, attempts: attempts, outcome: outcome, now: now)
        case .deadLetter(let reason): end(members, lane, attempts: attempts, reason, outcome, now: now)
        case .endpointGone: end(members, lane, attempts: attempts, .endpointGone, outcome, now: now)
        case .notAttempted, .retryAtOnce: break
        }
    }
    private func end(
        _ members: [BatchMember], _ lane: Lane, attempts: UInt16, _ reason: DeadLetterReason,
        _ outcome: DeliveryOutcome, now: UInt64
    ) {
        for one in members {
            tellAttempt(one, lane, outcome, isDelivered: false, now: now)
            deadLetter(
                lane, place: one.place, attempts: attempts, origin: one.origin, reason: reason, outcome: outcome,
                now: now)
        }
    }
    /// Just before its row: see `DispatcherSpans`.
    private func tellAttempt(
        _ one: BatchMember, _ lane: Lane, _ outcome: DeliveryOutcome, isDelivered: Bool, now: UInt64
    ) {
        tellAttempt(
            one.trace, one.place, lane, attempts: one.attempts, outcome, isDelivered: isDelivered, now: now)
    }
    private func failed(
        _ members: [BatchMember], _ lane: Lane, attempts: UInt16, outcome: DeliveryOutcome, now: UInt64
    ) {
        guard let first = members.first, let delay = delayMillis(lane, attempts, outcome) else {
            let isUnauthorized = outcome.result == .authorizationFailed
            return end(
                members, lane, attempts: attempts, isUnauthorized ? .authorizationFailed : .retriesExhausted, outcome,
                now: now)
        }
        let due = lane.working.window.fail(until: clock.millis(at: now) + Int64(delay))
        if AttemptCount.scheduled(attempts) == 1 {
            tell(
                .failing, TriedDelivery(place: first.place, attempts: attempts), outcome, of: lane, nextMillis: due,
                now: now)
        }
        for one in members {
            if let reason = tooLate(lane, attempts, outcome, one.bornMillis, inMillis: Int64(delay), now: now) {
                end([one], lane, attempts: attempts, reason, outcome, now: now)
                continue
            }
            tellAttempt(one, lane, outcome, isDelivered: false, now: now)
            count(lane) { $0.retried += 1 }
            schedule(
                lane, place: one.place, attempts: attempts, outcome: outcome, origin: one.origin, due: due, now: now)
        }
    }
    /// There is no way to the endpoint: an attempt that failed without a request.
    private func notSent(
        _ members: [BatchMember], _ lane: Lane, _ policies: LanePolicies, result: DeliveryResult, now: UInt64
    ) {
        var outcome = DeliveryOutcome(token: 0, result: result)
        let said = explain(&outcome, lane)
        count(lane) { $0.record(outcome) }
        failures[FailureClass(outcome).index] += 1
        lane.isProven = false
        lane.working.pace.adjust(.backOff, concurrency: lane.endpoint.concurrency, now: now)
        let isProbe = lane.breakerPhase == .halfOpen
        if judge(lane, policies, outcome, isDelivered: false, isProbe: isProbe, now: now) { note(lane, now: now) }
        endBatch(members, lane, .retry, outcome: outcome, answer: said, now: now)
        guard let first = members.first else { return }
        endAfterDays(lane, TriedDelivery(place: first.place, attempts: first.attempts + 1), outcome, now: now)
    }
}
