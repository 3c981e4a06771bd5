// The dates of HTTP (RFC 9110 §5.6.7): writes the one form that may be sent, reads the three that must be understood.
//
// Passive: the time comes in as seconds since 1970. Invariant: no input traps; what is no date is nil.
// Safety: `DateCache.write` writes `writeBytes` bytes at the address it is given.

/// Days and seconds on the proleptic Gregorian calendar, UTC.
package enum HTTPDate {
    package static let byteCount = 29
    fileprivate static let dayNames: StaticString = "ThuFriSatSunMonTueWed"
    fileprivate static let monthNames: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"

    /// Days from 1970-01-01; exact for every date of the Gregorian calendar.
    // The year begins in March, so that the leap day is its last; 146,097 days are 400 years.
    static func days(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
    static func date(days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }

    /// Seconds since 1970 of an IMF-fixdate, an RFC 850 date or an asctime date; nil for anything else.
    @_noAllocation @_noLocks package static func parse(_ text: ByteView) -> Int? {
        if text.count == byteCount, text[3] == ASCII.comma {
            guard fits(text, "Aaa, 00 Aaa 0000 00:00:00 GMT") else { return nil }
            return seconds(text, day: 5, month: 8, year: number(text, 12, 4), time: 17)
        }
        if text.count == 24 {
            // "Sun Nov  6 08:49:37 1994": the day may be padded with a space.
            guard fits(text, "Aaa Aaa _0 00:00:00 0000") else { return nil }
            return seconds(text, day: 8, month: 4, year: number(text, 20, 4), time: 11)
        }
        var start = 0
        while start < text.count, text[start] != ASCII.comma { start += 1 }
        guard start >= 6, start <= 9, text.count == start + 24 else { return nil }
        let rest = text.slice(start, 24)
        guard fits(rest, ", 00-Aaa-00 00:00:00 GMT") else { return nil }
        let short = number(rest, 9, 2)
        return seconds(rest, day: 2, month: 5, year: short + (short < 70 ? 2000 : 1900), time: 12)
    }
    /// `pattern`: `0` a digit, `_` a digit or a space, `A` and `a` a letter, anything else itself.
    private static func fits(_ text: ByteView, _ pattern: StaticString) -> Bool {
        for index in 0..<text.count {
            let byte = text[index]
            let isFitting =
                switch unsafe pattern.utf8Start[index] {
                case ASCII.zero: CharacterClasses.isDigit(byte)
                case 0x5F: CharacterClasses.isDigit(byte) || byte == ASCII.space
                case 0x41, 0x61: CharacterClasses.isLetter(byte)
                case let wanted: byte == wanted
                }
            guard isFitting else { return false }
        }
        return true
    }
    private static func number(_ text: ByteView, _ start: Int, _ count: Int) -> Int {
        var result = 0
        for index in start..<start + count where text[index] != ASCII.space {
            result = result * 10 + Int(text[index] - 48)
        }
        return result
    }
    private static func seconds(_ text: ByteView, day: Int, month: Int, year: Int, time: Int) -> Int? {
        let dayNumber = number(text, day, 2)
        var monthNumber = 0
        for index in 0..<12 {
            let name = unsafe ByteView(monthNames.utf8Start + index * 3, count: 3)
            if text.slice(month, 3).equals(name) { monthNumber = index + 1 }
        }
        guard monthNumber > 0 else { return nil }
        let (hour, minute, second) = (number(text, time, 2), number(text, time + 3, 2), number(text, time + 6, 2))
        let days = days(year: year, month: monthNumber, day: dayNumber)
        // 60 is a leap second. A day that the month has not comes back as another date.
        guard hour < 24, minute < 60, second <= 60, date(days: days) == (year, monthNumber, dayNumber) else {
            return nil
        }
        return days * 86_400 + hour * 3600 + minute * 60 + second
    }
}

/// The `Date` of the answers: rendered once a second, copied for each.
@safe package struct DateCache: Sendable {
    /// One whole vector is stored, of which the first 29 bytes are the date.
    package static let writeBytes = 32
    private var text = SIMD32<UInt8>(repeating: ASCII.space)
    private var unixSeconds = Int.min

    package init(unixSeconds: Int) { update(unixSeconds: unixSeconds) }

    @_noAllocation @_noLocks package mutating func update(unixSeconds now: Int) {
        if now != unixSeconds { render(now) }
    }
    /// Safety: `memory` has room for `writeBytes`.
    @inline(__always) package func write(to memory: UnsafeMutablePointer<UInt8>) {
        unsafe UnsafeMutableRawPointer(memory).storeBytes(of: text, as: SIMD32<UInt8>.self)
    }
    @inline(never) private mutating func render(_ now: Int) {
        unixSeconds = now
        // Four digits of year: a clock beyond 9999 shows the last second of it.
        let clamped = min(max(now, 0), 253_402_300_799)
        let days = clamped / 86_400
        let second = clamped % 86_400
        let date = HTTPDate.date(days: days)
        let pattern: StaticString = "Aaa, 00 Aaa 0000 00:00:00 GMT"
        for index in 0..<HTTPDate.byteCount { text[index] = unsafe pattern.utf8Start[index] }
        for index in 0..<3 {
            text[index] = unsafe HTTPDate.dayNames.utf8Start[days % 7 * 3 + index]
            text[8 + index] = unsafe HTTPDate.monthNames.utf8Start[(date.month - 1) * 3 + index]
        }
        put(date.day, at: 5)
        put(date.year / 100, at: 12)
        put(date.year % 100, at: 14)
        put(second / 3600, at: 17)
        put(second / 60 % 60, at: 20)
        put(second % 60, at: 23)
    }
    private mutating func put(_ number: Int, at place: Int) {
        text[place] = ASCII.zero + UInt8(number / 10)
        text[place + 1] = ASCII.zero + UInt8(number % 10)
    }
}
