// The log as the dispatcher reads it: a few forward readers, each somewhere else, so that one that keeps up, some that
// lag and the retries each find one near the place they want. A read that goes on where a reader stands costs no search
// and no open.
//
// A position is packed into 64 bits: the record's distance from its segment's first sequence (35 bits), its offset
// there in units of 8 (28 bits), and whether it is of the record *before* the wanted one. That last bit is how the
// place behind a record is named without knowing where the log put the next one.
//
// The views of an event are valid until the next read, as `EventLog` says: readers keep their buffers until they move.

import FastPath

package final class LogReaders: EventLog {
    /// Lagging lanes beyond so many make each other search.
    private static let readerCountMax = 8
    /// 8 × this is what a dispatcher's readers take.
    private static let bufferBytes = 256 << 10
    /// Reading so many records forward is cheaper than opening a segment again.
    private static let skipCountMax: UInt64 = 128
    /// Nanoseconds for which a place that the disk cannot read is tried again, and one whose bytes do not verify (which
    /// a page of before the write, still in the cache, may be); and how often.
    private static let patience: UInt64 = 30_000_000_000
    private static let damagePatience: UInt64 = 300_000_000
    private static let tryInterval: UInt64 = 100_000_000
    /// So many places may be waiting for the disk at once; beyond it their times begin again.
    private static let failingPlaceCountMax = 4096

    private struct Failure {
        let firstAt: UInt64
        var triedAt: UInt64
    }

    private final class Reader {
        var log: LogReader
        /// The record last handed out; its views are valid while this stands.
        var last: StoredEvent?
        var usedAt: UInt64 = 0

        init(_ folder: LogFolder, at sequence: UInt64) {
            log = LogReader(folder: folder, from: sequence, bufferBytes: LogReaders.bufferBytes)
        }
    }
    private let folder: LogFolder
    private let tail: CommittedTail
    private let landmarks: LogLandmarks
    private var readers: [Reader] = []
    /// Of what is being erased, when the readers' last records were read.
    private var erasures: UInt64 = 0
    private var time: UInt64 = 0
    /// Sequences whose record the disk cannot read. Several places fail in turns: those that lanes stand at and those
    /// that retries want.
    private var failures: [UInt64: Failure] = [:]
    private let clock: () -> UInt64

    /// `landmarks` are shared by the readers of one log; `clock` is monotonic, in nanoseconds.
    package init(
        folder: LogFolder, tail: CommittedTail, landmarks: LogLandmarks = LogLandmarks(),
        clock: @escaping () -> UInt64 = { ProcessResources.monotonicNanos }
    ) {
        self.folder = folder
        self.tail = tail
        self.landmarks = landmarks
        self.clock = clock
    }
    package var identity: UInt64 { folder.identity.identity }
    package var committedEnd: EventLocation { EventLocation(sequence: tail.snapshot.sequence + 1, position: 0) }
    /// Lists the folder.
    package var oldest: EventLocation {
        let end = committedEnd
        // Not known is not gone: nothing may be forgotten for it.
        guard let segments = try? folder.segments() else { return EventLocation(sequence: 0, position: 0) }
        guard let first = segments.first else { return end }
        return EventLocation(sequence: min(first, end.sequence), position: 0)
    }

    package func read(at place: EventLocation) -> EventRead {
        let snapshot = tail.snapshot
        guard place.sequence <= snapshot.sequence else { return .end }
        if let failure = failures[place.sequence], clock() &- failure.triedAt < LogReaders.tryInterval {
            return .unavailable
        }
        forgetErased()
        let reader = reader(for: place)
        time += 1
        reader.usedAt = time
        if let last = reader.last, last.place.sequence == place.sequence { return .event(last) }
        reader.last = nil
        while true {
            switch reader.log.next(through: snapshot) {
            case .record(let record, let position):
                landmarks.note(record.sequence, at: position)
                guard record.sequence >= place.sequence else { continue }
                if !failures.isEmpty { failures[place.sequence] = nil }
                let event = LogReaders.event(record, position)
                reader.last = event
                return .event(event)
            case .caughtUp: return .end
            case .missing: continue
            case .damaged(let damage):
                let patience = damage.isUnreadable ? LogReaders.patience : LogReaders.damagePatience
                if isWorthAnotherTry(place.sequence, patience) {
                    // The reader has gone on; the next read goes back to the place.
                    reader.log.seek(place.sequence)
                    return .unavailable
                }
                let next = reader.log.sequence
                guard next > place.sequence else { continue }
                return .unreadable(next: EventLocation(sequence: next, position: 0))
            case .failed: return .unavailable
            }
        }
    }

    /// A record that was handed out may have been erased since.
    private func forgetErased() {
        let now = folder.erasures.generation
        guard now != erasures else { return }
        erasures = now
        for reader in readers { reader.last = nil }
    }
    /// A read error may pass: the same place is asked for again before what lies there is given up, by all that want
    /// it in the half minute after that.
    private func isWorthAnotherTry(_ sequence: UInt64, _ patience: UInt64) -> Bool {
        let now = clock()
        if let failure = failures[sequence], now &- failure.firstAt < patience + LogReaders.patience {
            let isGivenUp = now &- failure.firstAt >= patience
            // What is given up is not asked for by the interval: the next one is to hear of it at once.
            if !isGivenUp { failures[sequence]?.triedAt = now }
            return !isGivenUp
        }
        if failures.count >= LogReaders.failingPlaceCountMax { failures.removeAll() }
        failures[sequence] = Failure(firstAt: now, triedAt: now)
        return true
    }

    /// One that stands at the place, or a little before it; else the one that was idle longest, moved there.
    private func reader(for place: EventLocation) -> Reader {
        var near: Reader?
        for reader in readers {
            if reader.last?.place.sequence == place.sequence || reader.log.sequence == place.sequence {
                return reader
            }
            let distance = place.sequence &- reader.log.sequence
            if distance <= LogReaders.skipCountMax, near.map({ reader.log.sequence > $0.log.sequence }) ?? true {
                near = reader
            }
        }
        if let near { return near }
        if readers.count < LogReaders.readerCountMax {
            readers.append(Reader(folder, at: place.sequence))
            return moved(readers[readers.count - 1], to: place)
        }
        var idle = readers[0]
        for reader in readers where reader.usedAt < idle.usedAt { idle = reader }
        return moved(idle, to: place)
    }
    private func moved(_ reader: Reader, to place: EventLocation) -> Reader {
        reader.last = nil
        let packed = PackedPosition(bits: place.position)
        let known = packed.isOfRecordBefore ? place.sequence - 1 : place.sequence
        if packed.offset > 0, packed.distance < known {
            let position = RecordPosition(segment: known - packed.distance, offset: packed.offset)
            reader.log.seek(known, at: position)
        } else if let landmark = landmarks.nearest(to: place.sequence) {
            reader.log.seek(landmark.sequence, at: landmark.position)
        } else {
            reader.log.seek(place.sequence)
        }
        return reader
    }
    private static func event(_ record: RecordView, _ position: RecordPosition) -> StoredEvent {
        let sequence = record.sequence
        let packed = PackedPosition(distance: sequence - position.segment, offset: position.offset)
        var event = StoredEvent(
            place: EventLocation(sequence: sequence, position: packed.bits),
            next: EventLocation(sequence: sequence + 1, position: packed.ofRecordBefore.bits),
            receivedAt: record.receivedAt, tenant: TenantID(record.tenantNumber),
            sourceID: SourceID(record.sourceNumber), source: record.source, eventType: record.eventType,
            fieldLines: record.fieldLines, body: record.body,
            verdict: record.verdict, clientSubject: record.clientSubject)
        event.isRequestOfBatch = record.isRequestOfBatch
        event.isErased = record.isErased
        event.isEnveloped = record.isEnveloped
        event.method = record.method
        return event
    }
}

/// See the header. All zeros is "unknown": no record stands at offset 0.
struct PackedPosition: Equatable {
    let bits: UInt64

    init(bits: UInt64) { self.bits = bits }
    /// Unknown when it does not fit.
    init(distance: UInt64, offset: Int) {
        let units = UInt64(offset) / 8
        bits = distance < 1 << 35 && units < 1 << 28 ? distance << 28 | units : 0
    }
    var offset: Int { Int(bits & 0xFFF_FFFF) * 8 }
    var distance: UInt64 { bits >> 28 & 0x7_FFFF_FFFF }
    var isOfRecordBefore: Bool { bits >> 63 == 1 }
    var ofRecordBefore: PackedPosition { PackedPosition(bits: bits == 0 ? 0 : bits | 1 << 63) }
}
