// Readers, the segment keeper and `log check`, on real files; and the Python reader, which knows docs/log-format.md
// alone.

import CShims
import FastPath
import Glibc
import TestSupport
import Testing

enum LogTestHash {
    static func xxh3(_ bytes: [UInt8], seed: UInt64) -> UInt64 { sluice_xxh3_64(bytes, bytes.count, seed) }
}

/// A journal on real files: the simplest driver there can be.
final class FileLog {
    let folder: LogFolder
    var journal: Journal
    var keeper: SegmentKeeper
    let tail: CommittedTail
    private var nextTicket: UInt64 = 1
    private(set) var receipts: [Receipt] = []

    init(
        _ path: String, segmentBytes: Int = 64 << 10, nowSeconds: UInt32 = UInt32(JournalHarness.start),
        floor: UInt64 = 1
    ) throws {
        let settings = RecoverySettings(dedupEntryCount: 4096, dedupWindowSecondsMax: 3600, nowSeconds: nowSeconds)
        var log = try Recovery.open(path: path, settings: settings)
        log.raise(to: floor)
        folder = log.folder
        keeper = SegmentKeeper(folder: log.folder, segmentBytes: segmentBytes, freeBytesMin: 0)!
        journal = try log.makeJournal(
            segmentBytes: segmentBytes, groupBytes: segmentBytes / 4, groupTicketCountMax: 1000)
        tail = CommittedTail(journal)
        try prepareSpares()
    }
    private func prepareSpares() throws {
        while journal.takeSpareRequest(now: 0) { journal.spareBecameReady(try keeper.prepareSpare()) }
    }
    deinit {
        if let current = journal.currentSegment { keeper.close(current.descriptor) }
        while let spare = journal.nextUnusedSpare() { keeper.discard(spare) }
        while let retired = journal.nextRetired() { keeper.close(retired) }
    }
    func offer(_ key: String, bodyBytes: Int = 100, source: String = "github") -> OfferOutcome {
        nextTicket += 1
        return TestEvent.lend(key: key, bodyBytes: bodyBytes, source: source) { journal.offer($0, ticket: nextTicket) }
    }
    func commit() throws {
        try prepareSpares()
        guard var step = journal.beginCommit() else { return }
        while true {
            var placed = 0
            let write: CommitWrite
            switch step {
            case .write(let plain): write = plain
            case .roll(let roll):
                placed = folder.place(roll)
                write = roll.write
            case .refuse: return
            }
            let written = Int(sluice_file_write(write.file, write.bytes, write.byteCount, write.fileOffset))
            let synced = Int(sluice_file_sync_data(write.file))
            switch journal.commitCompleted(placed: placed, written: written, synced: synced) {
            case .continueWith(let more): step = more
            case .committed, .failed:
                tail.publish(journal)
                while let receipt = journal.nextReceipt() { receipts.append(receipt) }
                while let retired = journal.nextRetired() { keeper.close(retired) }
                return
            }
        }
    }
}

@Suite struct LogReaderTests {
    @Test func readerFollowsTheWriterAcrossSegments() throws {
        let folder = TemporaryFolder()
        let log = try FileLog(folder.path)
        var reader = LogReader(folder: log.folder, from: 1, bufferBytes: 8192)
        var expected: UInt64 = 1
        for round in 0..<120 {
            let count = round % 4 + 1
            for number in 0..<count { _ = log.offer("\(round)-\(number)", bodyBytes: round * 37 % 3000) }
            // Nothing before the commit.
            guard case .caughtUp = reader.next(through: log.tail.snapshot) else {
                Issue.record("uncommitted record read")
                return
            }
            try log.commit()
            for number in 0..<count {
                guard case .record(let record, _) = reader.next(through: log.tail.snapshot) else {
                    Issue.record("record \(expected) missing")
                    return
                }
                let key = record.key.text
                #expect(record.sequence == expected && key == "\(round)-\(number)")
                #expect(record.body.array == TestEvent.body(key, round * 37 % 3000))
                expected += 1
            }
        }
        let segments = try log.folder.segments()
        #expect(segments.count > 3)
    }

