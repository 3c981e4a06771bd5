// The journal on a simulated disk: offers, commits, receipts, and every way a commit can go wrong.

import FastPath
import TestSupport
import Testing

@Suite struct LogJournalTests {
    static let identity = LogIdentity(identity: 0xAB, seed: 1, tagKey0: 2, tagKey1: 3)

    @Test func givesReceiptsOnlyAfterTheCommit() {
        let harness = JournalHarness(identity: Self.identity)
        #expect(harness.offer("a") == .appended(sequence: 1))
        #expect(harness.offer("b") == .appended(sequence: 2))
        #expect(harness.kept.isEmpty && harness.journal.committedSequence == 0)
        #expect(harness.commit())
        #expect(harness.kept == [Promise(sequence: 1, key: "a"), Promise(sequence: 2, key: "b")])
        #expect(harness.journal.committedSequence == 2)
        #expect(!harness.commit())
    }

    @Test func answersADuplicateOnDiskAtOnceAndLetsOneInFlightWait() {
        let harness = JournalHarness(identity: Self.identity)
        harness.offer("a")
        #expect(harness.offer("a") == .pending(sequence: 1))
        harness.replenish()
        let step = harness.journal.beginCommit()!
        // Now the original is in the committing group, and a new one fills.
        #expect(harness.offer("a") == .pending(sequence: 1))
        #expect(harness.offer("b") == .appended(sequence: 2))
        #expect(harness.offer("b") == .pending(sequence: 2))
        let result = harness.disk.perform(step)
        guard
            case .committed = harness.journal.commitCompleted(
                placed: result.placed, written: result.written, synced: result.synced)
        else {
            Issue.record("not committed")
            return
        }
        harness.drain()
        #expect(harness.kept == [Promise(sequence: 1, key: "a")])
        #expect(harness.duplicates == [Promise(sequence: 1, key: "a"), Promise(sequence: 1, key: "a")])
        #expect(harness.offer("a") == .duplicate(sequence: 1))
        harness.commit()
        #expect(harness.kept.last == Promise(sequence: 2, key: "b"))
    }

    @Test func windowOfZeroMeansNoDuplicates() {
        let harness = JournalHarness(identity: Self.identity)
        #expect(harness.offer("a", window: 0) == .appended(sequence: 1))
        #expect(harness.offer("a", window: 0) == .appended(sequence: 2))
        harness.commit()
        #expect(harness.offer("a", window: 0) == .appended(sequence: 3))
        #expect(harness.journal.dedupEntryCount == 0)
    }

    @Test func eventAfterItsWindowIsANewOne() {
        let harness = JournalHarness(identity: Self.identity)
        harness.offer("a")
        harness.commit()
        harness.wall += UInt64(JournalHarness.window)
        #expect(harness.offer("a") == .appended(sequence: 2))
        harness.commit()
        #expect(harness.offer("a") == .duplicate(sequence: 2))
    }

    @Test func aClockSetBackMakesNoWindowLonger() {
        let harness = JournalHarness(identity: Self.identity)
        let window = UInt64(JournalHarness.window)
        harness.wall += 100 * window
        harness.offer("a")
        harness.commit()
        harness.wall -= 50 * window
        #expect(harness.offer("a") == .duplicate(sequence: 1))
        harness.wall += window - 1
        #expect(harness.offer("a") == .duplicate(sequence: 1))
        harness.wall += 1
        #expect(harness.offer("a") == .appended(sequence: 2), "a window after it came")
    }

    @Test func ticketZeroWantsNoReceipt() {
        let harness = JournalHarness(identity: Self.identity)
        harness.offer("a", wantsReceipt: false)
        #expect(harness.offer("a", wantsReceipt: false) == .pending(sequence: 1))
        harness.commit()
        #expect(harness.kept.isEmpty && harness.duplicates.isEmpty)
        #expect(harness.journal.committedSequence == 1)
    }

    @Test func refusesWhenTheGroupIsFullAndStillKnowsDuplicates() {
        let harness = JournalHarness(identity: Self.identity, ticketCount: 4)
        for key in ["a", "b", "c", "d"] { harness.offer(key) }
        #expect(harness.offer("e") == .refused(.groupFull))
        #expect(harness.offer("a") == .refused(.groupFull))
        harness.commit()
        #expect(harness.offer("e") == .appended(sequence: 5))
        #expect(harness.offer("x", bodyBytes: JournalHarness.groupBytes - 400) == .refused(.groupFull))
        #expect(harness.offer("y", bodyBytes: JournalHarness.groupBytes) == .refused(.tooLarge))
        #expect(harness.offer("a") == .duplicate(sequence: 1))
    }

