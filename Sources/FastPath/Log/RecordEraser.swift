// Overwrites records in their segments: announced first, then written past the page cache as the journal writes, then
// synced. Blocking file calls, for worker threads; one at a time.
//
// Order, each step before the next: announce (synced) → write whole blocks → sync each segment → settle → answer.
// Invariants: only blocks of committed groups are written, which the journal never touches again; of what lies beside
// the record in its first and last block the bytes are written back as they were; a record that could not be
// overwritten stays announced, so that it is read as erased and the next erasure, or the next start, tries again. A
// failed sync is not repeated: the bytes are written once more before the next one.
// Safety: the buffer is page aligned, as O_DIRECT wants it, and has room for the blocks of the longest record.

import CShims
import Synchronization

package final class RecordEraser: Sendable {
    /// So many at most wait for a disk that does not take them.
    package static let standingCountMax = 4096
    private let folder: LogFolder
    private let turn = Mutex(())
    /// Segments whose remains behind their end were looked at.
    private let cleared = Mutex<Set<UInt64>>([])

    package init(_ folder: LogFolder) { self.folder = folder }

    /// Gone from the disk when it returns, with those that an earlier call has left. On an error they are read as
    /// erased all the same if they could be announced, and stay to be overwritten.
    package func erase(_ records: [ErasedRecord]) throws(LogOpenError) {
        let failure: LogOpenError? = turn.withLock { _ in
            do throws(LogOpenError) {
                try eraseInTurn(records)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }
    private func eraseInTurn(_ records: [ErasedRecord]) throws(LogOpenError) {
        let left = folder.erasures.standing
        let news = records.filter { record in !left.contains { $0.isOfSamePlace(as: record) } }
        let all = left + news
        guard !all.isEmpty else { return }
        guard all.count <= RecordEraser.standingCountMax else {
            throw .fileFailed(
                path: folder.path + "/log", operation: "overwriting", systemError: LogReader.inputOutputError)
        }
        if !news.isEmpty { try folder.erasures.announce(all) }
        let (failed, failure) = overwrite(all)
        folder.erasures.settle(leaving: failed)
        if let failure { throw failure }
    }
    /// What the last run of the process has left announced. What fails stays so.
    func finish() -> (count: Int, failure: LogOpenError?) {
        let left = folder.erasures.standing
        guard !left.isEmpty else { return (0, nil) }
        let (failed, failure) = overwrite(left)
        folder.erasures.settle(leaving: failed)
        return (left.count - failed.count, failure)
    }

    // MARK: the overwriting

    /// Those that are not known to be overwritten, and why the first of them is not. A segment that retention has
    /// removed, or another log's in its place, has nothing of them.
    func overwrite(_ records: [ErasedRecord]) -> (failed: [ErasedRecord], failure: LogOpenError?) {
        var (failed, failure): ([ErasedRecord], LogOpenError?) = ([], nil)
        for segment in Set(records.map(\.segment)).sorted() {
            let own = records.filter { $0.segment == segment }
            do throws(LogOpenError) { try overwrite(own, in: segment) } catch {
                failed += own
                failure = failure ?? error
            }
        }
        return (failed, failure)
    }
    private func overwrite(_ records: [ErasedRecord], in segment: UInt64) throws(LogOpenError) {
        let name = SegmentName.segment(segment)
        let blocks = (records.map(\.length).max() ?? 0) + 2 * RecordFormat.blockBytes
        let capacity = RecordFormat.roundUp(blocks, to: RecordFormat.blockBytes)
        guard let memory = unsafe sluice_memory_take(capacity) else { throw .noMemory(bytes: capacity) }
        defer { unsafe sluice_memory_give_back(memory, capacity) }
        var file = unsafe sluice_file_open(folder.directory, name, FileFlag.write | FileFlag.direct)
        // Where it can be opened so and not be used so (some network and user-space file systems) as well.
        let probed = unsafe file < 0 ? 0 : sluice_file_read(file, memory, RecordFormat.blockBytes, 0)
        if probed == -Int64(RecordEraser.invalid) {
            _ = sluice_file_close(file)
            file = -RecordEraser.invalid
        }
        if file == -RecordEraser.invalid {
            file = unsafe sluice_file_open(folder.directory, name, FileFlag.write)
        }
        if file == -LogFolder.noEntry { return }
        if file < 0 { throw failure(name, "open", file) }
        defer { _ = sluice_file_close(file) }
        for record in records {
            guard try unsafe isOfSegment(record, file, memory, name) else { continue }
            try unsafe overwrite(record, file, memory, name)
        }
        let synced = sluice_file_sync_data(file)
        if synced < 0 { throw failure(name, "fdatasync", synced) }
        // Whatever a reader has left of the old bytes in the page cache.
        sluice_file_forget_cache(file)
    }
    private func isOfSegment(
        _ record: ErasedRecord, _ file: Int32, _ memory: UnsafeMutableRawPointer, _ name: String
    ) throws(LogOpenError) -> Bool {
        try unsafe read(file, memory, 0..<RecordFormat.blockBytes, name)
        let block = unsafe ByteView(
            UnsafePointer(memory.assumingMemoryBound(to: UInt8.self)), count: RecordFormat.blockBytes)
        guard case .header(let header) = SegmentHeader.read(block) else { return false }
        return header.seed == record.seed
    }
    private func overwrite(
        _ record: ErasedRecord, _ file: Int32, _ memory: UnsafeMutableRawPointer, _ name: String
    ) throws(LogOpenError) {
        let unit = RecordFormat.blockBytes
        let start = record.offset - record.offset % unit
        let end = RecordFormat.roundUp(record.offset + record.length, to: unit)
        // Only the ends of it have bytes that are others'.
        try unsafe read(file, memory, start..<start + unit, name)
        if end - start > unit { try unsafe read(file, memory + (end - start - unit), end - unit..<end, name) }
        unsafe record.cover(memory.assumingMemoryBound(to: UInt8.self), start: start, count: end - start)
        var done = 0
        while done < end - start {
            let more = unsafe Int(sluice_file_write(file, memory + done, end - start - done, UInt64(start + done)))
            // A short write past the page cache ends with a whole block.
            if more <= 0 { throw failure(name, "write", more < 0 ? Int32(more) : -LogReader.inputOutputError) }
            done += more
        }
    }
    private func read(
        _ file: Int32, _ memory: UnsafeMutableRawPointer, _ range: Range<Int>, _ name: String
    ) throws(LogOpenError) {
        let count = unsafe Int(sluice_file_read(file, memory, range.count, UInt64(range.lowerBound)))
        if count < 0 { throw failure(name, "read", Int32(count)) }
        // A file that was cut short ends in zeros, as everywhere.
        unsafe (memory + count).initializeMemory(as: UInt8.self, repeating: 0, count: range.count - count)
    }
    private func failure(_ name: String, _ operation: String, _ result: Int32) -> LogOpenError {
        .fileFailed(path: folder.path + "/log/" + name, operation: operation, systemError: -result)
    }
    private static let invalid: Int32 = 22
}

extension ErasedRecord {
    func isOfSamePlace(as other: ErasedRecord) -> Bool {
        segment == other.segment && seed == other.seed && offset == other.offset
    }
}

// MARK: remains

extension RecordEraser {
    /// A group whose sync failed was written again to a new segment; what the old one got of it stands behind its end,
    /// and nobody reads it. Zeros take its place before a record of a segment's first group is erased. O(the segment
    /// before), once for each.
    package func clearRemains(before segment: UInt64) throws(LogOpenError) {
        guard !cleared.withLock({ $0.contains(segment) }) else { return }
        // One listing: retention removes segments meanwhile, and in another one the same place may be `segment` itself.
        guard let first = try folder.segments().last(where: { $0 < segment }) else { return }
        let name = SegmentName.segment(first)
        let file = unsafe sluice_file_open(folder.directory, name, FileFlag.write)
        if file == -LogFolder.noEntry { return }
        if file < 0 { throw failure(name, "open", file) }
        defer { _ = sluice_file_close(file) }
        if case .header(let header) = LogScan.readHeader(file), header.firstSequence == first {
            try clear(file, header, end: segment, name)
        }
        cleared.withLock { cleared in
            if cleared.count >= RecordEraser.standingCountMax { cleared.removeAll() }
            cleared.insert(segment)
        }
    }
    /// Of a segment that is damaged at its end nothing is changed: that is the operator's to look at.
    private func clear(
        _ file: Int32, _ header: SegmentHeader, end: UInt64, _ name: String
    ) throws(LogOpenError) {
        var place = ScannedSegment(firstSequence: header.firstSequence, byteCount: Int(sluice_file_size(file)))
        place.header = header
        var scan = LogScan(bufferBytes: 1 << 20, erasures: folder.erasures)
        var last: UInt64 = header.firstSequence &- 1
        scan.scan(&place, file: file, nextFirst: end) { record, _ in
            last = record.sequence
            return true
        }
        guard last &+ 1 == end else { return }
        let zeros = [UInt8](repeating: 0, count: RecordFormat.blockBytes)
        var block = zeros
        var offset = scan.appendOffset
        var hasChanged = false
        while offset < place.byteCount {
            let count = unsafe Int(sluice_file_read(file, &block, block.count, UInt64(offset)))
            if count < 0 { throw failure(name, "read", Int32(count)) }
            if count == 0 { break }
            if block.prefix(count).contains(where: { $0 != 0 }) {
                let written = unsafe Int(sluice_file_write(file, zeros, count, UInt64(offset)))
                if written < count { throw failure(name, "write", written < 0 ? Int32(written) : -5) }
                hasChanged = true
            }
            offset += count
        }
        guard hasChanged else { return }
        let synced = sluice_file_sync_data(file)
        if synced < 0 { throw failure(name, "fdatasync", synced) }
    }
}
