// Which endpoints are counted by themselves in the metrics: the busiest, up to a bound; all others are one series.
//
// Invariant: `selected` holds each lane once, with its counters as they were when it came in. A series therefore begins
// at zero, and what a lane counted outside stays with the others: no counter ever goes back.

package struct LaneSelection {
    package static let countMax = 50
    /// Refreshes between two looks for busier lanes.
    private static let refreshCount = 240
    private static let swapCountMax = 8

    package private(set) var selected: [(lane: Lane, base: LaneCounters)] = []
    /// Lanes that have counters and are not selected, with their attempts at the last look.
    private var waiting: [(lane: Lane, attempts: UInt64)] = []
    private var selectedAttempts: [UInt64] = []
    private var age = 0

    package init() {}

    /// A lane that has begun to count.
    package mutating func offer(_ lane: Lane) {
        if selected.count < LaneSelection.countMax {
            selected.append((lane, LaneCounters()))
            selectedAttempts.append(0)
        } else {
            waiting.append((lane, 0))
        }
    }
    package mutating func remove(_ lane: Lane) {
        if let index = selected.firstIndex(where: { $0.lane === lane }) {
            selected.remove(at: index)
            selectedAttempts.remove(at: index)
        }
        waiting.removeAll { $0.lane === lane }
        lane.tally = nil
    }
    /// O(lanes that have counters), once in `refreshCount` calls.
    package mutating func refresh() {
        age += 1
        guard age >= LaneSelection.refreshCount, !waiting.isEmpty else { return }
        age = 0
        var gains = waiting.indices.map { index -> (index: Int, gain: UInt64) in
            let attempts = waiting[index].lane.counters?.attemptCount ?? 0
            defer { waiting[index].attempts = attempts }
            return (index, attempts - min(waiting[index].attempts, attempts))
        }
        let own = selected.indices.map { index -> (index: Int, gain: UInt64) in
            let attempts = selected[index].lane.counters?.attemptCount ?? 0
            defer { selectedAttempts[index] = attempts }
            return (index, attempts - min(selectedAttempts[index], attempts))
        }.sorted { $0.gain < $1.gain }
        gains.sort { $0.gain > $1.gain }
        for (idle, busy) in zip(own, gains).prefix(LaneSelection.swapCountMax) where busy.gain > 2 * idle.gain {
            let (out, into) = (selected[idle.index].lane, waiting[busy.index].lane)
            selected[idle.index] = (into, into.counters ?? LaneCounters())
            selectedAttempts[idle.index] = into.counters?.attemptCount ?? 0
            waiting[busy.index] = (out, out.counters?.attemptCount ?? 0)
        }
    }
}
