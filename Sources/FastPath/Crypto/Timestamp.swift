// The times that senders write: seconds, milliseconds and RFC 3339, read from text. Passive: pure functions over bytes.
//
// Invariant: what is not exactly of the form is nil; nothing is rounded in a sender's favour.

package enum Timestamp {
    /// Up to 16 digits: past any unit's date, far from overflow.
    @_noAllocation @_noLocks
    package static func number(_ text: ByteView) -> UInt64? {
        guard text.count > 0, text.count <= 16 else { return nil }
        var number: UInt64 = 0
        for index in 0..<text.count {
            let digit = text[index] &- 0x30
            guard digit < 10 else { return nil }
            number = number * 10 + UInt64(digit)
        }
        return number
    }

    /// Seconds since 1970 of `2026-01-31T23:59:59Z`, with or without a fraction (of up to nine digits), with `Z` or an
    /// offset such as `+01:00`. `isBehind`: true exactly when the fraction is not zero, so that the time is later than
    /// `seconds` says. Nil for anything else, for a day that the month has not, and before 1970.
    @_noAllocation @_noLocks
    package static func iso8601(_ text: ByteView) -> (seconds: UInt64, isBehind: Bool)? {
        guard text.count >= 20, text.count <= 35, text[4] == 0x2D, text[7] == 0x2D, text[10] | 0x20 == 0x74,
            text[13] == 0x3A, text[16] == 0x3A,
            let year = digits(text, 0, 4), let month = digits(text, 5, 2), let day = digits(text, 8, 2),
            let hour = digits(text, 11, 2), let minute = digits(text, 14, 2), let second = digits(text, 17, 2),
            month >= 1, month <= 12, day >= 1, hour < 24, minute < 60, second <= 60
        else { return nil }
        let days = HTTPDate.days(year: year, month: month, day: day)
        guard HTTPDate.date(days: days) == (year, month, day) else { return nil }
        var place = 19
        var isBehind = false
        if text[place] == 0x2E {
            place += 1
            let start = place
            while place < text.count, text[place] &- 0x30 < 10 {
                if text[place] != 0x30 { isBehind = true }
                place += 1
            }
            guard place > start, place - start <= 9, place < text.count else { return nil }
        }
        guard let offset = offset(text, from: place) else { return nil }
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
        return seconds >= 0 ? (UInt64(seconds), isBehind) : nil
    }
    /// Seconds east of UTC of the end of `text`.
    private static func offset(_ text: ByteView, from place: Int) -> Int? {
        if text[place] | 0x20 == 0x7A { return text.count == place + 1 ? 0 : nil }
        guard text[place] == 0x2B || text[place] == 0x2D, text.count == place + 6, text[place + 3] == 0x3A,
            let hours = digits(text, place + 1, 2), let minutes = digits(text, place + 4, 2), hours < 24, minutes < 60
        else { return nil }
        let seconds = hours * 3600 + minutes * 60
        return text[place] == 0x2B ? seconds : -seconds
    }
    @inline(__always) private static func digits(_ text: ByteView, _ start: Int, _ count: Int) -> Int? {
        var number = 0
        for index in start..<start + count {
            let digit = text[index] &- 0x30
            guard digit < 10 else { return nil }
            number = number * 10 + Int(digit)
        }
        return number
    }

    /// As RFC 3339 in UTC; allocates, for worker threads and tests.
    package static func iso8601(_ seconds: UInt64) -> String {
        let seconds = Int(min(seconds, 253_402_300_799))
        let date = HTTPDate.date(days: seconds / 86_400)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let year = String(String(10_000 + date.year).dropFirst())
        let second = seconds % 86_400
        return "\(year)-\(two(date.month))-\(two(date.day))T\(two(second / 3600)):\(two(second / 60 % 60))"
            + ":\(two(second % 60))Z"
    }
}
