// Opaque places in listings: what `next` gives and `cursor` takes. A cursor names its listing, so that one of another
// is refused instead of misread. Pure.
import Foundation

struct Cursor: Equatable {
    enum Listing: String {
        case tenants = "t"
        case sources = "s"
        case endpoints = "e"
        case deliveries = "d"
        case events = "v"
        case following = "f"
        case rejected = "r"
        case audit = "u"
        case keys = "k"
        case audience = "a"
        case preview = "p"
        case schemaPreview = "x"
        case repairs = "j"
        case trace = "w"
        case deadLetterCounts = "c"
        case contractEntries = "q"
        case contractDeliveries = "y"
        case contractAudit = "z"
    }
    let listing: Listing
    let parts: [UInt64]

    init(_ listing: Listing, _ parts: UInt64...) {
        self.listing = listing
        self.parts = parts
    }

    /// Throws `bad_cursor` for whatever `text` of the same listing did not give.
    init(_ text: String, of listing: Listing, count: Int) throws {
        self.listing = listing
        let bare = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        let padded = bare + String(repeating: "=", count: (4 - bare.count % 4) % 4)
        let words = Data(base64Encoded: padded).map { String(decoding: $0, as: UTF8.self).split(separator: ".") } ?? []
        parts = words.dropFirst().compactMap { UInt64($0) }
        guard words.first.map(String.init) == listing.rawValue, parts.count == count, words.count == count + 1,
            self.text == text
        else {
            throw ControlError(.badCursor, "`cursor` takes what `next` of the same listing said, as it was said")
        }
    }

    /// URL-safe base 64 without padding.
    var text: String {
        let plain = ([listing.rawValue] + parts.map { "\($0)" }).joined(separator: ".")
        return Data(plain.utf8).base64EncodedString().replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
    }
}
