// What may be said of a published event. Everything that gets into a record's field lines passes here, so that none of
// it can end a line or a list.

package enum PublishRules {
    package static let endpointChannelCountMax = 10
    package static let channelCountMax = 10
    package static let tagCountMax = 10
    package static let labelBytesMax = 128
    package static let idBytesMax = 256
    package static let typeBytesMax = 256
    package static let idempotencyKeyBytesMax = 256
    private static let contentTypeBytesMax = 256

    package static let labelForm = "must be 1 to \(labelBytesMax) of `a-z A-Z 0-9 . _ -`"
    package static let idForm = "must be 1 to \(idBytesMax) of `a-z A-Z 0-9 . _ -`"
    package static let typeForm = "must be 1 to \(typeBytesMax) of `a-z A-Z 0-9 . _ - / :`"
    package static let idempotencyKeyForm = "must be 1 to \(idempotencyKeyBytesMax) visible ASCII characters"
    package static let contentTypeForm = "must be a media type such as `application/json`"

    /// A channel or a tag.
    package static func isLabel(_ text: String) -> Bool { NameRules.isLabel(text, bytesMax: labelBytesMax) }
    package static func isID(_ text: String) -> Bool { NameRules.isLabel(text, bytesMax: idBytesMax) }
    package static func isType(_ text: String) -> Bool {
        let bytes = text.utf8.map { [UInt8(ascii: "/"), UInt8(ascii: ":")].contains($0) ? UInt8(ascii: "_") : $0 }
        return NameRules.isLabel(String(decoding: bytes, as: UTF8.self), bytesMax: typeBytesMax)
    }
    package static func isIdempotencyKey(_ text: String) -> Bool {
        (1...idempotencyKeyBytesMax).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
    package static func isContentType(_ text: String) -> Bool {
        (1...contentTypeBytesMax).contains(text.utf8.count) && text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
            && text.contains("/")
    }
}
