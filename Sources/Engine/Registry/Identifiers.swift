// Identities of what an operator makes: a number that is never given twice, and the text that the outside knows it by.
// Names are labels; nothing is found again by its name after a restart.

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

package typealias TenantID = Identifier<TenantKind>
package typealias SourceID = Identifier<SourceKind>
package typealias EndpointID = Identifier<EndpointKind>

extension Identifier where Kind == TenantKind {
    /// The tenant `default`, made at the first start.
    package static var main: TenantID { TenantID(1) }
}

/// The text that the outside knows a resource by: a prefix that tells the kind and 22 characters of base 62, which are
/// 128 random bits.
package struct PublicID: Hashable, Sendable, CustomStringConvertible {
    package let text: String

    /// Nil when `text` is not of the form that `make` gives for this prefix.
    package init?(_ text: String, prefix: String) {
        guard text.hasPrefix(prefix), text.utf8.count == prefix.utf8.count + PublicID.digitCount,
            text.utf8.dropFirst(prefix.utf8.count).allSatisfy(PublicID.digits.contains)
        else { return nil }
        self.text = text
    }
    /// As it was stored.
    package init(stored text: String) { self.text = text }
    package static func make(prefix: String) -> PublicID {
        var generator = SystemRandomNumberGenerator()
        var value = UInt128.random(in: .min ... .max, using: &generator)
        var text: [UInt8] = []
        for _ in 0..<digitCount {
            text.append(digits[Int(value % 62)])
            value /= 62
        }
        return PublicID(stored: prefix + String(decoding: text, as: UTF8.self))
    }
    package var description: String { text }

    package static let tenantPrefix = "app_"
    package static let sourcePrefix = "src_"
    package static let endpointPrefix = "ep_"
    private static let digitCount = 22
    private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
}
