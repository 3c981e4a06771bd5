// Counters of the busiest few by name and of all others together, when who is busiest changes from scrape to scrape.
//
// Invariant: no series ever goes back, and no step is counted twice or attributed to two series: what one counted while
// it was among the others stays with `other`, what it counted by name stays with its name. One that comes back by name
// begins at 0, which Prometheus knows from restarts.
import Synchronization

package final class CounterSeries: Sendable {
    private struct State {
        /// What a named one had counted when it got its name.
        var baselines: [String: [UInt64]] = [:]
        var shown: [String: [UInt64]] = [:]
        /// Counted by name by those that lost it.
        var withdrawn: [UInt64] = []
        /// Counts that left with what was removed; keeps `other` from going back.
        var departed: [UInt64] = []
        var other: [UInt64] = []
        /// True exactly when the last scrape had any without a name.
        var hadOthers = false
    }
    private let state = Mutex(State())

    package init() {}

    /// `named` by a key that outlives the scrape; all rows are of one length.
    package func take(
        named: [(key: String, counts: [UInt64])], rest: [UInt64], hasOthers: Bool
    ) -> (named: [[UInt64]], other: [UInt64]) {
        state.withLock { state in
            let zero = [UInt64](repeating: 0, count: rest.count)
            if state.other.count != rest.count {
                (state.other, state.withdrawn, state.departed) = (zero, zero, zero)
            }
            let keys = Set(named.map(\.key))
            for (key, shown) in state.shown where !keys.contains(key) {
                for index in shown.indices { state.withdrawn[index] &+= shown[index] }
                state.shown[key] = nil
                state.baselines[key] = nil
            }
            var total = rest
            var rows: [[UInt64]] = []
            for (key, counts) in named {
                let baseline = state.baselines[key] ?? (state.hadOthers ? counts : zero)
                state.baselines[key] = baseline
                // A smaller count is another one under the same key.
                let row = zip(counts, baseline).map { $0 >= $1 ? $0 - $1 : $0 }
                state.shown[key] = row
                rows.append(row)
                for index in counts.indices { total[index] &+= counts[index] &- row[index] }
            }
            for index in total.indices {
                let now = total[index] &- state.withdrawn[index] &+ state.departed[index]
                // As signed: the difference is small, and negative when something was removed.
                let step = Int64(bitPattern: now &- state.other[index])
                if step < 0 {
                    state.departed[index] &+= UInt64(-step)
                } else {
                    state.other[index] = now
                }
            }
            state.hadOthers = hasOthers
            return (rows, state.other)
        }
    }
}
