// Drives the passive journal over a ring: submits its commit steps, gathers their completions, hands receipts on and
// publishes the committed tail. Used by an ingest loop that is alone and by the journal thread, so that there is one
// way to the disk.
//
// A commit is one write that is durable when it completes: one trip through the kernel's workers where a write and a
// sync linked behind it take two. Answers that wait for the write alone need the two apart, and small groups that go
// past the page cache are sooner done so (docs/why/one-write.md).
//
// Invariants: one commit is with the kernel at a time; its outcome is told to the journal when all of its completions
// have come (one or two, and two more with a new segment); an error of the one write is taken for a failed sync, after
// which nothing is known of the file; the tail is published before the receipts of its group are handed on.
// Safety: the group's memory belongs to the journal and is not touched while it commits.
import CShims

@safe package struct JournalDriver: ~Copyable {
    private var journal: Journal
    let logIdentity: UInt64
    private let metrics: IngestMetrics
    private let folder: Int32
    private let tail: CommittedTail
    private let spares: SpareMailbox
    private let reader: CommitSignal
    private var signalledAt: UInt64 = 0
    /// True exactly when a commit has not been told to the reader yet.
    private(set) var owesSignal = false
    private var outstandingCount = 0
    private var placedResult = 0
    private var writtenResult = 0
    private var syncedResult = 0
    private var expectedBytes = 0
    /// The write that is out is durable by itself: no sync follows.
    private var isOneWrite = false
    /// The file whose writes go past the page cache now; -1: none.
    private var directFile: Int32 = -1
    private var canBeDirect = true
    private var commitStartedAt: UInt64 = 0
    /// Groups past the page cache up to this size are a write and a sync.
    private static let directPairBytesMax = 32 << 10
    private static let inputOutputError = 5
    private static let invalidArgument = 22
    // Tickets of sources with durability `written`: [0] of the group being filled, [1] of the one committing.
    private var earlyFilling: EarlyReceipts
    private var earlyCommitting: EarlyReceipts

    package init(
        journal: consuming Journal, logIdentity: UInt64, folder: Int32, tail: CommittedTail, spares: SpareMailbox,
        reader: CommitSignal, metrics: IngestMetrics, ticketCountMax: Int
    ) {
        self.journal = journal
        self.logIdentity = logIdentity
        self.metrics = metrics
        self.folder = folder
        self.tail = tail
        self.spares = spares
        self.reader = reader
        earlyFilling = EarlyReceipts(capacity: ticketCountMax)
        earlyCommitting = EarlyReceipts(capacity: ticketCountMax)
    }
    var batchNewCount: UInt32 { journal.batchNewCount }
    var isIdle: Bool { outstandingCount == 0 && journal.isIdle && earlyFilling.isEmpty && earlyCommitting.isEmpty }

    /// Once a tick, before its offers: the wall clock in nanoseconds.
    @inline(__always) mutating func setClock(wallNanos: UInt64) { journal.setClock(wallNanos: wallNanos) }
    @inline(__always) func expect(tenant: ByteView, source: ByteView, key: ByteView) {
        journal.expect(tenant: tenant, source: source, key: key)
    }
    @inline(__always) mutating func offer(
        _ event: EventInput, ticket: UInt64, durability: DurabilityLevel, takesNew: Bool = true
    ) -> OfferOutcome {
        switch durability {
        case .fsync: return journal.offer(event, ticket: ticket, takesNew: takesNew)
        case .memory: return journal.offer(event, ticket: 0, takesNew: takesNew)
        case .written: return offerEarly(event, ticket: ticket, takesNew: takesNew)
        }
    }
    @inline(__always) var isPressed: Bool { journal.isPressed }
    var room: AdmissionShares.Room { journal.room }

    private mutating func offerEarly(_ event: EventInput, ticket: UInt64, takesNew: Bool) -> OfferOutcome {
        guard earlyFilling.hasRoom else { return .refused(.groupFull) }
        let verdict = journal.offer(event, ticket: 0, takesNew: takesNew)
        switch verdict {
        case .appended:
            earlyFilling.append(Receipt(ticket: ticket, sequence: 0, fate: .kept, newCount: journal.batchNewCount))
        case .pending(let sequence):
            // The original may be in the group that is on its way: then this one shares that group's fate.
            let receipt = Receipt(ticket: ticket, sequence: 0, fate: .duplicate)
            if sequence < journal.fillingFirstSequence {
                guard earlyCommitting.hasRoom else { return .refused(.groupFull) }
                earlyCommitting.append(receipt)
            } else {
                earlyFilling.append(receipt)
            }
        case .duplicate, .refused: break
        }
        return verdict
    }

    /// Looked at after `beginSleep`: an answer of the segment keeper's from just before would wake nobody.
    @inline(__always) var hasNews: Bool { spares.hasSome }

    /// Everything that arrived while the last commit was on its way goes out as one write; no timer, no added delay.
    @inline(__always) mutating func startCommit<IO: LoopIO & ~Copyable>(_ io: borrowing IO, nowNanos: UInt64) {
        if owesSignal, nowNanos &- signalledAt >= CommitSignal.intervalNanos { signalReader(nowNanos) }
        if spares.hasSome { takeNews(io, nowNanos) }
        if journal.takeSpareRequest(now: nowNanos) { spares.want() }
        guard outstandingCount == 0 else { return tellAge(nowNanos) }
        guard journal.wantsCommit, earlyCommitting.isEmpty else { return }
        guard let step = journal.beginCommit() else { return }
        if case .refuse = step { return }
        if isPlanted(.publishBeforeCommit) { tail.publish(journal) }
        swap(&earlyFilling, &earlyCommitting)
        commitStartedAt = nowNanos
        isOneWrite = true
        submit(step, io)
    }
    /// A disk that hangs is seen from outside.
    @inline(__always) private func tellAge(_ nowNanos: UInt64) {
        let age = nowNanos &- commitStartedAt
        if age >= 1_000_000_000 { metrics.loop.set(IngestCounter.commitAgeMillis.rawValue, age / 1_000_000) }
    }
    private mutating func signalReader(_ nowNanos: UInt64) {
        owesSignal = false
        signalledAt = nowNanos
        reader.signal()
    }
    private mutating func takeNews<IO: LoopIO & ~Copyable>(_ io: borrowing IO, _ nowNanos: UInt64) {
        while journal.areReceiptsDrained, let news = spares.take() {
            switch news {
            case .ready(let spare): journal.spareBecameReady(spare)
            case .failed: if journal.sparePreparationFailed(now: nowNanos) { earlyFilling.release(failed: true) }
            case .lost(let loss): if journal.logLost(from: loss.firstSequence) { earlyFilling.release(failed: true) }
            }
        }
        closeRetired(io)
        // A spare after a failure opens the journal again: whoever asks for readiness must see it.
        publishGauges()
    }
    private mutating func closeRetired<IO: LoopIO & ~Copyable>(_ io: borrowing IO) {
        while let retired = journal.nextRetired() {
            if !spares.retire(retired) { io.close(retired.file, tag: Tag(.close)) }
        }
    }
    private mutating func submit<IO: LoopIO & ~Copyable>(_ step: CommitStep, _ io: borrowing IO) {
        placedResult = 0
        switch step {
        case .refuse: preconditionFailure("a refused step has nothing to submit")
        case .write(let write): submit(write, io)
        case .roll(let roll):
            outstandingCount = 2
            isOneWrite = true
            if isPlanted(.forgetFolderSync) {
                outstandingCount = 0
                _ = unsafe sluice_file_rename(folder, roll.spareName, roll.segmentName)
                return submit(roll.write, io)
            }
            unsafe io.renameAndSync(
                folder: folder, from: roll.spareName, to: roll.segmentName, rename: Tag(.segmentRename),
                sync: Tag(.folderSync))
            submit(roll.write, io)
        }
    }
    private mutating func submit<IO: LoopIO & ~Copyable>(_ write: CommitWrite, _ io: borrowing IO) {
        expectedBytes = write.byteCount
        writtenResult = 0
        syncedResult = 0
        // Asked for the rest of a short write too: it may be no longer aligned.
        let isDirect = goesDirect(write, io)
        // Not where answers wait for the write alone. The rest of a pair stays a pair: a durable write would sync no
        // more than the rest.
        let isSmallAndDirect = isDirect && write.byteCount <= JournalDriver.directPairBytesMax
        isOneWrite = isOneWrite && earlyCommitting.isEmpty && !isSmallAndDirect && !isPlanted(.answerBeforeSync)
        if isOneWrite {
            outstandingCount += 1
            unsafe io.writeDurably(
                write.file, write.bytes, count: write.byteCount, offset: write.fileOffset, tag: Tag(.journalWrite))
        } else {
            outstandingCount += 2
            unsafe io.writeAndSync(
                write.file, write.bytes, count: write.byteCount, offset: write.fileOffset, write: Tag(.journalWrite),
                sync: Tag(.journalSync))
        }
    }

    /// Past the page cache, where a page of it would be taken, copied into and let go of for each block written; but
    /// through it while somebody delivers, who would have to read it back from the disk. It is a matter of the file,
    /// not of the group's size: each change of the way costs more than the better way saves.
    private mutating func goesDirect<IO: LoopIO & ~Copyable>(_ write: CommitWrite, _ io: borrowing IO) -> Bool {
        let isAligned =
            unsafe (UInt(bitPattern: write.bytes) | UInt(write.fileOffset) | UInt(write.byteCount))
            % UInt(RecordFormat.blockBytes) == 0
        let isDirect = isAligned && canBeDirect && !reader.isWanted
        guard isDirect != (directFile == write.file) else { return isDirect }
        guard io.setDirect(write.file, isDirect) else {
            canBeDirect = false
            return false
        }
        directFile = isDirect ? write.file : -1
        return isDirect
    }

    mutating func completed<IO: LoopIO & ~Copyable>(_ completion: Completion, _ io: borrowing IO) {
        if isPlanted(.answerBeforeSync), completion.tag.kind == .journalSync { return }
        precondition(outstandingCount > 0)
        outstandingCount -= isPlanted(.answerBeforeSync) && completion.tag.kind == .journalWrite ? 2 : 1
        let result = Int(completion.result)
        switch completion.tag.kind {
        // A failed rename cancels what is linked behind it; the first error is the one to report.
        case .segmentRename, .folderSync: if placedResult == 0 { placedResult = min(result, 0) }
        case .journalWrite where isOneWrite && result < 0:
            // Whatever it was: "cancelled" too must not pass for a sync alone that was.
            writtenResult = expectedBytes
            syncedResult = -JournalDriver.inputOutputError
        case .journalWrite:
            writtenResult = result
            // Some file systems take the flag and refuse the write; the group goes to another segment then.
            if result == -JournalDriver.invalidArgument { canBeDirect = false }
            if result == expectedBytes { earlyCommitting.release(failed: false) }
        case .journalSync: syncedResult = result
        default: preconditionFailure("not the journal's completion")
        }
        guard outstandingCount == 0 else { return }
        switch journal.commitCompleted(placed: placedResult, written: writtenResult, synced: syncedResult) {
        case .committed:
            metrics.count(.commits)
            metrics.count(.commitBytes, UInt64(expectedBytes))
            earlyCommitting.release(failed: false)
            tail.publish(journal)
            owesSignal = reader.isWanted
        case .continueWith(let step): submit(step, io)
        case .failed:
            metrics.count(.commitFailures)
            earlyCommitting.release(failed: true)
            earlyFilling.release(failed: true)
        }
        metrics.loop.set(IngestCounter.commitAgeMillis.rawValue, 0)
        closeRetired(io)
        publishGauges()
    }
    private func publishGauges() {
        metrics.loop.set(IngestCounter.dedupEntries.rawValue, UInt64(journal.dedupEntryCount))
        metrics.loop.set(IngestCounter.dedupEvictions.rawValue, journal.dedupEvictionCount)
        metrics.loop.set(IngestCounter.segmentFailures.rawValue, journal.segmentFailureCount)
        metrics.loop.set(IngestCounter.logState.rawValue, journal.state == .open ? 1 : 0)
        spares.note(logHasFailed: journal.state == .failed)
    }
    @inline(__always) mutating func nextReceipt() -> Receipt? {
        if let receipt = earlyCommitting.next() ?? earlyFilling.next() { return receipt }
        return journal.nextReceipt()
    }
    mutating func finish<IO: LoopIO & ~Copyable>(_ io: borrowing IO) {
        precondition(outstandingCount == 0)
        while let retired = journal.nextRetired() { io.closeNow(retired.file) }
        while let spare = journal.nextUnusedSpare() { io.closeNow(spare.file) }
        if let current = journal.currentSegment { io.closeNow(current.descriptor.file) }
    }
}

/// Receipts that wait for the write alone; none tells a sequence, which a sync that fails gives to another event.
@safe struct EarlyReceipts: ~Copyable {
    private let items: UnsafeMutablePointer<Receipt>
    private let capacity: Int
    private var count = 0
    private var taken = 0
    private var isReleased = false
    private var isFailed = false

    init(capacity: Int) {
        self.capacity = capacity
        unsafe items = .allocate(capacity: capacity)
    }
    deinit { unsafe items.deallocate() }
    var isEmpty: Bool { count == 0 }
    var hasRoom: Bool { count < capacity }
    mutating func append(_ receipt: Receipt) {
        unsafe items[count] = receipt
        count += 1
    }
    mutating func release(failed: Bool) {
        isReleased = true
        isFailed = failed
    }
    @inline(__always) mutating func next() -> Receipt? {
        guard isReleased else { return nil }
        guard taken < count else {
            count = 0
            taken = 0
            isReleased = false
            return nil
        }
        taken += 1
        var receipt = unsafe items[taken - 1]
        if isFailed { receipt.fate = .failed }
        return receipt
    }
}
