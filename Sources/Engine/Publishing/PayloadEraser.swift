// Content taken out of the log for good: one event's, or all messages of a tenant. Blocking file calls, in whoever's
// thread asks; the records are overwritten in batches, so that many hold nobody up who has one.
//
// Invariants: an event of a split request goes together with the request, which has the same bytes, and a request with
// all of its events; what waits for delivery of an erased event is a dead letter, at once where the store takes it and
// else when its turn comes, since whoever reads the record sees that it is erased.
import FastPath
import Foundation

package final class PayloadEraser: Sendable {
    package enum Failure: Error {
        /// The log cannot be read there now: nothing has been done.
        case unreadable
        /// The log's folder takes no write now: nothing has been done.
        case unannounced(String)
        /// It is shown to nobody from now on, and not yet overwritten on the disk; asking again tries again.
        case unwritten(String)
        case stopped
    }
    private static let batchCountMax = 64
    private static let batchBytesMax = 4 << 20
    /// So many records, then a pause, so that a walk over the log never takes a core from delivery.
    private static let paceCount = 500
    private static let paceSeconds = 0.001
    private let folder: LogFolder
    private let tail: CommittedTail
    private let expunged: ExpungedContent
    private let delivery: DeliveryService<LogReaders>?
    private let records: RecordEraser

    /// `delivery` nil: nobody is delivered to.
    package init(
        folder: LogFolder, tail: CommittedTail, expunged: ExpungedContent, delivery: DeliveryService<LogReaders>?
    ) {
        self.folder = folder
        self.tail = tail
        self.expunged = expunged
        self.delivery = delivery
        records = RecordEraser(folder)
    }

    private struct Batch {
        var records: [ErasedRecord] = []
        /// Of events, erased before or now.
        var sequences: [UInt64] = []
        /// Segments in whose first group some of them stand.
        var begun: Set<UInt64> = []
        var byteCount = 0
        var isFull: Bool {
            sequences.count >= PayloadEraser.batchCountMax || byteCount >= PayloadEraser.batchBytesMax
        }

        mutating func add(_ record: RecordView, at position: RecordPosition, by reader: borrowing LogReader) {
            sequences.append(record.sequence)
            guard !record.isErased else { return }
            let keepsLabels = SourceID(record.sourceNumber).isPublishing
            records.append(reader.erasure(of: record, keepsLabels: keepsLabels))
            byteCount += record.length
            if record.sequence &- UInt64(record.groupOffset) == position.segment { begun.insert(position.segment) }
        }
    }

    /// False when the log has no such record. Whoever has it erased twice is told the same twice.
    package func erase(_ sequence: UInt64) throws -> Bool {
        var reader = LogReader(folder: folder, from: sequence)
        var batch = Batch()
        switch reader.read(sequence, through: tail.snapshot) {
        case .record(let record, let position):
            guard record.sequence == sequence else { return false }
            batch.add(record, at: position, by: reader)
            let first = sequence &- UInt64(record.groupOffset)
            if record.isElement {
                try addRequest(of: sequence, &reader, to: &batch)
            } else if record.isRequestOfBatch {
                try addElements(of: sequence, from: first, to: &batch)
            }
        case .failed: throw Failure.unreadable
        case .damaged(let damage) where damage.isUnreadable: throw Failure.unreadable
        case .damaged, .missing, .caughtUp: return false
        }
        try erase(batch)
        return true
    }
    /// The request stands behind its events, all in one group.
    private func addRequest(of element: UInt64, _ reader: inout LogReader, to batch: inout Batch) throws {
        while true {
            switch reader.next(through: tail.snapshot) {
            case .record(let record, let position):
                if record.isElement { continue }
                if record.isRequestOfBatch { batch.add(record, at: position, by: reader) }
                return
            case .damaged(let damage) where damage.isUnreadable: throw Failure.unreadable
            case .failed: throw Failure.unreadable
            case .damaged, .missing, .caughtUp: return
            }
        }
    }
    private func addElements(of request: UInt64, from first: UInt64, to batch: inout Batch) throws {
        var reader = LogReader(folder: folder, from: first)
        var end = tail.snapshot
        end.sequence = request
        // Those of another request of the group are behind that one.
        let whole = batch
        while true {
            switch reader.next(through: end) {
            case .record(let record, let position):
                guard record.sequence >= first, record.sequence < request else { continue }
                if record.isElement { batch.add(record, at: position, by: reader) } else { batch = whole }
            case .failed: throw Failure.unreadable
            case .damaged(let damage) where damage.isUnreadable: throw Failure.unreadable
            case .damaged, .missing: continue
            case .caughtUp: return
            }
        }
    }

    /// Those of a tenant up to one, in batches. `each` hears how many of them were behind `counted`, and may throw to
    /// end it; what is left then is erased after the next start.
    package func eraseMessages(
        of tenant: TenantID, through last: UInt64, countedBehind counted: UInt64 = 0,
        each: (Int) throws -> Void
    ) throws {
        let first = expunged.erasedThrough(of: tenant) + 1
        var end = tail.snapshot
        end.sequence = min(end.sequence, last)
        var reader = LogReader(folder: folder, from: first)
        var (batch, count, looked) = (Batch(), 0, 0)
        // What the disk cannot read now it may at another time: what is there is erased, and they are not said to be.
        var isWhole = true
        reading: while true {
            switch reader.next(through: end) {
            case .record(let record, let position):
                looked += 1
                if looked % PayloadEraser.paceCount == 0 {
                    Thread.sleep(forTimeInterval: PayloadEraser.paceSeconds)
                    try each(count)
                }
                guard record.sequence >= first, record.tenantNumber == tenant.number,
                    SourceID(record.sourceNumber).isMessage
                else { continue }
                if record.sequence > counted { count += 1 }
                batch.add(record, at: position, by: reader)
                guard batch.isFull else { continue }
                try erase(batch)
                batch = Batch()
                try each(count)
            case .failed: throw Failure.unreadable
            case .damaged(let damage): isWhole = isWhole && !damage.isUnreadable
            case .missing: continue
            case .caughtUp: break reading
            }
        }
        try erase(batch)
        try each(count)
        guard isWhole else { throw Failure.unreadable }
        try expunged.erased(messagesOf: tenant, through: last)
    }
    /// What an earlier run of the process, or an earlier version, has hidden and not erased. What fails does not keep
    /// the others from it; the first failure is told at the end.
    package func finish(isStopping: () -> Bool) throws {
        var failure: (any Error)?
        for sequence in expunged.messagesLeft {
            guard !isStopping() else { return }
            do {
                _ = try erase(sequence)
                expunged.erased(message: sequence)
            } catch { failure = failure ?? error }
        }
        for (tenant, _, last) in expunged.tenantsLeft {
            do {
                try eraseMessages(of: tenant, through: last) { _ in
                    if isStopping() { throw Failure.stopped }
                }
            } catch Failure.stopped { return } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    private func erase(_ batch: Batch) throws {
        do throws(LogOpenError) {
            for segment in batch.begun { try records.clearRemains(before: segment) }
        } catch { throw Failure.unannounced("\(error)") }
        let announced = folder.erasures.generation
        do throws(LogOpenError) { try records.erase(batch.records) } catch {
            // Those that an earlier call has announced are read as erased, and are not in the batch again.
            if !batch.records.isEmpty, folder.erasures.generation == announced {
                throw Failure.unannounced("\(error)")
            }
            giveUp(batch.sequences)
            throw Failure.unwritten("\(error)")
        }
        giveUp(batch.sequences)
    }
    /// What cannot be given up now is when its turn comes.
    private func giveUp(_ sequences: [UInt64]) {
        guard let delivery else { return }
        var keys: [DeliveryKey] = []
        for sequence in sequences {
            let rows = (try? delivery.store.rows(sequence: sequence)) ?? []
            keys += rows.filter { $0.state == .pending }.map { DeliveryKey($0) }
        }
        if !keys.isEmpty { _ = try? delivery.cancel(keys, reason: .erased) }
    }
}
