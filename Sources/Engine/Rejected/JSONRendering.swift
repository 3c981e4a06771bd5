// JSON read into a tree that keeps its keys' order and its numbers' digits, and written again as the common libraries
// write it: to find out whether something on the way parsed a body and re-serialised it. Pure functions; the depth is
// bounded, so that no body can exhaust the stack.

import FastPath

package indirect enum JSONTree {
    case object([(key: [Unicode.Scalar], value: JSONTree)])
    case array([JSONTree])
    case string([Unicode.Scalar])
    /// A number, `true`, `false` or `null`, as it stood.
    case literal([UInt8])

    /// Nil when `bytes` are no JSON document, or one that nests deeper than `depthMax`.
    package static func parse(_ bytes: [UInt8]) -> JSONTree? {
        var reader = JSONTreeReader(bytes)
        guard let tree = reader.value(depth: 0) else { return nil }
        return reader.isAtEnd ? tree : nil
    }
    static let depthMax = 64

    /// With the keys of every object in the order of their code points.
    var sorted: JSONTree {
        switch self {
        case .object(let members):
            .object(
                members.map { (key: $0.key, value: $0.value.sorted) }.sorted { left, right in
                    left.key.lexicographicallyPrecedes(right.key)
                })
        case .array(let items): .array(items.map(\.sorted))
        case .string, .literal: self
        }
    }
}

/// How a library writes JSON.
struct JSONStyle: Sendable {
    enum Layout: Sendable {
        /// `{"a":1,"b":2}`
        case compact
        /// `{"a": 1, "b": 2}`
        case spaced
        /// A line a member, so many blanks a level.
        case indented(Int)
    }
    enum Text: Sendable {
        case plain
        /// Everything outside ASCII as \u and four digits.
        case ascii
        /// `<`, `>` and `&` as \u003c …, too.
        case html
    }
    var layout: Layout
    var text: Text
    var escapesSlashes: Bool

    /// What the common libraries do: JavaScript and Ruby, Python, Go, PHP, and their indented forms.
    static let common: [(style: JSONStyle, name: String)] = {
        let layouts: [(Layout, String)] = [
            (.compact, "compact"), (.spaced, "spaced"), (.indented(2), "indented by 2"),
            (.indented(4), "indented by 4"),
        ]
        let texts: [(Text, Bool, String)] = [
            (.plain, false, ""), (.ascii, false, ", \\u escapes"), (.html, false, ", HTML escapes"),
            (.ascii, true, ", \\u escapes and \\/"), (.plain, true, ", \\/"),
        ]
        return layouts.flatMap { layout, name in
            texts.map { (JSONStyle(layout: layout, text: $0.0, escapesSlashes: $0.1), name + $0.2) }
        }
    }()

    /// Ends early, with what it has by then, when the text would be longer than `bytesMax`: a line end and its blanks
    /// can make 255 bytes of two, so the length of a body says nothing of it.
    func write(_ tree: JSONTree, bytesMax: Int = .max) -> (bytes: [UInt8], isWhole: Bool) {
        var writer = JSONTreeWriter(style: self, bytesMax: bytesMax)
        writer.write(tree, level: 0)
        return (writer.bytes, !writer.isFull)
    }
}

private struct JSONTreeReader {
    private let bytes: [UInt8]
    private var place = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool {
        mutating get {
            skipBlanks()
            return place == bytes.count
        }
    }
    private mutating func skipBlanks() {
        while place < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[place]) { place += 1 }
    }
    private mutating func take(_ byte: UInt8) -> Bool {
        skipBlanks()
        guard place < bytes.count, bytes[place] == byte else { return false }
        place += 1
        return true
    }

    mutating func value(depth: Int) -> JSONTree? {
        skipBlanks()
        guard place < bytes.count, depth < JSONTree.depthMax else { return nil }
        switch bytes[place] {
        case 0x7B: return object(depth: depth)
        case 0x5B: return array(depth: depth)
        case 0x22: return string().map { .string($0) }
        default: return literal()
        }
    }
    private mutating func object(depth: Int) -> JSONTree? {
        place += 1
        var members: [(key: [Unicode.Scalar], value: JSONTree)] = []
        if take(0x7D) { return .object(members) }
        while true {
            skipBlanks()
            guard place < bytes.count, bytes[place] == 0x22, let key = string(), take(0x3A),
                let value = value(depth: depth + 1)
            else { return nil }
            members.append((key, value))
            if take(0x2C) { continue }
            return take(0x7D) ? .object(members) : nil
        }
    }
    private mutating func array(depth: Int) -> JSONTree? {
        place += 1
        var items: [JSONTree] = []
        if take(0x5D) { return .array(items) }
        while true {
            guard let item = value(depth: depth + 1) else { return nil }
            items.append(item)
            if take(0x2C) { continue }
            return take(0x5D) ? .array(items) : nil
        }
    }
    private mutating func literal() -> JSONTree? {
        let start = place
        while place < bytes.count, JSONTreeReader.isLiteral(bytes[place]) { place += 1 }
        return place > start ? .literal(Array(bytes[start..<place])) : nil
    }
    private static func isLiteral(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x2D, 0x2E: true
        default: false
        }
    }

    /// Between its quotes, escapes resolved. Nil for what is no text: a lone surrogate or ill-formed UTF-8.
    private mutating func string() -> [Unicode.Scalar]? {
        place += 1
        var scalars: [Unicode.Scalar] = []
        while place < bytes.count {
            let byte = bytes[place]
            if byte == 0x22 {
                place += 1
                return scalars
            }
            if byte == 0x5C {
                guard let scalar = escape() else { return nil }
                scalars.append(scalar)
                continue
            }
            var end = place
            while end < bytes.count, bytes[end] != 0x22, bytes[end] != 0x5C { end += 1 }
            guard let text = String(validating: bytes[place..<end], as: UTF8.self) else { return nil }
            scalars += text.unicodeScalars
            place = end
        }
        return nil
    }
    private mutating func escape() -> Unicode.Scalar? {
        var end = place
        let value = bytes.withView { JSONEscape.scalar($0, &end) }
        place = end
        return value.flatMap { Unicode.Scalar($0) }
    }
}

