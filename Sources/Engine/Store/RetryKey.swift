// The order in which pending deliveries fall due, and what is asked of the store by it. A file of its own because the
// benchmarks take it with the queue.

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

/// Pending rows by whether an attempt was made of them.
package enum RetryKind: Sendable {
    case first
    case again
}

/// A page that is wanted of the store: those of a kind from a key on.
package struct RetryLoad: Equatable, Sendable {
    package var kind: RetryKind
    package var from: RetryKey

    package init(kind: RetryKind, from: RetryKey) {
        self.kind = kind
        self.from = from
    }
}
