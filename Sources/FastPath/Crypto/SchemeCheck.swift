// What a scheme's data must be like before it is compiled. A scheme that would accept what it should not (a body or a
// timestamp that no signature covers) is refused here, at start, in words that say what would be right.

extension SchemeDefinition {
    /// DocuSign numbers its headers up to 100.
    static let setCountMax = 100

    package func check() throws(SchemeError) {
        guard !headers.isEmpty else { throw .badHeader("header: the name of the signature's header is missing") }
        guard headers.count <= SchemeDefinition.setCountMax else {
            throw .badHeader("header: at most \(SchemeDefinition.setCountMax) places are taken")
        }
        try checkPlaces()
        try checkSecretEncoding()
        if algorithm == .token || algorithm == .basic { return try checkToken() }
        guard (list == .none) == listKey.isEmpty else {
            throw .badList(
                list == .none
                    ? "listKey: \"\(listKey)\" without a list; set list to space, comma or semicolon"
                    : "listKey: missing; name the entries that count, such as v1")
        }
        guard list == .none || prefix.isEmpty else {
            throw .badList("prefix: the entries of a list have none; leave it out")
        }
        if takesEverySet {
            guard headers.count > 1, headers.allSatisfy({ $0.id == nil && $0.timestamp == nil }), list == .none else {
                throw .badHeader(
                    "takesEverySet: needs several places of signatures, without a list, an id or a timestamp of their "
                        + "own")
            }
        }
        try checkTemplate()
    }

    /// Words for a person about what a sound scheme cannot protect; empty for most.
    package var warnings: [String] {
        guard signsPartOnly, algorithm != .token, algorithm != .basic else { return [] }
        return [
            "signs nothing of the body: who has seen one request can send others with any body until its time is up"
        ]
    }

    /// False when a text of letters, digits, `-` and `_` alone may be what is signed: then nobody may have such a text
    /// signed by the same key for the asking (`HandshakeDefinition.signsForAnyone`).
    package var signsNoOpaqueText: Bool {
        guard case .hmac = algorithm else { return true }
        if refusesOpaqueBody { return true }
        return ((try? SignedTemplate.pieces(of: signed)) ?? []).contains { piece in
            switch piece {
            case .literal(let text): !text.utf8.allSatisfy(ChallengeText.isOpaque)
            // A target has a slash.
            case .url: true
            default: false
            }
        }
    }
    /// Where that helps, has bodies refused that a challenge could be.
    package mutating func refuseOpaqueBodies() {
        guard !signsNoOpaqueText, (try? SignedTemplate.pieces(of: signed))?.contains(.body) == true else { return }
        refusesOpaqueBody = true
    }

    private func checkPlaces() throws(SchemeError) {
        for set in headers {
            _ = try ValueLocation(set.signature, for: "header")
            if let id = set.id { _ = try ValueLocation(id, for: "idHeader") }
            if let time = set.timestamp { _ = try ValueLocation(time, for: "timestamp") }
        }
        if let appliesWhen { _ = try ValueLocation(appliesWhen, for: "appliesWhen") }
        var paths: [JSONPath] = []
        for place in try places() {
            if case .json(let path) = place, !paths.contains(path) { paths.append(path) }
        }
        guard paths.count <= JSONPathSet.pathCountMax else {
            throw .badHeader("a scheme takes at most \(JSONPathSet.pathCountMax) different JSON paths")
        }
    }
    /// All places that the scheme reads.
    func places() throws(SchemeError) -> [ValueLocation] {
        var places: [ValueLocation] = []
        for set in headers {
            for spelling in [set.signature, set.id, set.timestamp].compactMap({ $0 }) {
                places.append(try ValueLocation(spelling, for: "header"))
            }
        }
        for spelling in [appliesWhen, bodyHash].compactMap({ $0 }) {
            places.append(try ValueLocation(spelling, for: "bodyHash"))
        }
        guard algorithm != .token, algorithm != .basic else { return places }
        for case .value(let place) in try SignedTemplate.pieces(of: signed) { places.append(place) }
        return places
    }

    private func checkSecretEncoding() throws(SchemeError) {
        let wanted: [SecretEncoding] =
            switch algorithm {
            case .hmac, .token: [.text, .base64, .hex, .whsec]
            case .basic: [.text]
            case .ed25519: [.ed25519]
            case .ecdsaP256, .rsaSHA256: [.spki]
            }
        guard wanted.contains(secretEncoding) else {
            throw .badAlgorithm(
                "secretEncoding: \"\(secretEncoding.rawValue)\" does not go with the algorithm; wanted is "
                    + wanted.map(\.rawValue).joined(separator: ", "))
        }
    }

    private func checkToken() throws(SchemeError) {
        guard list == .none else { throw .badList("list: a token shares its header with nothing; use none") }
        guard timestamp == nil else { throw .badTimestamp("timestamp: a token covers no timestamp; leave it out") }
        guard !takesEverySet else { throw .badHeader("takesEverySet: a token has one place; leave it out") }
        guard bodyHash == nil, !triesBothPorts, !signsDecodedBody, urlDecodes.isEmpty else {
            throw .badTemplate(
                "bodyHash, triesBothPorts, urlDecodes and signsDecodedBody: a token signs nothing; leave them out")
        }
        guard !refusesOpaqueBody else {
            throw .badTemplate("refusesOpaqueBody: a token signs nothing; leave it out")
        }
        guard algorithm == .token || prefix.isEmpty else {
            throw .badHeader("prefix: basic credentials begin with Basic by themselves; leave it out")
        }
    }

