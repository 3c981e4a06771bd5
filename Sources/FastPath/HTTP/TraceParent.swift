// The value of a `traceparent` field (W3C Trace Context, level 2): the one reading of it, for loops and for workers.
// Pure; no allocation, no lock.
//
// Invariants: what is malformed is none; a later version is read as far as this one goes (section 4).

package struct TraceParent: Equatable, Sendable {
    package var high: UInt64
    package var low: UInt64
    package var parent: UInt64
    package var flags: UInt8

    /// Of version 0; later ones may be longer.
    package static let plainBytes = 55

    package init?(_ value: ByteView) {
        guard value.count >= TraceParent.plainBytes, value[2] == UInt8(ascii: "-"), value[35] == UInt8(ascii: "-"),
            value[52] == UInt8(ascii: "-"), let version = TraceParent.number(value, 0, 2), version != 0xFF,
            let high = TraceParent.number(value, 3, 16), let low = TraceParent.number(value, 19, 16),
            let parent = TraceParent.number(value, 36, 16), let flags = TraceParent.number(value, 53, 2)
        else { return nil }
        // Later versions may have more behind the flags.
        let isLonger = value.count > TraceParent.plainBytes
        guard !isLonger || version > 0 && value[TraceParent.plainBytes] == UInt8(ascii: "-") else { return nil }
        guard high | low != 0, parent != 0 else { return nil }
        self.high = high
        self.low = low
        self.parent = parent
        self.flags = UInt8(flags)
    }
    /// Lower-case digits only, as the specification has it.
    private static func number(_ value: ByteView, _ start: Int, _ count: Int) -> UInt64? {
        var number: UInt64 = 0
        for index in start..<start + count {
            let byte = value[index]
            switch byte {
            case 48...57: number = number << 4 | UInt64(byte - 48)
            case 97...102: number = number << 4 | UInt64(byte - 87)
            default: return nil
            }
        }
        return number
    }
}
