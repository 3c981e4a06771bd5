// Ranges of addresses, compiled: sorted, disjoint, searched by bisection. Trivial, so that a loop asks it without
// allocation or reference counts.
//
// Invariant: an IPv4-mapped IPv6 address is the IPv4 address it maps, in what is compiled and in what is asked.
// Safety: points into the `CompiledMemory` given at compilation and is valid as long as that lives.

@safe package struct AddressSet: @unchecked Sendable {
    struct Range {
        var first: UInt128
        var last: UInt128
    }
    private let v4: UnsafePointer<Range>
    private let v4Count: Int
    private let v6: UnsafePointer<Range>
    private let v6Count: Int
    /// Whether a peer on a local socket, which has no address, is in the set.
    package let takesLocal: Bool

    package var isEmpty: Bool { v4Count == 0 && v6Count == 0 && !takesLocal }

    package init(_ ranges: [CIDR], takesLocal: Bool = false, in memory: CompiledMemory) {
        let v4 = AddressSet.merged(ranges.compactMap { AddressSet.range($0, .v4) })
        let v6 = AddressSet.merged(ranges.compactMap { AddressSet.range($0, .v6) })
        unsafe self.v4 = UnsafePointer(memory.place(v4))
        v4Count = v4.count
        unsafe self.v6 = UnsafePointer(memory.place(v6))
        v6Count = v6.count
        self.takesLocal = takesLocal
    }

    private static func range(_ range: CIDR, _ family: IPAddress.Family) -> Range? {
        var base = range.base
        var bits = range.prefixBits
        if base.family == .v6, base.unmapped.family == .v4, bits >= 96 {
            base = base.unmapped
            bits -= 96
        }
        guard base.family == family else { return nil }
        let width = base.bitCount - bits
        let first = value(base)
        return Range(first: first, last: width == 128 ? .max : first | ((1 << UInt128(width)) - 1))
    }
    @inline(__always) private static func value(_ address: IPAddress) -> UInt128 {
        UInt128(address.high) << 64 | UInt128(address.low)
    }
    private static func merged(_ ranges: [Range]) -> [Range] {
        var result: [Range] = []
        for range in ranges.sorted(by: { $0.first < $1.first }) {
            if let last = result.last, range.first <= last.last || range.first == last.last &+ 1 {
                result[result.count - 1].last = max(last.last, range.last)
            } else {
                result.append(range)
            }
        }
        return result
    }

    @_noAllocation @_noLocks package func contains(_ address: IPAddress) -> Bool {
        let address = address.unmapped
        let ranges = unsafe address.family == .v4 ? v4 : v6
        let value = AddressSet.value(address)
        var low = 0
        var high = address.family == .v4 ? v4Count : v6Count
        while low < high {
            let middle = (low + high) / 2
            if unsafe value < ranges[middle].first {
                high = middle
            } else if unsafe value > ranges[middle].last {
                low = middle + 1
            } else {
                return true
            }
        }
        return false
    }
}
