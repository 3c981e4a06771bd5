// A closer look at a refused request: what would have to be different for it to verify? Each hint is a change that was
// tried and that the source's own verifier then took, so a hint is never a guess. Pure functions over values; worker
// threads only.
//
// Invariants: bounded work, whatever the request holds (`HintTrial`); no finding carries a secret, a signature or a
// piece of the body.

import FastPath

/// What one look may try, and what it has used. A look whose means are used up finds nothing.
package struct HintTrial {
    let subject: HintSubject
    let origin: String?
    var nowSeconds: UInt64
    private(set) var countLeft: Int
    private(set) var bytesLeft: Int
    /// Of bodies that were re-serialised, also of those that were given up.
    package private(set) var bytesWritten = 0
    /// A larger body is not re-serialised.
    package static let rewrittenBytesMax = 64 << 10
    /// Of a compressed body no more is looked at.
    static let decodedBytesMax = 4 << 20

    package init(
        subject: HintSubject, origin: String?, nowSeconds: UInt64, countMax: Int = 400, bytesMax: Int = 16 << 20
    ) {
        self.subject = subject
        self.origin = origin
        self.nowSeconds = nowSeconds
        countLeft = countMax
        bytesLeft = bytesMax
    }

    package mutating func verdict(
        _ request: PlainRequest, check: SourceCheck? = nil, origin: String? = nil, nowSeconds: UInt64? = nil
    ) -> VerificationResult? {
        // A head and a MAC's fixed part cost about as much as a kilobyte.
        let cost = request.body.count + 1024
        guard countLeft > 0, bytesLeft >= cost else { return nil }
        countLeft -= 1
        bytesLeft -= cost
        return (check ?? subject.check).verdict(
            request, origin: origin ?? self.origin, nowSeconds: nowSeconds ?? self.nowSeconds)
    }
    /// A body of `bodyBytes` re-serialised. Nil when it becomes much longer than that, which no library did to it, or
    /// the means are used up; what was written until then is charged.
    mutating func write(_ tree: JSONTree, _ style: JSONStyle, bodyBytes: Int) -> [UInt8]? {
        guard countLeft > 0, bytesLeft > bodyBytes else { return nil }
        let (bytes, isWhole) = style.write(tree, bytesMax: min(bytesLeft, 2 * bodyBytes + 4096))
        bytesLeft -= bytes.count
        bytesWritten += bytes.count
        return isWhole ? bytes : nil
    }
    mutating func accepts(_ request: PlainRequest, check: SourceCheck? = nil, origin: String? = nil) -> Bool {
        if case .accepted = verdict(request, check: check, origin: origin) { return true }
        return false
    }
}

