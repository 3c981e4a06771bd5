// The store in memory that the dispatcher's tests share with the simulator, seen by every file of this target.

@_exported import Simulator
import Engine
import FastPath

extension DeliveryStore {
    /// Of both kinds.
    func pending(endpoint: EndpointID, from: RetryKey, limit: Int) throws -> [DeliveryRow] {
        let kinds: [RetryKind] = [.first, .again]
        let rows = try kinds.flatMap {
            try pending(endpoint: endpoint, RetryLoad(kind: $0, from: from), limit: limit)
        }
        let sorted = rows.sorted { ($0.dueMillis, $0.place.sequence) < ($1.dueMillis, $1.place.sequence) }
        return Array(sorted.prefix(limit))
    }
}
