// The log as the dispatcher reads it. Several readers share the work, so that a lane that lags does not pull the one that keeps
// up back and forth; memory is flat: one buffer a reader, made at first need.
//
// Invariant: used by one thread. A place's position is a hint that is checked by the sequence found there.
import FastPath

package final class SegmentedEventLog: EventLog {
    /// Lanes at more different places than this take turns with the readers.
    private static let readerCountMax = 4
    private final class Reader {
        var reader: LogReader
        var usedAt: UInt64 = 0
        init(_ folder: LogFolder, from sequence: UInt64) { reader = LogReader(folder: folder, from: sequence) }
    }
    private let folder: LogFolder
    private let tail: CommittedTail
    private var readers: [Reader] = []
    private var useCount: UInt64 = 0
    package let identity: UInt64

    init(folder: LogFolder, tail: CommittedTail) {
        self.folder = folder
        self.tail = tail
        identity = folder.identity.identity
    }
    package var committedEnd: EventPlace { EventPlace(sequence: tail.snapshot.sequence + 1, position: 0) }
    package var oldest: EventPlace {
        let first = (try? folder.segments())?.first
        return EventPlace(sequence: first ?? tail.snapshot.sequence + 1, position: 0)
    }

    package func read(at place: EventPlace) -> EventRead {
        let snapshot = tail.snapshot
        guard place.sequence <= snapshot.sequence else { return .end }
        let box = reader(at: place)
        while true {
            switch box.reader.next(through: snapshot) {
            case .record(let record, let position):
                // A position that pointed a little early leads over records before the wanted one.
                if record.sequence < place.sequence { continue }
                return .event(SegmentedEventLog.event(record, position))
            case .caughtUp: return .end
            case .damaged(let damage):
                let next = damage.firstSequence + damage.sequenceCount
                if next <= place.sequence { continue }
                return .unreadable(next: EventPlace(sequence: next, position: 0))
            case .missing(_, let last):
                if last < place.sequence { continue }
                return .unreadable(next: EventPlace(sequence: last + 1, position: 0))
            // Cannot be opened now; it is asked for again at the next step.
            case .failed: return .end
            }
        }
    }
    private static func event(_ record: RecordView, _ position: RecordPosition) -> StoredEvent {
        StoredEvent(
            place: place(record.sequence, position),
            next: place(
                record.sequence + 1, RecordPosition(segment: position.segment, offset: position.offset + record.length)),
            receivedAt: record.receivedAt, source: record.source, eventType: record.eventType,
            fieldLines: record.fieldLines, body: record.body)
    }
    /// Segment and offset in one word: how many sequences the segment began before this one, and the offset in units of 8.
    private static func place(_ sequence: UInt64, _ position: RecordPosition) -> EventPlace {
        let behind = sequence - position.segment
        let unit = UInt64(position.offset / RecordFormat.alignment)
        guard behind < 1 << 32, unit < 1 << 32 else { return EventPlace(sequence: sequence, position: 0) }
        return EventPlace(sequence: sequence, position: behind << 32 | unit)
    }
    private static func position(of place: EventPlace) -> RecordPosition? {
        guard place.position != 0, place.position >> 32 < place.sequence else { return nil }
        return RecordPosition(
            segment: place.sequence - place.position >> 32,
            offset: Int(place.position & 0xFFFF_FFFF) * RecordFormat.alignment)
    }
    /// The reader that stands there, or the one unused longest, taken there.
    private func reader(at place: EventPlace) -> Reader {
        useCount += 1
        let standing = readers.first { $0.reader.sequence == place.sequence }
        let box: Reader
        if let standing {
            box = standing
        } else if readers.count < SegmentedEventLog.readerCountMax {
            box = Reader(folder, from: place.sequence)
            box.reader.seek(place.sequence, at: SegmentedEventLog.position(of: place))
            readers.append(box)
        } else {
            box = readers.min { $0.usedAt < $1.usedAt } ?? Reader(folder, from: place.sequence)
            box.reader.seek(place.sequence, at: SegmentedEventLog.position(of: place))
        }
        box.usedAt = useCount
        return box
    }
}
