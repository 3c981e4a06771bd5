// Where an event stands in the log. A file of its own because the benchmarks take it with the retry queue.

/// Where an event stands. The sequence decides; the position is where the log said it is, opaque to everybody else, and
/// a log that does not find the sequence there any more looks it up.
package struct EventLocation: Equatable, Sendable {
    package var sequence: UInt64
    package var position: UInt64

    package init(sequence: UInt64, position: UInt64) {
        self.sequence = sequence
        self.position = position
    }
}