package enum RejectionHints {
    /// The first change that makes the request verify; nil when none does. `reason` is why it was refused at
    /// `nowSeconds`.
    package static func look(
        at request: PlainRequest, reason: SignatureRejection, subject: HintSubject, origin: String?,
        nowSeconds: UInt64
    ) -> HintFinding? {
        var trial = HintTrial(subject: subject, origin: origin, nowSeconds: nowSeconds)
        if isTimely(reason), let finding = clock(request, &trial) { return finding }
        return header(request, &trial) ?? secret(request, &trial) ?? body(request, &trial) ?? url(request, &trial)
    }

    static func isTimely(_ reason: SignatureRejection) -> Bool {
        reason == .staleTimestamp || reason == .futureTimestamp
    }

    // MARK: clock

    /// A signature that is right at the time that the request itself names. Where it is not, the other hints go on at
    /// that time.
    static func clock(_ request: PlainRequest, _ trial: inout HintTrial) -> HintFinding? {
        let now = trial.nowSeconds
        for time in TimeCandidates.seconds(in: request) {
            switch trial.verdict(request, nowSeconds: time) {
            case .accepted?:
                let distance = time > now ? "\(time - now) s ahead of" : "\(now - time) s behind"
                let allowed = trial.subject.definitions
                    .compactMap { $0.timestamp?.allowedSeconds(ahead: time > now) }.max()
                let words = allowed.map { ", \($0) s are allowed" } ?? ""
                return HintFinding(
                    .clockSkew, "the signature is right; its timestamp is \(distance) this machine's clock\(words)")
            case .rejected(let reason)? where !isTimely(reason):
                trial.nowSeconds = time
                return nil
            default: continue
            }
        }
        return nil
    }

    // MARK: secrets

    static func secret(_ request: PlainRequest, _ trial: inout HintTrial) -> HintFinding? {
        let subject = trial.subject
        if let untimely = subject.untimely, trial.accepts(request, check: untimely) {
            return HintFinding(
                .wrongSecretOld, "signed with a secret that is configured, but outside its not_before and not_after")
        }
        if let stripped = subject.stripped, trial.accepts(request, check: stripped) {
            return HintFinding(
                .secretHasWhitespace, "the configured secret is surrounded by white space that does not belong to it")
        }
        if let lineEnded = subject.lineEnded, trial.accepts(request, check: lineEnded) {
            return HintFinding(.secretHasWhitespace, "the sender's copy of the secret ends with a line end")
        }
        for other in subject.borrowed where trial.accepts(request, check: other.check) {
            return HintFinding(
                .wrongSecretOfOtherSource, "signed with the secret of source \"\(other.name)\"")
        }
        for other in subject.neighbours where trial.accepts(request, check: other.check) {
            return HintFinding(
                .wrongSecretOfOtherSource,
                "it verifies as source \"\(other.name)\": was it sent to the wrong address?")
        }
        return nil
    }

    // MARK: body

    package static func body(_ request: PlainRequest, _ trial: inout HintTrial) -> HintFinding? {
        let definitions = trial.subject.definitions
        let signsBody = definitions.isEmpty || definitions.contains { $0.algorithm != .token }
        guard signsBody else { return nil }
        // Digests, not bodies: forty bodies of a size that a sender chose are much.
        var tried: Set<[UInt8]> = [Digest.sha256(request.body)]
        for variant in BodyVariants.whiteSpace(request.body) where tried.insert(Digest.sha256(variant.bytes)).inserted {
            if trial.accepts(request.with(body: variant.bytes)) {
                return HintFinding(.bodyModifiedWhitespace, variant.words)
            }
        }
        return unwrapped(request, &trial) ?? rewritten(request, &trial, &tried)
    }
    /// What the sender signed before it compressed it, or put it into a form.
    private static func unwrapped(_ request: PlainRequest, _ trial: inout HintTrial) -> HintFinding? {
        if let coding = request.value(of: "Content-Encoding"),
            let body = ContentDecoding.decoded(
                request.body, coding: coding, bytesMax: min(trial.bytesLeft, HintTrial.decodedBytesMax)),
            trial.accepts(request.with(body: body))
        {
            return HintFinding(
                .bodyCompressed,
                "the body was signed before it was compressed; say `content_coding: decoded` in the source's scheme")
        }
        for (name, value) in FormText.fields(request) where trial.accepts(request.with(body: value)) {
            return HintFinding(
                .bodyCompressed,
                "only the value of the form's field \"\(name)\" was signed; say `signed: \"{form:\(name)}\"` and "
                    + "`signs_part_only: true` in the source's scheme")
        }
        return nil
    }
    private static func rewritten(
        _ request: PlainRequest, _ trial: inout HintTrial, _ tried: inout Set<[UInt8]>
    ) -> HintFinding? {
        guard request.body.count <= HintTrial.rewrittenBytesMax, let tree = JSONTree.parse(request.body) else {
            return nil
        }
        for (tree, order) in [(tree, ""), (tree.sorted, ", keys sorted")] {
            for (style, name) in JSONStyle.common {
                guard let text = trial.write(tree, style, bodyBytes: request.body.count) else { continue }
                for (end, endName) in [([], ""), ([0x0A], ", with a line end")] as [([UInt8], String)] {
                    let bytes = text + end
                    guard tried.insert(Digest.sha256(bytes)).inserted, trial.accepts(request.with(body: bytes)) else {
                        continue
                    }
                    return HintFinding(
                        .bodyReserialised,
                        "something on the way rewrote the JSON; what was signed has the form \(name)\(order)"
                            + endName)
                }
            }
        }
        return nil
    }
}