    @Test func recordKeepsEveryFieldAsItCame() throws {
        let folder = TemporaryFolder()
        let log = try FileLog(folder.path)
        _ = TestEvent.lend(key: "body as key", bodyBytes: 300, source: "stripe", tenant: "acme") { event in
            var event = event
            event.dedupKey = event.body
            event.keyIsBody = true
            return log.journal.offer(event, ticket: 1)
        }
        try log.commit()
        var reader = LogReader(folder: log.folder, from: 1)
        guard case .record(let record, _) = reader.next(through: log.tail.snapshot) else {
            Issue.record("no record")
            return
        }
        let fields = [
            record.tenant, record.source, record.eventType, record.method, record.target,
            record.fieldLines,
        ].map(\.text)
        #expect(fields == ["acme", "stripe", "invoice.paid", "POST", "/in/github?a=1", "Host: a\r\nX-Event: 1\r\n"])
        #expect(record.keyIsBody && record.key.array == record.body.array && record.body.count == 300)
        #expect(record.receivedAt == JournalHarness.start * 1_000_000_000 && record.dedupWindowSeconds == 3600)
        #expect(record.length < 96 + 300 + 80)
    }

    /// A batch that came again asked for each of its records from the start of a segment.
    @Test func manyInTheirOrderAreFoundInOnePassOverEachSegment() throws {
        let folder = TemporaryFolder()
        let log = try FileLog(folder.path)
        for number in 1...400 {
            _ = log.offer("k\(number)", bodyBytes: 900)
            if number % 4 == 0 { try log.commit() }
        }
        let segments = try log.folder.segments()
        #expect(segments.count > 4)
        var reader = LogReader(folder: log.folder, from: 1)
        var touched: Set<UInt64> = []
        // None of the second segment, and of the third all.
        let wanted = [1, 2, 5] + (segments[2]..<segments[3]) + [segments[3] + 7, 399, 400]
        for sequence in wanted {
            let step = reader.readOn(to: sequence, through: log.tail.snapshot)
            guard case .record(let record, let position) = step else {
                Issue.record("record \(sequence) missing")
                return
            }
            #expect(record.sequence == sequence && record.key.text == "k\(sequence)")
            touched.insert(position.segment)
        }
        #expect(reader.entryCount == touched.count && !touched.contains(segments[1]))
        guard case .caughtUp = reader.readOn(to: 401, through: log.tail.snapshot) else {
            Issue.record("a record that is not there")
            return
        }
        // Back again is a search, as for any other; from a place near by it goes on.
        guard case .record(let back, let place) = reader.readOn(to: 10, through: log.tail.snapshot) else {
            Issue.record("record 10 missing")
            return
        }
        #expect(back.sequence == 10)
        var near = LogReader(folder: log.folder, from: 1)
        near.seek(10, at: place)
        guard case .record(let next, _) = near.readOn(to: 12, through: log.tail.snapshot) else {
            Issue.record("record 12 missing")
            return
        }
        #expect(next.sequence == 12 && near.entryCount == 1)
    }

    @Test func readsOneRecordBySequenceWithAndWithoutItsPlace() throws {
        let folder = TemporaryFolder()
        let log = try FileLog(folder.path)
        for number in 1...200 {
            _ = log.offer("k\(number)", bodyBytes: 900)
            if number % 3 == 0 { try log.commit() }
        }
        try log.commit()
        var reader = LogReader(folder: log.folder, from: 1)
        for sequence in [UInt64(200), 1, 77, 78, 150, 3] {
            guard case .record(let record, let position) = reader.read(sequence, through: log.tail.snapshot) else {
                Issue.record("\(sequence) not found")
                return
            }
            #expect(record.key.text == "k\(sequence)")
            guard
                case .record(let again, let place) = reader.read(
                    sequence, at: position,
                    through: log.tail.snapshot)
            else {
                Issue.record("\(sequence) not found at its place")
                return
            }
            #expect(again.key.text == "k\(sequence)" && place == position)
        }
        guard case .caughtUp = reader.read(201, through: log.tail.snapshot) else {
            Issue.record("read what is not there")
            return
        }
    }

