// When requests are to be sent, as data: the rate over time in straight pieces, and the time of each arrival. Passive.
//
// An arrival's intended time follows from its number alone. So the arrivals that wait for a connection need no queue:
// they are the numbers between the last one sent and the last one due, however many that are, and none of them loses
// its intended time (no coordinated omission).
//
// Invariants: pieces follow each other without a gap; arrival n comes where the integral of the rate reaches n; times
// never go back. If they fail, latencies are counted from the wrong time.
// Safety: the pieces lie in memory this class owns, never written after `init`.
import CShims

/// The rate runs in a straight line from `rateAtStart` to `rateAtEnd`, both a second.
package struct LoadPiece: Equatable, Sendable {
    package var nanos: UInt64
    package var rateAtStart: Double
    package var rateAtEnd: Double

    package init(nanos: UInt64, rateAtStart: Double, rateAtEnd: Double) {
        self.nanos = nanos
        self.rateAtStart = rateAtStart
        self.rateAtEnd = rateAtEnd
    }
}

@safe package final class LoadSchedule: @unchecked Sendable {
    struct CompiledPiece {
        let start: Double
        let seconds: Double
        let rate: Double
        let slope: Double
        /// The integral of the rate up to the piece's start and its end.
        let before: Double
        let after: Double
    }
    let places: UnsafeMutablePointer<CompiledPiece>
    let placeCount: Int
    package let nanos: UInt64
    /// Arrivals of the whole schedule.
    package let arrivalCount: UInt64

    package init(_ pieces: [LoadPiece]) {
        precondition(!pieces.isEmpty)
        placeCount = pieces.count
        unsafe places = .allocate(capacity: pieces.count)
        var (start, total, end) = (0.0, 0.0, UInt64(0))
        for (index, piece) in pieces.enumerated() {
            precondition(piece.nanos > 0 && piece.rateAtStart >= 0 && piece.rateAtEnd >= 0)
            let seconds = Double(piece.nanos) / 1e9
            let more = (piece.rateAtStart + piece.rateAtEnd) / 2 * seconds
            unsafe (places + index).initialize(
                to: CompiledPiece(
                    start: start, seconds: seconds, rate: piece.rateAtStart,
                    slope: (piece.rateAtEnd - piece.rateAtStart) / seconds, before: total, after: total + more))
            total += more
            end += piece.nanos
            start = Double(end) / 1e9
        }
        nanos = end
        // A thousandth less, so that the sum's rounding adds no arrival.
        arrivalCount = total > 0.001 ? UInt64((total - 0.001).rounded(.up)) : 0
    }
    deinit { unsafe places.deallocate() }
}

/// Walks a schedule forward: the arrival to be sent next, and how many are due.
@safe package struct LoadCursor: ~Copyable {
    private let schedule: LoadSchedule
    private let places: UnsafeMutablePointer<LoadSchedule.CompiledPiece>
    private var place = 0
    private var duePlace = 0
    /// The number of the arrival to be sent next.
    package private(set) var number: UInt64 = 0
    /// Its time in nanoseconds from the start; `.max` when there is none.
    package private(set) var nextNanos: UInt64 = 0

    package init(_ schedule: LoadSchedule) {
        self.schedule = schedule
        unsafe places = schedule.places
        seek()
    }
    @inline(__always) package mutating func advance() {
        number += 1
        seek()
    }
    private mutating func seek() {
        guard number < schedule.arrivalCount else {
            nextNanos = .max
            return
        }
        let wanted = Double(number)
        while place + 1 < schedule.placeCount, unsafe places[place].after <= wanted { place += 1 }
        let at = unsafe places + place
        let missing = unsafe max(0, wanted - at.pointee.before)
        var seconds = 0.0
        if missing > 0 {
            // The root of slope/2·x² + rate·x = missing, in the form that does not cancel.
            let square = unsafe at.pointee.rate * at.pointee.rate + 2 * at.pointee.slope * missing
            let root = sluice_square_root(max(0, square))
            seconds = unsafe min(2 * missing / (at.pointee.rate + root), at.pointee.seconds)
        }
        nextNanos = unsafe max(nextNanos, UInt64((at.pointee.start + seconds) * 1e9))
    }
    /// How many arrivals have a time of at most `nanos`. `nanos` never goes back.
    package mutating func dueCount(at nanos: UInt64) -> UInt64 {
        guard nanos < schedule.nanos else { return schedule.arrivalCount }
        let time = Double(nanos) / 1e9
        while duePlace + 1 < schedule.placeCount, unsafe places[duePlace + 1].start <= time { duePlace += 1 }
        let at = unsafe places + duePlace
        let passed = unsafe min(max(0, time - at.pointee.start), at.pointee.seconds)
        let integral = unsafe at.pointee.before + passed * (at.pointee.rate + at.pointee.slope * passed / 2)
        guard unsafe integral > 0 || at.pointee.rate > 0 else { return 0 }
        return min(UInt64(integral) + 1, schedule.arrivalCount)
    }
}
