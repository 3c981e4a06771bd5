// What a redaction replaces and by what, compiled once and used by any worker. Text goes in, and what may leave comes
// out; nothing is kept of either.
//
// Invariants: finds that overlap become one replacement; what stands outside of finds is not touched; what came out is
// not changed by a second pass. If the first failed, a part of a secret would stay.
// Safety: a buffer is made of a view that was checked, and lives for the call that appends it.

/// An expression of the operator's own.
package struct CustomRedaction: Sendable {
    package let pattern: LinearPattern
    /// What stands in its place.
    package let replacement: [UInt8]
    /// Nil = `replacement`; else a hash is written behind this label.
    package let hashLabel: String?

    package init(_ pattern: LinearPattern, replacement: [UInt8], hashLabel: String?) {
        self.pattern = pattern
        self.replacement = replacement
        self.hashLabel = hashLabel
    }
}

/// A text that is left alone; one `*` in it stands for anything.
package struct AllowedText: Equatable, Sendable {
    private let head: [UInt8]
    /// Nil = `head` is all of it.
    private let tail: [UInt8]?

    package init(_ text: String) {
        let parts = text.split(separator: "*", maxSplits: 1, omittingEmptySubsequences: false)
        head = Array((parts.first ?? "").utf8)
        tail = parts.count > 1 ? Array(parts[1].utf8) : nil
    }
    func matches(_ text: ByteView) -> Bool {
        guard let tail else { return text.equals(head) }
        guard text.count >= head.count + tail.count else { return false }
        return text.slice(0, head.count).equals(head)
            && text.slice(text.count - tail.count, tail.count).equals(tail)
    }
}

package final class Redactor: Sendable {
    /// So many finds of one expression in one text; behind them the rest of the text is replaced as one, because an
    /// expression may read to the end for each.
    static let customFindsMax = 4096
    /// Behind finds of the expressions of one body so many bytes are read again at most, or so many times the body;
    /// then the rest of a text is replaced too.
    static let rereadBytesMax = 64 << 20
    static let rereadsMax = 16
    private static let hashDigits = 12
    private static let namespaceDigits = 8

    let kinds: RedactionKinds
    private let hashed: RedactionKinds
    private let allowed: [AllowedText]
    private let custom: [CustomRedaction]
    private let key: SigningKey?
    /// What the key lies in.
    private let memory: CompiledMemory?

    /// `key` empty: hashes are plain SHA-256, which anybody can compute for a text that they guess.
    package init(
        _ kinds: RedactionKinds, hashed: RedactionKinds = RedactionKinds(), key: [UInt8] = [],
        allowed: [AllowedText] = [], custom: [CustomRedaction] = []
    ) {
        self.kinds = kinds
        self.hashed = hashed
        self.allowed = allowed
        self.custom = custom
        memory = key.isEmpty ? nil : CompiledMemory()
        self.key = memory.map { SigningKey(secret: key, algorithm: .sha256, in: $0) }
    }

    /// What is to be replaced, in order, none overlapping another.
    func finds(in text: ByteView, _ rereadBytes: inout Int) -> [RedactionFind] {
        var finds = RedactionScan.finds(in: text, kinds)
        for (index, one) in custom.enumerated() { add(one, UInt8(index), in: text, to: &finds, &rereadBytes) }
        if finds.isEmpty { return finds }
        if !allowed.isEmpty {
            finds.removeAll { isAllowed(text.slice($0.valueStart, $0.end - $0.valueStart)) }
        }
        return Redactor.merged(&finds)
    }
    func isAllowed(_ text: ByteView) -> Bool { allowed.contains { $0.matches(text) } }
    private func add(
        _ one: CustomRedaction, _ index: UInt8, in text: ByteView, to finds: inout [RedactionFind],
        _ rereadBytes: inout Int
    ) {
        var place = 0
        var count = 0
        while place <= text.count, let range = one.pattern.firstMatch(in: text, from: place) {
            rereadBytes -= text.count - range.upperBound
            let isLast = rereadBytes < 0 || count + 1 >= Redactor.customFindsMax
            guard !range.isEmpty || isLast else {
                place = range.upperBound + 1
                continue
            }
            count += 1
            let end = isLast ? text.count : range.upperBound
            finds.append(
                RedactionFind(
                    start: range.lowerBound, end: end, valueStart: range.lowerBound, kind: .custom, custom: index))
            guard !isLast else { return }
            place = end
        }
    }
    /// Those that overlap are one, from the first's beginning to the last's end: a URL if there is one, since it is
    /// found for what is in it, else the first by rank.
    private static func merged(_ finds: inout [RedactionFind]) -> [RedactionFind] {
        guard finds.count > 1 else { return finds }
        finds.sort { ($0.start, $0.end, $0.rank) < ($1.start, $1.end, $1.rank) }
        var result: [RedactionFind] = []
        for find in finds {
            guard var last = result.last, find.start < last.end else {
                result.append(find)
                continue
            }
            let takesPlace = find.kind == .url ? last.kind != .url : last.kind != .url && find.rank < last.rank
            if takesPlace { (last.kind, last.custom, last.valueStart) = (find.kind, find.custom, find.valueStart) }
            last.end = max(last.end, find.end)
            result[result.count - 1] = last
        }
        return result
    }

    /// What stands in the place of `text`, which is the whole of a find or a value that its name gives away.
    func replace(_ text: ByteView, _ kind: RedactionKind, custom index: UInt8 = 0, into out: inout [UInt8]) {
        if kind == .custom {
            let one = custom[Int(index)]
            guard let label = one.hashLabel else {
                out += one.replacement
                return
            }
            write(label, hashOf: text, into: &out)
        } else if !hashed.contains(kind) {
            out.append(UInt8(ascii: "["))
            out += kind.label.utf8
            out.append(UInt8(ascii: "]"))
        } else if kind == .namespace {
            out += "ns-".utf8
            out += digits(of: text, Redactor.namespaceDigits)
        } else {
            write(kind.label, hashOf: text, into: &out)
        }
    }
    private func write(_ label: String, hashOf text: ByteView, into out: inout [UInt8]) {
        out.append(UInt8(ascii: "["))
        out += label.utf8
        out.append(UInt8(ascii: "_"))
        out += digits(of: text, Redactor.hashDigits)
        out.append(UInt8(ascii: "]"))
    }
    private func digits(of text: ByteView, _ count: Int) -> Substring.UTF8View {
        let digest = key?.mac(over: text.array) ?? Digest.sha256(text.array)
        return TextEncoding.hex(digest).prefix(count).utf8
    }
}

