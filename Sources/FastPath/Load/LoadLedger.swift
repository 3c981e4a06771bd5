// What became of each event, one byte each, in memory taken before the run. Passive.
//
// Invariants: an event once accepted stays so, whatever a later duplicate of it is answered; events beyond the capacity
// are counted, never written. If they fail, the proof calls a loss what was none, or the other way round.
// Safety: owns its memory; every index is compared with the capacity.
import CShims

package enum LoadEventState: UInt8, CaseIterable, Sendable {
    case unsent
    /// Sent, and nobody answered: it may or may not have been kept.
    case unknown
    case refused, accepted
    /// A request that must not be accepted was sent; and was accepted.
    case forged, forgedAccepted
}

@safe package final class LoadLedger: @unchecked Sendable {
    package let capacity: Int
    private let states: UnsafeMutablePointer<UInt8>
    private let memory: MappedMemory

    package init(capacity: Int) throws(OutOfMemory) {
        self.capacity = capacity
        memory = try MappedMemory(byteCount: max(capacity, 1))
        unsafe states = memory.base
    }
    /// For the loop, which writes it alone; readers come after its end.
    package var writer: LoadLedgerWriter { unsafe LoadLedgerWriter(states: states, capacity: capacity) }
    package func state(of event: UInt64) -> LoadEventState? {
        guard event < UInt64(capacity) else { return nil }
        return unsafe LoadEventState(rawValue: states[Int(event)])
    }
}

/// The ledger without its reference, which a loop would count at each use. Valid as long as the ledger lives.
@safe package struct LoadLedgerWriter {
    fileprivate let states: UnsafeMutablePointer<UInt8>
    fileprivate let capacity: Int

    @inline(__always) package func note(_ event: UInt64, _ state: LoadEventState) {
        guard event < UInt64(capacity) else { return }
        let place = Int(event)
        if unsafe state.rawValue > states[place] { unsafe states[place] = state.rawValue }
    }
}

/// The text that every event carries in its body (and in its id header, where there is one), by which it is known
/// wherever it comes out again: `sluiceload-`, eight digits of the run, `-`, twelve of the event, all hexadecimal.
package enum LoadEventText {
    package static let byteCount = 32
    package static let prefix = "sluiceload-"
    /// Where its two numbers stand.
    static var run: ByteRange { ByteRange(start: 11, count: 8) }
    static var event: ByteRange { ByteRange(start: 20, count: 12) }

    /// Safety: `memory` has 32 bytes.
    @inline(__always) static func write(run: UInt32, event: UInt64, into memory: UnsafeMutablePointer<UInt8>) {
        let text: StaticString = "sluiceload-"
        for index in 0..<11 { unsafe memory[index] = text.utf8Start[index] }
        unsafe hex(UInt64(run), digits: 8, into: memory + 11)
        unsafe memory[19] = 0x2D
        unsafe hex(event, digits: 12, into: memory + 20)
    }
    @inline(__always) private static func hex(_ value: UInt64, digits: Int, into memory: UnsafeMutablePointer<UInt8>) {
        var rest = value
        for index in stride(from: digits - 1, through: 0, by: -1) {
            let nibble = UInt8(truncatingIfNeeded: rest & 15)
            unsafe memory[index] = nibble < 10 ? 48 + nibble : 87 + nibble
            rest >>= 4
        }
    }
    package static func text(run: UInt32, event: UInt64) -> String {
        unsafe String(
            decoding: [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
                unsafe write(run: run, event: event, into: buffer.baseAddress!)
                count = byteCount
            }, as: UTF8.self)
    }
    /// The first such text in `bytes`; nil when there is none.
    package static func find(in bytes: ByteView) -> (run: UInt32, event: UInt64)? {
        let text: StaticString = "sluiceload-"
        var place = 0
        while place + byteCount <= bytes.count {
            let found = unsafe sluice_bytes_find(
                bytes.base + place, bytes.count - place, UnsafeRawPointer(text.utf8Start), text.utf8CodeUnitCount)
            guard found >= 0, place + found + byteCount <= bytes.count else { return nil }
            place += found
            if let run = number(bytes.slice(place + 11, 8)), bytes[place + 19] == 0x2D,
                let event = number(bytes.slice(place + 20, 12))
            {
                return (UInt32(run), event)
            }
            place += 11
        }
        return nil
    }
    private static func number(_ digits: ByteView) -> UInt64? {
        var value: UInt64 = 0
        for index in 0..<digits.count {
            let byte = digits[index]
            let digit: UInt8
            switch byte {
            case 48...57: digit = byte - 48
            case 97...102: digit = byte - 87
            default: return nil
            }
            value = value << 4 | UInt64(digit)
        }
        return value
    }
}
