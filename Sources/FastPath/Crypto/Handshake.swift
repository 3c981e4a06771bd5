// The challenges that a provider sends before it delivers, answered as a pure function of the request. A challenge in
// a body is answered only after its signature was verified (the caller's duty: `BatchVerifier` first); one in a query
// or a header has no signature, and its answer says nothing that the asker does not know, but for the MAC of an opaque
// value.
//
// Invariants: only an opaque challenge is ever signed: one that could be the signed string of a delivery would turn
// the endpoint into a signing oracle. What goes back is printable ASCII, so it can begin no other header line and no
// other answer.
//
// Safety: writes only within the capacity the caller states; the compiled data lives in the `CompiledMemory` given.

/// An answer in the memory that the caller lent.
package struct HandshakeReply: Sendable {
    package let status: Int
    package let contentType: ByteView
    /// Whole header lines, each with its CRLF.
    package let lines: ByteView
    package let body: ByteView
}

package enum HandshakeResponse: Sendable {
    /// No challenge: an event like any other.
    case none
    case reply(HandshakeReply)
    case rejected(SignatureRejection, status: Int)
}

@safe package struct Handshake: @unchecked Sendable {
    /// Header lines and body of an answer together.
    package static let answerBytesMax = 512
    /// What an answer is made in: the challenge as it is echoed, then lines and body.
    package static let scratchBytesMax = challengeBytesMax + answerBytesMax
    package static let challengeBytesMax = 512
    /// A challenge is a small document; what is longer is an event and is not searched.
    private static let bodyBytesMax = 4096

    private let items: UnsafePointer<CompiledHandshake>
    private let count: Int
    private let paths: JSONPathSet
    private let origins: UnsafePointer<ByteView>
    private let originCount: Int
    /// The methods that challenges come with.
    package let methods: MethodSet
    private let hasBody: Bool
    /// True exactly when some POSTs are answered before their signature is looked at.
    package let takesUnsignedPost: Bool

    init(
        items: UnsafePointer<CompiledHandshake>, count: Int, paths: JSONPathSet, origins: UnsafePointer<ByteView>,
        originCount: Int, methods: MethodSet, hasBody: Bool, takesUnsignedPost: Bool
    ) {
        unsafe self.items = items
        self.count = count
        self.paths = paths
        unsafe self.origins = origins
        self.originCount = originCount
        self.methods = methods
        self.hasBody = hasBody
        self.takesUnsignedPost = takesUnsignedPost
    }

    /// For a verified POST. `key`: the one that verified it (`BatchVerifier.matchedKey`), nil when the source is
    /// unverified; then nothing is signed. `capacity` should be `scratchBytesMax`.
    @_noAllocation @_noLocks
    package func answer(
        body: ByteView, key: SigningKey?, into memory: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> HandshakeResponse {
        guard hasBody, body.count > 0, body.count <= Handshake.bodyBytesMax else { return .none }
        let found = JSONPathScan.run(body, paths)
        for index in 0..<count where unsafe items[index].trigger == .body && fulfils(index, found, body) {
            let item = unsafe items + index
            var writer = unsafe HandshakeWriter(memory: memory, capacity: capacity)
            if unsafe item.pointee.place == .json {
                let value = unsafe found[item.pointee.path]
                switch value.kind {
                case .absent: return refusal(index, .missingChallenge)
                case .string: break
                default: return refusal(index, .malformedChallenge)
                }
                guard unsafe writer.setChallenge(body.slice(value.range), bytesMax: item.pointee.bytesMax) else {
                    return refusal(index, tooLong(index))
                }
            }
            return finish(index, &writer, key)
        }
        return .none
    }

    /// For a GET, HEAD, OPTIONS or POST that is not verified. `key`: what a MAC is made with, the source's first one.
    @_noAllocation @_noLocks
    package func answer(
        bytes: ByteView, head: RequestHead, fields: borrowing FieldTable, body: ByteView, key: SigningKey?,
        into memory: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> HandshakeResponse {
        let trigger: CompiledHandshake.Trigger
        switch head.method {
        case .get: trigger = .get
        case .head: trigger = .head
        case .options: trigger = .options
        case .post: trigger = .post
        default: return .none
        }
        let query = bytes.slice(head.query)
        // A challenge is a small document; of a longer one no value is known.
        let document = trigger == .post && body.count <= Handshake.bodyBytesMax ? body : .empty
        let found = paths.count > 0 && document.count > 0 ? JSONPathScan.run(document, paths) : JSONMatches()
        for index in 0..<count where unsafe items[index].trigger == trigger {
            let item = unsafe items + index
            guard applies(index, bytes, query, fields, document, found) else { continue }
            if unsafe item.pointee.otherwiseEvent, unsafe QueryText.value(of: item.pointee.parameter, in: query) == nil
            {
                continue
            }
            var writer = unsafe HandshakeWriter(memory: memory, capacity: capacity)
            if let reason = unmetRequirement(index, query, &writer) { return refusal(index, reason) }
            switch unsafe item.pointee.place {
            case .none: break
            case .json:
                let value = unsafe found[item.pointee.path]
                guard value.kind == .string else { continue }
                guard unsafe writer.setChallenge(document.slice(value.range), bytesMax: item.pointee.bytesMax) else {
                    return refusal(index, tooLong(index))
                }
            case .query:
                guard let value = unsafe QueryText.value(of: item.pointee.parameter, in: query), value.count > 0 else {
                    return refusal(index, .missingChallenge)
                }
                guard unsafe writer.setDecodedChallenge(value, bytesMax: item.pointee.bytesMax) else {
                    return refusal(index, tooLong(index))
                }
            case .header:
                guard let name = unsafe item.pointee.header else { break }
                let place = fields.firstIndex(of: name, in: bytes)
                guard place >= 0 else { return refusal(index, .missingHeader) }
                guard fields.firstIndex(of: name, in: bytes, from: place + 1) < 0 else {
                    return refusal(index, .duplicateHeader)
                }
                guard unsafe writer.setChallenge(bytes.slice(fields[place].value), bytesMax: item.pointee.bytesMax)
                else {
                    return refusal(index, tooLong(index))
                }
            }
            for place in unsafe 0..<item.pointee.headerCount {
                let line = unsafe item.pointee.headers[place]
                if let asked = line.whenAsked, fields.firstIndex(of: asked, in: bytes) < 0 { continue }
                append(line, of: index, key, &writer)
            }
            return finish(index, &writer, key)
        }
        return .none
    }

    /// Whether an unverified request is this challenge. A POST without the value that would be echoed is an event.
    private func applies(
        _ index: Int, _ bytes: ByteView, _ query: ByteView, _ fields: borrowing FieldTable, _ document: ByteView,
        _ found: JSONMatches
    ) -> Bool {
        for place in unsafe 0..<items[index].appliesCount {
            let condition = unsafe items[index].applies[place]
            switch condition.place {
            case .none: continue
            case .header:
                guard let name = condition.header else { return false }
                let field = fields.firstIndex(of: name, in: bytes)
                let value = field < 0 ? ByteView.empty : bytes.slice(fields[field].value)
                guard condition.isEqual ? value.equals(condition.value) : value.count > 0 else { return false }
            case .query:
                guard let value = QueryText.value(of: condition.parameter, in: query) else { return false }
                guard condition.isEqual ? QueryText.spells(value, condition.value) : value.count > 0 else {
                    return false
                }
            case .json:
                let value = found.bytes(condition.path, of: document)
                guard value.count > 0 else { return false }
                if condition.isEqual, !JSONEscape.spells(value, condition.value) { return false }
            }
        }
        guard unsafe items[index].trigger == .post else { return true }
        switch unsafe items[index].place {
        case .none, .json: return true
        case .query: return unsafe QueryText.value(of: items[index].parameter, in: query) != nil
        case .header:
            guard let header = unsafe items[index].header else { return true }
            return fields.firstIndex(of: header, in: bytes) >= 0
        }
    }

    private func refusal(_ index: Int, _ reason: SignatureRejection) -> HandshakeResponse {
        unsafe .rejected(reason, status: items[index].refusalStatus)
    }
    private func tooLong(_ index: Int) -> SignatureRejection {
        unsafe items[index].rule == .opaque ? .challengeNotOpaque : .malformedChallenge
    }

    private func fulfils(_ index: Int, _ found: JSONMatches, _ body: ByteView) -> Bool {
        for place in unsafe 0..<items[index].conditionCount {
            let condition = unsafe items[index].conditions[place]
            let value = found[condition.path]
            switch condition.kind {
            case .absent: if value.kind != .absent { return false }
            case .present: if found.bytes(condition.path, of: body).count == 0 { return false }
            case .text:
                guard value.kind == .string, JSONEscape.spells(body.slice(value.range), condition.value) else {
                    return false
                }
            case .number:
                if value.kind != .number || !body.slice(value.range).equals(condition.value) { return false }
            }
        }
        return true
    }

    private func unmetRequirement(
        _ index: Int, _ query: ByteView, _ writer: inout HandshakeWriter
    ) -> SignatureRejection? {
        for place in unsafe 0..<items[index].requirementCount {
            let requirement = unsafe items[index].requirements[place]
            let value = QueryText.value(of: requirement.parameter, in: query)
            if requirement.isVerifyToken {
                guard let value, requirement.value.count > 0, writer.decodesSecretly(value, as: requirement.value)
                else { return .verifyTokenMismatch }
            } else {
                guard let value else { return .missingChallenge }
                guard writer.decodesSecretly(value, as: requirement.value) else { return .malformedChallenge }
            }
        }
        return nil
    }

    /// The challenge's rules, then the body.
    private func finish(_ index: Int, _ writer: inout HandshakeWriter, _ key: SigningKey?) -> HandshakeResponse {
        let item = unsafe items + index
        if unsafe item.pointee.place != .none {
            guard writer.challenge.count > 0 else { return refusal(index, .missingChallenge) }
            if let reason = unsafe ChallengeText.problem(
                writer.challenge, item.pointee.rule, refusesEscapes: item.pointee.refusesEscapes)
            {
                return refusal(index, reason)
            }
            if unsafe item.pointee.checksOrigin, !allows(writer.challenge) { return refusal(index, .originNotAllowed) }
        }
        writer.beginBody()
        for place in unsafe 0..<item.pointee.bodyCount {
            let piece = unsafe item.pointee.body[place]
            if key == nil, piece.kind == .hexMAC || piece.kind == .base64MAC { return refusal(index, .invalidSecret) }
            unsafe writer.append(piece, key, escapes: item.pointee.escapes)
        }
        guard !writer.hasOverflowed else { return refusal(index, .malformedChallenge) }
        return unsafe .reply(
            HandshakeReply(
                status: item.pointee.status, contentType: item.pointee.contentType, lines: writer.lines,
                body: writer.body))
    }
    private func append(
        _ line: CompiledHandshakeHeader, of index: Int, _ key: SigningKey?, _ writer: inout HandshakeWriter
    ) {
        writer.append(line.name)
        for place in 0..<line.valueCount { unsafe writer.append(line.value[place], key, escapes: false) }
        writer.append("\r\n")
    }
    private func allows(_ origin: ByteView) -> Bool {
        for place in 0..<originCount {
            let allowed = unsafe origins[place]
            if allowed.equals("*") || origin.equalsIgnoringCase(lowered: allowed) { return true }
        }
        return false
    }
}

extension SignatureScheme {
    /// What an unsigned challenge is answered with: the first key whose time it is; nil when there is none.
    package func challengeKey(nowSeconds: UInt64) -> SigningKey? {
        for index in 0..<keyCount {
            if let windows = unsafe data.pointee.windows, unsafe !windows[index].contains(nowSeconds) { continue }
            return key(at: index)
        }
        return nil
    }
}

// For worker threads and tests; these allocate.
extension Handshake {
    package enum CopiedResponse: Equatable, Sendable {
        case none
        case reply(status: Int, contentType: String, lines: String, body: [UInt8])
        case rejected(SignatureRejection, status: Int)
    }
    package func answer(body: [UInt8], key: SigningKey?) -> CopiedResponse {
        unsafe Handshake.copied { memory in
            body.withView { unsafe answer(body: $0, key: key, into: memory, capacity: Handshake.scratchBytesMax) }
        }
    }
    static func copied(_ make: (UnsafeMutablePointer<UInt8>) -> HandshakeResponse) -> CopiedResponse {
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: scratchBytesMax)
        unsafe memory.initialize(repeating: 0, count: scratchBytesMax)
        defer { unsafe memory.deallocate() }
        switch unsafe make(memory) {
        case .none: return .none
        case .rejected(let reason, let status): return .rejected(reason, status: status)
        case .reply(let reply):
            return .reply(
                status: reply.status, contentType: reply.contentType.text, lines: reply.lines.text,
                body: reply.body.array)
        }
    }
}
