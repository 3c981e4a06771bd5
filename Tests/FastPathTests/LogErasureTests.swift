// Records erased in place: what is left of one, what readers meet meanwhile, and every moment at which the machine may
// die in it.

import FastPath
import Glibc
import TestSupport
import Testing

/// A log of three commit groups with neighbours in the blocks of whatever is erased, and its files in memory.
private final class ErasureBench {
    let folder = TemporaryFolder()
    let log: FileLog
    let eraser: RecordEraser
    static let settings = RecoverySettings(
        dedupEntryCount: 4096, dedupWindowSecondsMax: 3600, nowSeconds: UInt32(JournalHarness.start + 10))
    /// Bodies of the records, by sequence from 1.
    static let bodyBytes = [90, 900, 40, 2600, 700, 9000, 10, 300, 120]

    init() throws {
        log = try FileLog(folder.path)
        eraser = RecordEraser(log.folder)
        for (index, bytes) in ErasureBench.bodyBytes.enumerated() {
            _ = log.offer("canary-key-\(index + 1)", bodyBytes: bytes)
            if index % 3 == 2 { try log.commit() }
        }
    }
    var segment: String { folder.path + "/log/" + SegmentName.segment(1) }
    var announcement: String { folder.path + "/log/" + LogErasures.fileName }

    func erased(_ sequence: UInt64, keepsLabels: Bool = false) throws -> ErasedRecord {
        var reader = LogReader(folder: log.folder, from: sequence)
        guard case .record(let record, _) = reader.read(sequence, through: log.tail.snapshot) else {
            throw RealLog.Refused(verdict: "no record \(sequence)")
        }
        return reader.erasure(of: record, keepsLabels: keepsLabels)
    }
}

/// One record as a reader sees it, copied.
private struct Seen: Equatable {
    var sequence: UInt64
    var isErased: Bool
    var key: String
    var body: [UInt8]
    var fields: [String]
    var fingerprint: Fingerprint

    init(_ record: RecordView) {
        sequence = record.sequence
        isErased = record.isErased
        key = record.key.text
        body = record.body.array
        fields =
            [record.tenant, record.source, record.eventType, record.method, record.target, record.fieldLines]
            .map(\.text) + ["\(record.receivedAt) \(record.length) \(record.dedupWindowSeconds)"]
        fingerprint = record.fingerprint
    }
    static func all(_ path: String) throws -> (records: [Seen], damages: [LogDamage]) {
        var records: [Seen] = []
        let summary = try LogCheck.run(path: path) { record, _ in
            records.append(Seen(record))
            return true
        }
        return (records, summary.damages)
    }
}

/// Where the bytes of a text stand in a file.
private func places(of text: String, in bytes: [UInt8]) -> Int {
    let wanted = Array(text.utf8)
    guard bytes.count >= wanted.count else { return 0 }
    return (0...bytes.count - wanted.count).count { start in
        bytes[start] == wanted[0] && bytes[start..<start + wanted.count].elementsEqual(wanted)
    }
}

