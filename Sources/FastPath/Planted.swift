// Faults that are planted on purpose, to prove that the simulator and the suites find them. They exist only in a build
// with SLUICE_PLANTED in its environment (`make mutants`); in every other build `isPlanted` is the constant false, and
// nothing is left of the places that ask it.
//
// Safety: `current` is set once, before the simulator or the gateway runs, by the one thread that does.

/// What goes wrong, by the name under which `simulate --planted` and, of the real process, SLUICE_FAULT ask for it.
@usableFromInline
package enum PlantedFault: Int, CaseIterable, Sendable {
    case none
    // The journal and its driver.
    case answerBeforeSync, forgetFolderSync, repeatFailedSync, shortWriteIsWhole, failureIsKept, claimBeforeAppend
    case keepFailedClaims, duplicateBeforeCommit, publishBeforeCommit, appendToFailedSegment
    // Recovery and retention.
    case trustTornTail, forgetTornTail, forgetRecoverySync, reuseSequence, forgetWindow, skipLowWater
    // The loops.
    case freeBufferEarly, keepBuffer, loseWakeup, acceptRefused
    // The dispatcher.
    case markPassesOutstanding, forgetRetryRow, keepPayload, deliverUnwanted, loseOutcome
}

#if SLUICE_PLANTED
package enum Planted {
    nonisolated(unsafe) package static var current = 0
}
@inline(__always) package func isPlanted(_ fault: PlantedFault) -> Bool { unsafe Planted.current == fault.rawValue }
#else
@inlinable @inline(__always) package func isPlanted(_ fault: PlantedFault) -> Bool { false }
#endif
