// Where records of the log stand that somebody has read, one in every so many: whoever wants a record without knowing
// its position begins at the one before it, not at the start of its segment, which may be 64 MiB away. Shared by all
// readers of a log, so that what one has read is known to the others.
//
// Invariant: ascending. A landmark is a hint: a reader that does not find the record there searches as without it.

import FastPath
import Synchronization

package final class LogLandmarks: Sendable {
    package struct Landmark: Sendable {
        package let sequence: UInt64
        package let position: RecordPosition
    }
    /// Records between two landmarks.
    private static let spacing: UInt64 = 64
    /// Farther away a reader would pass over more than it saves.
    private static let distanceMax = 16 * spacing
    /// The newest half million records: what lies farther back is read along, not looked up.
    private static let countMax = 8192
    private let known = Mutex<[Landmark]>([])

    package init() {}

    package func note(_ sequence: UInt64, at position: RecordPosition) {
        guard sequence % LogLandmarks.spacing == 0 else { return }
        known.withLock { known in
            // Those that lag read what is known.
            guard known.last.map({ $0.sequence < sequence }) ?? true else { return }
            if known.count >= LogLandmarks.countMax { known.removeFirst(known.count / 2) }
            known.append(Landmark(sequence: sequence, position: position))
        }
    }
    /// The last one at the record or a little before it.
    package func nearest(to sequence: UInt64) -> Landmark? {
        known.withLock { known in
            let behind = known.partitionIndex { $0.sequence <= sequence }
            guard behind > 0, sequence - known[behind - 1].sequence <= LogLandmarks.distanceMax else { return nil }
            return known[behind - 1]
        }
    }
}
