// UUIDs of events and of rows of the log, version 8 (RFC 9562): they say where what they name is, so that no table
// leads there. Pure.
//
// Invariant: what `row(text)` takes is exactly what `text(row)` gives.
import FastPath

package enum OpsCenterID {
    /// By the event's place in the log.
    package static func text(_ event: EventID) -> String {
        PublicID(UInt128(event.uuid.high) << 64 | UInt128(event.uuid.low), .endpoint).uuid
    }
    package static func event(_ text: String) -> EventID? {
        guard let bits = bits(text), bits >> 104 == 0 else { return nil }
        return EventID(logIdentity: UInt64(truncatingIfNeeded: bits >> 64), sequence: UInt64(truncatingIfNeeded: bits))
    }

    /// The attempt of a delivery that so many others were before.
    package struct Row: Equatable, Sendable {
        package var endpoint: EndpointID
        package var sequence: UInt64
        package var ordinal: UInt16

        package init(endpoint: EndpointID, sequence: UInt64, ordinal: UInt16) {
            self.endpoint = endpoint
            self.sequence = sequence
            self.ordinal = ordinal
        }
    }
    package static func text(_ row: Row) -> String {
        packed(UInt128(row.endpoint.number) << 80 | UInt128(row.ordinal) << 64 | UInt128(row.sequence))
    }
    package static func row(_ text: String) -> Row? {
        guard let bits = bits(text), bits >> 112 == 0 else { return nil }
        return Row(
            endpoint: EndpointID(UInt32(truncatingIfNeeded: bits >> 80)), sequence: UInt64(truncatingIfNeeded: bits),
            ordinal: UInt16(truncatingIfNeeded: bits >> 64))
    }
    /// 122 bits around version and variant.
    private static func packed(_ bits: UInt128) -> String {
        let (high, middle, low) = (bits >> 74, bits >> 62 & 0xFFF, bits & lowMask)
        let marks: UInt128 = 8 << 76 | 0b10 << 62
        return PublicID(high << 80 | middle << 64 | low | marks, .endpoint).uuid
    }
    /// The same back; nil for a UUID of another version.
    private static func bits(_ text: String) -> UInt128? {
        guard let value = PublicID(uuid: text, prefix: .endpoint)?.value, value >> 76 & 0xF == 8,
            value >> 62 & 0b11 == 0b10
        else { return nil }
        let (high, middle, low) = (value >> 80, value >> 64 & 0xFFF, value & lowMask)
        return high << 74 | middle << 62 | low
    }
    private static let lowMask = (UInt128(1) << 62) - 1
}
