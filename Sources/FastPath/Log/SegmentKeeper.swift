// Segment files before and after their use: prepares spares, removes what retention no longer keeps, closes. Blocking
// file calls, so it lives on a worker thread; it shares nothing with the journal but the descriptors it hands over.
//
// A spare is written with zeros, not only allocated: fdatasync into blocks that were written before has no extent to
// convert and took 73 µs where it took 133. It is synced before it is handed over; its name becomes durable when it is
// placed.
// Invariant: free space never falls below `freeBytesMin` by a spare. If it did, the store could not write its results.
// Safety: the zero block is page aligned, as O_DIRECT wants it, and lives as long as the keeper.

import CShims

package enum SpareFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// Less would be free than the configuration keeps.
    case tooLittleSpace(freeBytes: Int)
    /// The folder under the path is not the one that was opened.
    case folderReplaced
    case fileFailed(operation: String, systemError: Int32)

    package var description: String {
        switch self {
        case .tooLittleSpace(let free): return "no room for another log segment: \(free) bytes are free"
        case .folderReplaced: return LogLoss.folder.description
        case .fileFailed(let operation, let error):
            return "preparing a log segment: \(operation): \(systemText(error))"
        }
    }
}

package struct RetentionResult: Equatable, Sendable {
    package var removedSegments: [UInt64] = []
    package var removedBytes = 0
    /// Segments that age or size would have removed, and that an endpoint still needs.
    package var heldBackCount = 0
}

package struct RetentionRule: Equatable, Sendable {
    package var bytesMax: Int?
    package var ageNanosMax: UInt64?
    /// Readers need this record and all behind it; `UInt64.max` when the operator lets segments go that are still
    /// needed.
    package var lowWaterSequence: UInt64

    package init(bytesMax: Int?, ageNanosMax: UInt64?, lowWaterSequence: UInt64) {
        self.bytesMax = bytesMax
        self.ageNanosMax = ageNanosMax
        self.lowWaterSequence = lowWaterSequence
    }
}

