// Opens a data folder for writing: lock, identity, every segment's header, the records of the dedup window; then makes
// the end of the log what a crash must leave: durable up to the last whole record, zeros behind it.
//
// Order, each step before the next: overwrite what a crash left half erased → read everything → write the last group
// again and zeros over the torn tail → sync → sync the folder → hand out the segment for appending. The last group is
// written again because a reader may have found it in the page cache only: when the process died between write and sync
// (or the sync failed) it is not on disk yet, and the dedup table is about to answer for it. Appending before the sync
// could bring a torn tail back to life.
// Invariants: nothing is truncated or removed but empty files and spares; what is cut, set aside or damaged is in the
// report. Running it twice, or being killed in it, gives the same log.
// Safety: buffers handed to C live through the call.

import CShims

package struct RecoverySettings: Sendable {
    package var dedupEntryCount: Int
    /// The longest window of any source; segments that ended before it are not read.
    package var dedupWindowSecondsMax: UInt32
    /// Wall clock, seconds since 1970.
    package var nowSeconds: UInt32

    package init(dedupEntryCount: Int, dedupWindowSecondsMax: UInt32, nowSeconds: UInt32) {
        self.dedupEntryCount = dedupEntryCount
        self.dedupWindowSecondsMax = dedupWindowSecondsMax
        self.nowSeconds = nowSeconds
    }
}

package struct RecoveryReport: Equatable, Sendable {
    package var segmentCount = 0
    package var scannedSegmentCount = 0
    package var recordCount = 0
    package var recordBytes = 0
    /// Oldest sequence that a segment still holds, and oldest one that was read.
    package var firstSequence: UInt64 = 1
    package var scannedFromSequence: UInt64 = 1
    package var nextSequence: UInt64 = 1
    package var damages: [LogDamage] = []
    package var tornTail: TornTail?
    package var removedSpareCount = 0
    /// Segments that were named and never written; removed.
    package var removedEmptySegments: [UInt64] = []
    /// Files without a readable header, renamed and kept for the operator.
    package var setAside: [String] = []
    /// Records that were being erased when the process ended, and are now.
    package var finishedErasureCount = 0
    /// Why some of them are not.
    package var erasureFailure: String?
    /// Where the log would have gone on, when others had met later sequences than it holds.
    package var raisedFrom: UInt64?

    package init() {}

    /// Lines for the operator; empty when there is nothing to tell.
    package var lines: [String] {
        var lines = damages.map { "damage: " + $0.text + "; set aside, what follows is kept" }
        if let tornTail {
            lines.append(
                "torn tail: \(SegmentName.segment(tornTail.segment)) offset \(tornTail.offset): "
                    + "\(tornTail.byteCount) bytes that were never acknowledged were cut")
        }
        lines += setAside.map {
            "segment without a readable header, none of its records can be verified: now log/\($0)"
        }
        if finishedErasureCount > 0 {
            lines.append("erasure: \(finishedErasureCount) records whose overwriting was cut off were overwritten")
        }
        if let erasureFailure {
            lines.append(
                "erasure: records that somebody had erased cannot be overwritten, are shown to nobody and are tried "
                    + "again with the next erasure: \(erasureFailure)")
        }
        if let raisedFrom {
            lines.append(
                "the log ends before sequence \(raisedFrom), and endpoints have been given events up to "
                    + "\(nextSequence - 1): what lay between is gone; new events go on behind it")
        }
        return lines
    }
}

package struct RecoveredLog: ~Copyable {
    package var folder: LogFolder
    package var dedup: DedupTable
    /// Takes the next group; nil when the next group begins a new segment.
    package var current: PlacedSegment?
    package var nextSequence: UInt64
    package var report: RecoveryReport

    package var dedupByteCount: Int { dedup.byteCount }

    /// No sequence below `floor` is given out: somebody has met it, and would take a new event there for the old one.
    /// Does nothing for a log that ends behind it, as a whole one does.
    package mutating func raise(to floor: UInt64) {
        guard floor > nextSequence else { return }
        report.raisedFrom = nextSequence
        nextSequence = floor
        report.nextSequence = floor
        // A gap inside a segment would look like damage.
        if let current { _ = sluice_file_close(current.descriptor.file) }
        current = nil
    }
    /// The journal that goes on where the log ends. Keep `folder` (it holds the lock) as long as the journal lives.
    package consuming func makeJournal(
        segmentBytes: Int, groupBytes: Int, groupTicketCountMax: Int
    ) throws(LogOpenError) -> Journal {
        let configuration = JournalConfiguration(
            segmentBytes: segmentBytes, groupBytes: groupBytes, groupTicketCountMax: groupTicketCountMax,
            logIdentity: folder.identity.identity, keys: folder.identity.keys)
        let journal = Journal(
            configuration: configuration, dedup: dedup, current: current, nextSequence: nextSequence)
        guard let journal else { throw .noMemory(bytes: 2 * groupBytes) }
        return journal
    }
}

