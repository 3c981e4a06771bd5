// Which of a provider's field lines go on to an endpoint, and how our own are written behind them. Pure; writes into a
// leased payload block. It lives in FastPath because it reads every byte of every head that is delivered.
//
// Invariants: what is written is whole lines, each with its CRLF; hop-by-hop fields, those that `Connection` names,
// framing, credentials and our own names never pass. If a credential passed, an endpoint would learn the provider's
// secrets; if a framing field passed, it would read another length than was sent.
// Safety: literals are static memory; reading is bounded by their length.

/// Which of the received fields an endpoint gets.
package enum FieldForwarding: Sendable {
    case all
    /// Those without which the body cannot be read: its type and its coding.
    case ofBody
}

package enum ForwardedFields {
    /// More than `write` ever adds to the received lines, the source's, the type's and the subject's bytes.
    package static let ownBytesMax = 256
    private static let typeBytesMax = 256

    /// Writes the field lines of one attempt at `offset`; returns the place behind them. `configured`: whole lines of
    /// the endpoint's own; a received field of such a name does not pass, nor one that `barred` names, lines as well
    /// that are not sent. `id` may lie in the same block, before
    /// `offset`. Of `.opsCenter` the only line of ours is the type's, of `.contract` the id's.
    package static func write(
        received lines: ByteView, forwarding: FieldForwarding, id: ByteView, source: ByteView, eventType: ByteView,
        verdict: RecordVerification = .verified, clientSubject: ByteView = .empty, attempt: UInt32,
        withheld: [HeaderName] = [], configured: ByteView = .empty, barred: ByteView = .empty,
        names: SignatureNames = .webhook, to pool: PayloadPool, lease: PayloadLease, at offset: Int
    ) -> Int {
        let bars = Bars(withheld: withheld, configured: configured, barred: barred, names: names)
        var place = copy(lines, forwarding: forwarding, bars, to: pool, lease: lease, at: offset)
        place = pool.write(configured, to: lease, at: place)
        if names == .contract {
            place = pool.write("X-Request-Id: ", to: lease, at: place)
            place = pool.write(id, to: lease, at: place)
            return pool.write("\r\n", to: lease, at: place)
        }
        guard names != .opsCenter else {
            place = pool.write("X-Webhook-Event: ", to: lease, at: place)
            place = writeValue(eventType, to: pool, lease: lease, at: place)
            return pool.write("\r\n", to: lease, at: place)
        }
        place = pool.write(names == .svix ? "svix-id: " : "webhook-id: ", to: lease, at: place)
        place = pool.write(id, to: lease, at: place)
        place = pool.write("\r\nSluice-Source: ", to: lease, at: place)
        place = writeValue(source, to: pool, lease: lease, at: place)
        if eventType.count > 0 {
            place = pool.write("\r\nSluice-Event-Type: ", to: lease, at: place)
            place = writeValue(eventType, to: pool, lease: lease, at: place)
        }
        if verdict != .verified {
            place = pool.write("\r\nSluice-Verdict: ", to: lease, at: place)
            place = writeVerdict(verdict, to: pool, lease: lease, at: place)
        }
        if clientSubject.count > 0 {
            place = pool.write("\r\nSluice-Client-Subject: ", to: lease, at: place)
            place = pool.write(clientSubject, to: lease, at: place)
        }
        place = pool.write("\r\nSluice-Attempt: ", to: lease, at: place)
        place = pool.write(decimal: attempt, to: lease, at: place)
        return pool.write("\r\n", to: lease, at: place)
    }

    private static func writeVerdict(
        _ verdict: RecordVerification, to pool: PayloadPool, lease: PayloadLease, at offset: Int
    ) -> Int {
        // The common ones without an allocation: an unverified source may deliver much.
        if verdict == .unverified { return pool.write("unverified", to: lease, at: offset) }
        if verdict == .skipped { return pool.write("skipped", to: lease, at: offset) }
        return Array(verdict.name.utf8).withView { pool.write($0, to: lease, at: offset) }
    }

    /// What does not pass beside what never does.
    private struct Bars {
        /// A token scheme's header carries the source's secret itself.
        let withheld: [HeaderName]
        let configured: ByteView
        let barred: ByteView
        let names: SignatureNames

        func bar(_ name: ByteView) -> Bool {
            for other in withheld where name.equalsIgnoringCase(lowered: other.view) { return true }
            switch names {
            case .webhook: break
            case .svix: if hasPrefix(name, "svix-") { return true }
            case .opsCenter: if hasPrefix(name, "x-webhook-") { return true }
            case .contract: break
            }
            if configured.count > 0, isNamed(name, in: configured) { return true }
            return barred.count > 0 && isNamed(name, in: barred)
        }
        private func isNamed(_ name: ByteView, in configured: ByteView) -> Bool {
            var start = 0
            while start < configured.count {
                let own = configured.slice(start, colonPlace(configured, start, configured.count) - start)
                if own.count == name.count {
                    var isEqual = true
                    for index in 0..<own.count where lowered(own[index]) != lowered(name[index]) { isEqual = false }
                    if isEqual { return true }
                }
                start = lineEnd(configured, from: start)
            }
            return false
        }
    }

    private static func copy(
        _ lines: ByteView, forwarding: FieldForwarding, _ bars: Bars, to pool: PayloadPool, lease: PayloadLease,
        at offset: Int
    ) -> Int {
        var place = offset
        var start = 0
        let hasConnection = hasConnectionField(lines)
        // Adjacent lines that pass are copied as one run.
        var runStart = 0
        // The request has one User-Agent, ours; the provider's first goes under a name of its own.
        var hasAgent = false
        while start < lines.count {
            let end = lineEnd(lines, from: start)
            let colon = colonPlace(lines, start, end)
            let name = lines.slice(start, colon - start)
            let isKept = passes(lines, nameStart: start, nameEnd: colon, forwarding: forwarding)
            var isAgent = false
            if case .all = forwarding, !isKept, !hasAgent { isAgent = matches(name, "user-agent") }
            // Asked last, and only of what would go on: each of the two is a walk over lines.
            let isBarred =
                (isKept || isAgent) && (hasConnection && isNamedByConnection(name, in: lines) || bars.bar(name))
            if isBarred || !isKept {
                place = pool.write(lines.slice(runStart, start - runStart), to: lease, at: place)
                runStart = end
                if isAgent, !isBarred {
                    hasAgent = true
                    place = pool.write("Sluice-Forwarded-User-Agent", to: lease, at: place)
                    place = pool.write(lines.slice(colon, end - colon), to: lease, at: place)
                }
            }
            start = end
        }
        return pool.write(lines.slice(runStart, lines.count - runStart), to: lease, at: place)
    }
    private static func passes(_ lines: ByteView, nameStart: Int, nameEnd: Int, forwarding: FieldForwarding) -> Bool {
        guard nameEnd > nameStart else { return false }
        let name = lines.slice(nameStart, nameEnd - nameStart)
        if case .ofBody = forwarding { return matches(name, "content-type") || matches(name, "content-encoding") }
        switch name[0] | 0x20 {
        case UInt8(ascii: "a"): if matches(name, "authorization") { return false }
        case UInt8(ascii: "c"):
            if matches(name, "connection") || matches(name, "content-length") || matches(name, "cookie") {
                return false
            }
        case UInt8(ascii: "e"): if matches(name, "expect") { return false }
        case UInt8(ascii: "h"): if matches(name, "host") { return false }
        case UInt8(ascii: "k"): if matches(name, "keep-alive") { return false }
        case UInt8(ascii: "p"): if hasPrefix(name, "proxy-") { return false }
        case UInt8(ascii: "s"): if hasPrefix(name, "sluice-") || hasPrefix(name, "sluice_") { return false }
        case UInt8(ascii: "t"):
            if matches(name, "te") || matches(name, "trailer") || matches(name, "transfer-encoding") { return false }
        case UInt8(ascii: "u"): if matches(name, "upgrade") || matches(name, "user-agent") { return false }
        case UInt8(ascii: "w"):
            if matches(name, "webhook-id") || matches(name, "webhook-timestamp") || matches(name, "webhook-signature") {
                return false
            }
        default: break
        }
        return true
    }
    private static func hasConnectionField(_ lines: ByteView) -> Bool {
        var start = 0
        while start < lines.count {
            // First letter and the colon's place decide for nearly every line.
            if lines[start] | 0x20 == UInt8(ascii: "c"), start + 10 < lines.count,
                lines[start + 10] == UInt8(ascii: ":"),
                matches(lines.slice(start, 10), "connection")
            {
                return true
            }
            start = lineEnd(lines, from: start)
        }
        return false
    }
    /// O(bytes of all lines), asked for each field: only for heads that have a `Connection` field, which ingest bounds.
    private static func isNamedByConnection(_ name: ByteView, in lines: ByteView) -> Bool {
        var start = 0
        while start < lines.count {
            let end = lineEnd(lines, from: start)
            if lines[start] | 0x20 == UInt8(ascii: "c") {
                let colon = colonPlace(lines, start, end)
                if colon - start == 10, matches(lines.slice(start, 10), "connection"),
                    lists(lines.slice(colon + 1, end - colon - 1), name)
                {
                    return true
                }
            }
            start = end
        }
        return false
    }
    /// True exactly when the comma-separated `value` has `name` as an element, without case.
    private static func lists(_ value: ByteView, _ name: ByteView) -> Bool {
        var start = 0
        while start < value.count {
            var end = start
            while end < value.count, value[end] != UInt8(ascii: ",") { end += 1 }
            var first = start
            var last = end
            while first < last, isBlank(value[first]) { first += 1 }
            while last > first, isBlank(value[last - 1]) { last -= 1 }
            if last - first == name.count {
                var isEqual = true
                for index in 0..<name.count where lowered(value[first + index]) != lowered(name[index]) {
                    isEqual = false
                }
                if isEqual { return true }
            }
            start = end + 1
        }
        return false
    }
    /// Header injection stops here: the type comes from a body that anybody may have written.
    private static func writeValue(
        _ value: ByteView, to pool: PayloadPool, lease: PayloadLease, at offset: Int
    )
        -> Int
    {
        let kept = value.slice(0, min(value.count, typeBytesMax))
        var place = offset
        var runStart = 0
        for index in 0..<kept.count where kept[index] < 0x20 || kept[index] == 0x7F {
            place = pool.write(kept.slice(runStart, index - runStart), to: lease, at: place)
            place = pool.write("?", to: lease, at: place)
            runStart = index + 1
        }
        return pool.write(kept.slice(runStart, kept.count - runStart), to: lease, at: place)
    }

    private static func lineEnd(_ lines: ByteView, from start: Int) -> Int {
        var end = start
        while end < lines.count, lines[end] != 0x0A { end += 1 }
        return min(end + 1, lines.count)
    }
    private static func colonPlace(_ lines: ByteView, _ start: Int, _ end: Int) -> Int {
        var place = start
        while place < end, lines[place] != UInt8(ascii: ":") { place += 1 }
        return place < end ? place : start
    }
    private static func matches(_ name: ByteView, _ lowered: StaticString) -> Bool {
        name.count == lowered.utf8CodeUnitCount && hasPrefix(name, lowered)
    }
    private static func hasPrefix(_ name: ByteView, _ prefix: StaticString) -> Bool {
        guard name.count >= prefix.utf8CodeUnitCount else { return false }
        return unsafe name.slice(0, prefix.utf8CodeUnitCount).equalsIgnoringCase(
            lowered: ByteView(prefix.utf8Start, count: prefix.utf8CodeUnitCount))
    }
    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A
    }
    private static func lowered(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 0x20 : byte }
}

extension ByteView {
    /// FNV-1a from `seed`; for tables that compare the bytes too.
    package func hashed(from seed: UInt64) -> UInt64 {
        var hash = seed ^ 0xCBF2_9CE4_8422_2325
        for index in 0..<count { hash = (hash ^ UInt64(self[index])) &* 0x100_0000_01B3 }
        return hash ^ (hash >> 32)
    }
    package func equals(_ bytes: [UInt8]) -> Bool { bytes.withView { equals($0) } }
}