    @Test func rollsToANewSegmentWhenTheGroupDoesNotFit() {
        let harness = JournalHarness(identity: Self.identity)
        for number in 0..<40 {
            harness.offer("k\(number)", bodyBytes: 5000)
            harness.commit()
        }
        let names = Set(harness.disk.files.values.map(\.name).filter { $0.hasSuffix(".log") })
        #expect(names.count >= 5)
        #expect(harness.journal.segmentGeneration == UInt64(names.count))
        #expect(harness.kept.map(\.sequence) == Array(1...40))
    }

    @Test func shortWriteIsContinuedAndItsCancelledSyncIsNotTakenAsDone() {
        let harness = JournalHarness(identity: Self.identity)
        harness.offer("a", bodyBytes: 9000)
        harness.disk.faults = [.shortWrite(700), .shortWrite(5000), .interrupted]
        #expect(harness.commit())
        #expect(harness.kept.count == 1)
        #expect(harness.disk.faults.isEmpty)
        #expect(harness.disk.files.values.allSatisfy { $0.dirty.isEmpty && $0.cached == $0.durable })
        #expect(harness.journal.segmentFailureCount == 0)
    }

    @Test func cancelledSyncOfAWholeWriteIsAskedForAgain() {
        let harness = JournalHarness(identity: Self.identity)
        harness.offer("a")
        harness.disk.faults = [.syncCancelled]
        #expect(harness.commit())
        #expect(harness.kept.count == 1 && harness.disk.faults.isEmpty)
        #expect(harness.disk.files.values.allSatisfy { $0.cached == $0.durable })
    }

    @Test func writesThatNeverAdvanceAreGivenUp() {
        let harness = JournalHarness(identity: Self.identity)
        harness.offer("a")
        harness.disk.faults = Array(repeating: .interrupted, count: 100)
        #expect(harness.commit())
        #expect(harness.failed.count == 1 && harness.journal.state == .failed)
    }

    @Test(arguments: [DiskFault.syncFails, .writeFails(5), .writeFails(28), .placingFails])
    func failedSegmentIsLeftAndTheGroupGoesToAnother(fault: DiskFault) {
        let harness = JournalHarness(identity: Self.identity)
        harness.offer("a")
        if fault != .placingFails { harness.commit() }
        harness.offer("b")
        harness.disk.faults = [fault]
        #expect(harness.commit())
        #expect(harness.kept.map(\.key) == ["a", "b"])
        #expect(harness.failed.isEmpty && harness.journal.state == .open)
        #expect(harness.journal.segmentFailureCount == 1)
        #expect(harness.disk.syncAfterFailureCount == 0)
    }

    @Test func secondFailureRefusesUntilASpareCanBePreparedAgain() {
        let harness = JournalHarness(identity: Self.identity)
        harness.offer("a")
        harness.commit()
        harness.offer("b")
        harness.offer("b")
        harness.sparesFail = true
        harness.disk.faults = [.syncFails, .syncFails]
        #expect(harness.commit())
        #expect(harness.failed.map(\.key) == ["b", "b"])
        #expect(harness.journal.state == .failed && harness.journal.committedSequence == 1)
        #expect(harness.offer("c") == .refused(.failed))
        #expect(harness.offer("a") == .duplicate(sequence: 1))
        harness.replenish()
        #expect(harness.offer("b") == .refused(.failed))
        harness.sparesFail = false
        harness.replenish()
        #expect(harness.journal.state == .open)
        // Its claim was freed with its group, so the sender's retry is a new event.
        #expect(harness.offer("b") == .appended(sequence: 2))
        harness.commit()
        #expect(harness.kept.map(\.key) == ["a", "b"])
        #expect(harness.disk.syncAfterFailureCount == 0)
    }

