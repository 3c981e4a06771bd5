// Pending deliveries that are given up, because an operator wants it or their event was erased: out of the lane's
// memory here, dead in the store by a request that follows every row that is known now. What the store finds pending no
// more is what it is, and nobody counts it twice.
//
// Invariant: a delivery that is out (its attempt is being made) is left alone; one that is taken out of memory here is
// named in the request to the store, which alone decides. If that failed, a row would be pending and nobody would try
// it before the next start.

import FastPath

package enum CancelResult: Equatable, Sendable {
    /// The store is asked.
    case asked
    /// An attempt of it is being made.
    case attempted
    case unknownEndpoint
}

extension Dispatcher {
    /// `tell` hears which of them were pending in the store, and are dead now; nil when the dispatcher ends before.
    package func cancel(
        _ keys: [DeliveryKey], reason: DeadLetterReason = .cancelled, now: UInt64,
        tell: @escaping ([DeliveryRow]?) -> Void
    ) -> [CancelResult] {
        var wanted: [EndpointID: Set<UInt64>] = [:]
        for key in keys { wanted[key.endpoint, default: []].insert(key.sequence) }
        var out: Set<DeliveryKey> = []
        for (endpoint, sequences) in wanted {
            guard let lane = lanes[endpoint.number], !lane.isRemoved else { continue }
            for sequence in takeBack(sequences, from: lane) {
                out.insert(DeliveryKey(sequence: sequence, endpoint: endpoint))
            }
            reconsider(lane, now: now)
        }
        let results = keys.map { key -> CancelResult in
            guard let lane = lanes[key.endpoint.number], !lane.isRemoved else { return .unknownEndpoint }
            return out.contains(key) ? .attempted : .asked
        }
        let asked = zip(keys, results).filter { $0.1 == .asked }.map(\.0)
        guard !asked.isEmpty else {
            tell([])
            return results
        }
        cancelWaiters.append(tell)
        ask(.cancel(asked, reason: reason, nowMillis: clock.millis(at: now)), now: now)
        return results
    }
    /// Those of them that are out. O(what waits at the lane).
    private func takeBack(_ sequences: Set<UInt64>, from lane: Lane) -> Set<UInt64> {
        guard let work = lane.work else { return [] }
        var out = work.retries.cancel(sequences)
        // A first attempt has no row yet, but its place in the order.
        out.formUnion(sequences.filter { work.order?.isOut($0) == true })
        for sequence in out where work.order?.isHeld(sequence) == true {
            work.retries.resolved(sequence)
            out.remove(sequence)
        }
        work.deferred.removeAll { deferred in
            guard case .retry = deferred.origin, out.remove(deferred.place.sequence) != nil else { return false }
            work.retries.resolved(deferred.place.sequence)
            return true
        }
        for sequence in sequences where !out.contains(sequence) { leaveOrder(lane, sequence, isDone: true) }
        return out
    }
    /// In the order in which they were asked.
    func cancelled(_ rows: [DeliveryRow], now: UInt64) {
        if !cancelWaiters.isEmpty { cancelWaiters.removeFirst()(rows) }
        for row in rows {
            guard let lane = lanes[row.endpoint.number] else { continue }
            adjust(lane, pending: -1, dead: 1)
            forgetPreparedSize(of: lane, row.place.sequence)
            forgetReauthorized(lane, row.place.sequence)
            if let reason = row.reason { count(lane) { $0.recordDeadLetter(reason) } }
            noteBatchStart(now: now)
            tally(lane, .givenUp)
            show(.delivery(lane.endpoint.tenant, row), of: lane)
            tellEnd(row, now: now)
        }
    }
}
