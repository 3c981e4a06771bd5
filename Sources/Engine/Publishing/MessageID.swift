// Ids of messages and of attempts: a prefix and 27 characters of base 62, which are 160 bits, most significant first.
// They say where in the log and the store what they name is, so that no table leads there, and sort as it came. Pure.
//
// Invariant: what `init(text)` takes is exactly what `text` gives.
import FastPath

/// `msg_…`: of an event, by its place in the log.
package struct MessageID: Equatable, Sendable {
    package static let prefix = "msg_"
    package static let byteCount = prefix.utf8.count + Base62.digitCount
    package let event: EventID

    package init(_ event: EventID) { self.event = event }
    /// Nil when `text` names nothing that could be in a log.
    package init?(_ text: String) {
        guard let limbs = Base62.limbs(text, prefix: MessageID.prefix), limbs[4] == 0, limbs[3] & 0xFF_FFFF == 0 else {
            return nil
        }
        let sequence = UInt64(limbs[0]) << 32 | UInt64(limbs[1])
        let identity = UInt64(limbs[2]) << 8 | UInt64(limbs[3] >> 24)
        event = EventID(logIdentity: identity, sequence: sequence)
    }
    package var bytes: [UInt8] {
        let (sequence, identity) = (event.sequence, event.logIdentity)
        return Base62.bytes(
            [
                UInt32(sequence >> 32), UInt32(truncatingIfNeeded: sequence), UInt32(truncatingIfNeeded: identity >> 8),
                UInt32(truncatingIfNeeded: identity) << 24, 0,
            ], prefix: MessageID.prefix)
    }
    package var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// A resource of the registry as the Svix-shaped API calls it: its number above its public id.
package enum OutboundID {
    package static func text(_ id: PublicID, number: UInt32) -> String {
        let limbs = [number] + [96, 64, 32, 0].map { UInt32(truncatingIfNeeded: id.value >> UInt128($0)) }
        return String(decoding: Base62.bytes(limbs, prefix: id.prefix.rawValue), as: UTF8.self)
    }
}

/// `atmpt_…`: of an attempt, by when it ended and of what it is one.
package struct AttemptID: Equatable, Sendable {
    package static let prefix = "atmpt_"
    /// Store time; 48 bits.
    package let endedMillis: Int64
    package let sequence: UInt64
    package let endpoint: EndpointID
    package let number: UInt16

    package init(endedMillis: Int64, sequence: UInt64, endpoint: EndpointID, number: UInt16) {
        self.endedMillis = max(0, endedMillis) & 0xFFFF_FFFF_FFFF
        self.sequence = sequence
        self.endpoint = endpoint
        self.number = number
    }
    package init?(_ text: String) {
        guard let limbs = Base62.limbs(text, prefix: AttemptID.prefix) else { return nil }
        let low = UInt64(limbs[1] & 0xFFFF) << 48 | UInt64(limbs[2]) << 16 | UInt64(limbs[3] >> 16)
        self.init(
            endedMillis: Int64(limbs[0]) << 16 | Int64(limbs[1] >> 16), sequence: low,
            endpoint: EndpointID(limbs[3] << 16 | limbs[4] >> 16), number: UInt16(limbs[4] & 0xFFFF))
    }
    package var text: String {
        let time = UInt64(endedMillis)
        let limbs: [UInt32] = [
            UInt32(truncatingIfNeeded: time >> 16), UInt32(time & 0xFFFF) << 16 | UInt32(sequence >> 48),
            UInt32(truncatingIfNeeded: sequence >> 16), UInt32(sequence & 0xFFFF) << 16 | endpoint.number >> 16,
            endpoint.number << 16 | UInt32(number),
        ]
        return String(decoding: Base62.bytes(limbs, prefix: AttemptID.prefix), as: UTF8.self)
    }
}

/// 160 bits, as five numbers.
private enum Base62 {
    static let digitCount = 27
    // In the order of ASCII, so that texts sort as their values do.
    private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    static func bytes(_ value: [UInt32], prefix: String) -> [UInt8] {
        var limbs = value
        let start = prefix.utf8.count
        var text = Array(prefix.utf8) + [UInt8](repeating: 0, count: digitCount)
        for place in (start..<start + digitCount).reversed() {
            var rest: UInt64 = 0
            for index in limbs.indices {
                let (quotient, remainder) = (rest << 32 | UInt64(limbs[index])).quotientAndRemainder(dividingBy: 62)
                limbs[index] = UInt32(quotient)
                rest = remainder
            }
            text[place] = digits[Int(rest)]
        }
        return text
    }
    static func limbs(_ text: String, prefix: String) -> [UInt32]? {
        let rest = text.utf8.dropFirst(prefix.utf8.count)
        guard text.hasPrefix(prefix), rest.count == digitCount else { return nil }
        var limbs = [UInt32](repeating: 0, count: 5)
        for byte in rest {
            guard let digit = digits.firstIndex(of: byte) else { return nil }
            var carry = UInt64(digit)
            for index in limbs.indices.reversed() {
                let sum = UInt64(limbs[index]) * 62 + carry
                limbs[index] = UInt32(truncatingIfNeeded: sum)
                carry = sum >> 32
            }
            guard carry == 0 else { return nil }
        }
        return limbs
    }
}