    @Test func failureTakesTheFillingGroupWithIt() {
        let harness = JournalHarness(identity: Self.identity)
        harness.offer("a")
        harness.replenish()
        let step = harness.journal.beginCommit()!
        harness.offer("b")
        harness.offer("a")
        harness.disk.faults = [.syncFails, .syncFails]
        var next = step
        loop: while true {
            let result = harness.disk.perform(next)
            switch harness.journal.commitCompleted(
                placed: result.placed, written: result.written,
                synced: result.synced)
            {
            case .continueWith(let more): next = more
            case .committed, .failed: break loop
            }
        }
        #expect(harness.offer("z") == .refused(.failed))
        harness.drain()
        #expect(harness.failed.map(\.key).sorted() == ["a", "a", "b"])
        #expect(harness.journal.dedupEntryCount == 0)
        harness.replenish()
        #expect(harness.offer("b") == .appended(sequence: 1))
    }

    @Test func aLostSegmentsEventsCountAsNotSeenAndNothingGoesToItAnyMore() {
        let harness = JournalHarness(identity: Self.identity)
        harness.offer("a")
        harness.commit()
        harness.offer("b")
        let isToldNow = harness.journal.logLost(from: 1)
        #expect(isToldNow)
        harness.drain()
        #expect(harness.failed.map(\.key) == ["b"] && harness.journal.state == .failed)
        #expect(harness.journal.dedupEntryCount == 0)
        let spare = harness.journal.nextUnusedSpare()
        #expect(harness.journal.currentSegment == nil && spare == nil)
        #expect(harness.offer("a") == .refused(.failed), "it is no duplicate of what is gone")
        harness.replenish()
        #expect(harness.offer("a") == .appended(sequence: 2))
        harness.commit()
        #expect(harness.kept.map(\.key) == ["a", "a"] && harness.journal.currentSegment?.firstSequence == 2)
    }

    @Test func aGroupOnItsWayToALostSegmentHasFailedWhateverTheDiskSays() {
        let harness = JournalHarness(identity: Self.identity)
        harness.offer("a")
        harness.commit()
        harness.offer("b")
        let step = harness.journal.beginCommit()!
        harness.offer("c")
        let isToldNow = harness.journal.logLost(from: 2)
        #expect(!isToldNow, "receipts come with the outcome")
        let result = harness.disk.perform(step)
        let outcome = harness.journal.commitCompleted(
            placed: result.placed, written: result.written, synced: result.synced)
        guard case .failed = outcome else {
            Issue.record("acknowledged from a segment that is gone")
            return
        }
        harness.drain()
        #expect(harness.failed.map(\.key).sorted() == ["b", "c"] && harness.journal.committedSequence == 1)
        #expect(harness.offer("a") == .duplicate(sequence: 1), "its segment is still there")
    }

    @Test func refusesWhenNoSegmentCanTakeTheEvent() {
        let harness = JournalHarness(identity: Self.identity)
        harness.sparesFail = true
        var verdict = OfferOutcome.appended(sequence: 0)
        var count = 0
        while case .appended = verdict {
            verdict = harness.offer("k\(count)", bodyBytes: 5000)
            harness.commit()
            count += 1
            if count > 1000 { break }
        }
        #expect(verdict == .refused(.noSegment))
        #expect(harness.kept.count == count - 1)
        #expect(harness.offer("k0") == .duplicate(sequence: 1))
        harness.sparesFail = false
        harness.replenish()
        #expect(harness.offer("after") == .appended(sequence: UInt64(count)))
        harness.commit()
        #expect(harness.kept.last?.key == "after")
    }

    @Test func drainingTakesNothingNewAndCommitsTheRest() {
        let harness = JournalHarness(identity: Self.identity)
        harness.offer("a")
        harness.journal.beginDrain()
        #expect(harness.offer("b") == .refused(.draining))
        #expect(harness.offer("a") == .pending(sequence: 1))
        #expect(harness.journal.isIdle == false)
        harness.commit()
        #expect(harness.kept.count == 1 && harness.duplicates.count == 1)
        #expect(harness.journal.isIdle == true)
    }

    @Test func sequencesStayRightNearTheirMaximum() {
        let start = UInt64.max - 40
        let harness = JournalHarness(identity: Self.identity, nextSequence: start)
        for number in 0..<30 {
            #expect(harness.offer("k\(number)", bodyBytes: 3000) == .appended(sequence: start + UInt64(number)))
            harness.commit()
        }
        #expect(harness.offer("k29") == .duplicate(sequence: start + 29))
        #expect(harness.kept.count == 30)
    }
}