@safe package struct SegmentKeeper: ~Copyable, @unchecked Sendable {
    /// The most zeros of one write: a huge page, which goes to the disk as one stretch of memory and at half the price
    /// of as many small pages (48 against 80 µs of processor time a MiB here).
    package static let zeroBytes = SparePacing.pieceBytesMax
    /// Between two pieces of a spare that nobody waits for: 50 MiB/s and more.
    private static let pauseMillis: UInt32 = 5
    private let folder: LogFolder
    private let segmentBytes: Int
    private let freeBytesMin: Int
    private let zeros: UnsafeMutableRawPointer
    private var nextSpareNumber: UInt64 = 1

    package init?(folder: LogFolder, segmentBytes: Int, freeBytesMin: Int) {
        precondition(segmentBytes >= 2 * RecordFormat.blockBytes && segmentBytes % RecordFormat.blockBytes == 0)
        guard let taken = unsafe sluice_memory_take(SegmentKeeper.zeroBytes) else { return nil }
        self.folder = folder
        self.segmentBytes = segmentBytes
        self.freeBytesMin = freeBytesMin
        unsafe zeros = taken
    }
    deinit { unsafe sluice_memory_give_back(zeros, SegmentKeeper.zeroBytes) }

    /// A synced file of zeros, ready for `Journal.spareBecameReady`. `pace` is asked again for each piece of it
    /// and told how many bytes are done; `pieceBytes` then says how large the piece is, `zeroBytes` at most.
    package mutating func prepareSpare(
        pieceBytes: () -> Int = { SparePacing.pieceBytesMin }, pace: (Int) -> SparePace = { _ in .full }
    ) throws(SpareFailure) -> SegmentDescriptor {
        guard folder.isInPlace else { throw .folderReplaced }
        let free = Int(sluice_file_system_free(folder.directory))
        if free < 0 { throw .fileFailed(operation: "free space", systemError: Int32(-free)) }
        if free < freeBytesMin + segmentBytes { throw .tooLittleSpace(freeBytes: free) }
        var salt: UInt64 = 0
        let drawn = unsafe sluice_random_bytes(&salt, 8)
        if drawn < 0 { throw .fileFailed(operation: "random numbers", systemError: -drawn) }
        let number = nextSpareNumber
        nextSpareNumber += 1
        let name = SegmentName.spare(number)
        let file = unsafe sluice_file_open(folder.directory, name, FileFlag.write | FileFlag.create)
        if file < 0 { throw .fileFailed(operation: "create", systemError: -file) }
        do throws(SpareFailure) {
            try fill(file, name, pieceBytes, pace)
            // It may have taken seconds.
            guard folder.isInPlace else { throw .folderReplaced }
        } catch {
            _ = sluice_file_close(file)
            _ = unsafe sluice_file_remove(folder.directory, name)
            throw error
        }
        return SegmentDescriptor(file: file, spareNumber: number, byteCount: segmentBytes, salt: salt)
    }
    private func fill(
        _ file: Int32, _ name: String, _ pieceBytes: () -> Int, _ pace: (Int) -> SparePace
    ) throws(SpareFailure) {
        // Contiguous blocks where the file system can; where it cannot, the writes below allocate.
        let allocated = sluice_file_allocate(file, UInt64(segmentBytes))
        if allocated == -SegmentKeeper.noSpace { throw .fileFailed(operation: "allocate", systemError: -allocated) }
        // Past the page cache, so that zeros push nothing useful out of it.
        var direct = unsafe sluice_file_open(folder.directory, name, FileFlag.write | FileFlag.direct)
        defer { if direct >= 0 { _ = sluice_file_close(direct) } }
        var offset = 0
        while offset < segmentBytes {
            switch pace(offset) {
            case .full: break
            case .slow: sluice_pause_millis(SegmentKeeper.pauseMillis)
            // What is allocated reads as zeros too; only its first sync is slower.
            case .behind: if allocated == 0 { offset = segmentBytes }
            }
            guard offset < segmentBytes else { break }
            let count = min(pieceBytes(), SegmentKeeper.zeroBytes, segmentBytes - offset)
            let written = unsafe Int(sluice_file_write(direct >= 0 ? direct : file, zeros, count, UInt64(offset)))
            if written == -SegmentKeeper.invalid, direct >= 0 {
                _ = sluice_file_close(direct)
                direct = -1
                continue
            }
            if written <= 0 { throw .fileFailed(operation: "write", systemError: written < 0 ? Int32(-written) : 28) }
            offset += written
        }
        let synced = sluice_file_sync(file)
        if synced < 0 { throw .fileFailed(operation: "fsync", systemError: -synced) }
    }

    /// Closes a segment the journal has done with.
    package func close(_ segment: SegmentDescriptor) { _ = sluice_file_close(segment.file) }
    /// The same, and its pages leave the page cache: all of it is on disk, those that keep up have read it, and a log
    /// that grows would push everything else out of memory.
    package func letGo(_ segment: SegmentDescriptor) {
        sluice_file_forget_cache(segment.file)
        close(segment)
    }
    /// Closes a spare that was not used and removes its file.
    package func discard(_ spare: SegmentDescriptor) {
        _ = sluice_file_close(spare.file)
        _ = unsafe sluice_file_remove(folder.directory, SegmentName.spare(spare.spareNumber))
    }

    /// Removes the oldest segments that `rule` no longer keeps. Never the newest, never one with a record that a reader
    /// still needs. `now` is the wall clock in nanoseconds; a segment's age is that of the first record behind it.
    /// `isKept` is asked once, before the first one goes: that no power cut can take the low-water mark back.
    package func retain(
        _ rule: RetentionRule, now: UInt64, isKept: () -> Bool = { true }
    ) throws(LogOpenError) -> RetentionResult {
        try remove(below: rule.lowWaterSequence, isKept: isKept) { segments, index in
            let isTooMuch = rule.bytesMax.map { (segments.count - index) * segmentBytes > $0 } ?? false
            return isTooMuch || isTooOld(nextSegment: segments[index + 1], rule, now)
        }
    }
    /// Makes room for a new segment: the oldest one goes before retention asks for it, if nobody needs it any more.
    package func removeOldest(
        lowWaterSequence: UInt64, isKept: () -> Bool = { true }
    ) throws(LogOpenError) -> RetentionResult {
        try remove(below: lowWaterSequence, isKept: isKept) { _, index in index == 0 }
    }
    /// From the oldest on, as long as `isUnwanted` says so of the segment at an index, which is never the newest.
    private func remove(
        below lowWaterSequence: UInt64, isKept: () -> Bool, while isUnwanted: ([UInt64], Int) -> Bool
    ) throws(LogOpenError) -> RetentionResult {
        let segments = try folder.segments()
        var result = RetentionResult()
        for index in segments.indices.dropLast() {
            guard isUnwanted(segments, index) else { break }
            guard segments[index + 1] <= lowWaterSequence || isPlanted(.skipLowWater) else {
                result.heldBackCount += 1
                break
            }
            guard !result.removedSegments.isEmpty || isKept() else {
                result.heldBackCount += 1
                break
            }
            let name = SegmentName.segment(segments[index])
            let removed = unsafe sluice_file_remove(folder.directory, name)
            if removed < 0 && removed != -LogFolder.noEntry {
                throw .fileFailed(path: folder.path + "/log/" + name, operation: "unlink", systemError: -removed)
            }
            result.removedSegments.append(segments[index])
            result.removedBytes += segmentBytes
        }
        if !result.removedSegments.isEmpty {
            let synced = sluice_file_sync(folder.directory)
            if synced < 0 { throw .fileFailed(path: folder.path + "/log", operation: "fsync", systemError: -synced) }
        }
        return result
    }
    private func isTooOld(nextSegment: UInt64, _ rule: RetentionRule, _ now: UInt64) -> Bool {
        guard let ageMax = rule.ageNanosMax else { return false }
        let file = unsafe sluice_file_open(folder.directory, SegmentName.segment(nextSegment), 0)
        guard file >= 0 else { return false }
        defer { _ = sluice_file_close(file) }
        guard case .header(let header) = LogScan.readHeader(file) else { return false }
        return now > header.createdAt && now - header.createdAt > ageMax
    }
    private static let noSpace: Int32 = 28
    private static let invalid = 22
}
