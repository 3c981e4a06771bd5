// The zeros of a spare are hurried as much as the spare is needed: over the whole range of what is ready, and in a
// model of a log that grows while they are written.

import FastPath
import Testing

private let mebibyte = 1 << 20
private let segment = 64 << 20

@Suite struct SparePacingTests {
    private let six = SparePacing(targetCount: 6, segmentBytes: segment)
    private let two = SparePacing(targetCount: 2, segmentBytes: segment)

    @Test func fourOfSixAreNoHurry() {
        for wanted in 1...2 {
            func pace(_ done: Int) -> SparePace {
                six.pace(wantedCount: wanted, doneBytes: done, grownBytes: 8 * mebibyte, usedBytes: segment)
            }
            #expect(pace(10 * mebibyte - 1) == .full && pace(10 * mebibyte) == .slow)
        }
    }
    @Test func halfOfThemAreSomeAndLessAreMuch() {
        for (pacing, wanted) in [(six, 3), (two, 1)] {
            func pace(_ done: Int) -> SparePace {
                pacing.pace(wantedCount: wanted, doneBytes: done, grownBytes: 8 * mebibyte, usedBytes: segment)
            }
            #expect(pace(16 * mebibyte - 1) == .full && pace(16 * mebibyte) == .slow)
        }
        for wanted in 4...5 {
            #expect(six.pace(wantedCount: wanted, doneBytes: segment, grownBytes: 0, usedBytes: segment) == .full)
        }
    }
    @Test func withNoneLeftZerosAreWrittenWhileThereIsTime() {
        for (pacing, wanted) in [(six, 6), (six, 9), (two, 2), (two, 9)] {
            func pace(_ used: Int) -> SparePace {
                pacing.pace(wantedCount: wanted, doneBytes: 0, grownBytes: 0, usedBytes: used)
            }
            #expect(pace(0) == .full && pace(segment / 16 * 15) == .full && pace(segment / 16 * 15 + 1) == .behind)
        }
        #expect(six.pace(wantedCount: 5, doneBytes: 0, grownBytes: 0, usedBytes: segment) == .full, "one is left")
    }
    @Test func aLogThatStandsStillIsNotHurriedFor() {
        #expect(six.pace(wantedCount: 1, doneBytes: 0, grownBytes: 0, usedBytes: 0) == .slow)
    }

    @Test func aPieceIsAsLongAsFourCommitsWithinItsBounds() {
        let expected = [
            (-1, 256), (0, 256), (4 << 10, 256), (64 << 10, 256), (68 << 10, 512), (128 << 10, 512),
            (132 << 10, 768), (256 << 10, 1024), (512 << 10, 2048), (8 << 20, 2048)]
        for (group, kibibytes) in expected {
            #expect(SparePacing.pieceBytes(groupBytes: group) == kibibytes << 10, "a group of \(group) bytes")
        }
    }

    /// A log that grows steadily, and a disk that could write zeros much faster.
    @Test(arguments: [40, 200, 430]) func keepsUpWithALogAndLeavesItTheDisk(megabytesASecond: Int) {
        let pauseMillis = 20
        var (ready, done, grown, used) = (6, 0, 0, 0)
        var (fillBegun, pauseLeft) = (0, 0)
        var (leastReady, zeros, zerosBefore) = (6, 0, 0)
        for millis in 1...60_000 {
            grown += megabytesASecond * 1000
            used += megabytesASecond * 1000
            if used >= segment {
                used -= segment
                ready -= 1
                leastReady = min(leastReady, ready)
            }
            pauseLeft = max(0, pauseLeft - 1)
            if millis % 100 == 0 {
                // Never a burst: a quarter more than the log takes, and the pieces that a pause ends with.
                #expect(zeros - zerosBefore <= megabytesASecond * 125_000 + 16 * mebibyte)
                zerosBefore = zeros
            }
            // A piece takes a millisecond of the disk's.
            guard ready < 6, pauseLeft == 0 else { continue }
            if done == 0 { fillBegun = grown }
            let pace = six.pace(
                wantedCount: 6 - ready, doneBytes: done, grownBytes: grown - fillBegun, usedBytes: used)
            if pace == .slow { pauseLeft = pauseMillis }
            done += mebibyte
            zeros += mebibyte
            if done >= segment { (done, ready) = (0, ready + 1) }
        }
        #expect(leastReady >= 4, "it never came near to being late")
        #expect(abs(zeros - grown) <= 3 * segment)
    }
}
