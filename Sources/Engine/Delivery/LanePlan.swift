// What lanes begin with: the place, the state and the open deliveries that the store has of their endpoints; for all of
// them at a start, later for those that are added or come back.
//
// Invariant: an endpoint begins at the end of the log only when it is new. Any other that the dispatcher does not know
// has a mark, or the store's shared one holds for it; if that failed, what came while it was away would be lost to it.

import FastPath

/// One endpoint to be delivered to from now on.
package struct LanePlan: Sendable {
    /// What the store has of an endpoint; nothing of most.
    private final class Stored: Sendable {
        let state: EndpointState
        let recorded: [UInt64]
        let open: OpenDeliveries

        init(_ state: EndpointState, _ recorded: [UInt64], _ open: OpenDeliveries) {
            self.state = state
            self.recorded = recorded
            self.open = open
        }
    }
    package let endpoint: CompiledEndpoint
    /// Nil = it goes on with the shared mark.
    package let mark: EventLocation?
    private let stored: Stored?

    package init(
        _ endpoint: CompiledEndpoint, state: EndpointState? = nil, mark: EventLocation?, recorded: [UInt64] = [],
        open: OpenDeliveries? = nil
    ) {
        self.endpoint = endpoint
        self.mark = mark
        let isEmpty = state == nil && recorded.isEmpty && open == nil
        let id = endpoint.id
        stored =
            isEmpty
            ? nil
            : Stored(state ?? EndpointState(endpoint: id), recorded, open ?? OpenDeliveries(endpoint: id))
    }
    package var state: EndpointState { stored?.state ?? EndpointState(endpoint: endpoint.id) }
    /// `DeliveryStore.recorded` from the mark on.
    package var recorded: [UInt64] { stored?.recorded ?? [] }
    package var open: OpenDeliveries { stored?.open ?? OpenDeliveries(endpoint: endpoint.id) }
}

package struct LanePlanner {
    private let store: any DeliveryStore

    package init(store: any DeliveryStore) { self.store = store }

    // MARK: At a start

    /// Endpoints without a mark go on with the shared one; `new` ones begin at `end`, durably.
    package func plans(
        _ endpoints: [CompiledEndpoint], new: Set<EndpointID>, in snapshot: DeliverySnapshot, end: EventLocation
    ) throws -> [LanePlan] {
        let marks = Dictionary(uniqueKeysWithValues: snapshot.marks.map { ($0.endpoint, $0.resume) })
        let states = Dictionary(uniqueKeysWithValues: snapshot.states.map { ($0.endpoint, $0) })
        let open = Dictionary(uniqueKeysWithValues: snapshot.open.map { ($0.endpoint, $0) })
        let fresh = Set(endpoints.map(\.id).filter { new.contains($0) && marks[$0] == nil })
        if !fresh.isEmpty { try store.begin(fresh.sorted(), at: end, isDurable: true) }
        return try endpoints.map { endpoint in
            let id = endpoint.id
            let mark = fresh.contains(id) ? end : marks[id] ?? nil
            return try plan(endpoint, state: states[id], mark: mark, open: open[id], end: end)
        }
    }
    /// What the store must have before any lane runs, nil when it has: the shared mark, which lanes follow before they
    /// give up a mark of their own, and of each retired endpoint that it stands where that mark is. Those that were
    /// removed while no process ran, or just before one died, have no mark yet.
    package func firstBatch(
        _ snapshot: DeliverySnapshot, retired: [EndpointID], shared: EventLocation, nowMillis: Int64
    ) -> OutcomeBatch? {
        let marked = Set(snapshot.marks.map(\.endpoint))
        let states = Dictionary(uniqueKeysWithValues: snapshot.states.map { ($0.endpoint, $0) })
        var batch = OutcomeBatch()
        batch.nowMillis = nowMillis
        batch.isDurable = true
        if snapshot.shared == nil { batch.shared = shared }
        for id in retired {
            if !marked.contains(id) { batch.marks.append(LaneMark(endpoint: id, resume: shared)) }
            var health = EndpointHealth(states[id] ?? EndpointState(endpoint: id))
            if health.removed(nowMillis: nowMillis) { batch.states.append(health.state) }
        }
        return batch.isEmpty ? nil : batch
    }

    // MARK: Later

    /// `new` ones begin at `end`, durably as soon as the registry's commit is; one that is never published costs a row.
    /// Lanes that the dispatcher knows keep their place whatever their plan says. The others come back, and go on where
    /// they stood.
    package func plans(
        _ endpoints: [CompiledEndpoint], new: Set<EndpointID>, known: Set<EndpointID>, end: EventLocation
    ) throws -> [LanePlan] {
        var fresh: [EndpointID] = []
        let plans = try endpoints.map { endpoint in
            let id = endpoint.id
            if known.contains(id) { return LanePlan(endpoint, mark: nil) }
            if !new.contains(id) {
                let (mark, state) = try store.lane(id)
                if mark != nil {
                    return try plan(endpoint, state: state, mark: mark, open: try store.counts(endpoint: id), end: end)
                }
            }
            fresh.append(id)
            return LanePlan(endpoint, mark: end)
        }
        if !fresh.isEmpty { try store.begin(fresh, at: end, isDurable: false) }
        return plans
    }

    private func plan(
        _ endpoint: CompiledEndpoint, state: EndpointState?, mark: EventLocation?, open: OpenDeliveries?,
        end: EventLocation
    ) throws -> LanePlan {
        var recorded: [UInt64] = []
        if let mark, mark.sequence < end.sequence {
            recorded = try store.recorded(endpoint: endpoint.id, from: mark.sequence)
        }
        return LanePlan(endpoint, state: state, mark: mark, recorded: recorded, open: open)
    }
}
