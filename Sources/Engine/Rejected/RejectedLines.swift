// Log lines about refused requests: one for each source, reason and hint, and again only after a minute, with the
// number of those in between. Passive: the time comes in, the lines that are due come out.
//
// Invariant: the memory is bounded, because sources are names of the configuration and the rest are cases of enums.

import FastPath

package struct RejectedLines: Sendable {
    package struct Key: Hashable, Sendable {
        package var source: String
        package var reason: SignatureRejection
        package var hint: RejectionHint?

        package init(source: String, reason: SignatureRejection, hint: RejectionHint?) {
            self.source = source
            self.reason = reason
            self.hint = hint
        }
    }
    package struct Line: Equatable, Sendable {
        package var key: Key
        package var detail: String
        /// Requests since the last line, this one with them.
        package var count: Int
    }
    private struct Seen {
        var writtenAt: UInt64
        var count: Int
    }
    package static let pauseNanos: UInt64 = 60_000_000_000
    private var seen: [Key: Seen] = [:]

    package init() {}

    /// Nil while a line of the same key is younger than the pause.
    package mutating func note(_ key: Key, detail: String, at now: UInt64) -> Line? {
        guard var known = seen[key] else {
            seen[key] = Seen(writtenAt: now, count: 0)
            return Line(key: key, detail: detail, count: 1)
        }
        known.count += 1
        defer { seen[key] = known }
        guard now >= known.writtenAt + RejectedLines.pauseNanos else { return nil }
        let line = Line(key: key, detail: detail, count: known.count)
        known = Seen(writtenAt: now, count: 0)
        return line
    }
}
