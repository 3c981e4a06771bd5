// Numbers of JSON as they are written, compared by their value and not by what a machine makes of it: 0.1 is 0.10 and
// 1e-1, and 9007199254740993 is greater than 9007199254740992. O(length); no length is too much.

import FastPath

/// A number where it stands. Trivial.
struct DecimalNumber {
    private let text: ByteView
    private let isNegative: Bool
    /// The first and the last digit that is not zero; none when it is zero.
    private let first: Int
    private let last: Int
    /// It is 0.DIGITS × 10^scale.
    private let scale: Int
    /// Beyond it exponents are one and the same.
    private static let exponentMax = 1_000_000_000_000

    /// Nil when it is none (RFC 8259 §6).
    init?(_ text: ByteView) {
        var place = 0
        func digit() -> Bool { place < text.count && text[place] &- 0x30 < 10 }
        isNegative = text.count > 0 && text[0] == UInt8(ascii: "-")
        if isNegative { place = 1 }
        let start = place
        while digit() { place += 1 }
        let wholeEnd = place
        guard wholeEnd > start, wholeEnd == start + 1 || text[start] != 0x30 else { return nil }
        if place < text.count, text[place] == UInt8(ascii: ".") {
            place += 1
            let fraction = place
            while digit() { place += 1 }
            guard place > fraction else { return nil }
        }
        let end = place
        guard let exponent = DecimalNumber.exponent(text, at: place) else { return nil }
        var first = -1
        var last = -1
        for index in start..<end where text[index] != 0x30 && text[index] != UInt8(ascii: ".") {
            if first < 0 { first = index }
            last = index
        }
        self.text = text
        self.first = first
        self.last = last
        // Behind the point the first place is -1, as the one before it is 1.
        scale = first < 0 ? 0 : (first < wholeEnd ? wholeEnd - first : wholeEnd + 1 - first) + exponent
    }
    /// 0 where there is none; nil where what stands there is no exponent.
    private static func exponent(_ text: ByteView, at start: Int) -> Int? {
        guard start < text.count else { return 0 }
        var place = start
        guard text[place] | 0x20 == UInt8(ascii: "e") else { return nil }
        place += 1
        var isNegative = false
        if place < text.count, text[place] == UInt8(ascii: "-") || text[place] == UInt8(ascii: "+") {
            isNegative = text[place] == UInt8(ascii: "-")
            place += 1
        }
        guard place < text.count else { return nil }
        var value = 0
        while place < text.count {
            let digit = text[place] &- 0x30
            guard digit < 10 else { return nil }
            value = min(value * 10 + Int(digit), exponentMax)
            place += 1
        }
        return isNegative ? -value : value
    }

    /// Below, at or above 0: this one is less, the same or greater.
    func compared(to other: DecimalNumber) -> Int {
        let (sign, otherSign) = (self.sign, other.sign)
        guard sign == otherSign, sign != 0 else { return sign - otherSign }
        return sign * comparedMagnitude(to: other)
    }
    private var sign: Int { first < 0 ? 0 : isNegative ? -1 : 1 }
    private func comparedMagnitude(to other: DecimalNumber) -> Int {
        guard scale == other.scale else { return scale < other.scale ? -1 : 1 }
        var (place, otherPlace) = (first, other.first)
        while place <= last, otherPlace <= other.last {
            if text[place] == UInt8(ascii: ".") {
                place += 1
                continue
            }
            if other.text[otherPlace] == UInt8(ascii: ".") {
                otherPlace += 1
                continue
            }
            let (digit, otherDigit) = (text[place], other.text[otherPlace])
            guard digit == otherDigit else { return digit < otherDigit ? -1 : 1 }
            place += 1
            otherPlace += 1
        }
        // No digit behind the last one counts, and that one is not zero.
        return place <= last ? 1 : otherPlace <= other.last ? -1 : 0
    }

    /// Equal numbers hash alike.
    func hash(into hasher: inout Hasher) {
        hasher.combine(sign)
        guard sign != 0 else { return }
        hasher.combine(scale)
        for place in first...last where text[place] != UInt8(ascii: ".") { hasher.combine(text[place]) }
    }
    /// Without a fraction, as 1.0 is.
    var isWhole: Bool { sign == 0 || digitCount <= scale }
    /// From the first to the last that is not zero.
    private var digitCount: Int {
        var count = 0
        for place in first...last where text[place] != UInt8(ascii: ".") { count += 1 }
        return count
    }
    /// Its digits as a whole number and the power of ten that it is times of; nil where they are more than `digitMax`.
    private func digits(max digitMax: Int) -> (value: UInt64, exponent: Int)? {
        guard sign != 0 else { return (0, 0) }
        let count = digitCount
        guard count <= digitMax else { return nil }
        var value: UInt64 = 0
        for place in first...last where text[place] != UInt8(ascii: ".") {
            value = value * 10 + UInt64(text[place] - 0x30)
        }
        return (value, scale - count)
    }

    /// What multiples are asked of: exact, for 0.01 as for 7. O(length) a question.
    struct Divisor: Sendable {
        static let digitMax = 18
        private let value: UInt64
        private let exponent: Int

        /// Nil when it is not above 0, or has more significant digits.
        init?(_ number: DecimalNumber) {
            guard number.sign > 0, let (value, exponent) = number.digits(max: Divisor.digitMax) else { return nil }
            self.value = value
            self.exponent = exponent
        }
        func divides(_ number: DecimalNumber) -> Bool {
            guard number.sign != 0 else { return true }
            var rest: UInt64 = 0
            for place in number.first...number.last where number.text[place] != UInt8(ascii: ".") {
                rest = (times(rest, 10) + UInt64(number.text[place] - 0x30)) % value
            }
            // Its last digit is not zero, so no multiple of ten: a power of ten below its own divides it never.
            let power = number.scale - number.digitCount - exponent
            guard power >= 0 else { return false }
            return times(rest, tenTo(power)) == 0
        }
        /// Modulo the value, which is below 10^18.
        private func times(_ left: UInt64, _ right: UInt64) -> UInt64 {
            let product = left.multipliedFullWidth(by: right % value)
            return value.dividingFullWidth((product.high, product.low)).remainder
        }
        private func tenTo(_ power: Int) -> UInt64 {
            var (result, base, left) = (1 % value, 10 % value, power)
            while left > 0 {
                if left & 1 == 1 { result = times(result, base) }
                base = times(base, base)
                left >>= 1
            }
            return result
        }
    }
}
