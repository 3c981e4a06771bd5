// What the dispatcher tells those who watch deliveries live: rows as they are decided and changes of condition. Whoever
// adds never waits: the queue is bounded, and what it has no room for is counted and lost. While nobody watches it
// costs the dispatcher one relaxed load a row.
//
// Invariants: facts leave in the order in which they came; nothing is about an operational endpoint (`add` is not asked
// for those). A row is told before the store has it: a crash may take it back, and the delivery is made again then.

import Synchronization

package enum StreamFact: Sendable {
    case delivery(TenantID, DeliveryRow)
    case endpoint(TenantID, EndpointNotice)

    package var tenant: TenantID {
        switch self {
        case .delivery(let tenant, _), .endpoint(let tenant, _): tenant
        }
    }
}

package final class StreamFeed: Sendable {
    /// Some megabytes; who takes comes by ten times a second or more.
    package static let factCountMax = 65_536
    private struct State {
        var facts: [StreamFact] = []
        /// By tenant's number.
        var lost: [UInt32: UInt64] = [:]
    }
    private let state = Mutex(State())
    private let wanted = Atomic<Bool>(false)
    private let factCountMax: Int

    package init(factCountMax: Int = StreamFeed.factCountMax) { self.factCountMax = factCountMax }

    package var isWanted: Bool { wanted.load(ordering: .relaxed) }
    /// What waits is forgotten when nobody wants it any more; and before the first who wants it, because whoever adds
    /// may have asked before the last one went.
    package func setWanted(_ isWanted: Bool) {
        state.withLock { state in
            state = State()
            wanted.store(isWanted, ordering: .relaxed)
        }
    }
    package func add(_ fact: StreamFact) {
        state.withLock { state in
            guard state.facts.count < factCountMax else {
                state.lost[fact.tenant.number, default: 0] += 1
                return
            }
            state.facts.append(fact)
        }
    }
    /// All that wait, and how many of each tenant, by its number, found no room since the last call.
    package func take() -> (facts: [StreamFact], lost: [UInt32: UInt64]) {
        state.withLock { state in
            defer { state = State() }
            return (state.facts, state.lost)
        }
    }
}