    @Test func recordLargerThanTheBufferIsRead() throws {
        let folder = TemporaryFolder()
        let log = try FileLog(folder.path, segmentBytes: 1 << 20)
        for (index, bytes) in [100, 200_000, 5000, 40_000, 10].enumerated() {
            _ = log.offer(
                "\(index)",
                bodyBytes: bytes)
        }
        try log.commit()
        _ = log.offer("5", bodyBytes: 250_000)
        try log.commit()
        var reader = LogReader(folder: log.folder, from: 1, bufferBytes: 4096)
        var sizes: [Int] = []
        while case .record(let record, _) = reader.next(through: log.tail.snapshot) { sizes.append(record.body.count) }
        #expect(sizes == [100, 200_000, 5000, 40_000, 10, 250_000])
    }

    @Test func damageIsToldOfAndReadingGoesOn() throws {
        let folder = TemporaryFolder()
        let log = try FileLog(folder.path)
        for number in 1...90 {
            _ = log.offer("k\(number)", bodyBytes: 1500)
            try log.commit()
        }
        let segments = try log.folder.segments()
        let path = folder.path + "/log/" + SegmentName.segment(segments[1])
        var bytes = TestFile.read(path)
        bytes[4096 * 3 + 700] ^= 1
        TestFile.write(path, bytes)
        var reader = LogReader(folder: log.folder, from: 1)
        var sequences: [UInt64] = []
        var damaged: [UInt64] = []
        loop: while true {
            switch reader.next(through: log.tail.snapshot) {
            case .record(let record, _): sequences.append(record.sequence)
            case .damaged(let damage):
                #expect(damage.sequenceCount == 1)
                damaged.append(damage.firstSequence)
            case .missing, .failed: Issue.record("unexpected")
            case .caughtUp: break loop
            }
        }
        #expect(damaged == [segments[1] + 2])
        #expect(sequences == (1...90).filter { !damaged.contains($0) })
        let summary = try LogCheck.run(path: folder.path)
        #expect(!summary.isSound && summary.damages.map(\.firstSequence) == damaged && summary.recordCount == 89)
    }

    @Test func retentionRemovesWholeSegmentsAndNeverOneThatIsNeeded() throws {
        let folder = TemporaryFolder()
        let log = try FileLog(folder.path)
        for number in 1...120 {
            _ = log.offer("k\(number)", bodyBytes: 3000)
            try log.commit()
        }
        let segments = try log.folder.segments()
        #expect(segments.count > 4)
        // A reader stands in the first segment.
        var reader = LogReader(folder: log.folder, from: 1)
        _ = reader.next(through: log.tail.snapshot)
        let now = (JournalHarness.start + 10) * 1_000_000_000
        let held = try log.keeper.retain(RetentionRule(bytesMax: 0, ageNanosMax: nil, lowWaterSequence: 1), now: now)
        #expect(held.removedSegments.isEmpty && held.heldBackCount == 1)
        let unwanted = RetentionRule(bytesMax: 0, ageNanosMax: nil, lowWaterSequence: .max)
        let unkept = try log.keeper.retain(unwanted, now: now, isKept: { false })
        #expect(unkept.removedSegments.isEmpty && unkept.heldBackCount == 1)
        #expect(try log.folder.segments() == segments)
        let young = try log.keeper.retain(
            RetentionRule(bytesMax: nil, ageNanosMax: 60_000_000_000, lowWaterSequence: .max), now: now)
        #expect(young.removedSegments.isEmpty)
        let result = try log.keeper.retain(
            RetentionRule(bytesMax: 0, ageNanosMax: nil, lowWaterSequence: segments[2]), now: now)
        #expect(result.removedSegments == Array(segments[0..<2]) && result.removedBytes == 2 << 16)
        // The open segment stays readable, the one behind it is told of as missing.
        var sequences: [UInt64] = [1]
        var missing: [UInt64] = []
        loop: while true {
            switch reader.next(through: log.tail.snapshot) {
            case .record(let record, _): sequences.append(record.sequence)
            case .missing(let first, let last): missing += first...last
            case .damaged, .failed: Issue.record("unexpected")
            case .caughtUp: break loop
            }
        }
        #expect(missing == Array(segments[1]..<segments[2]))
        #expect((sequences + missing).sorted() == Array(1...120))
        let all = try log.keeper.retain(
            RetentionRule(bytesMax: nil, ageNanosMax: 1, lowWaterSequence: .max), now: now)
        let left = try log.folder.segments()
        #expect(left == [segments.last!] && !all.removedSegments.isEmpty)
    }

