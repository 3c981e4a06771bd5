// A redaction over JSON: each text that is a value, as it is when its escapes are read; a value whose member's name
// gives it away, as a whole, whatever it is made of. White space, names, numbers and everything that is not replaced
// stay as they are written.
//
// Invariants: what comes out is JSON exactly when what went in is; several documents one behind the other (NDJSON) are
// taken too. What is nested deeper than the bound, or no JSON, is said, and is then read as text.

package enum JSONRedactionResult: Equatable, Sendable {
    case notJSON
    case unchanged
    case changed([UInt8])
}

extension RedactionPass {
    package mutating func json(_ body: ByteView) -> JSONRedactionResult {
        let before = self
        var walk = JSONRedactionWalk(body, self)
        let isJSON = walk.run()
        guard isJSON else {
            self = before
            return .notJSON
        }
        self = walk.pass
        guard walk.copied > 0 else { return .unchanged }
        walk.out.add(body, walk.copied, body.count)
        return .changed(walk.out)
    }
}

private struct JSONRedactionWalk {
    static let depthMax = 512
    /// One open container.
    private struct Frame {
        var isObject: Bool
        /// What the name says whose value is read, or of which this is a list.
        var kind: RedactionKind?
        /// What the name said whose value this object is: it holds for all that is in it.
        var inherited: RedactionKind?
    }
    let body: ByteView
    var pass: RedactionPass
    var out: [UInt8] = []
    /// Behind what has been replaced last; 0 = nothing yet.
    var copied = 0
    private var place = 0
    private var frames: [Frame] = []

    init(_ body: ByteView, _ pass: RedactionPass) {
        self.body = body
        self.pass = pass
        if body.count >= 3, body[0] == 0xEF, body[1] == 0xBB, body[2] == 0xBF { place = 3 }
    }

    /// False when it is no JSON.
    mutating func run() -> Bool {
        JSONSyntax.passSpace(body, &place)
        guard place < body.count else { return false }
        while place < body.count {
            guard passDocument() else { return false }
            JSONSyntax.passSpace(body, &place)
        }
        return true
    }
    private mutating func passDocument() -> Bool {
        var kind: RedactionKind?
        while true {
            JSONSyntax.passSpace(body, &place)
            guard place < body.count else { return false }
            let first = body[place]
            if first == ASCII.openBrace || first == ASCII.openBracket {
                guard frames.count < JSONRedactionWalk.depthMax else { return false }
                let isObject = first == ASCII.openBrace
                frames.append(
                    Frame(
                        isObject: isObject, kind: isObject ? nil : kind,
                        inherited: isObject && kind != .namespace ? kind : nil))
                place += 1
                JSONSyntax.passSpace(body, &place)
                guard place < body.count else { return false }
                if body[place] != first + 2 {
                    if isObject, !passName() { return false }
                    kind = frames[frames.count - 1].kind
                    continue
                }
            } else if !passScalar(first, kind) {
                return false
            }
            switch leave() {
            case .another: kind = frames[frames.count - 1].kind
            case .done: return true
            case .wrong: return false
            }
        }
    }
    private enum Leaving { case another, done, wrong }
    private mutating func leave() -> Leaving {
        while let frame = frames.last {
            JSONSyntax.passSpace(body, &place)
            guard place < body.count else { return .wrong }
            let byte = body[place]
            place += 1
            if byte == ASCII.comma { return !frame.isObject || passName() ? .another : .wrong }
            guard byte == (frame.isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { return .wrong }
            frames.removeLast()
        }
        return .done
    }
    private mutating func passName() -> Bool {
        JSONSyntax.passSpace(body, &place)
        guard place < body.count, body[place] == ASCII.quote else { return false }
        place += 1
        let start = place
        var hasEscape = false
        guard JSONSyntax.passString(body, &place, hasEscape: &hasEscape) else { return false }
        let name = body.slice(start, place - 1 - start)
        let own = hasEscape ? JSONSyntax.decoded(name).withView { pass.kind(of: $0) } : pass.kind(of: name)
        let inherited = frames[frames.count - 1].inherited
        frames[frames.count - 1].kind = own == .namespace ? inherited ?? own : own ?? inherited
        JSONSyntax.passSpace(body, &place)
        guard place < body.count, body[place] == ASCII.colon else { return false }
        place += 1
        return true
    }
    private mutating func passScalar(_ first: UInt8, _ kind: RedactionKind?) -> Bool {
        let start = place
        switch first {
        case ASCII.quote:
            place += 1
            var hasEscape = false
            guard JSONSyntax.passString(body, &place, hasEscape: &hasEscape) else { return false }
            if place - 2 > start { look(start + 1, place - 1, kind, hasEscape) }
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            guard JSONSyntax.passNumber(body, &place) else { return false }
            guard let kind, kind != .namespace else { break }
            if let text = pass.named(kind, body.slice(start, place - start)) {
                out.add(body, copied, start)
                out.append(ASCII.quote)
                text.withView { JSONSyntax.write($0, into: &out) }
                out.append(ASCII.quote)
                copied = place
            }
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): return JSONSyntax.passWord(body, &place)
        default: return false
        }
        return true
    }
    /// The text between two quotes.
    private mutating func look(_ start: Int, _ end: Int, _ kind: RedactionKind?, _ hasEscape: Bool) {
        let raw = body.slice(start, end - start)
        let changed: [UInt8]?
        if hasEscape {
            changed = JSONSyntax.decoded(raw).withView { plain in
                kind == nil ? pass.text(plain) : pass.named(kind, plain)
            }
        } else {
            changed = kind == nil ? pass.text(raw) : pass.named(kind, raw)
        }
        guard let changed else { return }
        out.add(body, copied, start)
        changed.withView { JSONSyntax.write($0, into: &out) }
        copied = end
    }
}
