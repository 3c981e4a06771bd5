// Reads committed records forward, for deliveries, replays and `events`: by pread into an own buffer, so memory stays
// flat and no page of the log is mapped. Any number of readers, each on one thread; they share `CommittedTail` with the
// journal.
//
// Invariants: nothing beyond the snapshot's sequence is handed out; every sequence up to it is either a record or told
// of as damaged or missing, in order, none silently left out. A segment with a higher first sequence supersedes the
// records of an earlier one from there on. Retention may unlink a segment at any time: an open one stays readable, a
// gone one is told of as missing.
// Safety: a view is valid until the reader's next call.

import CShims

package enum ReadStep {
    case record(RecordView, RecordPosition)
    /// All that is committed has been read.
    case caughtUp
    /// Records that do not verify or cannot be read; reading goes on behind them.
    case damaged(LogDamage)
    /// Retention has removed these.
    case missing(first: UInt64, last: UInt64)
    /// The folder or a segment cannot be opened now (-errno); the same call may succeed later.
    case failed(systemError: Int32)
}

@safe package struct LogReader: ~Copyable {
    private let folder: LogFolder
    private var scanner: SegmentScanner
    private var segments: [UInt64] = []
    private var segmentGeneration: UInt64?
    private var file: Int32 = -1
    private var segment: UInt64 = 0
    // First sequence of the segment behind the open one.
    private var nextFirst: UInt64?
    /// The sequence that comes next.
    package private(set) var sequence: UInt64
    /// How often a segment was entered, at its start or at a position.
    package private(set) var entryCount = 0

    package init(folder: LogFolder, from sequence: UInt64, bufferBytes: Int = 1 << 20) {
        self.folder = folder
        self.sequence = max(sequence, 1)
        scanner = SegmentScanner(bufferBytes: bufferBytes)
    }
    deinit { if file >= 0 { _ = sluice_file_close(file) } }

    /// Goes to a sequence; with the position an earlier `record` step gave for it, without a search.
    package mutating func seek(_ sequence: UInt64, at position: RecordPosition? = nil) {
        closeSegment()
        self.sequence = max(sequence, 1)
        guard let position, let opened = openFile(position.segment) else { return }
        attach(position.segment, opened.file, opened.header, opened.byteCount, position.offset, self.sequence)
    }

    /// One record by its sequence. `damaged` and `missing` are the answer when it is gone.
    package mutating func read(
        _ sequence: UInt64, at position: RecordPosition? = nil, through tail: CommittedTail.Snapshot
    ) -> ReadStep {
        seek(sequence, at: position)
        return pass(to: sequence, tail)
    }
    /// The same of one behind those that were read: in the segment where the reader stands it goes on, so that whoever
    /// asks for many in their order reads no part of a segment twice.
    package mutating func readOn(to sequence: UInt64, through tail: CommittedTail.Snapshot) -> ReadStep {
        let isHere =
            file >= 0 && sequence >= self.sequence
            && segmentGeneration.map { $0 == tail.segmentGeneration } ?? true
            && nextFirst.map { sequence < $0 } ?? true
        if !isHere { seek(sequence) }
        return pass(to: sequence, tail)
    }
    private mutating func pass(to sequence: UInt64, _ tail: CommittedTail.Snapshot) -> ReadStep {
        while true {
            let step = next(through: tail)
            // Segments are found by their first sequence, so what comes before the wanted record is passed over.
            if case .record(let record, _) = step, record.sequence < sequence { continue }
            if case .damaged(let damage) = step, damage.firstSequence + damage.sequenceCount <= sequence { continue }
            return step
        }
    }

    package mutating func next(through tail: CommittedTail.Snapshot) -> ReadStep {
        guard sequence <= tail.sequence else { return .caughtUp }
        if segmentGeneration != tail.segmentGeneration {
            do { segments = try folder.segments() } catch { return .failed(systemError: 5) }
            segmentGeneration = tail.segmentGeneration
            nextFirst = segments.first { $0 > segment }
        }
        if file < 0 || (nextFirst.map { sequence >= $0 } ?? false) || sequence < segment {
            if let step = openSegment(tail) { return step }
        }
        scanner.readAheadEnd = nextFirst == nil ? tail.endOffset : Int.max
        return step(tail)
    }

    /// What the record that `next` has just given becomes when it is erased. `keepsLabels`: key, target and field lines
    /// stay.
    package func erasure(of record: RecordView, keepsLabels: Bool) -> ErasedRecord {
        ErasedRecord(
            record, segment: segment, seed: scanner.seed, offset: scanner.offset - record.length,
            keepsLabels: keepsLabels)
    }
    private mutating func step(_ tail: CommittedTail.Snapshot) -> ReadStep {
        while true {
            switch scanner.next() {
            case .record(let record, let offset):
                // Sequences before the wanted one: this segment was entered at its start.
                if record.sequence < sequence { continue }
                sequence = record.sequence + 1
                return .record(record, RecordPosition(segment: segment, offset: offset))
            case .invalid, .end:
                if let damage = passDamage(tail) { return .damaged(damage) }
            }
        }
    }
    /// Steps over what does not verify. Nil when the damage lies wholly before the wanted sequence.
    private mutating func passDamage(_ tail: CommittedTail.Snapshot) -> LogDamage? {
        let offset = scanner.offset
        scanner.readAheadEnd = .max
        let span = scanner.search()
        scanner.dropBuffer()
        let end = min(span?.nextSequence ?? .max, nextFirst ?? .max, tail.sequence &+ 1)
        let first = max(span?.firstSequence ?? sequence, sequence)
        if end <= first && span?.nextSequence != nil { return nil }
        if span?.nextSequence == nil || end < span?.nextSequence ?? 0 {
            // Nothing more in this segment that counts: open it, or the one behind it, again for what is committed
            // later.
            closeSegment()
        }
        sequence = max(end, sequence)
        return LogDamage(
            segment: segment, offset: span?.offset ?? offset, byteCount: span?.byteCount ?? 0, firstSequence: first,
            sequenceCount: max(end, first + 1) - first, isUnreadable: span?.isUnreadable ?? false)
    }

    // MARK: Segments

    private mutating func closeSegment() {
        if file >= 0 { _ = sluice_file_close(file) }
        file = -1
    }
    /// Opens the segment that should hold `sequence`; a step when there is none or it cannot be used.
    private mutating func openSegment(_ tail: CommittedTail.Snapshot) -> ReadStep? {
        closeSegment()
        guard let first = segments.last(where: { $0 <= sequence }) else {
            let oldest = segments.first ?? tail.sequence &+ 1
            let last = min(oldest - 1, tail.sequence)
            let step = ReadStep.missing(first: sequence, last: last)
            sequence = last + 1
            return step
        }
        guard let opened = openFile(first) else {
            // Gone since the folder was listed, or out of descriptors: list it again; gone ones are missing then.
            let before = segments
            guard let now = try? folder.segments() else { return .failed(systemError: 5) }
            segments = now
            if now != before { return openSegment(tail) }
            return passHeaderless(first, tail)
        }
        attach(first, opened.file, opened.header, opened.byteCount, RecordFormat.blockBytes, first)
        return nil
    }
    private mutating func attach(
        _ first: UInt64, _ file: Int32, _ header: SegmentHeader, _ byteCount: Int, _ offset: Int, _ expected: UInt64
    ) {
        entryCount += 1
        self.file = file
        segment = first
        nextFirst = segments.first { $0 > first }
        // It is being written to: nothing of what comes behind the committed end belongs in the page cache.
        if nextFirst == nil { sluice_file_read_no_further(file) }
        scanner.attach(
            file: file, header: header, byteCount: byteCount, offset: offset, expected: expected,
            erasures: folder.erasures)
    }
    private mutating func openFile(_ first: UInt64) -> (file: Int32, header: SegmentHeader, byteCount: Int)? {
        let file = unsafe sluice_file_open(folder.directory, SegmentName.segment(first), 0)
        guard file >= 0 else {
            openFailure = -file == LogReader.inputOutputError ? .unreadable : .cannotOpen(systemError: -file)
            return nil
        }
        openFailure = .damaged
        switch LogScan.readHeader(file) {
        case .header(let header)
        where header.firstSequence == first && header.logIdentity == folder.identity.identity:
            let size = sluice_file_size(file)
            if size >= 0 { return (file, header, Int(size)) }
            openFailure = .unreadable
        case .unreadable: openFailure = .unreadable
        case .header, .empty, .unknownVersion, .invalid: break
        }
        _ = sluice_file_close(file)
        return nil
    }
    private enum OpenFailure {
        case cannotOpen(systemError: Int32)
        /// The disk cannot read the file's header, or the file at all; it may at another time.
        case unreadable
        case damaged
    }
    // Of the last `openFile` that gave nothing.
    private var openFailure = OpenFailure.damaged
    static let inputOutputError: Int32 = 5

    private mutating func passHeaderless(_ first: UInt64, _ tail: CommittedTail.Snapshot) -> ReadStep {
        var isUnreadable = false
        switch openFailure {
        case .cannotOpen(let systemError): return .failed(systemError: systemError)
        case .unreadable: isUnreadable = true
        case .damaged: break
        }
        let end = min(segments.first { $0 > first } ?? .max, tail.sequence &+ 1)
        let damage = LogDamage(
            segment: first, offset: 0, byteCount: 0, firstSequence: sequence, sequenceCount: end - sequence,
            isUnreadable: isUnreadable)
        sequence = end
        return .damaged(damage)
    }
}
