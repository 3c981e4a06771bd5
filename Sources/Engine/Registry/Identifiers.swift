// Identities of what an operator makes: a number that is never given twice, and the text that the outside knows it by.
// Names are labels; nothing is found again by its name after a restart.

import FastPath

/// A number that names one resource forever. 0 is nobody's.
package struct Identifier<Kind>: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let number: UInt32

    package init(_ number: UInt32) { self.number = number }
    package static func < (left: Identifier, right: Identifier) -> Bool { left.number < right.number }
    package var description: String { "\(number)" }
}

package enum TenantKind {}
package enum SourceKind {}
package enum EndpointKind {}
package enum KeyKind {}
package enum EventTypeKind {}

package typealias TenantID = Identifier<TenantKind>
package typealias SourceID = Identifier<SourceKind>
package typealias EndpointID = Identifier<EndpointKind>
package typealias KeyID = Identifier<KeyKind>
package typealias EventTypeID = Identifier<EventTypeKind>

extension Identifier where Kind == TenantKind {
    /// The tenant `default`, made at the first start.
    package static var main: TenantID { TenantID(1) }
    /// Whose what belongs to no tenant is, such as a key of all of them.
    package static var nobody: TenantID { TenantID(0) }
}

/// The text that the outside knows a resource by: a prefix that tells the kind and 22 characters of base 62, which are
/// 128 random bits.
package struct PublicID: Hashable, Sendable, CustomStringConvertible {
    package enum Prefix: String, CaseIterable, Sendable {
        case tenant = "app_"
        case source = "src_"
        case endpoint = "ep_"
        case key = "key_"
        case eventType = "evtype_"
    }
    // Two halves: a registry has one of these for each resource, and `UInt128` would align it to 16 bytes.
    private let high: UInt64
    private let low: UInt64
    package let prefix: Prefix

    /// For ids that are written in another way than `text`.
    package init(_ value: UInt128, _ prefix: Prefix) {
        high = UInt64(value >> 64)
        low = UInt64(truncatingIfNeeded: value)
        self.prefix = prefix
    }
    /// Nil when `text` is not what `make` gives for this prefix.
    package init?(_ text: String, prefix: Prefix) {
        let digits = text.utf8.dropFirst(prefix.rawValue.utf8.count)
        guard text.hasPrefix(prefix.rawValue), digits.count == PublicID.digitCount else { return nil }
        var value: UInt128 = 0
        for byte in digits.reversed() {
            guard let digit = PublicID.digits.firstIndex(of: byte) else { return nil }
            let (shifted, isLost) = value.multipliedReportingOverflow(by: 62)
            let (sum, isMore) = shifted.addingReportingOverflow(UInt128(digit))
            guard !isLost, !isMore else { return nil }
            value = sum
        }
        self.init(value, prefix)
    }
    /// The version and variant of a random UUID (RFC 9562) are set, so that `uuid` is one.
    package static func make(_ prefix: Prefix) -> PublicID {
        var generator = SystemRandomNumberGenerator()
        let version = UInt128(0xF) << 76, variant = UInt128(0b11) << 62
        let random = UInt128.random(in: .min ... .max, using: &generator) & ~version & ~variant
        return PublicID(random | UInt128(4) << 76 | UInt128(0b10) << 62, prefix)
    }

    /// The same id as a UUID, for surfaces that know their tenants by one.
    package var uuid: String {
        func hex(_ value: UInt64, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: digits - text.count) + text
        }
        let groups = [
            hex(high >> 32, 8), hex(high >> 16 & 0xFFFF, 4), hex(high & 0xFFFF, 4), hex(low >> 48, 4),
            hex(low & 0xFFFF_FFFF_FFFF, 12),
        ]
        return groups.joined(separator: "-")
    }
    /// Nil when `text` is not a UUID as `uuid` writes it, in either case of letters.
    package init?(uuid text: String, prefix: Prefix) {
        let groups = text.split(separator: "-", omittingEmptySubsequences: false)
        let hex = groups.joined()
        guard groups.map(\.utf8.count) == [8, 4, 4, 4, 12], hex.utf8.allSatisfy({ CharacterClasses.isHexadecimal($0) }),
            let value = UInt128(hex, radix: 16)
        else { return nil }
        self.init(value, prefix)
    }
    package var value: UInt128 { UInt128(high) << 64 | UInt128(low) }
    package var text: String {
        var value = value
        var text = Array(prefix.rawValue.utf8)
        for _ in 0..<PublicID.digitCount {
            text.append(PublicID.digits[Int(value % 62)])
            value /= 62
        }
        return String(decoding: text, as: UTF8.self)
    }
    package var description: String { text }

    private static let digitCount = 22
    /// The first is the least.
    private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
}
