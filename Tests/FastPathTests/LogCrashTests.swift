// The log against crashes: the machine dies at every call of the seam, sectors torn at random, and what was
// acknowledged is there once, nothing else.

import FastPath
import TestSupport
import Testing

/// A data folder whose segments come from a simulated disk.
final class LogFixture {
    let folder = TemporaryFolder()
    let identity: LogIdentity
    var path: String { folder.path }

    init() throws { identity = try LogFolder(path: folder.path, access: .exclusive).identity }

    struct Outcome: Equatable {
        var records: [Promise] = []
        var damages: [LogDamage] = []
        var report = RecoveryReport()
        var isCurrent = false
        var appendOffset = 0
        var dedupEntryCount = 0
    }

    /// Recovers the folder and reads it from the beginning.
    func recover() throws -> Outcome {
        let settings = RecoverySettings(
            dedupEntryCount: 4096, dedupWindowSecondsMax: JournalHarness.window,
            nowSeconds: UInt32(JournalHarness.start + 10))
        let log = try Recovery.open(path: path, settings: settings)
        var outcome = Outcome()
        outcome.report = log.report
        outcome.isCurrent = log.current != nil
        outcome.appendOffset = log.current?.appendOffset ?? 0
        outcome.dedupEntryCount = log.dedup.entryCount
        let tail = CommittedTail.Snapshot(
            sequence: log.nextSequence - 1, segmentGeneration: 1, endOffset: log.current?.appendOffset ?? 0)
        var reader = LogReader(folder: log.folder, from: log.report.firstSequence, bufferBytes: 8192)
        reading: while true {
            switch reader.next(through: tail) {
            case .record(let record, _):
                outcome.records.append(Promise(sequence: record.sequence, key: record.key.text))
                if record.body.array != TestEvent.body(record.key.text, record.body.count) {
                    Issue.record("record \(record.sequence) holds another body")
                }
            case .damaged(let damage): outcome.damages.append(damage)
            case .missing(let first, let last): Issue.record("\(first) to \(last) are missing")
            case .failed(let error): Issue.record("reading failed: \(error)")
            case .caughtUp: break reading
            }
        }
        return outcome
    }
    func recover(_ disk: SimulatedDisk) throws -> Outcome {
        disk.materialise(into: path)
        return try recover()
    }
    func logFile(_ first: UInt64) -> String { path + "/log/" + SegmentName.segment(first) }
    var logFiles: [String: [UInt8]] {
        Dictionary(
            uniqueKeysWithValues: TemporaryFolder.names(path + "/log").map {
                (
                    $0,
                    TestFile.read(path + "/log/" + $0)
                )
            })
    }
}

@Suite struct LogCrashTests {
    /// Every acknowledged event once, nothing that was never offered, sequences contiguous.
    private func check(_ outcome: LogFixture.Outcome, _ harness: JournalHarness, _ story: String) {
        #expect(outcome.damages.isEmpty && outcome.report.damages.isEmpty, "\(story): \(outcome.report.lines)")
        let lost = harness.kept.filter { !outcome.records.contains($0) }
        #expect(lost.isEmpty, "\(story): lost \(lost)")
        let keys = outcome.records.map(\.key)
        #expect(Set(keys).isSubset(of: harness.offered), "\(story): invented")
        #expect(Set(keys).count == keys.count, "\(story): twice")
        let first = outcome.report.firstSequence
        #expect(outcome.records.map(\.sequence) == Array(first..<first + UInt64(keys.count)), "\(story): sequences")
        let acknowledged = Set(harness.kept.map(\.key))
        #expect(harness.duplicates.allSatisfy { acknowledged.contains($0.key) }, "\(story): duplicate of nothing")
    }

    /// A few commits of mixed sizes with the faults that `seed` draws; ends when the machine does.
    private func run(_ harness: JournalHarness, seed: UInt64) {
        var generator = SeededRandom(seed)
        for round in 0..<12 {
            for number in 0..<Int.random(in: 1...6, using: &generator) {
                let bytes = [10, 300, 900, 3000, 6000][Int.random(in: 0..<5, using: &generator)]
                harness.offer("\(round)-\(number)", bodyBytes: bytes)
                if Int.random(in: 0..<8, using: &generator) == 0 {
                    harness.offer(
                        "\(round)-\(number)",
                        bodyBytes: bytes)
                }
            }
            switch Int.random(in: 0..<12, using: &generator) {
            case 0: harness.disk.faults = [.syncFails]
            case 1: harness.disk.faults = [.shortWrite(512 * Int.random(in: 1...18, using: &generator))]
            case 2: harness.disk.faults = [.placingFails]
            case 3: harness.disk.faults = [.syncFails, .syncFails]
            case 4: harness.disk.faults = [.writeFails(5)]
            default: harness.disk.faults = []
            }
            harness.commit()
            if harness.disk.hasCrashed { return }
        }
    }

    @Test(arguments: UInt64(1)...12) func losesNothingWhenThePowerFailsAtAnyCall(seed: UInt64) throws {
        let fixture = try LogFixture()
        let whole = JournalHarness(identity: fixture.identity, seed: seed)
        run(whole, seed: seed)
        check(try fixture.recover(whole.disk), whole, "seed \(seed) whole")
        for call in 1...whole.disk.callCount {
            let harness = JournalHarness(identity: fixture.identity, seed: seed)
            harness.disk.callsUntilCrash = call
            run(harness, seed: seed)
            #expect(harness.disk.hasCrashed)
            // The process alone dies: the page cache has everything.
            check(try fixture.recover(harness.disk), harness, "seed \(seed) call \(call) killed")
            harness.disk.cutPower()
            let outcome = try fixture.recover(harness.disk)
            check(outcome, harness, "seed \(seed) call \(call) cut")
        }
    }

