// The log's writing half: takes events, gives each a sequence, gathers those that arrive during one commit into the
// next, and says what to write where. Passive: bytes, completions and times in, steps and receipts out; no clock, no
// system call.
//
// Order of a driver's tick: offer… → beginCommit → (write + fdatasync) → commitCompleted → nextReceipt until nil →
// publish `committedSequence` and `segmentGeneration` → answer. Publishing or answering earlier breaks law 1.
// Invariants: at most one commit is in flight; sequences on disk are contiguous; an event is in the dedup table exactly
// when its record is on disk or in one of the two groups (law 2); a segment whose write or sync failed gets no further
// byte. If they fail, an acknowledged event is lost or a duplicate passes.
// Safety: the memory handed out in steps is that of the committing group, untouched while it is in flight.

package struct JournalConfiguration: Sendable {
    package var segmentBytes: Int
    /// Capacity of one of the two group buffers; a multiple of 4096, at most a segment without its header.
    package var groupBytes: Int
    package var groupTicketCountMax: Int
    package var logIdentity: UInt64
    package var keys: FingerprintKeys
    /// Spares kept ready: one for the roll, one for a failed sync; more where a disk fills segments of this size faster
    /// than the keeper can be relied on to prepare the next.
    package var spareCountTarget: Int
    package var spareRetryNanos: UInt64 = 1_000_000_000

    package init(
        segmentBytes: Int, groupBytes: Int, groupTicketCountMax: Int, logIdentity: UInt64, keys: FingerprintKeys
    ) {
        spareCountTarget = JournalConfiguration.spareCountTarget(segmentBytes: segmentBytes)
        self.segmentBytes = segmentBytes
        self.groupBytes = groupBytes
        self.groupTicketCountMax = groupTicketCountMax
        self.logIdentity = logIdentity
        self.keys = keys
    }
    package static func spareCountTarget(segmentBytes: Int) -> Int {
        (16 << 20...64 << 20).contains(segmentBytes) ? 6 : 2
    }
}

/// A segment that has its final name, and where the next group goes in it.
package struct PlacedSegment: Equatable, Sendable {
    package var descriptor: SegmentDescriptor
    package var firstSequence: UInt64
    package var seed: UInt64
    package var appendOffset: Int

    package init(descriptor: SegmentDescriptor, firstSequence: UInt64, seed: UInt64, appendOffset: Int) {
        self.descriptor = descriptor
        self.firstSequence = firstSequence
        self.seed = seed
        self.appendOffset = appendOffset
    }
}

