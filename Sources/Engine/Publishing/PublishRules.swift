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
    package static let groupBytesMax = 128
    /// From now on: of the time at which deliveries are to begin.
    package static let delaySeconds = 60...86_400
    package static let retentionHours = 1...2160
    package static let retentionDays = 5...90
    private static let contentTypeBytesMax = 256

    package static let labelForm = "must be 1 to \(labelBytesMax) of `a-z A-Z 0-9 . _ -`"
    package static let idForm = "must be 1 to \(idBytesMax) of `a-z A-Z 0-9 . _ -`"
    package static let typeForm = "must be 1 to \(typeBytesMax) of `a-z A-Z 0-9 . _ - / :`"
    package static let idempotencyKeyForm = "must be 1 to \(idempotencyKeyBytesMax) visible ASCII characters"
    package static let groupForm = "must be 1 to \(groupBytesMax) visible ASCII characters"
    package static let timeForm = "must be a time such as `2026-01-31T00:00:00Z`"
    package static let delayForm = "must be from one minute to 24 hours from now"
    package static let retentionForm = "must be a whole number from 1 to \(retentionHours.upperBound)"
    package static let contentTypeForm = "must be a media type such as `application/json`"

    /// A channel or a tag.
    package static func isLabel(_ text: String) -> Bool { NameRules.isLabel(text, bytesMax: labelBytesMax) }
    package static func isID(_ text: String) -> Bool { NameRules.isLabel(text, bytesMax: idBytesMax) }
    package static func isType(_ text: String) -> Bool {
        let bytes = text.utf8.map { [UInt8(ascii: "/"), UInt8(ascii: ":")].contains($0) ? UInt8(ascii: "_") : $0 }
        return NameRules.isLabel(String(decoding: bytes, as: UTF8.self), bytesMax: typeBytesMax)
    }
    /// Both in nanoseconds since 1970.
    package static func isDelay(until time: UInt64, now: UInt64) -> Bool {
        time > now && delaySeconds.contains(Int((time - now) / 1_000_000_000))
    }
    /// Of a call that may come again (it has an id or a key): the second one says the same time, which is nearer by
    /// then or over. A time that is over means at once.
    package static func isDelay(until time: UInt64, now: UInt64, isRepeatable: Bool) -> Bool {
        guard isRepeatable else { return isDelay(until: time, now: now) }
        return time <= now || (time - now) / 1_000_000_000 <= UInt64(delaySeconds.upperBound)
    }
    package static func isIdempotencyKey(_ text: String) -> Bool { isVisible(text, bytesMax: idempotencyKeyBytesMax) }
    package static func isGroup(_ text: String) -> Bool { isVisible(text, bytesMax: groupBytesMax) }
    private static func isVisible(_ text: String, bytesMax: Int) -> Bool {
        (1...bytesMax).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
    package static func isContentType(_ text: String) -> Bool {
        (1...contentTypeBytesMax).contains(text.utf8.count) && text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
            && text.contains("/")
    }
}
