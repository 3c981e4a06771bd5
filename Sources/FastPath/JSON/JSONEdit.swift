// A JSON document that is edited: containers on the way to an edit are opened, everything else is a place in the bytes
// that came, and is written as it stands there: numbers and texts keep their spelling, whatever they are.
//
// Invariants: `JSONEdit.check` has passed over the whole document, so that opening a container cannot fail; of a name
// that an object has twice the first counts where a value is read, and all of them where one is taken away.

package struct JSONEditMember: Sendable {
    /// Between its quotes, as it is written.
    package var name: [UInt8]
    package var value: JSONEditNode

    package init(name: [UInt8], value: JSONEditNode) {
        self.name = name
        self.value = value
    }
}

package enum JSONEditNode: Sendable {
    /// As it came, without the white space around it.
    case raw(Range<Int>)
    /// JSON that was made.
    case made([UInt8])
    case object([JSONEditMember])
    case list([JSONEditNode])
}

/// What kind of value a node is.
package enum JSONEditKind: Sendable { case text, number, word, object, list }

package struct JSONEdit: Sendable {
    package static let depthMax = 512
    package let bytes: [UInt8]
    package var root: JSONEditNode

    /// Nil when it is not one JSON document.
    package init?(_ bytes: [UInt8]) {
        guard let range = bytes.withView(JSONEdit.check) else { return nil }
        self.bytes = bytes
        root = .raw(range)
    }

    // MARK: reading

    package func kind(_ node: JSONEditNode) -> JSONEditKind {
        let first: UInt8
        switch node {
        case .raw(let range): first = bytes[range.lowerBound]
        case .made(let made): first = made[0]
        case .object: return .object
        case .list: return .list
        }
        switch first {
        case ASCII.quote: return .text
        case ASCII.openBrace: return .object
        case ASCII.openBracket: return .list
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): return .word
        default: return .number
        }
    }
    /// Members or elements are nodes of their own then; a scalar stays what it is. Nil when they are more than
    /// `entriesMax`.
    package func opened(_ node: JSONEditNode, entriesMax: Int) -> JSONEditNode? {
        switch node {
        case .object, .list: return node
        case .raw(let range): return bytes.withView { JSONEdit.opened($0, range, entriesMax) }
        case .made(let made):
            // Its places would be others'.
            guard let edit = JSONEdit(made) else { return node }
            return edit.opened(edit.root, entriesMax: entriesMax).map { edit.detached($0) }
        }
    }
    private func detached(_ node: JSONEditNode) -> JSONEditNode {
        switch node {
        case .raw: .made(text(of: node))
        case .made: node
        case .object(let members): .object(members.map { JSONEditMember(name: $0.name, value: detached($0.value)) })
        case .list(let elements): .list(elements.map { detached($0) })
        }
    }
    package static func isName(_ raw: [UInt8], _ name: [UInt8]) -> Bool {
        raw == name
            || raw.contains(ASCII.backslash) && raw.withView { JSONSyntax.decoded($0) } == name
    }
    /// As JSON.
    package func text(of node: JSONEditNode) -> [UInt8] {
        var out: [UInt8] = []
        write(node, into: &out)
        return out
    }
    package func write(_ node: JSONEditNode, into out: inout [UInt8]) {
        switch node {
        case .raw(let range): out += bytes[range]
        case .made(let made): out += made
        case .object(let members):
            out.append(ASCII.openBrace)
            for (index, member) in members.enumerated() {
                if index > 0 { out.append(ASCII.comma) }
                out.append(ASCII.quote)
                out += member.name
                out += [ASCII.quote, ASCII.colon]
                write(member.value, into: &out)
            }
            out.append(UInt8(ascii: "}"))
        case .list(let elements):
            out.append(ASCII.openBracket)
            for (index, element) in elements.enumerated() {
                if index > 0 { out.append(ASCII.comma) }
                write(element, into: &out)
            }
            out.append(UInt8(ascii: "]"))
        }
    }
    /// A text without quotes and escapes; anything else as JSON.
    package func plain(_ node: JSONEditNode) -> [UInt8] {
        let text = text(of: node)
        guard text.first == ASCII.quote, text.count >= 2 else { return text }
        return text.withView { JSONSyntax.decoded($0.slice(1, $0.count - 2)) }
    }
    /// `text` as JSON.
    package static func quoted(_ text: [UInt8]) -> [UInt8] {
        var out = [ASCII.quote]
        text.withView { JSONSyntax.write($0, into: &out) }
        out.append(ASCII.quote)
        return out
    }
    package static func isNumber(_ text: [UInt8]) -> Bool {
        text.withView { view in
            var place = 0
            return view.count > 0 && JSONSyntax.passNumber(view, &place) && place == view.count
        }
    }

    // MARK: the bytes

    /// Where the document is, white space and a byte order mark aside.
    private static func check(_ body: ByteView) -> Range<Int>? {
        var place = 0
        if body.count >= 3, body[0] == 0xEF, body[1] == 0xBB, body[2] == 0xBF { place = 3 }
        JSONSyntax.passSpace(body, &place)
        let start = place
        guard passValue(body, &place) else { return nil }
        let end = place
        JSONSyntax.passSpace(body, &place)
        return place == body.count ? start..<end : nil
    }
    /// Over one value, which is held against the grammar.
    private static func passValue(_ body: ByteView, _ place: inout Int) -> Bool {
        var frames: [Bool] = []
        while true {
            JSONSyntax.passSpace(body, &place)
            guard place < body.count else { return false }
            let first = body[place]
            if first == ASCII.openBrace || first == ASCII.openBracket {
                guard frames.count < depthMax else { return false }
                let isObject = first == ASCII.openBrace
                frames.append(isObject)
                place += 1
                JSONSyntax.passSpace(body, &place)
                guard place < body.count else { return false }
                if body[place] != first + 2 {
                    if isObject, passName(body, &place) == nil { return false }
                    continue
                }
            } else if !passScalar(body, &place, first) {
                return false
            }
            var isAnother = false
            while let isObject = frames.last, !isAnother {
                JSONSyntax.passSpace(body, &place)
                guard place < body.count else { return false }
                let byte = body[place]
                place += 1
                if byte == ASCII.comma {
                    if isObject, passName(body, &place) == nil { return false }
                    isAnother = true
                } else {
                    guard byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { return false }
                    frames.removeLast()
                }
            }
            if !isAnother { return true }
        }
    }
    private static func passScalar(_ body: ByteView, _ place: inout Int, _ first: UInt8) -> Bool {
        switch first {
        case ASCII.quote:
            place += 1
            var hasEscape = false
            return JSONSyntax.passString(body, &place, hasEscape: &hasEscape)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return JSONSyntax.passNumber(body, &place)
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): return JSONSyntax.passWord(body, &place)
        default: return false
        }
    }
    /// To behind the colon.
    private static func passName(_ body: ByteView, _ place: inout Int) -> Range<Int>? {
        JSONSyntax.passSpace(body, &place)
        guard place < body.count, body[place] == ASCII.quote else { return nil }
        place += 1
        let start = place
        var hasEscape = false
        guard JSONSyntax.passString(body, &place, hasEscape: &hasEscape) else { return nil }
        let end = place - 1
        JSONSyntax.passSpace(body, &place)
        guard place < body.count, body[place] == ASCII.colon else { return nil }
        place += 1
        return start..<end
    }
    /// The document has been checked.
    private static func opened(_ body: ByteView, _ range: Range<Int>, _ entriesMax: Int) -> JSONEditNode? {
        let first = body[range.lowerBound]
        guard first == ASCII.openBrace || first == ASCII.openBracket else { return .raw(range) }
        let isObject = first == ASCII.openBrace
        var members: [JSONEditMember] = []
        var elements: [JSONEditNode] = []
        var place = range.lowerBound + 1
        JSONSyntax.passSpace(body, &place)
        while place < range.upperBound - 1 {
            guard members.count + elements.count < entriesMax else { return nil }
            let name = isObject ? passName(body, &place) : 0..<0
            JSONSyntax.passSpace(body, &place)
            let start = place
            guard let name, passValue(body, &place) else {
                preconditionFailure("a document that was checked is broken")
            }
            if isObject {
                let bytes = body.slice(name.lowerBound, name.count).array
                members.append(JSONEditMember(name: bytes, value: .raw(start..<place)))
            } else {
                elements.append(.raw(start..<place))
            }
            JSONSyntax.passSpace(body, &place)
            if place < range.upperBound - 1 { place += 1 }
            JSONSyntax.passSpace(body, &place)
        }
        return isObject ? .object(members) : .list(elements)
    }
}
