// One attempt made ready and handed to the egress loop: the addresses, a share of the memory, the field lines, the
// slot.

import FastPath

/// How a lane's requests get to their endpoint, or why they do not.
enum Way {
    case to(Destination)
    case closed(DeliveryResult)

    var isOpen: Bool { if case .to = self { true } else { false } }
}

/// What became of one event that was to be sent.
enum SendResult {
    /// Sent, or an end was made of it; what sending it counts for.
    case ended(byteCount: Int)
    /// Others hold what it needs.
    case blocked
    /// The log cannot be read there now.
    case unavailable
}

extension StoredEvent {
    /// What reading it counts for in a lane's turn.
    var readingCost: Int { 64 + body.count / 8 }
}

extension Dispatcher {
    enum KnownWay {
        case known(Way)
        /// A reply of the resolver brings the lane back.
        case awaited
    }

    /// The lane's destination with addresses that are allowed now.
    func addressWay(to lane: Lane, now: UInt64) -> KnownWay {
        guard let host = lane.endpoint.host else {
            // Nothing of it changes, so its URL is not taken apart again.
            if lane.endpoint.environment.proxy?.host == nil, let destination = lane.destination {
                return .known(.to(destination))
            }
            return way(to: lane, over: lane.endpoint.literals, version: 0, now: now)
        }
        switch hosts.look(host.name, port: host.port, now: now) {
        case .pending: return wait(for: host, lane)
        case .failed(let why): return unresolved("host \(host.name) does not resolve: \(why)", lane, now: now)
        case .addresses(let found, let version): return way(to: lane, over: found, version: version, now: now)
        }
    }
    /// Behind a proxy its addresses are looked up as the endpoint's are.
    private func way(to lane: Lane, over found: [SocketAddress], version: UInt64, now: UInt64) -> KnownWay {
        if lane.endpoint.environment.proxy?.host == nil, let destination = lane.destination,
            lane.destinationVersion == version
        {
            return .known(.to(destination))
        }
        switch look(for: lane.endpoint.proxy(to: found), version: version, now: now) {
        case .pending(let host): return wait(for: host, lane)
        case .failed(let host, let why):
            return unresolved("the proxy \(host.name) does not resolve: \(why)", lane, now: now)
        case .found(let proxies, let both): return checked(lane, found, proxy: proxies, version: both, now: now)
        }
    }
    enum ProxyLook {
        case found([SocketAddress], version: UInt64)
        case pending(CompiledEndpoint.Host)
        case failed(CompiledEndpoint.Host, String)
    }
    /// No addresses without a proxy. A version is both, 32 bits each: they are numbers of answers of the resolver.
    func look(for proxy: EgressProxy?, version: UInt64, now: UInt64) -> ProxyLook {
        guard let host = proxy?.host else { return .found(proxy?.literals ?? [], version: version) }
        switch hosts.look(host.name, port: host.port, now: now) {
        case .pending: return .pending(host)
        case .failed(let why): return .failed(host, why)
        case .addresses(let proxies, let own):
            return .found(proxies, version: own << 32 | version & 0xFFFF_FFFF)
        }
    }
    private func wait(for host: CompiledEndpoint.Host, _ lane: Lane) -> KnownWay {
        if let destination = lane.destination { return .known(.to(destination)) }
        if !lane.isAwaitingHost {
            lane.isAwaitingHost = true
            awaitingHost[host.name, default: []].append(lane)
        }
        return .awaited
    }
    private func unresolved(_ why: String, _ lane: Lane, now: UInt64) -> KnownWay {
        if lane.health.failed(why, reason: .unresolved, nowMillis: clock.millis(at: now)) { note(lane, now: now) }
        return .known(.closed(.nameNotResolved))
    }
    private func checked(
        _ lane: Lane, _ found: [SocketAddress], proxy: [SocketAddress], version: UInt64, now: UInt64
    ) -> KnownWay {
        if let destination = lane.destination, lane.destinationVersion == version { return .known(.to(destination)) }
        if let host = lane.endpoint.host {
            if let (refused, reason) = lane.endpoint.environment.rules.refusal(of: found) {
                let error = EndpointAddressError.refused(
                    host: host.name, address: refused.address.text, reason)
                if lane.health.failed("the URL \(error)", reason: .unresolved, nowMillis: clock.millis(at: now)) {
                    note(lane, now: now)
                }
                return .known(.closed(.addressRefused))
            }
        }
        return .known(open(lane, found, proxy: proxy, version: version))
    }
    private func open(_ lane: Lane, _ addresses: [SocketAddress], proxy: [SocketAddress], version: UInt64) -> Way {
        let old = lane.lastDestination
        guard let destination = try? lane.endpoint.destination(addresses, proxy: proxy, predecessor: old) else {
            return .closed(.addressRefused)
        }
        // Who has been quiet long enough has no old ones to compare with; a wrong beginning costs a try.
        let isChanged =
            old.map {
                ($0.description.addresses, $0.description.proxy)
                    != (destination.description.addresses, destination.description.proxy)
            } ?? false
        if isChanged || Int(lane.addressIndex) >= destination.addressCount { lane.addressIndex = 0 }
        lane.lead(to: destination, version: version)
        return .to(destination)
    }

