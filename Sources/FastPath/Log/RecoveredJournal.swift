// From what recovery found to the journal that goes on from there. In FastPath because a move-only value is taken apart only
// in its own module.

extension RecoveredLog {
    package var dedupByteCount: Int { dedup.byteCount }

    /// Nil when the system has not the memory for two groups. Once.
    package consuming func journal(_ configuration: JournalConfiguration) -> Journal? {
        Journal(configuration: configuration, dedup: dedup, current: current, nextSequence: nextSequence)
    }
}