@Suite struct LogErasureTests {
    @Test func whatIsLeftTellsTheEventAndNothingOfItsContent() throws {
        let bench = try ErasureBench()
        let before = try Seen.all(bench.folder.path).records
        for sequence in [UInt64(5), 6] {
            try bench.eraser.erase([try bench.erased(sequence)])
            let (after, damages) = try Seen.all(bench.folder.path)
            #expect(damages.isEmpty && after.count == before.count)
            let one = after[Int(sequence) - 1]
            let old = before[Int(sequence) - 1]
            #expect(one.isErased && one.key.isEmpty && one.body.isEmpty)
            #expect(one.fields[1...3] == old.fields[1...3] && one.fields[4...5] == ["", ""])
            #expect(one.fields[6] == old.fields[6] && one.fingerprint == old.fingerprint)
        }
        let after = try Seen.all(bench.folder.path).records
        for sequence in [1, 2, 3, 4, 7, 8, 9] { #expect(after[sequence - 1] == before[sequence - 1]) }
        let bytes = TestFile.read(bench.segment)
        #expect(places(of: "canary-key-5", in: bytes) == 0 && places(of: "canary-key-6", in: bytes) == 0)
        #expect(places(of: "canary-key-4", in: bytes) == 1)
        // Nothing of it is in the announcement, and nothing stands.
        #expect(places(of: "canary", in: TestFile.read(bench.announcement)) == 0)
        #expect(bench.log.folder.erasures.standing.isEmpty)
        // A second time is the first time over.
        let again = try bench.erased(5)
        try bench.eraser.erase([again])
        #expect(TestFile.read(bench.segment) == bytes)
    }
    @Test func labelsStayWhereTheyAreThePublishersOwn() throws {
        let bench = try ErasureBench()
        let before = try Seen.all(bench.folder.path).records[5]
        try bench.eraser.erase([try bench.erased(6, keepsLabels: true)])
        let after = try Seen.all(bench.folder.path).records[5]
        #expect(after.isErased && after.body.isEmpty && after.key == before.key && after.fields == before.fields)
    }
    @Test func aKeyThatIsTheBodyGoesWithIt() throws {
        let bench = try ErasureBench()
        _ = TestEvent.lend(key: "k", bodyBytes: 300) { event in
            var event = event
            event.dedupKey = event.body
            event.keyIsBody = true
            return bench.log.journal.offer(event, ticket: 900)
        }
        try bench.log.commit()
        try bench.eraser.erase([try bench.erased(10, keepsLabels: true)])
        let record = try Seen.all(bench.folder.path).records[9]
        #expect(record.isErased && record.key.isEmpty && record.body.isEmpty)
    }
    @Test func aDuplicateOfWhatWasErasedIsStillOne() throws {
        let bench = try ErasureBench()
        try bench.eraser.erase([try bench.erased(5)])
        bench.log.folder.unlock()
        let next = try Recovery.open(path: bench.folder.path, settings: ErasureBench.settings)
        let (folder, lines) = (next.folder, next.report.lines)
        #expect(lines.isEmpty)
        var journal = try next.makeJournal(segmentBytes: 64 << 10, groupBytes: 16 << 10, groupTicketCountMax: 8)
        let again = TestEvent.lend(key: "canary-key-5", bodyBytes: 700) { journal.offer($0, ticket: 1) }
        #expect(again == .duplicate(sequence: 5))
        withExtendedLifetime(folder) {}
    }
    @Test func thePythonReaderAgrees() throws {
        guard system("command -v python3 >/dev/null") == 0 else { return }
        let bench = try ErasureBench()
        try bench.eraser.erase([try bench.erased(2), try bench.erased(6, keepsLabels: true)])
        let script = Repository.path("Tests/Conformance/support/log_reader.py")
        let output = bench.folder.path + "/lines"
        #expect(system("python3 '\(script)' '\(bench.folder.path)' > '\(output)'") == 0)
        let lines = TestFile.text(output).split(separator: "\n").map(String.init)
        #expect(lines.last == #"{"damages": 0, "records": 9}"#)
        #expect(lines[1].contains(#""body": 0, "bodyStart": "", "erased": true, "key": """#), "\(lines[1])")
        #expect(lines[1].contains(#""target": """#) && lines[1].contains(#""type": "invoice.paid""#))
        #expect(lines[5].contains(#""erased": true, "key": "canary-key-6""#), "\(lines[5])")
        #expect(!lines[0].contains("erased"))
    }

    // MARK: readers meanwhile

    @Test func readersSeeItErasedFromTheAnnouncementOn() throws {
        let bench = try ErasureBench()
        // Opened before, with all of it read ahead.
        var reader = LogReader(folder: bench.log.folder, from: 1)
        func next() throws -> (sequence: UInt64, isErased: Bool) {
            guard case .record(let record, _) = reader.next(through: bench.log.tail.snapshot) else {
                throw RealLog.Refused()
            }
            return (record.sequence, record.isErased)
        }
        #expect(try next() == (1, false))
        let erased = try bench.erased(6)
        try bench.log.folder.erasures.announce([erased])
        #expect(try (2...6).map { _ in try next().isErased } == [false, false, false, false, true])
        // Half of it is written.
        let old = TestFile.read(bench.segment)
        try bench.eraser.erase([])
        let new = TestFile.read(bench.segment)
        let middle = erased.offset + erased.length / 2
        TestFile.write(bench.segment, Array(new[..<middle] + old[middle...]))
        try bench.log.folder.erasures.announce([erased])
        #expect(try next() == (7, false))
        reader.seek(5)
        #expect(try next() == (5, false))
        #expect(try next() == (6, true))
    }
    @Test func whoReadsTheFolderBesideItKnowsOfAnAnnouncementThatCameLater() throws {
        let bench = try ErasureBench()
        let beside = try LogFolder(path: bench.folder.path, access: .readOnly)
        var reader = LogReader(folder: beside, from: 6)
        let erased = try bench.erased(6)
        try bench.log.folder.erasures.announce([erased])
        let old = TestFile.read(bench.segment)
        TestFile.write(
            bench.segment,
            Array(old[..<(erased.offset + 200)] + [UInt8](repeating: 0, count: 512) + old[(erased.offset + 712)...]))
        guard case .record(let record, _) = reader.next(through: bench.log.tail.snapshot) else {
            Issue.record("half a record was taken for damage")
            return
        }
        #expect(record.sequence == 6 && record.isErased)
        let summary = try LogCheck.run(path: bench.folder.path)
        #expect(summary.isSound && summary.erasingCount == 1 && summary.erasedCount == 1)
    }

    // MARK: the machine dies in it

    /// Starts on what is on disk: nothing is damaged, all are there, and those that were not erased are as they were.
    private func check(_ bench: ErasureBench, _ before: [Seen], erased: Set<UInt64>, _ story: String) throws {
        let offline = try Seen.all(bench.folder.path)
        #expect(offline.damages.isEmpty, "\(story): before the start")
        #expect(offline.records.count == before.count, "\(story): before the start")
        let log = try Recovery.open(path: bench.folder.path, settings: ErasureBench.settings)
        let report = log.report
        #expect(report.damages.isEmpty && report.tornTail == nil, "\(story): \(report.lines)")
        let (next, entries, standing) = (log.nextSequence, log.dedup.entryCount, log.folder.erasures.standing.count)
        #expect(next == UInt64(before.count + 1) && entries == before.count && standing == 0, "\(story)")
        let after = try Seen.all(bench.folder.path)
        #expect(after.damages.isEmpty && after.records.map(\.sequence) == before.map(\.sequence), "\(story)")
        for (old, new) in zip(before, after.records) {
            if erased.contains(old.sequence) {
                #expect(new.isErased && new.body.isEmpty && new.fingerprint == old.fingerprint, "\(story)")
            } else {
                #expect(new == old, "\(story): \(old.sequence) was touched")
            }
        }
    }
    private struct Stages {
        var before: [UInt8]
        var announced: [UInt8]
        var after: [UInt8]
        var settled: [UInt8]
    }
    /// The files at each stage of erasing these.
    private func stages(_ bench: ErasureBench, _ sequences: [UInt64]) throws -> Stages {
        let records = try sequences.map { try bench.erased($0) }
        let before = TestFile.read(bench.segment)
        try bench.log.folder.erasures.announce(records)
        let announced = TestFile.read(bench.announcement)
        try bench.eraser.erase([])
        let stages = Stages(
            before: before, announced: announced, after: TestFile.read(bench.segment),
            settled: TestFile.read(bench.announcement))
        bench.log.folder.unlock()
        return stages
    }

    @Test(arguments: [[UInt64(2)], [9], [5, 7]]) func aCutAfterEveryByteLeavesItOldOrErased(
        sequences: [UInt64]
    ) throws {
        let bench = try ErasureBench()
        let old = try Seen.all(bench.folder.path).records
        let stages = try stages(bench, sequences)
        let erased = Set(sequences)
        for count in 0...stages.announced.count {
            TestFile.write(bench.segment, stages.before)
            TestFile.write(bench.announcement, Array(stages.announced.prefix(count)))
            let isWhole = count == stages.announced.count
            try check(bench, old, erased: isWhole ? erased : [], "\(count) bytes of the announcement")
        }
        let changed = stages.before.indices.filter { stages.before[$0] != stages.after[$0] }
        // A cut between two of these is one of the others.
        for cut in [try #require(changed.first)] + changed.map({ $0 + 1 }) {
            TestFile.write(bench.segment, Array(stages.after[..<cut] + stages.before[cut...]))
            TestFile.write(bench.announcement, stages.announced)
            try check(bench, old, erased: erased, "overwritten up to \(cut)")
            if cut % 512 == 0 { #expect(TestFile.read(bench.segment) == stages.after) }
        }
        for count in 0...8 {
            TestFile.write(bench.segment, stages.after)
            TestFile.write(
                bench.announcement, Array(stages.settled.prefix(count)) + Array(stages.announced.dropFirst(count)))
            try check(bench, old, erased: erased, "\(count) bytes of the done line")
        }
    }
    @Test(arguments: UInt64(1)...40) func tornSectorsAndASecondCrashComeToTheSame(seed: UInt64) throws {
        var generator = SeededRandom(seed)
        let bench = try ErasureBench()
        let old = try Seen.all(bench.folder.path).records
        let stages = try stages(bench, [4, 6])
        for round in 0..<8 {
            var torn = stages.before
            for sector in stride(from: 0, to: torn.count, by: 512) where Bool.random(using: &generator) {
                torn.replaceSubrange(sector..<sector + 512, with: stages.after[sector..<sector + 512])
            }
            TestFile.write(bench.segment, torn)
            TestFile.write(bench.announcement, stages.announced)
            try check(bench, old, erased: [4, 6], "seed \(seed), round \(round)")
            #expect(TestFile.read(bench.segment) == stages.after)
        }
    }
    @Test func anotherLogsAnnouncementOrAnotherSegmentsPlaceChangesNothing() throws {
        let bench = try ErasureBench()
        let old = try Seen.all(bench.folder.path).records
        let stages = try stages(bench, [6])
        for (place, story) in [(16, "identity"), (48, "seed of the segment"), (8, "version")] {
            var announced = stages.announced
            announced[place] ^= 1
            let sum = LogTestHash.xxh3(Array(announced.dropLast(8)), seed: 0x4572_6173_696E_6721)
            announced.replaceSubrange(
                announced.count - 8..<announced.count,
                with: (0..<8).map {
                    UInt8(truncatingIfNeeded: sum >> (8 * UInt64($0)))
                })
            TestFile.write(bench.segment, stages.before)
            TestFile.write(bench.announcement, announced)
            try check(bench, old, erased: [], story)
        }
        // Retention has removed the segment: there is nothing to do.
        TestFile.write(bench.announcement, stages.announced)
        TestFile.remove(bench.segment)
        let log = try Recovery.open(path: bench.folder.path, settings: ErasureBench.settings)
        let (failure, standing) = (log.report.erasureFailure, log.folder.erasures.standing)
        #expect(failure == nil && standing.isEmpty)
    }

    @Test func damageOfAnErasedRecordAtTheEndIsNoTornTail() throws {
        let bench = try ErasureBench()
        _ = bench.log.offer("canary-key-10", bodyBytes: 5000)
        try bench.log.commit()
        let erased = try bench.erased(10)
        try bench.eraser.erase([erased])
        bench.log.folder.unlock()
        var bytes = TestFile.read(bench.segment)
        bytes[erased.offset + 2000] ^= 1
        TestFile.write(bench.segment, bytes)
        let log = try Recovery.open(path: bench.folder.path, settings: ErasureBench.settings)
        let (damages, torn, next) = (log.report.damages, log.report.tornTail, log.nextSequence)
        #expect(torn == nil && damages.map(\.firstSequence) == [10] && next > 10)
    }

    // MARK: a disk that does not take it

    @Test func whatCannotBeOverwrittenStaysAnnouncedAndIsTriedAgain() throws {
        let bench = try ErasureBench()
        let records = try [UInt64(2), 6].map { try bench.erased($0) }
        let bytes = TestFile.read(bench.segment)
        // No file can be opened for writing there.
        #expect(rename(bench.segment, bench.folder.path + "/kept") == 0 && mkdir(bench.segment, 0o700) == 0)
        #expect(throws: LogOpenError.self) { try bench.eraser.erase([records[0]]) }
        #expect(bench.log.folder.erasures.standing == [records[0]])
        #expect(throws: LogOpenError.self) { try bench.eraser.erase([records[1]]) }
        #expect(bench.log.folder.erasures.standing == records)
        #expect(throws: LogOpenError.self) { try bench.eraser.erase([records[1]]) }
        #expect(bench.log.folder.erasures.standing == records, "announced once")
        #expect(rmdir(bench.segment) == 0 && rename(bench.folder.path + "/kept", bench.segment) == 0)
        #expect(TestFile.read(bench.segment) == bytes)
        // Shown to nobody, here and beside it.
        #expect(try Seen.all(bench.folder.path).records.filter(\.isErased).map(\.sequence) == [2, 6])
        try bench.eraser.erase([])
        #expect(bench.log.folder.erasures.standing.isEmpty)
        let after = TestFile.read(bench.segment)
        #expect(places(of: "canary-key-2", in: after) == 0 && places(of: "canary-key-6", in: after) == 0)
    }

    // MARK: remains

    @Test func whatASegmentThatFailedKeptOfAGroupGoesToo() throws {
        let fixture = try LogFixture()
        let harness = JournalHarness(identity: fixture.identity)
        for number in 1...3 { harness.offer("before-\(number)", bodyBytes: 500) }
        harness.commit()
        harness.offer("twice", bodyBytes: 3000)
        harness.disk.faults = [.syncFails]
        harness.commit()
        harness.offer("behind", bodyBytes: 100)
        harness.commit()
        harness.disk.materialise(into: fixture.path)
        let log = try Recovery.open(path: fixture.path, settings: ErasureBench.settings)
        let folder = log.folder
        let eraser = RecordEraser(folder)
        let first = fixture.logFile(1)
        #expect(try folder.segments() == [1, 4])
        #expect(places(of: "twice", in: TestFile.read(first)) == 1, "the page cache had it")
        try eraser.clearRemains(before: 4)
        #expect(places(of: "twice", in: TestFile.read(first)) == 0)
        #expect(places(of: "twice", in: TestFile.read(fixture.logFile(4))) == 1)
        let all = try Seen.all(fixture.path)
        #expect(all.damages.isEmpty)
        #expect(all.records.map(\.key) == ["before-1", "before-2", "before-3", "twice", "behind"])
        // Of one that ends damaged nothing is changed.
        var bytes = TestFile.read(first)
        let last = try #require(bytes.lastIndex { $0 != 0 })
        bytes[last] ^= 1
        bytes[last + 5000] = 7
        TestFile.write(first, bytes)
        try RecordEraser(folder).clearRemains(before: 4)
        #expect(TestFile.read(first) == bytes)
    }
}