/// One body on its way: what was replaced is counted by kind, once, as it was found in what came.
package struct RedactionPass {
    private static let roundsMax = 4
    let redactor: Redactor
    /// `RedactionKind.rawValue` is the index.
    package private(set) var counts = [UInt64](repeating: 0, count: RedactionKind.allCases.count)

    private var rereadBytes: Int

    package init(_ redactor: Redactor, bodyBytes: Int = 0) {
        self.redactor = redactor
        rereadBytes = max(Redactor.rereadBytesMax, Redactor.rereadsMax * bodyBytes)
    }
    mutating func note(_ kind: RedactionKind) { counts[Int(kind.rawValue)] += 1 }

    /// Nil when nothing is to be replaced.
    package mutating func text(_ text: ByteView) -> [UInt8]? {
        var finds = redactor.finds(in: text, &rereadBytes)
        guard !finds.isEmpty else { return nil }
        var out = replaced(finds, in: text)
        // What stood beside a find may be one now that it stands by itself.
        for _ in 1..<RedactionPass.roundsMax {
            finds = out.withView { redactor.finds(in: $0, &rereadBytes) }
            guard !finds.isEmpty else { return out }
            out = out.withView { replaced(finds, in: $0, isCounted: false) }
        }
        // Expressions that find each other's replacements come to no end; none finds this one.
        let isClean = out.withView { redactor.finds(in: $0, &rereadBytes).isEmpty }
        return isClean ? out : Array("[\(RedactionKind.secret.label)]".utf8)
    }
    mutating func replaced(_ finds: [RedactionFind], in text: ByteView, isCounted: Bool = true) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(text.count + finds.count * 16)
        var place = 0
        for find in finds {
            out.add(text, place, find.start)
            redactor.replace(
                text.slice(find.start, find.end - find.start), find.kind, custom: find.custom, into: &out)
            if isCounted { note(find.kind) }
            place = find.end
        }
        out.add(text, place, text.count)
        return out
    }
    /// A value that its name gives away: the whole of it, unless it is allowed or has been replaced before.
    mutating func named(_ kind: RedactionKind?, _ value: ByteView) -> [UInt8]? {
        guard let kind, value.count > 0, !redactor.isAllowed(value), !RedactionBytes.isPlaceholder(value) else {
            return nil
        }
        if kind == .namespace, RedactionBytes.isHashedNamespace(value) { return nil }
        let finds = redactor.finds(in: value, &rereadBytes)
        // A token of a known form keeps its own name.
        if let only = finds.first, finds.count == 1, only.start == 0, only.end == value.count {
            return replaced(finds, in: value)
        }
        var out: [UInt8] = []
        redactor.replace(value, kind, into: &out)
        note(kind)
        return out
    }
    func kind(of name: ByteView) -> RedactionKind? {
        guard let kind = SecretName.kind(name), redactor.kinds.contains(kind) else { return nil }
        return kind
    }

    // MARK: Field lines

    /// Whole lines with their CRLF; names stay.
    package mutating func fields(_ lines: ByteView) -> [UInt8]? {
        var out: [UInt8] = []
        var copied = 0
        var start = 0
        while start < lines.count {
            var end = start
            var colon = -1
            while end < lines.count, lines[end] != 0x0A {
                if colon < 0, lines[end] == 0x3A { colon = end }
                end += 1
            }
            var last = end
            if last > start, lines[last - 1] == 0x0D { last -= 1 }
            if colon > start, colon < last {
                var first = colon + 1
                while first < last, CharacterClasses.isBlank(lines[first]) { first += 1 }
                let value = lines.slice(first, last - first)
                let kind = self.kind(of: lines.slice(start, colon - start))
                if let changed = kind == nil ? text(value) : named(kind, value) {
                    out.add(lines, copied, first)
                    out += changed
                    copied = last
                }
            }
            start = end + 1
        }
        guard copied > 0 else { return nil }
        out.add(lines, copied, lines.count)
        return out
    }

    // MARK: Forms

    /// `a=b&c=d`: each value as it is when decoded, as JSON where it is that.
    package mutating func form(_ body: ByteView) -> [UInt8]? {
        var out: [UInt8] = []
        var copied = 0
        var start = 0
        while start <= body.count {
            var end = start
            var equals = -1
            while end < body.count, body[end] != UInt8(ascii: "&") {
                if equals < 0, body[end] == UInt8(ascii: "=") { equals = end }
                end += 1
            }
            let valueStart = equals < 0 ? start : equals + 1
            let name: [UInt8] = equals < 0 ? [] : FormBytes.decoded(body.slice(start, equals - start))
            let value = FormBytes.decoded(body.slice(valueStart, end - valueStart))
            let kind: RedactionKind? = name.withView { self.kind(of: $0) }
            let changed: [UInt8]? = value.withView { kind == nil ? self.value($0) : named(kind, $0) }
            if let changed {
                out.add(body, copied, valueStart)
                FormBytes.write(changed, into: &out)
                copied = end
            }
            start = end + 1
        }
        guard copied > 0 else { return nil }
        out.add(body, copied, body.count)
        return out
    }
    /// JSON where it is that, text otherwise.
    package mutating func value(_ text: ByteView) -> [UInt8]? {
        switch json(text) {
        case .notJSON: self.text(text)
        case .unchanged: nil
        case .changed(let bytes): bytes
        }
    }
}

