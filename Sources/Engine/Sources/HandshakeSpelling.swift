// From an operator's challenge to the data of `HandshakeDefinition`.

import FastPath

extension HandshakeDefinition {
    /// Throws the words of what is wrong.
    init(_ own: HandshakeConfiguration) throws(HandshakeSpellingError) {
        switch own.on {
        case .get: self.init(.get)
        case .head: self.init(.head)
        case .options: self.init(.options)
        case .post: self.init(.post)
        case .signed: self.init(.body(try HandshakeDefinition.bodyConditions(own.when)))
        }
        if own.on != .signed { applies = own.when.map(HandshakeDefinition.condition) }
        // A delivery by GET is an event still.
        otherwiseEvent = own.on == .get && own.echo?.hasPrefix("query:") == true
        if let echo = own.echo {
            let isInHeader = own.headers.contains { $0.contains(HandshakeDefinition.mark) }
            challenge = HandshakeChallenge(
                echo, isInHeader ? .opaque : .printable, bytesMax: Handshake.challengeBytesMax)
        }
        status = own.status
        body = HandshakeDefinition.pieces(of: own.body)
        for line in own.headers {
            let halves = line.split(separator: ":", maxSplits: 1).map(String.init)
            guard halves.count == 2, !halves[0].isEmpty else {
                throw HandshakeSpellingError(words: "headers: \"\(line)\" is not NAME: VALUE")
            }
            let value = String(halves[1].drop { $0 == " " })
            headers.append(HandshakeHeader(halves[0], HandshakeDefinition.pieces(of: value)))
        }
        let isJSON = own.body.first.map { $0 == "{" && !own.body.hasPrefix(HandshakeDefinition.mark) || $0 == "[" }
        guard let type = own.type else {
            contentType = isJSON == true ? .json : .text
            return
        }
        guard AnswerCompiler.isContentType(type) else {
            throw HandshakeSpellingError(words: "type: is no content type such as text/plain")
        }
        contentType = type == "application/json" ? .json : type == "text/plain" ? .text : .other(type)
    }

    private static let mark = "{echo}"

    private static func condition(_ text: String) -> HandshakeCondition {
        let halves = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        return HandshakeCondition(halves[0], equals: halves.count > 1 ? halves[1] : nil)
    }
    private static func bodyConditions(_ texts: [String]) throws(HandshakeSpellingError) -> [BodyCondition] {
        guard !texts.isEmpty else {
            throw HandshakeSpellingError(words: "when: a signed POST needs a value by which it is known")
        }
        var conditions: [BodyCondition] = []
        for text in texts {
            let condition = condition(text)
            guard condition.place.hasPrefix("json:") else {
                throw HandshakeSpellingError(words: "when: \"\(text)\" is no place json:$.PATH of a signed body")
            }
            let path = String(condition.place.dropFirst(5))
            guard let value = condition.equals else {
                conditions.append(.present(path: path))
                continue
            }
            let isNumber = !value.isEmpty && value.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
            conditions.append(isNumber ? .number(path: path, equals: value) : .text(path: path, equals: value))
        }
        return conditions
    }
    private static func pieces(of template: String) -> [HandshakePiece] {
        var pieces: [HandshakePiece] = []
        var rest = template[...]
        while let place = rest.firstRange(of: mark) {
            if place.lowerBound > rest.startIndex { pieces.append(.literal(String(rest[..<place.lowerBound]))) }
            pieces.append(.challenge)
            rest = rest[place.upperBound...]
        }
        if !rest.isEmpty { pieces.append(.literal(String(rest))) }
        return pieces
    }
}

struct HandshakeSpellingError: Error {
    let words: String
}
