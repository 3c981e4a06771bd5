// How a challenge is read and its answer written, and the rules of what may go back.
//
// Invariants: a query's value is compared and echoed decoded, once; what a rule lets through is printable ASCII.
// Safety: the writer appends within the capacity it was given; what does not fit makes the whole answer fail.

import CShims

enum ChallengeText {
    static func isOpaque(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
        default: false
        }
    }
    /// Why `text` may not go back; nil when it may.
    static func problem(_ text: ByteView, _ rule: ChallengeRule, refusesEscapes: Bool) -> SignatureRejection? {
        switch rule {
        case .printable:
            for index in 0..<text.count {
                let byte = text[index]
                guard byte >= 0x20, byte < 0x7F, !refusesEscapes || byte != ASCII.backslash else {
                    return .malformedChallenge
                }
            }
        case .opaque:
            for index in 0..<text.count {
                guard isOpaque(text[index]) else { return .challengeNotOpaque }
            }
        case .origin:
            for index in 0..<text.count {
                let byte = text[index]
                let isSeparator = byte == ASCII.colon || byte == 0x2F || byte == 0x5B || byte == 0x5D
                guard isSeparator || CharacterClasses.isRegisteredName(byte) else { return .malformedChallenge }
            }
        }
        return nil
    }
}

/// One answer in the making: the challenge at the front, then header lines, then the body.
/// Safety: the memory is the caller's; every write is bounded by `capacity`.
@safe struct HandshakeWriter {
    private let memory: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    private var challengeCount = 0
    private var count = 0
    private var bodyStart = 0
    private(set) var hasOverflowed = false

    init(memory: UnsafeMutablePointer<UInt8>, capacity: Int) {
        unsafe self.memory = memory
        self.capacity = capacity
    }

    var challenge: ByteView { unsafe ByteView(memory, count: challengeCount) }
    var lines: ByteView { unsafe ByteView(memory + challengeCount, count: bodyStart - challengeCount) }
    var body: ByteView { unsafe ByteView(memory + bodyStart, count: count - bodyStart) }

    /// False when it is longer than `bytesMax`. Before anything is appended.
    mutating func setChallenge(_ text: ByteView, bytesMax: Int) -> Bool {
        guard text.count <= bytesMax, text.count <= capacity else { return false }
        unsafe UnsafeMutableRawPointer(memory).copyMemory(from: text.base, byteCount: text.count)
        place(challengeCount: text.count)
        return true
    }
    mutating func setDecodedChallenge(_ value: ByteView, bytesMax: Int) -> Bool {
        var place = 0
        var decoded = 0
        while place < value.count {
            guard decoded < bytesMax, decoded < capacity else { return false }
            let (byte, next) = QueryText.byte(value, at: place)
            unsafe memory[decoded] = byte
            decoded += 1
            place = next
        }
        self.place(challengeCount: decoded)
        return true
    }
    private mutating func place(challengeCount: Int) {
        self.challengeCount = challengeCount
        count = challengeCount
        bodyStart = challengeCount
    }
    /// Whether `value`, decoded, is `wanted`; in a time that depends on the lengths alone. Before a challenge is set.
    func decodesSecretly(_ value: ByteView, as wanted: ByteView) -> Bool {
        guard wanted.count <= capacity else { return false }
        var place = 0
        var decoded = 0
        while place < value.count {
            let (byte, next) = QueryText.byte(value, at: place)
            guard decoded < wanted.count else { return false }
            unsafe memory[decoded] = byte
            decoded += 1
            place = next
        }
        return unsafe decoded == wanted.count && sluice_digest_equal(memory, wanted.base, wanted.count) != 0
    }

    mutating func beginBody() { bodyStart = count }
    mutating func append(_ piece: CompiledHandshakePiece, _ key: SigningKey?, escapes: Bool) {
        switch piece.kind {
        case .literal: append(piece.literal)
        case .challenge: if escapes { appendEscaped(challenge) } else { append(challenge) }
        case .hexMAC: appendMAC(key, inHex: true)
        case .base64MAC: appendMAC(key, inHex: false)
        }
    }
    mutating func append(_ text: StaticString) {
        unsafe append(ByteView(text.utf8Start, count: text.utf8CodeUnitCount))
    }
    mutating func append(_ bytes: ByteView) {
        guard hasRoom(for: bytes.count) else { return }
        unsafe UnsafeMutableRawPointer(memory + count).copyMemory(from: bytes.base, byteCount: bytes.count)
        count += bytes.count
    }
    /// As the text of a JSON string; the rules have kept control characters out.
    private mutating func appendEscaped(_ text: ByteView) {
        for index in 0..<text.count {
            let byte = text[index]
            let needsEscape = byte == ASCII.quote || byte == ASCII.backslash
            guard hasRoom(for: needsEscape ? 2 : 1) else { return }
            if needsEscape {
                unsafe memory[count] = ASCII.backslash
                count += 1
            }
            unsafe memory[count] = byte
            count += 1
        }
    }
    private mutating func appendMAC(_ key: SigningKey?, inHex: Bool) {
        guard let key else {
            hasOverflowed = true
            return
        }
        let bytes = key.algorithm.digestBytes
        guard hasRoom(for: inHex ? 2 * bytes : TextEncoding.base64Count(bytes)) else { return }
        unsafe count +=
            inHex
            ? key.writeHex(over: challenge, into: memory + count)
            : key.writeBase64(over: challenge, into: memory + count)
    }
    /// Lines and body together stay within an answer's room.
    private mutating func hasRoom(for bytes: Int) -> Bool {
        let used = count - challengeCount
        if hasOverflowed || bytes > capacity - count || bytes > Handshake.answerBytesMax - used {
            hasOverflowed = true
        }
        return !hasOverflowed
    }
}