private struct JSONTreeWriter {
    let style: JSONStyle
    private let bytesMax: Int
    private(set) var bytes: [UInt8] = []
    /// True from the first piece on that had no room; nothing is written behind it.
    private(set) var isFull = false

    init(style: JSONStyle, bytesMax: Int) {
        self.style = style
        self.bytesMax = bytesMax
    }

    private mutating func append(_ byte: UInt8) { append(CollectionOfOne(byte)) }
    private mutating func append(_ piece: some Collection<UInt8>) {
        guard !isFull, piece.count <= bytesMax - bytes.count else {
            isFull = true
            return
        }
        bytes += piece
    }

    mutating func write(_ tree: JSONTree, level: Int) {
        switch tree {
        case .literal(let text): append(text)
        case .string(let text): write(text)
        case .array(let items):
            write(open: 0x5B, close: 0x5D, count: items.count, level: level) { writer, index in
                writer.write(items[index], level: level + 1)
            }
        case .object(let members):
            write(open: 0x7B, close: 0x7D, count: members.count, level: level) { writer, index in
                writer.write(members[index].key)
                writer.append(0x3A)
                if case .compact = writer.style.layout {} else { writer.append(0x20) }
                writer.write(members[index].value, level: level + 1)
            }
        }
    }
    private mutating func write(
        open: UInt8, close: UInt8, count: Int, level: Int, _ item: (inout JSONTreeWriter, Int) -> Void
    ) {
        append(open)
        for index in 0..<count where !isFull {
            if index > 0 { append(0x2C) }
            if case .spaced = style.layout, index > 0 { append(0x20) }
            breakLine(level: level + 1)
            item(&self, index)
        }
        if count > 0 { breakLine(level: level) }
        append(close)
    }
    private mutating func breakLine(level: Int) {
        guard case .indented(let width) = style.layout else { return }
        append(0x0A)
        append([UInt8](repeating: 0x20, count: width * level))
    }

    private mutating func write(_ text: [Unicode.Scalar]) {
        append(0x22)
        for scalar in text where !isFull { write(scalar) }
        append(0x22)
    }
    private mutating func write(_ scalar: Unicode.Scalar) {
        switch scalar.value {
        case 0x22, 0x5C: append([0x5C, UInt8(scalar.value)])
        case 0x08: append([0x5C, 0x62])
        case 0x09: append([0x5C, 0x74])
        case 0x0A: append([0x5C, 0x6E])
        case 0x0C: append([0x5C, 0x66])
        case 0x0D: append([0x5C, 0x72])
        case 0..<0x20: escape(UInt16(scalar.value))
        case 0x2F where style.escapesSlashes: append([0x5C, 0x2F])
        case 0x3C, 0x3E, 0x26:
            if case .html = style.text { escape(UInt16(scalar.value)) } else { append(UInt8(scalar.value)) }
        case 0x20..<0x7F: bytes.append(UInt8(scalar.value))
        default:
            if case .ascii = style.text {
                for unit in String(scalar).utf16 { escape(unit) }
            } else {
                append(String(scalar).utf8)
            }
        }
    }
    private mutating func escape(_ unit: UInt16) {
        let digits = String(unit, radix: 16)
        append("\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8)
    }
}