    @Test func keeperRefusesWhenTooLittleWouldBeFree() throws {
        let folder = TemporaryFolder()
        let log = try LogFolder(path: folder.path, access: .exclusive)
        var keeper = SegmentKeeper(folder: log, segmentBytes: 65_536, freeBytesMin: 1 << 60)!
        do throws(SpareFailure) {
            _ = try keeper.prepareSpare()
            Issue.record("prepared without room")
        } catch {
            guard case .tooLittleSpace = error else {
                Issue.record("\(error)")
                return
            }
        }
        #expect(TemporaryFolder.names(folder.path + "/log") == ["identity"])
    }

    @Test(arguments: [4096, 300 << 10, 1 << 20, 8 << 20]) func aSpareIsWholeWhateverItsPieces(bytes: Int) throws {
        let folder = TemporaryFolder()
        let segmentBytes = (3 << 20) + 4096
        let log = try LogFolder(path: folder.path, access: .exclusive)
        var keeper = SegmentKeeper(folder: log, segmentBytes: segmentBytes, freeBytesMin: 0)!
        var done = [Int]()
        let spare = try keeper.prepareSpare(
            pieceBytes: { bytes },
            pace: {
                done.append($0)
                return .full
            })
        keeper.close(spare)
        let piece = min(bytes, SegmentKeeper.zeroBytes)
        #expect(done == Array(stride(from: 0, to: segmentBytes, by: piece)))
        let written = TestFile.read(folder.path + "/log/" + TemporaryFolder.names(folder.path + "/log").last!)
        #expect(written.count == segmentBytes && written.allSatisfy { $0 == 0 })
    }

