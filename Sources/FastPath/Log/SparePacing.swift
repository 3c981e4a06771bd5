// How fast the zeros of a spare segment are written: the disk that takes them is the one that commits wait for, so a
// spare is hurried as much as it is needed and no more. Pure.
//
// Invariant: with a spare in hand none is left unfilled; with fewer than half of the wanted ones none is held back.

/// How a spare is filled.
package enum SparePace: Sendable {
    /// At the disk's speed: somebody waits for it, or soon will.
    case full
    /// In pieces with pauses: there is time, and the disk that takes the zeros is the one that commits wait for.
    case slow
    /// There is no time: the blocks are allocated and the rest is left to the first writes. What is allocated reads as
    /// zeros too, only its first sync is slower (133 against 73 µs here).
    case behind
}

package struct SparePacing: Sendable {
    package static let pieceBytesMin = 256 << 10
    package static let pieceBytesMax = 2 << 20
    private let targetCount: Int
    private let segmentBytes: Int

    /// `targetCount`: how many are kept ready.
    package init(targetCount: Int, segmentBytes: Int) {
        self.targetCount = targetCount
        self.segmentBytes = segmentBytes
    }

    /// Asked before each piece. `wantedCount`: how many are missing, the one that is filled among them; `doneBytes` of
    /// that; `grownBytes`: how far the log has come since its filling began; `usedBytes` of the segment in use.
    package func pace(wantedCount: Int, doneBytes: Int, grownBytes: Int, usedBytes: Int) -> SparePace {
        let readyCount = max(0, targetCount - wantedCount)
        if readyCount == 0 { return usedBytes > segmentBytes / 16 * 15 ? .behind : .full }
        guard 2 * readyCount >= targetCount else { return .full }
        // Four of six are no hurry: a quarter faster than they are used up. With half of them, twice as fast.
        let isCalm = 3 * readyCount >= 2 * targetCount
        return doneBytes < grownBytes * (isCalm ? 5 : 8) / 4 ? .full : .slow
    }
    /// How much of it one write takes. `groupBytes`: of the last commit. A commit that comes meanwhile waits for the
    /// disk behind the piece, so it is no longer than four commits are; each piece has its price (190 µs of processor
    /// time here, whatever its size), so it is no shorter either.
    package static func pieceBytes(groupBytes: Int) -> Int {
        let wanted = RecordFormat.roundUp(4 * max(0, groupBytes), to: pieceBytesMin)
        return min(max(pieceBytesMin, wanted), pieceBytesMax)
    }
}
