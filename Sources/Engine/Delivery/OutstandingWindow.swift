// First attempts of one lane that the store does not know yet, in the order of their sequence: what holds the lane's
// mark back. Pure. A ring that starts small and grows, because only a lane with one slow answer among many fast ones
// needs it long.
//
// Invariant: the entries from the oldest unresolved one on, none missing. If an entry were dropped before its outcome
// is in a batch, a crash would lose the event for this endpoint.

import FastPath

package struct OutstandingWindow {
    /// A lane waits when it has run this far ahead of its slowest delivery: 16 bytes each, so 1 MiB.
    package static let entryCountMax = 65_536
    private var places: [EventLocation]
    private var isResolved: [Bool]
    /// Counts up forever; the entry's slot is the count modulo the capacity.
    private var first: UInt64 = 0
    private var end: UInt64 = 0

    package init() {
        places = Array(repeating: EventLocation(sequence: 0, position: 0), count: 8)
        isResolved = Array(repeating: false, count: 8)
    }
    package var isEmpty: Bool { first == end }
    package var count: Int { Int(end - first) }
    package var isFull: Bool { count >= OutstandingWindow.entryCountMax }
    /// The oldest event whose fate no batch has; nil when there is none.
    package var oldest: EventLocation? { first == end ? nil : places[slot(first)] }

    /// Returns the ticket that `resolve` takes. Sequences ascend.
    package mutating func append(_ place: EventLocation) -> UInt64 {
        precondition(!isFull)
        if count == places.count { grow() }
        let ticket = end
        places[slot(ticket)] = place
        isResolved[slot(ticket)] = false
        end += 1
        return ticket
    }
    package mutating func resolve(_ ticket: UInt64) {
        precondition(ticket >= first && ticket < end && !isResolved[slot(ticket)])
        isResolved[slot(ticket)] = true
        while first < end, isResolved[slot(first)] { first += 1 }
    }

    private func slot(_ ticket: UInt64) -> Int { Int(ticket) & (places.count - 1) }
    private mutating func grow() {
        let capacity = places.count * 2
        var newPlaces = Array(repeating: EventLocation(sequence: 0, position: 0), count: capacity)
        var newResolved = Array(repeating: false, count: capacity)
        for ticket in first..<end {
            newPlaces[Int(ticket) & (capacity - 1)] = places[slot(ticket)]
            newResolved[Int(ticket) & (capacity - 1)] = isResolved[slot(ticket)]
        }
        places = newPlaces
        isResolved = newResolved
    }
}