    /// Reads the event again and sends it. `origin` is nil for one that the lane has noted and never sent.
    func attempt(
        _ lane: Lane, place: EventLocation, attempts: UInt16, origin: AttemptOrigin?, way: Way, now: UInt64
    ) -> SendResult {
        if lane.isDeaf, !AttemptCount.isDirected(attempts) {
            deadLetter(lane, place: place, attempts: attempts, origin: origin, reason: .endpointDisabled, now: now)
            return .ended(byteCount: 64)
        }
        switch log.read(at: place) {
        case .event(let event) where event.place.sequence == place.sequence && event.isErased:
            deadLetter(lane, place: place, attempts: attempts, origin: origin, reason: .erased, now: now)
        case .event(let event) where event.place.sequence == place.sequence:
            let result = send(event, lane, attempts: attempts, origin: origin, way: way, now: now)
            // One that was not sent has been read.
            guard case .ended(let byteCount) = result else { return result }
            return .ended(byteCount: max(byteCount, event.readingCost))
        case .event, .end:
            deadLetter(lane, place: place, attempts: attempts, origin: origin, reason: .eventMissing, now: now)
        case .unreadable:
            // The disk may recover; it costs an attempt, so that it ends.
            eventsUnreadable += 1
            failed(
                lane, place: place, attempts: attempts + 1, origin: origin, outcome: nil, lastReason: .eventMissing,
                now: now)
        case .unavailable: return .unavailable
        }
        return .ended(byteCount: 64)
    }