/// Values of `application/x-www-form-urlencoded`.
enum FormBytes {
    static func decoded(_ text: ByteView) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        var place = 0
        while place < text.count {
            let byte = text[place]
            if byte == UInt8(ascii: "%"), place + 2 < text.count, CharacterClasses.isHexadecimal(text[place + 1]),
                CharacterClasses.isHexadecimal(text[place + 2])
            {
                out.append(
                    CharacterClasses.hexadecimalValue(text[place + 1]) << 4
                        | CharacterClasses.hexadecimalValue(text[place + 2]))
                place += 3
            } else {
                out.append(byte == UInt8(ascii: "+") ? 0x20 : byte)
                place += 1
            }
        }
        return out
    }
    static func write(_ bytes: [UInt8], into out: inout [UInt8]) {
        for byte in bytes {
            if RedactionBytes.has(.dashed, byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "*") {
                out.append(byte)
            } else if byte == 0x20 {
                out.append(UInt8(ascii: "+"))
            } else {
                let digits = Array("0123456789ABCDEF".utf8)
                out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
    }
}

extension [UInt8] {
    /// The bytes of `text` from `start` to before `end`.
    mutating func add(_ text: ByteView, _ start: Int, _ end: Int) {
        guard end > start else { return }
        let piece = text.slice(start, end - start)
        unsafe append(contentsOf: UnsafeBufferPointer(start: piece.base, count: piece.count))
    }
}
