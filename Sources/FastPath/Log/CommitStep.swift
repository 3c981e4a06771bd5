// What the journal asks of its driver and what it hears: the seam between the passive journal and a ring or a simulated
// disk.
//
// Safety: the pointers belong to the journal and stay valid and unchanged until the step's `commitCompleted`.

/// One write, and one fdatasync linked behind it.
@safe package struct CommitWrite: @unchecked Sendable {
    package var file: Int32
    package var bytes: UnsafeRawPointer
    package var byteCount: Int
    package var fileOffset: UInt64

    package init(file: Int32, bytes: UnsafeRawPointer, byteCount: Int, fileOffset: UInt64) {
        self.file = file
        unsafe self.bytes = bytes
        self.byteCount = byteCount
        self.fileOffset = fileOffset
    }
}

/// A new segment: rename `spareName` to `segmentName` in the log's directory, fsync the directory, then `write` and its
/// sync. All of it must have succeeded before the group counts.
@safe package struct CommitRoll: @unchecked Sendable {
    package var spareName: UnsafePointer<CChar>
    package var segmentName: UnsafePointer<CChar>
    package var firstSequence: UInt64
    package var write: CommitWrite

    init(
        spareName: UnsafePointer<CChar>, segmentName: UnsafePointer<CChar>, firstSequence: UInt64, write: CommitWrite
    ) {
        unsafe self.spareName = spareName
        unsafe self.segmentName = segmentName
        self.firstSequence = firstSequence
        self.write = write
    }
}

package enum CommitStep: Sendable {
    case write(CommitWrite)
    case roll(CommitRoll)
    /// The group fits no segment in hand. Nothing is in flight, the group stays; ask again when a spare has come.
    case refuse
}

package enum CommitOutcome: Sendable {
    /// On disk. Drain `nextReceipt`.
    case committed
    /// The rest of a short write, or the same group to a new segment.
    case continueWith(CommitStep)
    /// Two segments failed in a row. Nothing of it is on disk for sure, claims are free; drain `nextReceipt`.
    case failed
}

package enum JournalState: String, CaseIterable, Sendable {
    case open
    /// No event is taken until a spare segment could be prepared again.
    case failed
}