    @Test func keeperSeesThatTheFolderWasReplaced() throws {
        let folder = TemporaryFolder()
        let log = try LogFolder(path: folder.path, access: .exclusive)
        var keeper = SegmentKeeper(folder: log, segmentBytes: 65_536, freeBytesMin: 0)!
        rename(folder.path + "/log", folder.path + "/elsewhere")
        TestFile.makeDirectory(folder.path + "/log")
        do throws(SpareFailure) {
            _ = try keeper.prepareSpare()
            Issue.record("prepared in a folder that nobody finds")
        } catch { #expect(error == .folderReplaced) }
    }

    @Test func logGoesOnAfterARestart() throws {
        let folder = TemporaryFolder()
        for run in 0..<4 {
            let log = try FileLog(folder.path)
            #expect(log.offer("first") == (run == 0 ? .appended(sequence: 1) : .duplicate(sequence: 1)))
            for number in 0..<20 { _ = log.offer("\(run)-\(number)", bodyBytes: 2000, source: "s\(run)") }
            try log.commit()
            for number in 20..<40 { _ = log.offer("\(run)-\(number)", bodyBytes: 200, source: "s\(run)") }
            try log.commit()
        }
        let summary = try LogCheck.run(path: folder.path)
        #expect(summary.isSound && summary.firstSequence == 1 && summary.lastSequence == UInt64(summary.recordCount))
        #expect(Set(summary.sources.keys) == ["github", "s0", "s1", "s2", "s3"])
        #expect(summary.sources.values.reduce(0) { $0 + $1.recordCount } == summary.recordCount)
    }

    private func folderWithTwentyEvents() throws -> TemporaryFolder {
        let folder = TemporaryFolder()
        let log = try FileLog(folder.path)
        for number in 1...20 { _ = log.offer("k\(number)") }
        try log.commit()
        return folder
    }

    @Test func aRaisedLogGivesOutNoSequenceThatSomebodyHasMet() throws {
        let folder = try folderWithTwentyEvents()
        // No raise where the log is whole.
        try { () throws in
            let log = try FileLog(folder.path, floor: 21)
            _ = log.offer("k21")
            try log.commit()
            #expect(try log.folder.segments() == [1])
        }()
        let log = try FileLog(folder.path, floor: 100)
        _ = log.offer("new")
        try log.commit()
        #expect(try log.folder.segments() == [1, 100])
        var reader = LogReader(folder: log.folder, from: 1)
        var read: [UInt64] = []
        while true {
            switch reader.next(through: log.tail.snapshot) {
            case .record(let record, _): read.append(record.sequence)
            case .damaged, .missing: continue
            case .caughtUp, .failed:
                #expect(read == Array(1...21) + [100])
                return
            }
        }
    }

    /// A folder stands in the segment's place: it opens, and no read gives its bytes (EISDIR).
    @Test func headerTheDiskCannotReadStopsTheStartAndTouchesNothing() throws {
        let folder = try folderWithTwentyEvents()
        let names = TemporaryFolder.names(folder.path + "/log")
        let name = try #require(names.first { SegmentName.firstSequence($0) != nil })
        let segment = folder.path + "/log/" + name
        #expect(rename(segment, folder.path + "/kept") == 0 && mkdir(segment, 0o700) == 0)
        let settings = RecoverySettings(
            dedupEntryCount: 64, dedupWindowSecondsMax: 60, nowSeconds: UInt32(JournalHarness.start))
        #expect(throws: LogOpenError.fileFailed(path: segment, operation: "read", systemError: EISDIR)) {
            _ = try Recovery.open(path: folder.path, settings: settings).nextSequence
        }
        let told = try LogCheck.run(path: folder.path) { _, _ in true }
        #expect(told.damages.map(\.isUnreadable) == [true])
        #expect(rmdir(segment) == 0 && rename(folder.path + "/kept", segment) == 0)
        let next = try Recovery.open(path: folder.path, settings: settings).nextSequence
        #expect(next == 21)
    }

    @Test func pythonReaderAgreesByTheSpecificationAlone() throws {
        guard system("command -v python3 >/dev/null") == 0 else { return }
        let folder = TemporaryFolder()
        let log = try FileLog(folder.path)
        for number in 1...40 {
            let bytes = [0, 1, 5, 100, 130, 200, 240, 300, 1500, 5000][number % 10]
            let tenant = String(decoding: RecordFormat.tenantBytes(of: UInt32(number % 3)), as: UTF8.self)
            _ = TestEvent.lend(key: "k\(number)", bodyBytes: bytes, tenant: tenant) { event in
                var event = event
                event.sourceNumber = UInt32(number)
                return log.journal.offer(event, ticket: UInt64(number))
            }
            if number % 3 == 0 { try log.commit() }
        }
        try log.commit()
        let script = Repository.path("Tests/Conformance/support/log_reader.py")
        let output = folder.path + "/lines"
        #expect(system("python3 '\(script)' '\(folder.path)' > '\(output)'") == 0)
        var lines = TestFile.text(output).split(separator: "\n").map(String.init)
        #expect(lines.popLast() == #"{"damages": 0, "records": 40}"#)
        var expected: [String] = []
        _ = try LogCheck.run(path: folder.path) { record, _ in
            let hex = record.body.array.prefix(8).map { byte in
                let digits = Array("0123456789abcdef")
                return String([digits[Int(byte >> 4)], digits[Int(byte & 15)]])
            }
            expected.append(
                #"{"body": \#(record.body.count), "bodyStart": "\#(hex.joined())", "key": "\#(record.key.text)", "#
                    + #""receivedAt": \#(record.receivedAt), "sequence": \#(record.sequence), "source": "github", "#
                    + #""sourceNumber": \#(record.sourceNumber), "target": "/in/github?a=1", "#
                    + #""tenantNumber": \#(record.tenantNumber), "type": "invoice.paid", "#
                    + #""verdict": "\#(record.verdict.name)"}"#)
            return true
        }
        #expect(lines == expected)
    }
}
