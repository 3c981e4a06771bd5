// What a scheme's data must be like before it is compiled, and the template language of its signed string. A scheme
// that would accept what it should not (a body or a timestamp that no signature covers) is refused here, at start.

package enum SignedTemplate: Equatable, Sendable {
    case literal(String)
    case id
    case timestamp
    case body

    package static func pieces(of template: String) throws(SchemeError) -> [SignedTemplate] {
        var pieces: [SignedTemplate] = []
        var literal = ""
        var rest = template[...]
        while let character = rest.first {
            guard character == "{" else {
                literal.append(character)
                rest = rest.dropFirst()
                continue
            }
            guard let close = rest.firstIndex(of: "}") else { throw .badTemplate("signed: a { without its }") }
            let name = rest[rest.index(after: rest.startIndex)..<close]
            if !literal.isEmpty { pieces.append(.literal(literal)) }
            literal = ""
            switch name {
            case "id": pieces.append(.id)
            case "timestamp": pieces.append(.timestamp)
            case "body": pieces.append(.body)
            default: throw .badTemplate("signed: {\(name)} is none of {timestamp}, {id}, {body}")
            }
            rest = rest[rest.index(after: close)...]
        }
        if !literal.isEmpty { pieces.append(.literal(literal)) }
        return pieces
    }
}

extension SchemeDefinition {
    func check() throws(SchemeError) {
        guard !headers.isEmpty else { throw .badHeader("header: the name of the signature's header is missing") }
        for set in headers {
            for name in [set.signature, set.id, set.timestamp].compactMap({ $0 }) where !SchemeDefinition.isToken(name)
            {
                throw .badHeader("header: \"\(name)\" is no header name")
            }
        }
        if algorithm == .token {
            guard list == .none else { throw .badList("list: a token shares its header with nothing; use none") }
            guard timestamp == nil else { throw .badTimestamp("timestamp: a token covers no timestamp; leave it out") }
            return
        }
        guard (list == .none) == listKey.isEmpty else {
            throw .badList(
                list == .none
                    ? "listKey: \"\(listKey)\" without a list; set list to space, comma or semicolon"
                    : "listKey: missing; name the entries that count, such as v1")
        }
        guard list == .none || prefix.isEmpty else {
            throw .badList("prefix: the entries of a list have none; leave it out")
        }
        try checkTemplate()
    }

    private func checkTemplate() throws(SchemeError) {
        let pieces = try SignedTemplate.pieces(of: signed)
        guard pieces.filter({ $0 == .body }).count == 1 else {
            throw .badTemplate("signed: \"\(signed)\" must have {body} once, or the body could be changed")
        }
        guard !pieces.contains(.id) || headers.allSatisfy({ $0.id != nil }) else {
            throw .badTemplate("signed: {id} needs idHeader")
        }
        guard let timestamp else {
            if pieces.contains(.timestamp) { throw .badTemplate("signed: {timestamp} needs timestamp") }
            return
        }
        guard pieces.contains(.timestamp) else {
            throw .badTimestamp(
                "timestamp: \"\(signed)\" does not sign it, so it proves nothing; leave it out or add {timestamp}")
        }
        if let key = timestamp.listKey {
            guard list == .comma || list == .semicolon, !key.isEmpty, key != listKey else {
                throw .badTimestamp("timestamp: listKey \"\(key)\" needs list comma or semicolon, and a key of its own")
            }
        } else {
            guard headers.allSatisfy({ $0.timestamp != nil }) else {
                throw .badTimestamp("timestamp: name its header, or its listKey")
            }
        }
        guard timestamp.unitsPerSecond > 0, timestamp.toleranceSeconds <= 1 << 32 else {
            throw .badTimestamp("timestamp: tolerance is out of range")
        }
    }

    /// RFC 9110 §5.6.2.
    static func isToken(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
                default: false
                }
            }
    }
}
