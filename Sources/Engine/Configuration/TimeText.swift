// Instants as everything outside is told them: RFC 3339 in UTC, with milliseconds. Pure, but for `now`.
import Foundation

/// RFC 3339 in UTC, with milliseconds.
package enum TimeText {
    package static func now() -> String { of(nanoseconds: UInt64(Date().timeIntervalSince1970 * 1000) * 1_000_000) }
    package static func of(nanoseconds: UInt64) -> String {
        // Whole seconds through the formatter, so that no fraction is rounded through a Double.
        let seconds = Date(timeIntervalSince1970: Double(nanoseconds / 1_000_000_000)).formatted(
            Date.ISO8601FormatStyle())
        let millis = "\(nanoseconds / 1_000_000 % 1000 + 1000)".dropFirst()
        return "\(seconds.dropLast()).\(millis)Z"
    }
    /// Milliseconds since 1970, or its first moment for what was before.
    package static func of(epochMillis millis: Int64) -> String { of(nanoseconds: UInt64(max(millis, 0)) * 1_000_000) }
    /// Nanoseconds since 1970, or nil.
    package static func parse(_ text: String) -> UInt64? {
        let withFraction = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        let date = (try? withFraction.parse(text)) ?? (try? Date.ISO8601FormatStyle().parse(text))
        guard let seconds = date?.timeIntervalSince1970, seconds >= 0, seconds < 18_000_000_000 else { return nil }
        return UInt64((seconds * 1000).rounded()) * 1_000_000
    }
}