/// Bodies that differ from one that was received in white space alone.
enum BodyVariants {
    static func whiteSpace(_ body: [UInt8]) -> [(bytes: [UInt8], words: String)] {
        let unix = lineFeeds(body)
        let dos = carriageReturns(unix)
        let bare = trimmed(body)
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        var variants: [(bytes: [UInt8], words: String)] = [
            (body + [0x0A], "a line end at the end was lost"),
            (body + [0x0D, 0x0A], "a line end (CRLF) at the end was lost"),
            (trimmedEnd(body), "white space was added at the end"),
            (bare, "white space was added around the body"),
            (bare + [0x0A], "the white space at the end was changed"),
            (bare + [0x0D, 0x0A], "the white space at the end was changed"),
            (dos, "line ends were changed from CRLF to LF"),
            (unix, "line ends were changed from LF to CRLF"),
            (trimmedEnd(dos), "line ends were changed from CRLF to LF, and the last one was added"),
            (trimmedEnd(dos) + [0x0D, 0x0A], "line ends were changed from CRLF to LF, and the last one was lost"),
            (trimmedEnd(unix) + [0x0A], "line ends were changed from LF to CRLF, and the last one was lost"),
            (mark + body, "a byte order mark was lost"),
        ]
        if body.starts(with: mark) { variants.append((Array(body.dropFirst(3)), "a byte order mark was added")) }
        return variants
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    private static func trimmedEnd(_ body: [UInt8]) -> [UInt8] {
        Array(body[..<((body.lastIndex { !isBlank($0) } ?? -1) + 1)])
    }
    private static func trimmed(_ body: [UInt8]) -> [UInt8] { Array(trimmedEnd(body).drop(while: isBlank)) }
    private static func lineFeeds(_ body: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(body.count)
        for byte in body {
            if byte == 0x0A, result.last == 0x0D { result.removeLast() }
            result.append(byte)
        }
        return result
    }
    private static func carriageReturns(_ body: [UInt8]) -> [UInt8] {
        body.flatMap { $0 == 0x0A ? [0x0D, 0x0A] : [$0] }
    }
}

/// The points in time that a request may claim: whole numbers that look like unix seconds or milliseconds, and RFC 3339
/// times, in its header fields and then in its body.
enum TimeCandidates {
    private static let countMax = 24
    private static let bodyBytesMax = 64 << 10

    static func seconds(in request: PlainRequest) -> [UInt64] {
        var found: [UInt64] = []
        for field in request.fields { collect(Array(field.value.utf8), &found) }
        collect(Array(request.target.utf8), &found)
        collect(Array(request.body.prefix(bodyBytesMax)), &found)
        return found
    }

    /// The first one in a text, where all of it should be one.
    static func seconds(in text: String) -> UInt64? {
        var found: [UInt64] = []
        collect(Array(text.utf8), &found)
        return found.first
    }

    private static func collect(_ bytes: [UInt8], _ found: inout [UInt64]) {
        var place = 0
        while place < bytes.count, found.count < countMax {
            guard isDigit(bytes[place]) else {
                place += 1
                continue
            }
            var end = place
            while end < bytes.count, isDigit(bytes[end]) { end += 1 }
            let isPart = place > 0 && isLetter(bytes[place - 1])
            if let time = isPart ? nil : number(bytes[place..<end]) ?? calendar(bytes[place...].prefix(40)) {
                if !found.contains(time) { found.append(time) }
            }
            place = end
        }
    }
    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isLetter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }

    /// 2001 to 2096.
    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        guard let value = UInt64(String(decoding: digits, as: UTF8.self)) else { return nil }
        switch digits.count {
        case 10: return value < 4_000_000_000 ? value : nil
        case 13: return value / 1000 < 4_000_000_000 ? value / 1000 : nil
        default: return nil
        }
    }
    /// `2026-01-31T10:00:00`, a fraction, and `Z` or an offset.
    private static func calendar(_ bytes: ArraySlice<UInt8>) -> UInt64? {
        // Most numbers are none: two bytes say so before a pattern is asked.
        let start = bytes.startIndex
        guard bytes.count >= 20, bytes[start + 4] == 0x2D, bytes[start + 7] == 0x2D else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        let shape = /(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))/
        guard let match = text.prefixMatch(of: shape), let year = Int(match.1), let month = Int(match.2),
            let day = Int(match.3), let hour = Int(match.4), let minute = Int(match.5), let second = Int(match.6),
            (1970...2096).contains(year), (1...12).contains(month)
        else { return nil }
        let hours = match.8.flatMap { Int($0) } ?? 0
        let minutes = match.9.flatMap { Int($0) } ?? 0
        let offset = (hours * 60 + minutes) * (match.7 == "-" ? -60 : 60)
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset
        return seconds >= 0 ? UInt64(seconds) : nil
    }
    /// Days since 1970 in the Gregorian calendar.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        // The year begins in March, so that the leap day is its last.
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted % 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
