// How far the log is on disk, as the journal's driver tells its readers: five words, one writer, any number of
// readers.
//
// Order: the writer stores segment and end before the sequence (release), a reader loads the sequence first (acquire);
// so whoever sees a sequence also sees that its segment exists. The others may be newer than the sequence, never older.

import Synchronization

package final class CommittedTail: Sendable {
    package struct Snapshot: Equatable, Sendable {
        package var sequence: UInt64
        /// Changes with each new segment.
        package var segmentGeneration: UInt64
        /// First sequence of the newest segment with a committed record, 0 = none yet.
        package var segmentFirst: UInt64
        /// Where the newest segment's data end; a hint for reading ahead.
        package var endOffset: Int
        /// Of the last commit; a hint as well.
        package var groupBytes: Int

        package init(
            sequence: UInt64, segmentGeneration: UInt64, segmentFirst: UInt64 = 0, endOffset: Int, groupBytes: Int = 0
        ) {
            self.sequence = sequence
            self.segmentGeneration = segmentGeneration
            self.segmentFirst = segmentFirst
            self.endOffset = endOffset
            self.groupBytes = groupBytes
        }
    }
    private let sequence: Atomic<UInt64>
    private let segmentGeneration: Atomic<UInt64>
    private let segmentFirst: Atomic<UInt64>
    private let endOffset: Atomic<Int>
    private let groupBytes: Atomic<Int>

    package init(_ start: Snapshot) {
        sequence = Atomic(start.sequence)
        segmentGeneration = Atomic(start.segmentGeneration)
        segmentFirst = Atomic(start.segmentFirst)
        endOffset = Atomic(start.endOffset)
        groupBytes = Atomic(start.groupBytes)
    }
    package convenience init(_ journal: borrowing Journal) { self.init(CommittedTail.state(of: journal)) }

    /// After `commitCompleted` said committed, before any receipt is answered.
    package func publish(_ journal: borrowing Journal) {
        let state = CommittedTail.state(of: journal)
        endOffset.store(state.endOffset, ordering: .relaxed)
        groupBytes.store(state.groupBytes, ordering: .relaxed)
        segmentFirst.store(state.segmentFirst, ordering: .relaxed)
        segmentGeneration.store(state.segmentGeneration, ordering: .relaxed)
        sequence.store(state.sequence, ordering: .releasing)
    }
    package var snapshot: Snapshot {
        let committed = sequence.load(ordering: .acquiring)
        let generation = segmentGeneration.load(ordering: .relaxed)
        return Snapshot(
            sequence: committed, segmentGeneration: generation,
            segmentFirst: segmentFirst.load(ordering: .relaxed), endOffset: endOffset.load(ordering: .relaxed),
            groupBytes: groupBytes.load(ordering: .relaxed))
    }
    private static func state(of journal: borrowing Journal) -> Snapshot {
        Snapshot(
            sequence: isPlanted(.publishBeforeCommit) ? journal.fillingFirstSequence - 1 : journal.committedSequence,
            segmentGeneration: journal.segmentGeneration,
            segmentFirst: journal.currentSegment.map {
                $0.firstSequence <= journal.committedSequence ? $0.firstSequence : 0
            } ?? 0,
            endOffset: journal.currentSegment?.appendOffset ?? 0, groupBytes: journal.committedGroupBytes)
    }
}
