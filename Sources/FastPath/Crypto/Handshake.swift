// The challenges that a provider sends before it delivers, answered as a pure function of the verified request's body.
//
// Invariants: only what was verified may be answered (the caller's duty: `BatchVerifier` first), and only an opaque
// challenge is ever signed: a challenge that could be the signed string of a delivery would turn the endpoint into a
// signing oracle.
//
// Safety: writes only within the capacity the caller states; the compiled paths live in the `CompiledMemory` given.

package enum HandshakeKind: UInt8, CaseIterable, Sendable {
    /// `{"type":"url_verification","challenge":C}` → `{"challenge":C}`.
    case slackURLVerification
    /// `{"event":"endpoint.url_validation","payload":{"plainToken":P}}` →
    /// `{"plainToken":P,"encryptedToken":hex(HMAC(secret,P))}`.
    case zoomURLValidation
}

package enum HandshakeAnswer: Equatable, Sendable {
    /// The body is no challenge: an event like any other.
    case none
    /// Answer 200 with so many bytes of `application/json`.
    case body(byteCount: Int)
    case rejected(SignatureRejection)
}

package struct Handshake: Sendable {
    package static let contentType: StaticString = "application/json"
    /// What an answer needs at most.
    package static let answerBytesMax = 1024
    /// A challenge is a small document; what is longer is an event and is not searched.
    private static let bodyBytesMax = 4096
    /// Zoom's tokens have 22 characters, Slack's 52.
    private static let tokenBytesMax = 128
    private static let challengeBytesMax = 512

    package let kind: HandshakeKind
    private let finder: JSONFinder

    package init(_ kind: HandshakeKind, in memory: CompiledMemory) {
        self.kind = kind
        let paths: [[JSONPathStep]] =
            switch kind {
            case .slackURLVerification: [[.key("type")], [.key("challenge")]]
            case .zoomURLValidation: [[.key("event")], [.key("payload"), .key("plainToken")]]
            }
        finder = JSONFinder(paths.map { JSONPath(steps: $0) }, in: memory)
    }

    /// `key`: the one that verified this request (`BatchVerifier.matchedKey`), nil when the source is unverified; then
    /// nothing is signed. Writes at most `capacity` bytes, which should be `answerBytesMax`.
    @_noAllocation @_noLocks
    package func answer(
        body: ByteView, key: SigningKey?, into memory: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> HandshakeAnswer {
        guard body.count > 0, body.count <= Handshake.bodyBytesMax else { return .none }
        let found = finder.find(in: body)
        guard found[0].kind == .string else { return .none }
        let name = body.slice(found[0].range)
        switch kind {
        case .slackURLVerification:
            guard name.equals("url_verification") else { return .none }
        case .zoomURLValidation:
            guard name.equals("endpoint.url_validation") else { return .none }
        }
        switch found[1].kind {
        case .absent: return .rejected(.missingChallenge)
        case .string: break
        default: return .rejected(.malformedChallenge)
        }
        var writer = AnswerWriter(memory: memory, capacity: capacity)
        let challenge = body.slice(found[1].range)
        guard challenge.count > 0 else { return .rejected(.missingChallenge) }
        switch kind {
        case .slackURLVerification: return Handshake.echo(challenge, &writer)
        case .zoomURLValidation: return Handshake.sign(challenge, key, &writer)
        }
    }

    private static func echo(_ challenge: ByteView, _ writer: inout AnswerWriter) -> HandshakeAnswer {
        guard challenge.count <= challengeBytesMax else { return .rejected(.malformedChallenge) }
        // The raw text of a JSON string goes back as the text of a JSON string; control characters would not be one.
        for index in 0..<challenge.count where challenge[index] < 0x20 { return .rejected(.malformedChallenge) }
        writer.append("{\"challenge\":\"")
        writer.append(challenge)
        writer.append("\"}")
        return writer.answer
    }

    private static func sign(_ token: ByteView, _ key: SigningKey?, _ writer: inout AnswerWriter) -> HandshakeAnswer {
        guard isOpaque(token) else { return .rejected(.challengeNotOpaque) }
        guard let key else { return .rejected(.invalidSecret) }
        writer.append("{\"plainToken\":\"")
        writer.append(token)
        writer.append("\",\"encryptedToken\":\"")
        writer.appendHexMAC(of: token, key)
        writer.append("\"}")
        return writer.answer
    }

    /// Letters, digits, `-` and `_` only: no signed string of any scheme is spelled with these alone.
    private static func isOpaque(_ token: ByteView) -> Bool {
        guard token.count <= tokenBytesMax else { return false }
        for index in 0..<token.count {
            switch token[index] {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: continue
            default: return false
            }
        }
        return true
    }

    /// Allocates; for worker threads and tests.
    package func answer(body: [UInt8], key: SigningKey?) -> (answer: HandshakeAnswer, bytes: [UInt8]) {
        var result = HandshakeAnswer.none
        let bytes = [UInt8](unsafeUninitializedCapacity: Handshake.answerBytesMax) { buffer, count in
            result = body.withView { answer(body: $0, key: key, into: buffer.baseAddress!, capacity: buffer.count) }
            count = if case .body(let byteCount) = result { byteCount } else { 0 }
        }
        return (result, bytes)
    }
}

/// Appends within a capacity; what does not fit makes the whole answer fail.
private struct AnswerWriter {
    let memory: UnsafeMutablePointer<UInt8>
    let capacity: Int
    var count = 0
    var overflowed = false

    init(memory: UnsafeMutablePointer<UInt8>, capacity: Int) {
        self.memory = memory
        self.capacity = capacity
    }
    mutating func append(_ bytes: ByteView) {
        guard !overflowed, bytes.count <= capacity - count else {
            overflowed = true
            return
        }
        UnsafeMutableRawPointer(memory + count).copyMemory(from: bytes.base, byteCount: bytes.count)
        count += bytes.count
    }
    mutating func append(_ text: StaticString) { append(ByteView(text.utf8Start, count: text.utf8CodeUnitCount)) }
    mutating func appendHexMAC(of message: ByteView, _ key: SigningKey) {
        guard !overflowed, 2 * key.algorithm.digestBytes <= capacity - count else {
            overflowed = true
            return
        }
        count += key.writeHex(over: message, into: memory + count)
    }
    var answer: HandshakeAnswer { overflowed ? .rejected(.malformedChallenge) : .body(byteCount: count) }
}
