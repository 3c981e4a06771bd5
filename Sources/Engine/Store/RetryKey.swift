// The order in which pending deliveries fall due. A file of its own because the benchmarks take it with the queue.

/// Order of pending rows: by due time, then sequence.
package struct RetryKey: Comparable, Sendable {
    package var dueMillis: Int64
    package var sequence: UInt64

    package init(dueMillis: Int64, sequence: UInt64) {
        self.dueMillis = dueMillis
        self.sequence = sequence
    }
    package static let first = RetryKey(dueMillis: .min, sequence: 0)
    package static func < (left: RetryKey, right: RetryKey) -> Bool {
        left.dueMillis != right.dueMillis ? left.dueMillis < right.dueMillis : left.sequence < right.sequence
    }
}