package enum Recovery {
    package static func open(path: String, settings: RecoverySettings) throws(LogOpenError) -> RecoveredLog {
        try open(folder: try LogFolder(path: path, access: .exclusive), settings: settings)
    }
    /// `folder` was opened with `exclusive`.
    package static func open(
        folder: LogFolder, settings: RecoverySettings
    ) throws(LogOpenError) -> RecoveredLog {
        guard let dedup = DedupTable(entryCount: settings.dedupEntryCount) else {
            throw .noMemory(bytes: settings.dedupEntryCount * DedupTable.entryBytes)
        }
        var run = RecoveryRun(folder: folder, dedup: dedup, settings: settings)
        run.finishErasures()
        try run.removeSpares()
        try run.openSegments()
        try run.settleLastSegment()
        try run.scan()
        try run.makeDurable()
        return run.finish()
    }
}

private struct RecoveryRun: ~Copyable {
    let folder: LogFolder
    // Nil only while a scan fills it, and after `finish`.
    var dedup: DedupTable?
    let settings: RecoverySettings
    var report = RecoveryReport()
    var segments: [ScannedSegment] = []
    var log: LogScan
    var lastFile: Int32 = -1
    var keepsLastFile = false
    var folderChanged = false
    var nextAtLeast: UInt64 = 1

    init(folder: LogFolder, dedup: consuming DedupTable, settings: RecoverySettings) {
        self.folder = folder
        self.dedup = consume dedup
        self.settings = settings
        log = LogScan(erasures: folder.erasures)
    }
    deinit { if lastFile >= 0 && !keepsLastFile { _ = sluice_file_close(lastFile) } }

    /// What cannot be overwritten now is read as erased, and the next erasure tries it again.
    mutating func finishErasures() {
        let (count, failure) = RecordEraser(folder).finish()
        report.finishedErasureCount = count
        report.erasureFailure = failure?.description
    }
    mutating func removeSpares() throws(LogOpenError) {
        report.removedSpareCount = try folder.removeSpares()
    }

    mutating func openSegments() throws(LogOpenError) {
        for first in try folder.segments() {
            let file = unsafe sluice_file_open(folder.directory, SegmentName.segment(first), 0)
            if file < 0 { throw failure(SegmentName.segment(first), "open", file) }
            defer { _ = sluice_file_close(file) }
            let size = sluice_file_size(file)
            if size < 0 { throw failure(SegmentName.segment(first), "fstat", Int32(size)) }
            var segment = ScannedSegment(firstSequence: first, byteCount: Int(size))
            switch LogScan.readHeader(file) {
            case .header(let header):
                guard header.logIdentity == folder.identity.identity, header.firstSequence == first else {
                    throw .foreignSegment(path: folder.path, name: SegmentName.segment(first))
                }
                segment.header = header
            case .unknownVersion(let version): throw .newerVersion(path: folder.path, version: version)
            case .unreadable(let systemError): segment.headerError = systemError
            case .empty, .invalid: break
            }
            segments.append(segment)
        }
    }

