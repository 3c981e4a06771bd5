// One page of a walk over the log's records, for previews of what is not saved yet. On the control API's own thread,
// with a reader of its own, in steps that leave the processor to delivery.
import Engine
import FastPath
import Foundation

enum PreviewWalk {
    /// A page of a preview reads no more of the log than this, for no longer; it then says where to go on.
    private static let recordsReadMax = 50_000
    private static let pageNanosMax: UInt64 = 1_000_000_000
    /// So many records, then a pause, so that a preview never takes a core from delivery.
    private static let paceCount = 500
    private static let paceSeconds = 0.001

    /// Tells `add` of each record of the range, as far as a page goes; returns the last sequence that it read, nil when
    /// there is nothing more. `range` is not empty.
    static func page(
        _ range: Range<UInt64>, _ access: GatewayAccess, _ add: (RecordView) -> Void
    ) throws -> UInt64? {
        var tail = access.tail.snapshot
        tail.sequence = min(tail.sequence, range.upperBound - 1)
        var reader = access.makeReader(from: range.lowerBound)
        let end = ProcessResources.monotonicNanos + pageNanosMax
        var count = 0
        while true {
            switch reader.next(through: tail) {
            case .record(let record, _):
                guard record.sequence >= range.lowerBound else { continue }
                add(record)
                count += 1
                if count >= recordsReadMax || ProcessResources.monotonicNanos >= end {
                    let hasMore = record.sequence + 1 < range.upperBound && record.sequence < tail.sequence
                    return hasMore ? record.sequence : nil
                }
                if count % paceCount == 0 { Thread.sleep(forTimeInterval: paceSeconds) }
            case .damaged, .missing: continue
            case .caughtUp: return nil
            case .failed: throw ControlError.logUnavailable
            }
        }
    }
}
