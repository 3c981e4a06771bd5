// Races that are planted on purpose, to prove that ThreadSanitizer finds them (`make tsan`). As in Planted.swift they
// exist only in a build with SLUICE_PLANTED in its environment; in every other build nothing is left of the places that
// ask.
//
// Safety: `current` is set once, before the threads of the test begin.

/// What goes wrong, by the name under which the test is told of it.
@usableFromInline
package enum PlantedRace: Int, CaseIterable, Sendable {
    case none
    /// A ring's producer publishes with a relaxed store.
    case relaxedPublish
    /// A ring's consumer frees a slot before it has read it, and once more behind that.
    case slotFreedTwice
    /// The bytes of an event are given back while they are read.
    case bufferReusedEarly
    /// Two workers take from a ring without their lock.
    case lockLeftOut
    /// A counter is plain memory.
    case counterTorn
}

#if SLUICE_PLANTED
extension PlantedRace {
    nonisolated(unsafe) package static var current = 0
}
@inline(__always) package func isPlanted(_ race: PlantedRace) -> Bool { unsafe PlantedRace.current == race.rawValue }

/// A ring as the loops have theirs, specialised in this module. A generic one that a test makes hands its elements over
/// inside of the standard library, where no sanitizer sees them.
package final class NumberRing: Sendable {
    private let ring: SPSCRing<UInt64>

    package init(capacity: Int) { ring = SPSCRing(capacity: capacity) }
    package func push(_ number: UInt64) -> Bool { ring.push(number) }
    package func pop() -> UInt64? { ring.pop() }
}
#else
@inlinable @inline(__always) package func isPlanted(_ race: PlantedRace) -> Bool { false }
#endif
