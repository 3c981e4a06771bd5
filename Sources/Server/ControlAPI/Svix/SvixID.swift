// The ids of the Svix-shaped API: a prefix that tells the kind and 27 characters of base 62, which are 160 bits, the
// most significant first. The upper 32 bits are what the ids of a kind are ordered by, so that texts sort as things
// were made; the lower 128 tell one from all others. Pure.
//
// Invariants: `parts` takes exactly what `text` gives; two ids of a kind compare as texts as their values do.
import Engine

package enum SvixID {
    package static let digitCount = 27
    /// The first is the least, as in ASCII, so that texts sort as values do.
    private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    /// `prefix` with its underscore: `msg_`.
    package static func text(_ prefix: String, high: UInt32, low: UInt128) -> String {
        var limbs = [high] + [96, 64, 32, 0].map { UInt32(truncatingIfNeeded: low >> UInt128($0)) }
        var text: [UInt8] = []
        for _ in 0..<digitCount {
            var rest: UInt64 = 0
            for index in limbs.indices {
                let value = rest << 32 | UInt64(limbs[index])
                limbs[index] = UInt32(value / 62)
                rest = value % 62
            }
            text.append(digits[Int(rest)])
        }
        return prefix + String(decoding: text.reversed(), as: UTF8.self)
    }
    /// Nil for whatever `text` does not give for this prefix.
    package static func parts(_ text: String, prefix: String) -> (high: UInt32, low: UInt128)? {
        let rest = text.utf8.dropFirst(prefix.utf8.count)
        guard text.hasPrefix(prefix), rest.count == digitCount else { return nil }
        var limbs = [UInt32](repeating: 0, count: 5)
        for byte in rest {
            guard let digit = value(of: byte) else { return nil }
            var carry = digit
            for index in limbs.indices.reversed() {
                let sum = UInt64(limbs[index]) * 62 + carry
                limbs[index] = UInt32(truncatingIfNeeded: sum)
                carry = sum >> 32
            }
            guard carry == 0 else { return nil }
        }
        return (limbs[0], limbs.dropFirst().reduce(0) { $0 << 32 | UInt128($1) })
    }
    private static func value(of byte: UInt8) -> UInt64? {
        switch byte {
        case 0x30...0x39: UInt64(byte - 0x30)
        case 0x41...0x5A: UInt64(byte - 0x41 + 10)
        case 0x61...0x7A: UInt64(byte - 0x61 + 36)
        default: nil
        }
    }

    // MARK: resources of the registry

    /// The number, which is never given twice and grows, above the public id: found again without a table.
    package static func text(_ id: PublicID, number: UInt32) -> String {
        text(id.prefix.rawValue, high: number, low: id.value)
    }
    package static func resource(_ text: String, _ prefix: PublicID.Prefix) -> (number: UInt32, publicID: PublicID)? {
        parts(text, prefix: prefix.rawValue).map { ($0.high, PublicID($0.low, prefix)) }
    }
}
