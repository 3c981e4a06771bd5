// A log read back at start: every record verified and put into the dedup table. The log is a real one in a temporary
// folder, and in the page cache, so no disk's speed is part of it.
//
// Safety: the commit's bytes belong to the journal until its completion is told.
import FastPath
import Glibc

enum RecoveryClaim {
    private static let bodyBytes = 1024

    static let claim = Claim(name: "recovery scan") { effort in
        let recordCount = effort.isCounting ? 500 : effort.isSmall ? 5000 : 100_000
        let folder = try TemporaryLog(recordCount: recordCount)
        guard folder.run(1) == UInt64(recordCount) else { throw BenchmarkError("records are missing") }
        let timing = Stopwatch.best(effort, count: 1, [folder.run])[0]
        let nanos = timing.nanos / Double(recordCount)
        let claim = "\(recordCount) records of \(bodyBytes) B bodies"
        return [
            Measurement(name: "recovery scan, a record", value: nanos, unit: "ns", claim: claim, hash: timing.hash),
            Measurement(
                name: "recovery scan, rate", value: Double(folder.recordBytes) / timing.nanos, unit: "GB/s",
                claim: claim, hash: timing.hash),
        ]
    }

    private final class TemporaryLog {
        private let path: String
        private(set) var recordBytes = 0
        private let entryCount: Int
        private static let window: UInt32 = 86_400
        private static let nowSeconds: UInt32 = 1_700_000_000
        private static let segmentBytes = 64 << 20

        init(recordCount: Int) throws {
            var template = Array(
                "\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/recovery-XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else { throw BenchmarkError("no temporary folder: \(errno)") }
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            entryCount = 2 * recordCount
            try write(recordCount)
        }
        deinit {
            // A handful of files of a known layout; nothing of it may stay behind.
            for folder in [path + "/log", path] {
                guard let listing = opendir(folder) else { continue }
                while let entry = readdir(listing) {
                    let name = withUnsafePointer(to: &entry.pointee.d_name) {
                        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                    }
                    if name != "." && name != ".." { unlink(folder + "/" + name) }
                }
                closedir(listing)
                rmdir(folder)
            }
        }

        private func open(_ entryCount: Int) throws -> RecoveredLog {
            try Recovery.open(
                path: path,
                settings: RecoverySettings(
                    dedupEntryCount: entryCount, dedupWindowSecondsMax: TemporaryLog.window,
                    nowSeconds: TemporaryLog.nowSeconds))
        }
        private func write(_ recordCount: Int) throws {
            let log = try open(entryCount)
            let folder = log.folder
            guard
                var keeper = SegmentKeeper(folder: folder, segmentBytes: TemporaryLog.segmentBytes, freeBytesMin: 0)
            else { throw BenchmarkError("no memory for the segment keeper") }
            var journal = try log.makeJournal(
                segmentBytes: TemporaryLog.segmentBytes, groupBytes: 1 << 20, groupTicketCountMax: 1000)
            try prepareSpares(&journal, &keeper)
            let sample = SampleEvent(bodyBytes: bodyBytes, window: TemporaryLog.window)
            for serial in 1...UInt64(recordCount) {
                sample.setKey(serial)
                guard case .appended = journal.offer(sample.event, ticket: serial) else {
                    throw BenchmarkError("an event was refused")
                }
                if serial % 500 == 0 || serial == UInt64(recordCount) { try commit(&journal, &keeper, folder) }
            }
            if let current = journal.currentSegment { keeper.close(current.descriptor) }
            while let spare = journal.nextUnusedSpare() { keeper.discard(spare) }
        }
        private func prepareSpares(_ journal: inout Journal, _ keeper: inout SegmentKeeper) throws {
            while journal.takeSpareRequest(now: 0) { journal.spareBecameReady(try keeper.prepareSpare()) }
        }
        private func commit(_ journal: inout Journal, _ keeper: inout SegmentKeeper, _ folder: LogFolder) throws {
            try prepareSpares(&journal, &keeper)
            guard var step = journal.beginCommit() else { return }
            while true {
                var placed = 0
                let write: CommitWrite
                switch step {
                case .write(let plain): write = plain
                case .roll(let roll):
                    placed = folder.place(roll)
                    write = roll.write
                case .refuse: throw BenchmarkError("no segment for the records")
                }
                let written = pwrite(write.file, write.bytes, write.byteCount, off_t(write.fileOffset))
                guard
                    case .continueWith(let more) = journal.commitCompleted(
                        placed: placed, written: written, synced: 0)
                else { break }
                step = more
            }
            while let receipt = journal.nextReceipt() {
                guard receipt.fate == .kept else { throw BenchmarkError("an event was not kept") }
            }
            while let retired = journal.nextRetired() { keeper.close(retired) }
        }

        /// The records that were found; 0 when the log cannot be opened or is damaged.
        func run(_ count: Int) -> UInt64 {
            var found = 0
            for _ in 0..<count {
                guard let log = try? open(entryCount), log.report.damages.isEmpty else { return 0 }
                found = log.report.recordCount
                recordBytes = log.report.recordBytes
                if let current = log.current { Glibc.close(current.descriptor.file) }
            }
            return UInt64(found)
        }
    }
}