    @Test(arguments: UInt64(20)...27) func recoveryTornByAnotherPowerCutComesToTheSameLog(seed: UInt64) throws {
        let fixture = try LogFixture()
        var generator = SeededRandom(seed)
        let whole = JournalHarness(identity: fixture.identity, seed: seed)
        run(whole, seed: seed)
        for call in stride(from: 2, through: whole.disk.callCount, by: 3) {
            let harness = JournalHarness(identity: fixture.identity, seed: seed)
            harness.disk.callsUntilCrash = call
            run(harness, seed: seed)
            harness.disk.cutPower()
            harness.disk.materialise(into: fixture.path)
            let before = fixture.logFiles
            let first = try fixture.recover()
            let after = fixture.logFiles
            // Every sector the recovery wrote is old or new; files it removed or renamed stay as they were or are gone.
            for _ in 0..<3 {
                for (name, old) in before where SegmentName.firstSequence(name) != nil {
                    guard var mixed = after[name] else { continue }
                    for sector in stride(from: 0, to: mixed.count, by: 512) where Bool.random(using: &generator) {
                        mixed.replaceSubrange(sector..<sector + 512, with: old[sector..<sector + 512])
                    }
                    TestFile.write(fixture.path + "/log/" + name, mixed)
                }
                let second = try fixture.recover()
                #expect(second.records == first.records)
                check(second, harness, "seed \(seed) call \(call) torn recovery")
            }
        }
    }

    @Test func windowOfDuplicatesSurvivesTheRestart() throws {
        let fixture = try LogFixture()
        let harness = JournalHarness(identity: fixture.identity)
        for number in 0..<20 { harness.offer("k\(number)") }
        harness.offer("none", window: 0)
        harness.commit()
        harness.disk.materialise(into: fixture.path)
        let settings = RecoverySettings(
            dedupEntryCount: 4096, dedupWindowSecondsMax: 3600, nowSeconds: UInt32(JournalHarness.start + 3599))
        let log = try Recovery.open(path: fixture.path, settings: settings)
        let inWindow = log.dedup.entryCount
        #expect(inWindow == 20)
        let folder = log.folder
        var journal = try log.makeJournal(segmentBytes: 64 << 10, groupBytes: 16 << 10, groupTicketCountMax: 8)
        let again = TestEvent.lend(key: "k7") { journal.offer($0, ticket: 1) }
        #expect(again == .duplicate(sequence: 8))
        let fresh = TestEvent.lend(key: "k20") { journal.offer($0, ticket: 2) }
        #expect(fresh == .appended(sequence: 22))
        withExtendedLifetime(folder) {}
    }

    /// Found by the simulator: a power cut keeps the first and the third record of a group and not the second; recovery
    /// cuts from the second on. The third was in the table already, and its sender was told of a duplicate.
    @Test func whatIsCutWithATornTailCountsAsNotSeen() throws {
        let fixture = try LogFixture()
        let harness = JournalHarness(identity: fixture.identity)
        for number in 0..<3 { harness.offer("k\(number)", bodyBytes: 1000) }
        harness.commit()
        harness.disk.materialise(into: fixture.path)
        var bytes = TestFile.read(fixture.logFile(1))
        // A sector in the middle of the second record, which begins some 1,200 bytes behind the header's block.
        bytes.replaceSubrange(5632..<6144, with: [UInt8](repeating: 0, count: 512))
        TestFile.write(fixture.logFile(1), bytes)
        let settings = RecoverySettings(
            dedupEntryCount: 4096, dedupWindowSecondsMax: 3600, nowSeconds: UInt32(JournalHarness.start + 10))
        let log = try Recovery.open(path: fixture.path, settings: settings)
        let (next, seen, isTorn) = (log.nextSequence, log.dedup.entryCount, log.report.tornTail != nil)
        #expect(isTorn && next == 2 && seen == 1)
        let folder = log.folder
        var journal = try log.makeJournal(segmentBytes: 64 << 10, groupBytes: 16 << 10, groupTicketCountMax: 8)
        let again = TestEvent.lend(key: "k2", bodyBytes: 1000) { journal.offer($0, ticket: 1) }
        #expect(again == .appended(sequence: 2))
        withExtendedLifetime(folder) {}
    }
    @Test func expiredRecordsAreNotTakenIntoTheTable() throws {
        let fixture = try LogFixture()
        let harness = JournalHarness(identity: fixture.identity)
        harness.offer("old")
        harness.commit()
        harness.wall += 3600
        harness.offer("new")
        harness.commit()
        harness.disk.materialise(into: fixture.path)
        let settings = RecoverySettings(
            dedupEntryCount: 64, dedupWindowSecondsMax: 3600, nowSeconds: UInt32(JournalHarness.start + 3600))
        let log = try Recovery.open(path: fixture.path, settings: settings)
        let count = log.dedup.entryCount
        #expect(count == 1)
    }
}
