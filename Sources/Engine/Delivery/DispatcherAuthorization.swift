// Access tokens of endpoints that ask for one: what a delivery does without, with, and after a 401. A lane whose
// endpoint asks for none never comes here.
//
// Invariants: a delivery goes with the token that its slot names, and with none without it; it is sent again for a 401
// without being counted once, and then counts like every other; whatever a token endpoint does, nothing waits for it
// but the lanes of its clients.

import FastPath

extension Dispatcher {
    /// Where the lane's requests go, once there is what they need to go there.
    func way(to lane: Lane, now: UInt64) -> KnownWay {
        let way = addressWay(to: lane, now: now)
        guard let credentials = lane.endpoint.policies?.credentials, case .known(.to) = way else { return way }
        let look = tokens.look(credentials, now: now)
        if look.asks { tokenPort?.ask(credentials) }
        switch look.answer {
        case .token: return way
        case .pending:
            awaitingToken[credentials, default: [:]][lane.id] = lane
            return .awaited
        case .failed(let failure):
            let why = "no access token: " + failure.description
            if lane.health.failed(why, reason: .authorizationFailed, nowMillis: clock.millis(at: now)) {
                note(lane, now: now)
            }
            return .known(.closed(.authorizationFailed))
        }
    }
    func isAwaitingToken(_ lane: Lane) -> Bool {
        lane.endpoint.policies?.credentials.map { awaitingToken[$0]?[lane.id] != nil } ?? false
    }
    func takeTokens(now: UInt64) {
        guard tokens.askedCount > 0, let tokenPort else { return }
        while let answer = tokenPort.nextAnswer() {
            tokens.took(answer.result, for: answer.credentials, now: now)
            for lane in (awaitingToken.removeValue(forKey: answer.credentials) ?? [:]).values {
                scheduler.makeReady(lane)
            }
        }
    }
    /// Of a lane whose way is open; nil where none is asked for.
    func token(of lane: Lane) -> AccessToken? {
        lane.endpoint.policies?.credentials.flatMap { tokens.token(of: $0) }
    }
    /// What there is to say of an attempt that was not made for want of a token.
    func explain(_ outcome: inout DeliveryOutcome, _ lane: Lane) -> [UInt8] {
        guard outcome.result == .authorizationFailed,
            let failure = lane.endpoint.policies?.credentials.flatMap({ tokens.failure(of: $0) })
        else { return [] }
        outcome.systemError = failure.systemError
        return Array(failure.detail.utf8)
    }
    /// True when the endpoint does not take the token, and the delivery goes again with another one.
    func asksForToken(_ slot: Int, _ lane: Lane, _ outcome: DeliveryOutcome, now: UInt64) -> Bool {
        guard let token = slots[slot].token else { return false }
        let order = slots[slot]
        // The first one of a batch may have ended since.
        let place = order.members?.first?.place ?? order.place
        let key = PreparedKey(endpoint: lane.id, sequence: place.sequence)
        let wasAgain = reauthorized.remove(key) != nil
        guard outcome.result == .answered, outcome.status == 401, !wasAgain, !isDraining,
            let credentials = lane.endpoint.policies?.credentials,
            tokens.refused(token, of: credentials, now: now)
        else { return false }
        reauthorized.insert(key)
        release(slot, lane)
        giveBackTokens(lane, attempts: order.attempts)
        if let members = order.members {
            putBack(members.map(\.entry), lane)
        } else {
            putOff(DeferredAttempt(place: order.place, attempts: order.attempts, origin: order.origin), lane)
            leaveOrder(lane, order.place.sequence, isDone: false)
        }
        reconsider(lane, now: now)
        endIfOver(lane)
        return true
    }
    /// Its settings are others from now on.
    func changeCredentials(of lane: Lane, from old: CompiledEndpoint, now: UInt64) {
        guard let before = old.policies?.credentials, let after = lane.endpoint.policies?.credentials else { return }
        tokens.succeed(before, by: after, now: now)
    }
    /// The delivery has ended.
    func forgetReauthorized(_ lane: Lane, _ sequence: UInt64) {
        guard !reauthorized.isEmpty else { return }
        reauthorized.remove(PreparedKey(endpoint: lane.id, sequence: sequence))
    }
    /// Deliveries that go again after a 401 and have not come back; for the proof that none stays.
    package var reauthorizedCount: Int { reauthorized.count }
}