    /// Segments at the end without a header: one that was named and whose first write never came is nothing; one with
    /// bytes in it is kept for the operator, because without the header nothing in it can be verified.
    mutating func settleLastSegment() throws(LogOpenError) {
        for segment in segments.reversed() {
            guard segment.header == nil else { break }
            // Nothing is known about it; at another time the disk may read what was acknowledged.
            if segment.headerError != 0 {
                throw failure(SegmentName.segment(segment.firstSequence), "read", -segment.headerError)
            }
        }
        while let last = segments.last, last.header == nil {
            let name = SegmentName.segment(last.firstSequence)
            let file = unsafe sluice_file_open(folder.directory, name, 0)
            if file < 0 { throw failure(name, "open", file) }
            let isHeaderEmpty = LogScan.readHeader(file) == .empty
            let hasBytes = !isHeaderEmpty || hasData(file, last.byteCount)
            _ = sluice_file_close(file)
            if hasBytes {
                report.setAside.append(try setAside(name))
            } else {
                let removed = unsafe sluice_file_remove(folder.directory, name)
                if removed < 0 { throw failure(name, "unlink", removed) }
                report.removedEmptySegments.append(last.firstSequence)
            }
            if !isHeaderEmpty {
                // A header that was written and damaged: its records may have been acknowledged; none of their
                // sequences may come back. A first write that is torn leaves zeros there instead.
                let count = UInt64(max(1, last.byteCount / RecordFormat.headerBytes))
                log.add(
                    LogDamage(
                        segment: last.firstSequence, offset: 0, byteCount: last.byteCount,
                        firstSequence: last.firstSequence, sequenceCount: count, isUnreadable: false))
                nextAtLeast = max(nextAtLeast, last.firstSequence + count)
            }
            nextAtLeast = max(nextAtLeast, last.firstSequence)
            folderChanged = true
            segments.removeLast()
        }
    }
    private func hasData(_ file: Int32, _ byteCount: Int) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        var offset = 0
        while offset < byteCount {
            let count = unsafe Int(sluice_file_read(file, &chunk, chunk.count, UInt64(offset)))
            if count < 0 { return true }
            if count == 0 { return false }
            if chunk[..<count].contains(where: { $0 != 0 }) { return true }
            offset += count
        }
        return false
    }
    private func setAside(_ name: String) throws(LogOpenError) -> String {
        let taken = Set(try folder.names())
        var number = 1
        while taken.contains("aside-\(number)-\(name)") { number += 1 }
        let aside = "aside-\(number)-\(name)"
        let renamed = unsafe sluice_file_rename(folder.directory, name, aside)
        if renamed < 0 { throw failure(name, "rename", renamed) }
        return aside
    }

    mutating func scan() throws(LogOpenError) {
        report.segmentCount = segments.count
        report.firstSequence = segments.first?.firstSequence ?? 1
        let start = firstToScan()
        report.scannedFromSequence = segments.isEmpty ? report.firstSequence : segments[start].firstSequence
        for index in segments.indices.dropFirst(start) {
            let isLast = index == segments.count - 1
            let name = SegmentName.segment(segments[index].firstSequence)
            let file = unsafe sluice_file_open(folder.directory, name, isLast ? FileFlag.write : 0)
            if file < 0 { throw failure(name, "open", file) }
            let nextFirst = isLast ? nil : segments[index + 1].firstSequence
            scanOne(index, file, nextFirst)
            if isLast { lastFile = file } else { _ = sluice_file_close(file) }
            report.scannedSegmentCount += 1
        }
        if log.tornTail != nil { forgetCut() }
    }
    /// Records behind a tear were read before it was known to be one. They are cut with it, so they count as not seen:
    /// a sender that comes again would be told of a duplicate, and of the event nothing would be left.
    private mutating func forgetCut() {
        guard var table = dedup.take() else { return }
        table.removeAll(from: log.nextSequence)
        dedup = consume table
    }
    private mutating func scanOne(_ index: Int, _ file: Int32, _ nextFirst: UInt64?) {
        let now = settings.nowSeconds
        guard var table = dedup.take() else { return }
        log.scan(&segments[index], file: file, nextFirst: nextFirst) { record, _ in
            let window = record.dedupWindowSeconds
            let received = record.receivedSeconds
            let isWithin = received >= now || now - received < window
            if window > 0 && isWithin && !isPlanted(.forgetWindow) {
                // One from the future was received before the clock was set back: its window ends one window from now.
                table.insert(
                    record.fingerprint, sequence: record.sequence, nowSeconds: min(received, now),
                    windowSeconds: window)
            }
            return true
        }
        dedup = consume table
    }
    /// The oldest segment with a record in the window. A segment ended when the next one was begun; an hour is left for
    /// clocks that were set.
    private func firstToScan() -> Int {
        let span = UInt64(settings.dedupWindowSecondsMax) + 3600
        let now = UInt64(settings.nowSeconds)
        let horizon = now > span ? (now - span) * 1_000_000_000 : 0
        var start = max(0, segments.count - 1)
        while start > 0 {
            if let header = segments[start].header, header.createdAt < horizon { break }
            start -= 1
        }
        return start
    }

    /// Writes the last group again, zeros over the torn tail, and syncs both. Errors prevent startup: what cannot be
    /// made durable must not be answered for.
    mutating func makeDurable() throws(LogOpenError) {
        if let last = segments.last, last.header != nil {
            let name = SegmentName.segment(last.firstSequence)
            try rewrite(0..<RecordFormat.blockBytes, name)
            if let group = log.lastGroup { try rewrite(group, name) }
            if let torn = log.tornTail, !isPlanted(.forgetTornTail) {
                // To the end of its block: behind the last record of a group nobody looks, unless a kind stands there.
                let end = RecordFormat.roundUp(torn.offset + torn.byteCount, to: RecordFormat.blockBytes)
                try zero(torn.offset..<max(torn.offset, min(end, last.byteCount)), name)
            }
            let synced = isPlanted(.forgetRecoverySync) ? 0 : sluice_file_sync(lastFile)
            if synced < 0 { throw failure(name, "fsync", synced) }
        }
        let synced = sluice_file_sync(folder.directory)
        if synced < 0 { throw failure("", "fsync of the folder", synced) }
    }
    private func rewrite(_ range: Range<Int>, _ name: String) throws(LogOpenError) {
        var bytes = [UInt8](repeating: 0, count: range.count)
        let count = unsafe sluice_file_read(lastFile, &bytes, bytes.count, UInt64(range.lowerBound))
        guard count == bytes.count else {
            // A part that the disk cannot read is reported as damage; there is nothing to write back.
            let isReported = log.damages.contains { damage in
                damage.segment == segments.last?.firstSequence && damage.offset < range.upperBound
                    && range.lowerBound < damage.offset + damage.byteCount
            }
            if isReported { return }
            throw failure(name, "read", count < 0 ? Int32(count) : -5)
        }
        try write(bytes, at: range.lowerBound, name)
    }
    private func zero(_ range: Range<Int>, _ name: String) throws(LogOpenError) {
        let zeros = [UInt8](repeating: 0, count: min(range.count, 1 << 20))
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = min(zeros.count, range.upperBound - offset)
            try write(Array(zeros.prefix(count)), at: offset, name)
            offset += count
        }
    }
    private func write(_ bytes: [UInt8], at offset: Int, _ name: String) throws(LogOpenError) {
        var done = 0
        while done < bytes.count {
            let more = unsafe bytes.withUnsafeBytes {
                unsafe Int(
                    sluice_file_write(lastFile, $0.baseAddress! + done, bytes.count - done, UInt64(offset + done)))
            }
            if more <= 0 { throw failure(name, "write", more < 0 ? Int32(more) : -5) }
            done += more
        }
    }

    mutating func finish() -> RecoveredLog {
        guard let dedup = dedup.take() else { preconditionFailure("finished twice") }
        let next = max(log.nextSequence, nextAtLeast) - (isPlanted(.reuseSequence) && log.nextSequence > 2 ? 1 : 0)
        report.recordCount = log.recordCount
        report.recordBytes = log.recordBytes
        report.damages = log.damages
        report.tornTail = log.tornTail
        report.nextSequence = next
        if segments.isEmpty { report.firstSequence = next }
        var current: PlacedSegment?
        if let last = segments.last, let header = last.header {
            let isWhole = last.byteCount >= Int(clamping: header.segmentBytes)
            // A gap would make the file's own sequences jump without damage in it; a short file has no zeros to append
            // into.
            if isWhole && (next == log.nextSequence || isPlanted(.reuseSequence)) {
                let descriptor = SegmentDescriptor(
                    file: lastFile, spareNumber: 0, byteCount: Int(header.segmentBytes), salt: header.salt)
                current = PlacedSegment(
                    descriptor: descriptor, firstSequence: header.firstSequence, seed: header.seed,
                    appendOffset: log.appendOffset)
                keepsLastFile = true
            }
        }
        return RecoveredLog(
            folder: folder, dedup: dedup, current: current, nextSequence: next, report: report)
    }
    private func failure(_ name: String, _ operation: String, _ result: Int32) -> LogOpenError {
        .fileFailed(path: folder.path + "/log/" + name, operation: operation, systemError: -result)
    }
}
