// How rows count attempts, with the marks of those that were asked for. Pure.

/// Attempts as rows count them. One that was asked for by hand and stands beside the schedule begins to count far
/// behind every schedule: its failure is the end of it. One that was asked for of an endpoint whatever its subscription
/// and its condition say is marked too, and goes by the schedule.
package enum AttemptCount {
    package static let manual: UInt16 = 0x8000
    package static let directed: UInt16 = 0x4000
    /// A replay at an endpoint with a deadline or longest times, which is not held to them.
    package static let replayed: UInt16 = 0x2000
    /// One at the endpoint's second URL, and a delivery that had one.
    package static let failover: UInt16 = 0x1000
    package static func isFailover(_ count: UInt16) -> Bool { count & failover != 0 }
    package static func isReplayed(_ count: UInt16) -> Bool { count & (manual | replayed) != 0 }
    package static func isManual(_ count: UInt16) -> Bool { count & manual != 0 }
    package static func isDirected(_ count: UInt16) -> Bool { count & directed != 0 }
    /// As people count.
    package static func number(of count: UInt16) -> Int { Int(count & numberMask) }
    package static let numberMask: UInt16 = ~(manual | directed | replayed | failover)
    /// As the schedule counts.
    package static func scheduled(_ count: UInt16) -> Int { Int(count & ~(directed | replayed | failover)) }
}
