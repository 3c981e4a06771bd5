// Sizes (`1MiB`) and times (`5m`, `1h30m`) as the configuration and the command line spell them, both ways. Pure
// functions.
// Invariant: `parse(text(of: x)) == x`; nothing is rounded and nothing wraps: what does not fit an Int is rejected.

package enum ByteSize {
    private static let units: [(name: String, bytes: Int)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
    ]

    /// Bytes, or nil. A bare number is bytes; units are binary and spelled out, so that `1M` is never a guess.
    package static func parse(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard !digits.isEmpty, let number = Int(digits) else { return nil }
        let unit = text.dropFirst(digits.count)
        if unit.isEmpty { return number }
        guard let factor = units.first(where: { $0.name == unit })?.bytes else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : bytes
    }
    /// The largest unit that divides it: `1MiB`, `1500B`.
    package static func text(of bytes: Int) -> String {
        for unit in units where bytes != 0 && bytes % unit.bytes == 0 { return "\(bytes / unit.bytes)\(unit.name)" }
        return "\(bytes)B"
    }
    /// Two digits of precision for people: `1.3 GiB`.
    package static func approximate(_ bytes: Int) -> String {
        for unit in units where unit.bytes > 1 && bytes >= unit.bytes {
            let tenths = bytes / (unit.bytes / 10)
            return tenths >= 100 ? "\(bytes / unit.bytes) \(unit.name)" : "\(tenths / 10).\(tenths % 10) \(unit.name)"
        }
        return "\(bytes) B"
    }
}

package enum TimeSpan {
    private static let units: [(name: String, millis: Int)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ]

    /// Milliseconds, or nil. Every number has its unit; parts add up from the largest to the smallest (`1h30m`).
    package static func parse(_ text: String) -> Int? {
        var rest = text[...]
        var total = 0
        var lastUnit = Int.max
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard !digits.isEmpty, let number = Int(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            let name = rest.prefix { !$0.isNumber }
            rest = rest.dropFirst(name.count)
            guard let unit = units.first(where: { $0.name == name })?.millis, unit < lastUnit else { return nil }
            lastUnit = unit
            let (part, partOverflow) = number.multipliedReportingOverflow(by: unit)
            let (sum, sumOverflow) = total.addingReportingOverflow(part)
            guard !partOverflow, !sumOverflow else { return nil }
            total = sum
        }
        return total
    }
    /// One unit where that is short (`70s`, `90m`, `7d`), else several (`1d1h1m1s1ms`).
    package static func text(of millis: Int) -> String {
        guard millis > 0 else { return "0s" }
        for unit in units where millis % unit.millis == 0 && millis / unit.millis < 10_000 {
            return "\(millis / unit.millis)\(unit.name)"
        }
        var rest = millis
        var text = ""
        for unit in units where rest >= unit.millis {
            text += "\(rest / unit.millis)\(unit.name)"
            rest %= unit.millis
        }
        return text
    }
}
