// Instants as everything outside is told them: RFC 3339 in UTC, with milliseconds. Pure, but for `now`.
import Foundation

/// RFC 3339 in UTC, with milliseconds.
package enum TimeText {
    package static func now() -> String { of(nanoseconds: UInt64(Date().timeIntervalSince1970 * 1000) * 1_000_000) }
    package static func of(nanoseconds: UInt64) -> String {
        // By hand: each published event's answer has one, and a formatter costs more than the rest of it.
        let seconds = nanoseconds / 1_000_000_000
        let (year, month, day) = date(ofDay: seconds / 86_400)
        let clock = seconds % 86_400
        var text: [UInt8] = []
        text.reserveCapacity(24)
        put(year, 4, "-", &text)
        put(month, 2, "-", &text)
        put(day, 2, "T", &text)
        put(clock / 3600, 2, ":", &text)
        put(clock / 60 % 60, 2, ":", &text)
        put(clock % 60, 2, ".", &text)
        put(nanoseconds / 1_000_000 % 1000, 3, "Z", &text)
        return String(decoding: text, as: UTF8.self)
    }
    private static func put(_ number: UInt64, _ digitCount: Int, _ end: Unicode.Scalar, _ text: inout [UInt8]) {
        var divisor: UInt64 = digitCount == 4 ? 1000 : digitCount == 3 ? 100 : 10
        while divisor > 0 {
            text.append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
            divisor /= 10
        }
        text.append(UInt8(ascii: end))
    }
    /// Of the Gregorian calendar, from days since 1970. Years are counted from March, so that the leap day is a year's
    /// last, and in cycles of 400 years, which all have 146,097 days.
    private static func date(ofDay day: UInt64) -> (year: UInt64, month: UInt64, day: UInt64) {
        // From the 1st of March of the year 0.
        let days = day + 719_468
        let (cycle, ofCycle) = (days / 146_097, days % 146_097)
        let year = (ofCycle - ofCycle / 1460 + ofCycle / 36_524 - ofCycle / 146_096) / 365
        let ofYear = ofCycle - (365 * year + year / 4 - year / 100)
        // Five months from March on have 153 days.
        let month = (5 * ofYear + 2) / 153
        let isNextYear = month >= 10
        return (
            cycle * 400 + year + (isNextYear ? 1 : 0), isNextYear ? month - 9 : month + 3,
            ofYear - (153 * month + 2) / 5 + 1
        )
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