@safe package struct Journal: ~Copyable {
    /// Safety: the bytes are the group's, which stays put while it is in flight.
    @safe private struct Flight {
        var bytes: UnsafeRawPointer
        var byteCount: Int
        var fileOffset: Int
        var done: Int
        /// 1 or 2: how many segments this group has been given to.
        var attempt: Int
        /// Completions in a row without a byte of progress.
        var stallCount: Int
        var endOffset: Int { fileOffset + byteCount }
    }
    private enum ReceiptSource { case none, committed, failed }
    private static var stallCountMax: Int { 16 }
    private static var segmentStackCapacity: Int { 8 }

    private let configuration: JournalConfiguration
    private var dedup: DedupTable
    private var windowClock = WindowClock()
    private var filling: CommitGroup
    private var committing: CommitGroup
    private var flight: Flight?
    private var receipts = ReceiptSource.none
    private var current: PlacedSegment?
    private var nextSequence: UInt64
    private var isStarved = false
    private var isDraining = false
    /// The segment was lost while a group was on its way to it: that group has failed, whatever the disk says of it.
    private var isFlightLost = false
    // Two names for a roll, valid until it is completed.
    private let names: UnsafeMutablePointer<CChar>
    private let spares: UnsafeMutablePointer<SegmentDescriptor>
    private var spareCount = 0
    private var spareRequestCount = 0
    private var nextSpareRequestAt: UInt64 = 0
    private let retired: UnsafeMutablePointer<SegmentDescriptor>
    private var retiredCount = 0

    package private(set) var state = JournalState.open
    /// Every record up to here is on disk.
    package private(set) var committedSequence: UInt64
    /// Grows with each new segment; publish it before `committedSequence`, so that readers list the folder again.
    package private(set) var segmentGeneration: UInt64 = 0
    package private(set) var commitCount: UInt64 = 0
    /// Segments given up because a write, a sync or their placing failed.
    package private(set) var segmentFailureCount: UInt64 = 0
    /// Events that were taken and did not reach the disk; each that had a ticket got a receipt that says so.
    package private(set) var failedRecordCount: UInt64 = 0
    /// How many events of the last request that was offered and holds several were new.
    private(set) var batchNewCount: UInt32 = 0

    /// Nil when the system has not the memory for two groups. `current` and `nextSequence` are what recovery found.
    package init?(
        configuration: JournalConfiguration, dedup: consuming DedupTable, current: PlacedSegment?, nextSequence: UInt64
    ) {
        precondition(nextSequence > 0)
        precondition(configuration.groupBytes + RecordFormat.blockBytes <= configuration.segmentBytes)
        precondition((1..<Journal.segmentStackCapacity).contains(configuration.spareCountTarget))
        let tickets = configuration.groupTicketCountMax
        guard let one = CommitGroup(capacity: configuration.groupBytes, ticketCapacity: tickets),
            let other = CommitGroup(capacity: configuration.groupBytes, ticketCapacity: tickets)
        else { return nil }
        self.configuration = configuration
        self.dedup = dedup
        self.current = current
        self.nextSequence = nextSequence
        committedSequence = nextSequence - 1
        filling = one
        committing = other
        unsafe names = .allocate(capacity: 2 * SegmentName.byteCountMax)
        unsafe spares = .allocate(capacity: Journal.segmentStackCapacity)
        unsafe retired = .allocate(capacity: Journal.segmentStackCapacity)
        filling.reset(firstSequence: nextSequence)
    }
    deinit {
        unsafe names.deallocate()
        unsafe spares.deallocate()
        unsafe retired.deallocate()
    }

    package var dedupEntryCount: Int { dedup.entryCount }
    package var dedupCapacity: Int { dedup.capacity }
    package var dedupEvictionCount: UInt64 { dedup.evictionCount }
    /// Bytes of records that wait for the next commit.
    package var fillingByteCount: Int { filling.byteCount }
    /// Bytes of the group that was committed last, while its receipts are taken.
    var committedGroupBytes: Int { committing.paddedByteCount }
    /// True exactly when nothing is in flight, in the group or undelivered: it may be dropped without losing an answer.
    package var isIdle: Bool { flight == nil && filling.recordCount == 0 && receipts == .none }
    package var isCommitInFlight: Bool { flight != nil }
    /// False while receipts of the last outcome are still to be taken.
    package var areReceiptsDrained: Bool { receipts == .none }
    /// Sequences below are on disk or in the group on its way.
    package var fillingFirstSequence: UInt64 { filling.firstSequence }
    /// The segment that takes the next group, for whoever closes it at the end.
    package var currentSegment: PlacedSegment? { current }

    // MARK: Offers

    /// The wall clock, for the windows of what is offered from now on. Not the events' own times: those wait in rings,
    /// and what is verified again came long ago.
    package mutating func setClock(wallNanos: UInt64) { windowClock.set(wallNanos: wallNanos) }
    /// An event with this key will be offered soon: the memory of its place is fetched meanwhile.
    @inline(__always) package func expect(tenant: ByteView, source: ByteView, key: ByteView) {
        dedup.expect(Fingerprint(tenant: tenant, source: source, key: key, keys: configuration.keys))
    }
    /// More than half of the group is taken.
    @inline(__always) var isPressed: Bool { filling.byteCount &* 2 > filling.capacity }
    var room: AdmissionShares.Room {
        AdmissionShares.Room(used: filling.byteCount, capacity: filling.capacity, group: filling.firstSequence)
    }
    /// Copies the event into the group that is filling. Ticket 0 wants no receipt; without `takesNew` it is told of, or
    /// refused. Never waits, never allocates.
    @_noAllocation @_noLocks
    package mutating func offer(_ event: EventInput, ticket: UInt64, takesNew: Bool = true) -> OfferOutcome {
        if event.isBatch { return offerBatch(event, ticket: ticket, takesNew: takesNew) }
        guard let length = RecordFormat.byteCount(of: event), length <= configuration.groupBytes else {
            return .refused(.tooLarge)
        }
        let print = fingerprint(of: event)
        // Before any refusal: what is on disk is a duplicate whatever state the disk is in now.
        if let original = known(event, print) { return duplicate(of: original, ticket: ticket) }
        guard takesNew else { return .refused(.groupFull) }
        if let reason = shortage(length, ticket) {
            if isPlanted(.claimBeforeAppend) { claim(event, print) }
            return .refused(reason)
        }
        return keep(event, print, length, ticket: ticket)
    }
    /// What a planted fault does too early.
    @inline(never) private mutating func claim(_ event: EventInput, _ print: Fingerprint) {
        dedup.insert(
            print, sequence: nextSequence, nowSeconds: windowClock.seconds, windowSeconds: event.dedupWindowSeconds)
    }
    /// There is room for it. `newCount` is for its receipt.
    @inline(__always) private mutating func keep(
        _ event: EventInput, _ print: Fingerprint, _ length: Int, ticket: UInt64, newCount: UInt32 = 0
    ) -> OfferOutcome {
        let sequence = nextSequence
        if ticket != 0 {
            let isTaken = filling.addTicket(
                GroupTicket(ticket: ticket, sequence: sequence, isDuplicate: false, newCount: newCount))
            precondition(isTaken)
        }
        append(event, print, length)
        return .appended(sequence: sequence)
    }
    @inline(__always) private mutating func append(_ event: EventInput, _ print: Fingerprint, _ length: Int) {
        let window = event.dedupWindowSeconds
        if window > 0 {
            dedup.insert(
                print, sequence: nextSequence, nowSeconds: windowClock.seconds, windowSeconds: window)
        }
        filling.append(event, print: print, length: length, seed: current?.seed ?? 0)
        nextSequence += 1
    }
    /// All of its events in one group, or none: those that are new, each under its own key, then the request as it
    /// came. Its receipt is that of the youngest record it needs, so none of them can be missing when it is answered.
    /// Where all of them are known, nothing is kept, and it is a duplicate.
    @_noAllocation @_noLocks
    private mutating func offerBatch(_ batch: EventInput, ticket: UInt64, takesNew: Bool) -> OfferOutcome {
        batchNewCount = 0
        guard let byteCount = batch.groupByteCount, byteCount <= configuration.groupBytes else {
            return .refused(.tooLarge)
        }
        if let original = youngest(ofKnown: batch) { return duplicate(of: original, ticket: ticket) }
        guard takesNew else { return .refused(.groupFull) }
        if let reason = shortage(byteCount, ticket) { return .refused(reason) }
        var cursor = ElementCursor(batch.elements)
        while let element = cursor.next() {
            let event = batch.event(of: element)
            let print = fingerprint(of: event)
            guard known(event, print) == nil else { continue }
            append(event, print, RecordFormat.byteCount(of: event) ?? 0)
            batchNewCount += 1
        }
        let request = batch.requestOfBatch
        return keep(
            request, fingerprint(of: request), RecordFormat.byteCount(of: request) ?? 0, ticket: ticket,
            newCount: batchNewCount)
    }
    /// The highest sequence among its events when each of them is known; nil when one is new.
    private func youngest(ofKnown batch: EventInput) -> UInt64? {
        var youngest: UInt64?
        var cursor = ElementCursor(batch.elements)
        while let element = cursor.next() {
            let event = batch.event(of: element)
            guard let original = known(event, fingerprint(of: event)) else { return nil }
            youngest = max(youngest ?? 0, original)
        }
        return youngest
    }
    @inline(__always) private func fingerprint(of event: EventInput) -> Fingerprint {
        guard event.dedupWindowSeconds > 0 else {
            return Fingerprint(slot: Hash128(low: 0, high: 0), tag: Hash128(low: 0, high: 0))
        }
        let print = Fingerprint(
            tenant: event.tenant, source: event.source, key: event.dedupKey, keys: configuration.keys)
        return event.verdict.isTrusted ? print : print.ofUnproven
    }
    @inline(__always) private func known(_ event: EventInput, _ print: Fingerprint) -> UInt64? {
        guard event.dedupWindowSeconds > 0 else { return nil }
        return dedup.lookup(print, nowSeconds: windowClock.seconds, windowSeconds: event.dedupWindowSeconds)
    }
    private mutating func duplicate(of original: UInt64, ticket: UInt64) -> OfferOutcome {
        if original <= committedSequence || isPlanted(.duplicateBeforeCommit) { return .duplicate(sequence: original) }
        if ticket == 0 { return .pending(sequence: original) }
        let entry = GroupTicket(ticket: ticket, sequence: original, isDuplicate: true)
        let isTaken = original >= filling.firstSequence ? filling.addTicket(entry) : committing.addTicket(entry)
        return isTaken ? .pending(sequence: original) : .refused(.groupFull)
    }
    private func shortage(_ length: Int, _ ticket: UInt64) -> JournalRefusal? {
        if isDraining { return .draining }
        if state == .failed || receipts == .failed { return .failed }
        if filling.byteCount + length > filling.capacity { return .groupFull }
        if ticket != 0 && filling.ticketCount == filling.ticketCapacity { return .groupFull }
        // A group that no segment in hand can take would wait for the disk to be emptied: say so now.
        if spareCount == 0 && !fitsCurrent(filling.byteCount + length) { return .noSegment }
        return nil
    }
    private func fitsCurrent(_ byteCount: Int) -> Bool {
        guard let current else { return false }
        let start = flight.map { $0.endOffset } ?? current.appendOffset
        return start + RecordFormat.roundUp(byteCount, to: RecordFormat.blockBytes) <= current.descriptor.byteCount
    }
    /// From now on no new event is taken; what is in the groups is still committed.
    package mutating func beginDrain() { isDraining = true }

    // MARK: Commits

    /// True exactly when `beginCommit` has something to do: records wait, nothing is in flight, receipts are drained.
    package var wantsCommit: Bool {
        flight == nil && receipts == .none && filling.recordCount > 0 && state == .open
            && (!isStarved || spareCount > 0)
    }

    /// Seals the filling group and says where it goes; nil when there is nothing to commit.
    package mutating func beginCommit() -> CommitStep? {
        guard wantsCommit else { return nil }
        let fits = fitsCurrent(filling.byteCount)
        guard fits || spareCount > 0 else {
            isStarved = true
            return .refuse
        }
        isStarved = false
        swap(&filling, &committing)
        filling.reset(firstSequence: nextSequence)
        return fits ? append() : roll(attempt: 1)
    }

    /// The step has ended. `placed` is the result of the roll's rename and directory sync (0 for a plain write),
    /// `written` the bytes or -errno, `synced` 0 or -errno; a sync that the short write cancelled is not looked at.
    package mutating func commitCompleted(placed: Int = 0, written: Int, synced: Int) -> CommitOutcome {
        guard var flight else { preconditionFailure("no commit is in flight") }
        if isFlightLost {
            abandonSegments()
            return .failed
        }
        let left = flight.byteCount - flight.done
        precondition(written <= left)
        if placed < 0 { return segmentFailed() }
        let isHarmless = written == -Journal.interrupted || written == -Journal.tryAgain
        if written <= 0 && !isHarmless { return segmentFailed() }
        if written == left && synced == 0 { return committed() }
        if isPlanted(.shortWriteIsWhole), written > 0, written < left { return committed() }
        let isCanceled = synced == -Journal.canceled || isPlanted(.repeatFailedSync)
        if written == left && !isCanceled { return segmentFailed() }
        flight.stallCount = isHarmless || written == left ? flight.stallCount + 1 : 0
        guard flight.stallCount <= Journal.stallCountMax else { return segmentFailed() }
        // The rest; or, when only the sync was cancelled (it never ran, so asking again is no retry), the last block
        // again.
        flight.done = written == left ? flight.byteCount - RecordFormat.blockBytes : flight.done + max(written, 0)
        self.flight = flight
        return .continueWith(.write(write(flight)))
    }
    private static var interrupted: Int { 4 }
    private static var tryAgain: Int { 11 }
    private static var canceled: Int { 125 }

    private func write(_ flight: Flight) -> CommitWrite {
        unsafe CommitWrite(
            file: current?.descriptor.file ?? -1, bytes: flight.bytes + flight.done,
            byteCount: flight.byteCount - flight.done, fileOffset: UInt64(flight.fileOffset + flight.done))
    }
    private mutating func append() -> CommitStep {
        guard let current else { preconditionFailure("a group fits no segment") }
        committing.seal(seed: current.seed)
        let flight = unsafe Flight(
            bytes: UnsafeRawPointer(committing.records), byteCount: committing.paddedByteCount,
            fileOffset: current.appendOffset, done: 0, attempt: 1, stallCount: 0)
        self.flight = flight
        return .write(write(flight))
    }
    /// The committing group becomes the first one of a spare. At least one is in hand.
    private mutating func roll(attempt: Int) -> CommitStep {
        precondition(spareCount > 0)
        retireCurrent()
        spareCount -= 1
        let spare = unsafe spares[spareCount]
        let first = committing.firstSequence
        let header = SegmentHeader(
            logIdentity: configuration.logIdentity, firstSequence: first, salt: spare.salt,
            segmentBytes: UInt64(spare.byteCount), createdAt: committing.firstReceivedAt)
        unsafe header.write(to: committing.headerBlock)
        committing.seal(seed: header.seed)
        let byteCount = RecordFormat.blockBytes + committing.paddedByteCount
        precondition(byteCount <= spare.byteCount)
        current = PlacedSegment(descriptor: spare, firstSequence: first, seed: header.seed, appendOffset: byteCount)
        segmentGeneration += 1
        let flight = unsafe Flight(
            bytes: UnsafeRawPointer(committing.headerBlock), byteCount: byteCount, fileOffset: 0, done: 0,
            attempt: attempt,
            stallCount: 0)
        self.flight = flight
        unsafe SegmentName.writeSpare(spare.spareNumber, to: names)
        unsafe SegmentName.writeSegment(first, to: names + SegmentName.byteCountMax)
        return unsafe .roll(
            CommitRoll(
                spareName: UnsafePointer(names), segmentName: UnsafePointer(names + SegmentName.byteCountMax),
                firstSequence: first, write: write(flight)))
    }
    private mutating func committed() -> CommitOutcome {
        if let flight { current?.appendOffset = flight.endOffset }
        flight = nil
        committedSequence = committing.lastSequence
        commitCount += 1
        receipts = .committed
        return .committed
    }
    /// The current segment is given up: a failed sync may have thrown its pages away, so it is never asked again.
    private mutating func segmentFailed() -> CommitOutcome {
        segmentFailureCount += 1
        let attempt = flight?.attempt ?? 2
        flight = nil
        if isPlanted(.appendToFailedSegment), attempt == 1, current != nil { return .continueWith(append()) }
        if attempt == 1 && spareCount > 0 { return .continueWith(roll(attempt: 2)) }
        retireCurrent()
        state = .failed
        giveUpGroups()
        return .failed
    }
    /// What was written from the sequence `first` on can be found by nobody any more: its events count as not seen, and
    /// what waits is given up. No segment in hand is used again; one that is prepared from now on opens the journal.
    /// True when receipts wait; with a group in flight they come with its outcome.
    package mutating func logLost(from first: UInt64) -> Bool {
        dedup.removeAll(from: first)
        guard flight == nil else {
            isFlightLost = true
            return false
        }
        guard receipts == .none else { preconditionFailure("receipts of the last commit are not drained") }
        abandonSegments()
        return true
    }
    private mutating func abandonSegments() {
        isFlightLost = false
        flight = nil
        segmentFailureCount += 1
        retireCurrent()
        while spareCount > 0, retiredCount < Journal.segmentStackCapacity {
            spareCount -= 1
            unsafe retired[retiredCount] = spares[spareCount]
            retiredCount += 1
        }
        state = .failed
        giveUpGroups()
    }
    private mutating func giveUpGroups() {
        failedRecordCount += UInt64(committing.recordCount) + UInt64(filling.recordCount)
        if !isPlanted(.keepFailedClaims) {
            committing.freeClaims(in: &dedup)
            filling.freeClaims(in: &dedup)
        }
        // Their sequences are used again: a later segment with the same first sequence supersedes what reached the
        // disk.
        nextSequence = committedSequence + 1
        isStarved = false
        receipts = .failed
    }
    private mutating func retireCurrent() {
        guard let current else { return }
        precondition(retiredCount < Journal.segmentStackCapacity)
        unsafe retired[retiredCount] = current.descriptor
        retiredCount += 1
        self.current = nil
    }

    // MARK: Receipts

    /// The fate of the next ticket; nil when all of the last outcome's are given. Drain after `committed` and `failed`.
    package mutating func nextReceipt() -> Receipt? {
        switch receipts {
        case .none: return nil
        case .committed:
            if let entry = committing.nextTicket() {
                let fate: ReceiptFate = entry.isDuplicate ? .duplicate : .kept
                return Receipt(
                    ticket: entry.ticket, sequence: entry.sequence, fate: fate, newCount: entry.newCount)
            }
        case .failed:
            if let entry = committing.nextTicket() ?? filling.nextTicket() {
                let fate: ReceiptFate = isPlanted(.failureIsKept) ? .kept : .failed
                return Receipt(ticket: entry.ticket, sequence: entry.sequence, fate: fate)
            }
            filling.reset(firstSequence: nextSequence)
        }
        committing.reset(firstSequence: nextSequence)
        receipts = .none
        return nil
    }

    // MARK: Segments

    /// True when a worker should prepare a spare now; each true is one request, answered by `spareBecameReady` or
    /// `sparePreparationFailed`. `now` is monotonic nanoseconds. After a failure this is also the probe that ends it.
    package mutating func takeSpareRequest(now: UInt64) -> Bool {
        // In the failed state a fresh one is wanted whatever is in hand: its preparation shows that the disk writes
        // again.
        let target = state == .failed ? spareCount + 1 : configuration.spareCountTarget
        guard spareCount + spareRequestCount < target else { return false }
        guard spareCount < Journal.segmentStackCapacity - 1 else { return false }
        guard now >= nextSpareRequestAt else { return false }
        spareRequestCount += 1
        return true
    }
    package mutating func spareBecameReady(_ spare: SegmentDescriptor) {
        precondition(spareRequestCount > 0 && spareCount < Journal.segmentStackCapacity)
        precondition(spare.byteCount >= configuration.groupBytes + RecordFormat.blockBytes)
        spareRequestCount -= 1
        unsafe spares[spareCount] = spare
        spareCount += 1
        state = .open
    }
    /// The disk has no room or gave an error. A group that waits for a spare is given up then: true when receipts wait.
    package mutating func sparePreparationFailed(now: UInt64) -> Bool {
        precondition(spareRequestCount > 0)
        spareRequestCount -= 1
        nextSpareRequestAt = now + configuration.spareRetryNanos
        guard isStarved && spareCount == 0 && flight == nil && receipts == .none else { return false }
        giveUpGroups()
        return true
    }
    /// A segment the journal has done with; the caller closes its file.
    package mutating func nextRetired() -> SegmentDescriptor? {
        guard retiredCount > 0 else { return nil }
        retiredCount -= 1
        return unsafe retired[retiredCount]
    }
    /// A spare to be closed at the end of a drain.
    package mutating func nextUnusedSpare() -> SegmentDescriptor? {
        guard spareCount > 0 else { return nil }
        spareCount -= 1
        return unsafe spares[spareCount]
    }
}
