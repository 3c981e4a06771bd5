// What can still be read of an answer's head that is not well formed: the status, where the head ends, Retry-After.
// Pure functions over bytes, asked only where the strict reader has given up.
//
// A final status decides what becomes of an attempt, so it is read however odd the lines behind it are; what is in
// doubt is where the message ends, and therefore the connection ends with it. Invariant: nothing here says how long a
// body is. If it did, the bytes behind a doubtful head could be taken for the next delivery's answer.
// Safety: patterns are literals, static memory, read within their length.

package enum DoubtfulHead {
    package enum Status: Equatable, Sendable {
        /// Bytes that would say are still to come.
        case incomplete
        /// No status line stands there.
        case none
        case code(Int)
    }

    /// Line ends are skipped; then `HTTP/` with any version, blanks, three digits and a byte that ends them.
    @_noAllocation @_noLocks package static func status(_ bytes: ByteView) -> Status {
        var place = firstLine(bytes)
        let pattern: StaticString = "HTTP/"
        for index in 0..<pattern.utf8CodeUnitCount {
            guard place < bytes.count else { return .incomplete }
            guard unsafe bytes[place] == pattern.utf8Start[index] else { return .none }
            place &+= 1
        }
        let versionStart = place
        while place < bytes.count, CharacterClasses.isDigit(bytes[place]) || bytes[place] == 0x2E { place &+= 1 }
        guard place - versionStart <= versionBytesMax else { return .none }
        guard place < bytes.count else { return .incomplete }
        guard place > versionStart, CharacterClasses.isBlank(bytes[place]) else { return .none }
        while place < bytes.count, CharacterClasses.isBlank(bytes[place]) { place &+= 1 }
        var code = 0
        for index in 0..<3 {
            guard place < bytes.count else { return .incomplete }
            guard CharacterClasses.isDigit(bytes[place]), index > 0 || bytes[place] != ASCII.zero else { return .none }
            code = code * 10 + Int(bytes[place] - ASCII.zero)
            place &+= 1
        }
        guard place < bytes.count else { return .incomplete }
        let endsThere = CharacterClasses.isBlank(bytes[place]) || isLineEnd(bytes[place])
        return endsThere ? .code(code) : .none
    }
    /// `1.1`.
    private static let versionBytesMax = 3

    /// The place behind the first empty line; nil when there is none yet. A line ends with LF, with or without CR
    /// before it. `scannedCount` bytes are known to hold no such end.
    @_noAllocation @_noLocks package static func end(_ bytes: ByteView, scannedCount: Int) -> Int? {
        // An end may straddle what was scanned: CR LF CR LF.
        var place = max(firstLine(bytes), scannedCount - 3)
        while place < bytes.count {
            if bytes[place] == ASCII.lineFeed {
                let next = place &+ 1
                if next < bytes.count, bytes[next] == ASCII.lineFeed { return next &+ 1 }
                if next &+ 1 < bytes.count, bytes[next] == ASCII.carriageReturn, bytes[next &+ 1] == ASCII.lineFeed {
                    return next &+ 2
                }
            }
            place &+= 1
        }
        return nil
    }

    /// Of the lines that are whole; nil when absent, malformed, folded or said twice.
    @_noAllocation @_noLocks package static func retryAfter(_ bytes: ByteView) -> ResponseHead.RetryAfter? {
        var found: ResponseHead.RetryAfter?
        var count = 0
        var wasRetryAfter = false
        var start = firstLine(bytes)
        while let next = lineEnd(bytes, from: start) {
            let line = FieldRules.trimmed(bytes.slice(start, next - 1 - start))
            if CharacterClasses.isBlank(bytes[start]) {
                if wasRetryAfter { return nil }
            } else {
                let colon = colonPlace(line)
                wasRetryAfter = FieldRules.matches(FieldRules.trimmed(line.slice(0, colon)), "retry-after")
                if wasRetryAfter, colon < line.count {
                    count += 1
                    found = ResponseHead.RetryAfter(value(line, behind: colon))
                }
            }
            start = next
        }
        return count == 1 ? found : nil
    }

    private static func value(_ line: ByteView, behind colon: Int) -> ByteView {
        var value = FieldRules.trimmed(line.slice(colon + 1, line.count - colon - 1))
        if value.count > 0, value[value.count - 1] == ASCII.carriageReturn {
            value = FieldRules.trimmed(value.slice(0, value.count - 1))
        }
        return value
    }
    /// Behind line ends that an earlier message left.
    private static func firstLine(_ bytes: ByteView) -> Int {
        var place = 0
        while place < bytes.count, isLineEnd(bytes[place]) { place &+= 1 }
        return place
    }
    private static func lineEnd(_ bytes: ByteView, from start: Int) -> Int? {
        var place = start
        while place < bytes.count, bytes[place] != ASCII.lineFeed { place &+= 1 }
        return place < bytes.count ? place &+ 1 : nil
    }
    private static func colonPlace(_ line: ByteView) -> Int {
        var place = 0
        while place < line.count, line[place] != ASCII.colon { place &+= 1 }
        return place
    }
    private static func isLineEnd(_ byte: UInt8) -> Bool {
        byte == ASCII.carriageReturn || byte == ASCII.lineFeed
    }
}