    private func checkTemplate() throws(SchemeError) {
        let pieces = try SignedTemplate.pieces(of: signed)
        let wholes = pieces.filter { $0 == .body || $0 == .form }.count
        guard wholes < 2 else {
            throw .badTemplate(
                "signed: \"\(signed)\" must have {body} (or {form}) once, or the body could be changed")
        }
        let valueCount = pieces.filter { if case .value = $0 { true } else { false } }.count
        guard valueCount <= SchemeData.valueCountMax else {
            throw .badTemplate(
                "signed: at most \(SchemeData.valueCountMax) of {header:…}, {query:…}, {form:…}, {json:…} are taken")
        }
        if signsPartOnly {
            guard wholes == 0, bodyHash == nil else {
                throw .badTemplate("signsPartOnly: \"\(signed)\" signs the body; leave it out")
            }
            guard pieces.contains(where: { if case .literal = $0 { false } else { true } }) else {
                throw .badTemplate("signed: \"\(signed)\" is the same for every request, so it proves nothing")
            }
        } else if wholes == 0, bodyHash == nil {
            throw .badTemplate(
                "signed: \"\(signed)\" must have {body} once, or the body could be changed; where the sender does not "
                    + "sign it, say signsPartOnly")
        }
        guard !refusesOpaqueBody || pieces.contains(.body) else {
            throw .badTemplate("refusesOpaqueBody: \"\(signed)\" has no {body}; leave it out")
        }
        if triesBothPorts, !pieces.contains(.url) {
            throw .badTemplate("triesBothPorts: \"\(signed)\" has no {url}; leave it out")
        }
        guard urlDecodes.isEmpty || pieces.contains(.url) && urlDecodes.utf8.allSatisfy({ $0 < 128 && $0 != 0x25 })
        else {
            throw .badTemplate(
                "urlDecodes: takes characters of ASCII other than %, for a \"signed\" that has {url}; leave it out")
        }
        guard !pieces.contains(.id) || headers.allSatisfy({ $0.id != nil }) else {
            throw .badTemplate("signed: {id} needs idHeader")
        }
        if let bodyHash {
            let place = try ValueLocation(bodyHash, for: "bodyHash")
            switch place {
            case .json, .form: throw .badTemplate("bodyHash: the body cannot have its own hash")
            case .header, .query: break
            }
            guard SchemeDefinition.isCovered(place, by: pieces) else {
                throw .badTemplate("bodyHash: \"\(signed)\" does not sign \(bodyHash), so it proves nothing")
            }
            guard !pieces.contains(.body) else {
                throw .badTemplate("bodyHash: \"\(signed)\" signs the body itself; leave it out")
            }
        }
        try checkTimestamp(pieces)
    }

    /// True when a change of the value changes the signed string.
    private static func isCovered(_ place: ValueLocation, by pieces: [SignedTemplate]) -> Bool {
        if pieces.contains(.value(place)) { return true }
        return isCoveredWhole(place, by: pieces)
    }
    /// True when the value cannot even be taken out unseen.
    private static func isCoveredWhole(_ place: ValueLocation, by pieces: [SignedTemplate]) -> Bool {
        switch place {
        case .header: false
        case .query: pieces.contains(.url) || pieces.contains(.query)
        case .form: pieces.contains(.body) || pieces.contains(.form)
        case .json: pieces.contains(.body)
        }
    }

    private func checkTimestamp(_ pieces: [SignedTemplate]) throws(SchemeError) {
        guard let timestamp else {
            if pieces.contains(.timestamp) { throw .badTemplate("signed: {timestamp} needs timestamp") }
            return
        }
        guard timestamp.toleranceSeconds <= 1 << 32 else {
            throw .badTimestamp("timestamp: tolerance is out of range")
        }
        if let key = timestamp.listKey {
            guard list == .comma || list == .semicolon, !key.isEmpty, key != listKey else {
                throw .badTimestamp(
                    "timestamp: listKey \"\(key)\" needs list comma or semicolon, and a key of its own")
            }
        } else {
            guard headers.allSatisfy({ $0.timestamp != nil }) else {
                throw .badTimestamp("timestamp: name its header, or its listKey")
            }
        }
        let places = try headers.compactMap(\.timestamp).map { spelling throws(SchemeError) in
            try ValueLocation(spelling, for: "timestamp")
        }
        let isSigned =
            pieces.contains(.timestamp)
            || (timestamp.listKey == nil && places.allSatisfy { SchemeDefinition.isCovered($0, by: pieces) })
        guard isSigned else {
            throw .badTimestamp(
                "timestamp: \"\(signed)\" does not sign it, so it proves nothing; leave it out or add {timestamp}")
        }
        guard !timestamp.isOptional else {
            // An empty {timestamp} would let the time be moved into what stands beside it.
            guard timestamp.listKey == nil, !pieces.contains(.timestamp),
                places.allSatisfy({ SchemeDefinition.isCoveredWhole($0, by: pieces) })
            else {
                throw .badTimestamp(
                    "timestamp: only one that stands in the signed body or URL may be optional; elsewhere it could be "
                        + "taken out")
            }
            return
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