    /// `origin` is nil for an event that the lane meets for the first time.
    func send(
        _ event: StoredEvent, _ lane: Lane, attempts: UInt16, origin: AttemptOrigin?, way: Way, now: UInt64
    ) -> SendResult {
        if endsUnsent(event, lane, attempts: attempts, origin: origin, now: now) { return .ended(byteCount: 64) }
        // A member's key was found in the event before.
        let key = lane.endpoint.order.map {
            lane.working.order?.key(of: event.place.sequence) ?? $0.key(of: event, in: groups)
        }
        if let key, lane.working.order?.mayGo(event.place.sequence, key: key) == false {
            hold(event, lane, key: key, attempts: attempts, origin: origin, now: now)
            return .ended(byteCount: 64)
        }
        if isRefusedUnmade(lane, attempts, now: now) {
            if let key { lane.working.order?.enrol(event.place.sequence, key: key) }
            failUnmade(event, lane, attempts: attempts, origin: origin, now: now)
            return .ended(byteCount: 64)
        }
        guard case .to(let destination) = way else {
            guard case .closed(let result) = way else { return .blocked }
            if let key { lane.working.order?.enrol(event.place.sequence, key: key) }
            notSent(event, lane, attempts: attempts, origin: origin, result: result, now: now)
            return .ended(byteCount: 64)
        }
        let token = lane.endpoint.policies == nil ? nil : token(of: lane)
        let bytes = requestBytes(
            room: roomBytes(for: event, lane) + (token?.line.count ?? 0), lane, sourceBytes: event.source.count,
            typeBytes: event.eventType.count, subjectBytes: event.clientSubject.count)
        guard let block = pool.blockBytes(for: bytes) else {
            deadLetter(lane, place: event.place, attempts: attempts, origin: origin, reason: .tooLarge, now: now)
            return .ended(byteCount: 64)
        }
        guard slots.hasFree, mayPrepare(event, lane), shares.allows(block, asking(lane)),
            let lease = pool.allocate(bytes)
        else { return .blocked }
        let preparation = lane.endpoint.preparation(of: event)
        let trace = traced(event, lane, attempts: attempts, now: now)
        let (idEnd, linesEnd, bodyEnd) =
            preparation != nil
            ? (idEnd: 0, linesEnd: 0, bodyEnd: 0)
            : write(
                event, lane, attempt: UInt32(AttemptCount.number(of: attempts)) + 1, trace: trace, token: token,
                to: lease, now: now)
        let known = origin ?? .first(ticket: lane.working.outstanding.append(event.place))
        if origin == nil { markDirty(lane) }
        let wasHeld = key.flatMap { lane.working.order?.began(event.place.sequence, key: $0) } ?? false
        if origin == nil || wasHeld {
            count(lane) { $0.recordQueueWait(millis: clock.millis(at: now) - Int64(event.receivedAt / 1_000_000)) }
        }
        let byteCount = 64 + event.fieldLines.count + event.body.count
        let tenant = takeShare(block, lane, byteCount: byteCount)
        if let interval = lane.endpoint.spacingNanos { lane.working.spacing.took(now: now, intervalNanos: interval) }
        if let policies = lane.endpoint.policies { began(lane, policies, attempts: attempts, now: now) }
        lane.attemptBegan(known, bytes: block)
        let keepsTally = lane.endpoint.family.keepsTally
        let slot = slots.take(
            OrderSlot(
                lane: lane, destination: destination, pool: pools.pool(for: lane), origin: known, place: event.place,
                attempts: attempts, lease: lease, idEnd: idEnd, linesEnd: linesEnd, bodyEnd: bodyEnd,
                addressIndex: lane.addressIndex, keepsAttempt: event.sourceID.isMessage || keepsTally,
                talliedType: keepsTally ? event.eventType.text : nil, wasProven: lane.isProven,
                tenant: tenant,
                isProbe: lane.endpoint.policies != nil && lane.breakerPhase == .halfOpen,
                bornMillis: event.bornMillis, trace: trace, token: token))
        if let preparation { prepare(event, lane, preparation, slot: slot) } else { submit(slot) }
        return .ended(byteCount: byteCount)
    }
    /// True when it waits, has ended, or goes with others: nothing of it is sent now.
    private func endsUnsent(
        _ event: StoredEvent, _ lane: Lane, attempts: UInt16, origin: AttemptOrigin?, now: UInt64
    ) -> Bool {
        if postpones(event, lane, attempts: attempts, origin: origin, now: now) { return true }
        guard let policies = lane.endpoint.policies else { return false }
        return isSettled(event, lane, policies, attempts: attempts, origin: origin, now: now)
            || isTakenIn(event, lane, policies, attempts: attempts, origin: origin, now: now)
    }
    /// An order's part of what all share. What its tenant pays for is what it holds; the bytes are paid by whoever has
    /// called.
    func takeShare(_ block: Int, _ lane: Lane, byteCount: Int, isProven: Bool? = nil) -> TenantShare {
        shares.take(block, isProven: isProven ?? lane.isProven)
        let tenant = scheduler.took(block, of: lane.endpoint.tenant, isFirstOfLane: lane.inFlight == 0)
        scheduler.charge(max(block, limits.orderUnit(of: pool.byteCount)) - byteCount)
        return tenant
    }
    func asking(_ lane: Lane) -> ResourceShares.Asking {
        let tenant = scheduler.share(of: lane.endpoint.tenant)
        var asking = ResourceShares.Asking()
        (asking.lane, asking.isProven) = (lane.held, lane.isProven)
        (asking.tenant, asking.holderCount) = (tenant.held, tenant.holderCount)
        (asking.weight, asking.weightSum) = (tenant.weight, scheduler.tenants.weightSum)
        asking.mayExceed = !keepsToParts
        return asking
    }
    /// Until those before it in the lane's order are done. One that the store does not know gets its row now, so that
    /// nothing holds the lane's mark back for as long as that takes.
    private func hold(
        _ event: StoredEvent, _ lane: Lane, key: UInt64, attempts: UInt16, origin: AttemptOrigin?, now: UInt64
    ) {
        let due: Int64
        switch origin {
        case .retry(let dueMillis): due = dueMillis
        case .first, nil:
            due = clock.millis(at: now)
            write(
                lane, place: event.place, state: .pending, attempts: attempts, outcome: nil, origin: origin, due: due,
                now: now)
            lane.working.retries.scheduleOut(event.place.sequence)
        }
        lane.working.order?.hold(
            DeferredAttempt(place: event.place, attempts: attempts, origin: .retry(dueMillis: due)), key: key,
            isUnsent: origin == nil)
    }
    func submit(_ slot: Int) {
        if !unsent.isEmpty || !egress.submit(slots.request(slot, pool: pool)) { unsent.append(slot) }
    }
    func write(
        _ event: StoredEvent, _ lane: Lane, attempt: UInt32, trace: AttemptTrace?, token: AccessToken?,
        to lease: PayloadLease, now: UInt64
    ) -> (idEnd: Int, linesEnd: Int, bodyEnd: Int) {
        let endpoint = lane.endpoint
        let id = EventID(logIdentity: log.identity, sequence: event.place.sequence)
        let isContract = endpoint.family == .contract
        let idEnd =
            if isContract {
                // The attempt's own id is what the signature goes over.
                Array(ContractID.make().utf8).withView { pool.write($0, to: lease, at: 0) }
            } else if event.sourceID.isMessage {
                MessageID(id).bytes.withView { pool.write($0, to: lease, at: 0) }
            } else {
                pool.write(id, to: lease, at: 0)
            }
        let idView = pool.view(lease, start: 0, count: idEnd)
        let traceLine = traceLine(trace, endpoint)
        // What came of that name does not pass where ours does.
        let bars = traceLine.isEmpty ? endpoint.signature?.barred ?? [] : (endpoint.signature?.barred ?? []) + traceLine
        var linesEnd = endpoint.fieldLines.withView { configured in
            bars.withView { barred in
                ForwardedFields.write(
                    received: event.fieldLines, forwarding: endpoint.forwarding, id: idView, source: event.source,
                    eventType: event.eventType, verdict: event.verdict, clientSubject: event.clientSubject,
                    attempt: attempt, withheld: endpoint.environment.withheld, configured: configured, barred: barred,
                    names: endpoint.names, to: pool, lease: lease, at: idEnd)
            }
        }
        if isContract {
            let key = ContractID.idempotencyKey(of: id, at: lane.id)
            linesEnd = Array("X-Idempotency-Key: \(key)\r\n".utf8).withView {
                pool.write($0, to: lease, at: linesEnd)
            }
        }
        if !traceLine.isEmpty { linesEnd = traceLine.withView { pool.write($0, to: lease, at: linesEnd) } }
        if let token { linesEnd = token.line.withView { pool.write($0, to: lease, at: linesEnd) } }
        if let signer = endpoint.signer {
            let seconds = UInt64(max(0, clock.millis(at: now)) / 1000)
            let lines = signer.lines(id: idView.array, body: event.body, seconds: seconds, names: endpoint.names)
            linesEnd = lines.withView { pool.write($0, to: lease, at: linesEnd) }
        }
        return (idEnd, linesEnd, pool.write(event.body, to: lease, at: linesEnd))
    }
    /// There is no way to the endpoint: an attempt that failed without a request.
    private func notSent(
        _ event: StoredEvent, _ lane: Lane, attempts: UInt16, origin: AttemptOrigin?, result: DeliveryResult,
        now: UInt64
    ) {
        var outcome = DeliveryOutcome(token: 0, result: result)
        let said = explain(&outcome, lane)
        tellAttempt(
            traced(event, lane, attempts: attempts, now: now), event.place, lane, attempts: attempts, outcome,
            isDelivered: false, now: now)
        count(lane) { $0.record(outcome) }
        failures[FailureClass(outcome).index] += 1
        lane.isProven = false
        lane.working.pace.adjust(.backOff, concurrency: lane.endpoint.concurrency, now: now)
        if let policies = lane.endpoint.policies {
            let isProbe = lane.breakerPhase == .halfOpen
            if judge(lane, policies, outcome, isDelivered: false, isProbe: isProbe, now: now) { note(lane, now: now) }
            if isLostToShadow(lane, origin, .retry) { return loseToShadow(lane, event.place, origin, now: now) }
        }
        keepAttempt(
            lane, event.place.sequence, number: attempts + 1, outcome: outcome, answer: said,
            type: lane.endpoint.family.keepsTally ? event.eventType.text : nil, now: now)
        failed(
            lane, place: event.place, attempts: attempts + 1, origin: origin, outcome: outcome,
            lastReason: result == .authorizationFailed ? .authorizationFailed : .retriesExhausted,
            bornMillis: event.bornMillis, now: now)
        endAfterDays(lane, TriedDelivery(place: event.place, attempts: attempts + 1), outcome, now: now)
    }
    func count(_ lane: Lane, _ body: (inout LaneCounters) -> Void) {
        let tally = lane.tally ?? LaneTally()
        if lane.tally == nil {
            lane.tally = tally
            selection.offer(lane)
        }
        body(&tally.counters)
        body(&totals)
    }
}
