// Spans between the worker that makes them and the one that sends them, and when a batch of them goes. Bounded: what
// finds no room is dropped and counted. Passive: whoever asks brings the time.
//
// Invariant: each span that was added is taken or counted as dropped.

package struct SpanQueue: Sendable {
    /// Some megabytes.
    package static let countMax = 8192
    package static let batchCountMax = 512
    package static let ageNanosMax: UInt64 = 1_000_000_000
    private let countMax: Int
    private let batchCountMax: Int
    private var spans: [TelemetrySpan] = []
    /// When the oldest that waits came.
    private var since: UInt64 = 0
    package private(set) var droppedCount: UInt64 = 0

    package init(countMax: Int = SpanQueue.countMax, batchCountMax: Int = SpanQueue.batchCountMax) {
        self.countMax = countMax
        self.batchCountMax = batchCountMax
    }
    package var count: Int { spans.count }
    package mutating func add(_ more: [TelemetrySpan], now: UInt64) {
        if spans.isEmpty { since = now }
        let room = max(0, countMax - spans.count)
        spans += more.prefix(room)
        droppedCount += UInt64(max(0, more.count - room))
    }
    /// A full batch, or what has waited long enough; all that there is when `isForced`. Nil when nothing is to go yet.
    package mutating func take(now: UInt64, isForced: Bool = false) -> [TelemetrySpan]? {
        guard !spans.isEmpty, isForced || spans.count >= batchCountMax || now &- since >= SpanQueue.ageNanosMax else {
            return nil
        }
        let batch = Array(spans.prefix(batchCountMax))
        spans.removeFirst(batch.count)
        since = now
        return batch
    }
    /// Nothing is sent any more.
    package mutating func dropAll() {
        droppedCount += UInt64(spans.count)
        spans = []
    }
}
