// Records that are being erased: announced in `log/erasing`, not yet known to be overwritten. Whoever reads the log
// reads through these, so that from the announcement on nobody meets the old bytes, nor half of the new ones.
//
// One announcement stands at a time, of some records; an earlier one whose overwriting failed is part of the next. It
// has what the records become and nothing of what they were.
// Invariants: what is announced here is announced on disk; `generation` has changed before the first byte of an
// announced record does, so a reader that finds it unchanged holds bytes that were right when it began.
// Safety: buffers handed to C live through the call.

import CShims
import Synchronization

package final class LogErasures: Sendable {
    package static let fileName = "erasing"
    private static let draftName = "erasing.new"
    private static let magic: UInt64 = 0x4553_4152_455F_4C53 // "SL_ERASE"
    private static let version: UInt64 = 1
    private static let checksumSeed: UInt64 = 0x4572_6173_696E_6721
    private static let headBytes = 40
    private static let byteCountMax = 64 << 20

    private let directory: Int32
    private let path: String
    private let identity: UInt64
    /// Another process may write to the folder: what is announced may change unheard.
    private let isForeign: Bool
    private let announced: Mutex<[ErasedRecord]>
    private let count: Atomic<Int>
    private let changes: Atomic<UInt64>
    /// The file's name outlives a power cut. One that is there may be of a call that failed before it saw to that.
    private let isNamed = Atomic<Bool>(false)

    /// What the folder says now. A half-written announcement is none: nothing was overwritten for it.
    init(directory: Int32, path: String, identity: UInt64, isForeign: Bool) throws(LogOpenError) {
        self.directory = directory
        self.path = path + "/log/" + LogErasures.fileName
        self.identity = identity
        self.isForeign = isForeign
        let found: [ErasedRecord]
        switch LogErasures.read(directory, identity) {
        case .records(let records): found = records
        case .failed(let error): throw .fileFailed(path: self.path, operation: "read", systemError: error)
        }
        announced = Mutex(found)
        count = Atomic(found.count)
        changes = Atomic(0)
    }

    /// Changes with each announcement.
    package var generation: UInt64 { changes.load(ordering: .acquiring) }
    /// Announced and not known to be overwritten.
    package var standing: [ErasedRecord] { announced.withLock { $0 } }

    /// Makes `count` bytes of a segment, read from `start` on, those that they become. Safety: `memory` has so many.
    func cover(_ memory: UnsafeMutablePointer<UInt8>, segment: UInt64, seed: UInt64, start: Int, count: Int) {
        guard self.count.load(ordering: .acquiring) > 0 else { return }
        announced.withLock { records in
            for record in records where record.segment == segment && record.seed == seed {
                unsafe record.cover(memory, start: start, count: count)
            }
        }
    }
    /// For a reader beside another process's gateway that has met bytes which are no record: they may be about to
    /// become one.
    func refresh() {
        guard isForeign, case .records(let found) = LogErasures.read(directory, identity) else { return }
        put(found)
    }
    private func put(_ records: [ErasedRecord]) {
        announced.withLock { announced in
            announced = records
            count.store(records.count, ordering: .releasing)
        }
    }

    // MARK: for the one that erases

    /// On disk, and true of every reader, when it returns.
    package func announce(_ records: [ErasedRecord]) throws(LogOpenError) {
        precondition(!isForeign, "only the process that has the folder writes to it")
        let bytes = LogErasures.announcement(records, identity)
        // A larger one would not be read again.
        guard bytes.count <= LogErasures.byteCountMax else { throw failure("write", -LogErasures.tooLarge) }
        // One that stands must be there until the next one is, whole.
        if standing.isEmpty { try write(bytes) } else { try replace(bytes) }
        put(records)
        changes.add(1, ordering: .acquiringAndReleasing)
    }
    /// These are still to be overwritten, and no others. That it is said so on disk saves the next start doing it
    /// again, and nothing else.
    package func settle(leaving records: [ErasedRecord]) {
        put(records)
        guard records.isEmpty else { return }
        do { try write([UInt8](repeating: 0, count: 8)) } catch {}
    }
    private func replace(_ bytes: [UInt8]) throws(LogOpenError) {
        try write(bytes, to: LogErasures.draftName)
        let renamed = unsafe sluice_file_rename(directory, LogErasures.draftName, LogErasures.fileName)
        if renamed < 0 { throw failure("rename", renamed) }
        let synced = sluice_file_sync(directory)
        if synced < 0 { throw failure("fsync of the folder", synced) }
    }
    private func write(_ bytes: [UInt8], to name: String = LogErasures.fileName) throws(LogOpenError) {
        var file = unsafe sluice_file_open(directory, name, FileFlag.write)
        if file == -LogFolder.noEntry {
            file = unsafe sluice_file_open(directory, name, FileFlag.write | FileFlag.ensure)
        }
        if file < 0 { throw failure("open", file) }
        defer { _ = sluice_file_close(file) }
        var done = 0
        while done < bytes.count {
            let more = unsafe bytes.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return 0 }
                return unsafe Int(sluice_file_write(file, base + done, bytes.count - done, UInt64(done)))
            }
            if more <= 0 { throw failure("write", more < 0 ? Int32(more) : -LogErasures.inputOutputError) }
            done += more
        }
        let synced = sluice_file_sync(file)
        if synced < 0 { throw failure("fsync", synced) }
        guard !isNamed.load(ordering: .acquiring) else { return }
        let named = sluice_file_sync(directory)
        if named < 0 { throw failure("fsync of the folder", named) }
        isNamed.store(true, ordering: .releasing)
    }
    private func failure(_ operation: String, _ result: Int32) -> LogOpenError {
        .fileFailed(path: path, operation: operation, systemError: -result)
    }
    private static let inputOutputError: Int32 = 5
    private static let tooLarge: Int32 = 27

    // MARK: the file

    package static func announcement(_ records: [ErasedRecord], _ identity: UInt64) -> [UInt8] {
        var entries: [UInt8] = []
        for record in records { record.append(to: &entries) }
        var bytes: [UInt8] = []
        for word in [magic, version, identity, UInt64(entries.count), UInt64(records.count)] {
            ErasedRecord.append(word, to: &bytes)
        }
        bytes += entries
        unsafe ErasedRecord.append(sluice_xxh3_64(bytes, bytes.count, checksumSeed), to: &bytes)
        return bytes
    }
    private enum Reading {
        case records([ErasedRecord])
        case failed(Int32)
    }
    private static func read(_ directory: Int32, _ identity: UInt64) -> Reading {
        let file = unsafe sluice_file_open(directory, fileName, 0)
        if file == -LogFolder.noEntry { return .records([]) }
        if file < 0 { return .failed(-file) }
        defer { _ = sluice_file_close(file) }
        let size = sluice_file_size(file)
        if size < 0 { return .failed(Int32(-size)) }
        guard size >= headBytes + 8, size <= byteCountMax else { return .records([]) }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        let count = unsafe sluice_file_read(file, &bytes, bytes.count, 0)
        if count < 0 { return .failed(Int32(-count)) }
        return .records(records(in: Array(bytes.prefix(Int(count))), identity))
    }
    /// Those of a whole announcement of this log; of anything else none.
    private static func records(in bytes: [UInt8], _ identity: UInt64) -> [ErasedRecord] {
        bytes.withView { view in
            func word(_ place: Int) -> UInt64 { UInt64(littleEndian: view.load(place, as: UInt64.self)) }
            guard view.count >= headBytes + 8, word(0) == magic, word(8) == version, word(16) == identity,
                let entryBytes = Int(exactly: word(24)), entryBytes <= view.count - headBytes - 8,
                unsafe sluice_xxh3_64(view.base, headBytes + entryBytes, checksumSeed) == word(headBytes + entryBytes)
            else { return [] }
            let entries = view.slice(headBytes, entryBytes)
            var place = 0
            var found: [ErasedRecord] = []
            while place < entries.count, let record = ErasedRecord(entries, at: &place) { found.append(record) }
            return found
        }
    }
}
