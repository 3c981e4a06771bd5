// SHA-256, HMAC and base 64 in plain Swift, straight from their definitions, so that a signature is recomputed by other
// code than the one that made it.

enum ReferenceDigest {
    /// The first 32 bits of the fractional parts of the cube (or square) roots of the first primes, found by integer
    /// search.
    private static func rootBits(_ prime: UInt64, cube: Bool) -> UInt32 {
        // The largest x with x^3 (or x^2) <= prime * 2^96 (or 2^64), bit by bit.
        var root: UInt64 = 0
        for bit in stride(from: 36, through: 0, by: -1) {
            let candidate = root | 1 << UInt64(bit)
            let square = candidate.multipliedFullWidth(by: candidate)
            let isFitting: Bool
            if cube {
                guard square.high == 0 else {
                    // candidate^2 >= 2^64: compare candidate^3 in 128 bits.
                    let low = square.low.multipliedFullWidth(by: candidate)
                    let high = square.high &* candidate &+ low.high
                    if high < prime << 32 || high == prime << 32 && low.low == 0 { root = candidate }
                    continue
                }
                let all = square.low.multipliedFullWidth(by: candidate)
                isFitting = all.high < prime << 32
            } else {
                isFitting = square.high < prime || square.high == prime && square.low == 0
            }
            if isFitting { root = candidate }
        }
        return UInt32(truncatingIfNeeded: root)
    }
    private static let primes: [UInt64] = {
        var found: [UInt64] = []
        var candidate: UInt64 = 2
        while found.count < 64 {
            if found.allSatisfy({ candidate % $0 != 0 }) { found.append(candidate) }
            candidate += 1
        }
        return found
    }()
    private static let constants = primes.map { rootBits($0, cube: true) }
    private static let start = primes[0..<8].map { rootBits($0, cube: false) }

    static func sha256(_ message: [UInt8]) -> [UInt8] {
        var padded = message + [0x80]
        while padded.count % 64 != 56 { padded.append(0) }
        let bitCount = message.count * 8
        for shift in stride(from: 56, through: 0, by: -8) {
            padded.append(UInt8(truncatingIfNeeded: bitCount >> shift))
        }
        var state = start
        for block in stride(from: 0, to: padded.count, by: 64) { compress(&state, Array(padded[block..<block + 64])) }
        return state.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) } }
    }
    private static func compress(_ state: inout [UInt32], _ block: [UInt8]) {
        func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 { word >> count | word << (32 - count) }
        var words = (0..<16).map { index in (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(block[index * 4 + $1]) } }
        for index in 16..<64 {
            let (a, b) = (words[index - 15], words[index - 2])
            let first = rotate(a, 7) ^ rotate(a, 18) ^ a >> 3
            let second = rotate(b, 17) ^ rotate(b, 19) ^ b >> 10
            words.append(words[index - 16] &+ first &+ words[index - 7] &+ second)
        }
        var v = state
        for index in 0..<64 {
            let mix = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)
            let choice = v[4] & v[5] ^ ~v[4] & v[6]
            let first = v[7] &+ mix &+ choice &+ constants[index] &+ words[index]
            let majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2]
            let second = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) &+ majority
            v = [first &+ second, v[0], v[1], v[2], v[3] &+ first, v[4], v[5], v[6]]
        }
        for index in 0..<8 { state[index] = state[index] &+ v[index] }
    }
    static func hmac(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        var block = key.count > 64 ? sha256(key) : key
        while block.count < 64 { block.append(0) }
        return sha256(block.map { $0 ^ 0x5C } + sha256(block.map { $0 ^ 0x36 } + message))
    }
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    static func base64(_ bytes: [UInt8]) -> String {
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = Array(bytes[start..<min(start + 3, bytes.count)])
            let bits = (0..<3).reduce(0) { $0 << 8 | ($1 < group.count ? Int(group[$1]) : 0) }
            for place in 0..<4 { text.append(place <= group.count ? alphabet[bits >> (18 - 6 * place) & 63] : "=") }
        }
        return text
    }
    static func base64Decode(_ text: String) -> [UInt8] {
        var bits = 0
        var count = 0
        var bytes: [UInt8] = []
        for character in text where character != "=" {
            bits = (bits << 6 | alphabet.firstIndex(of: character)!) & 0xFFFF
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> count))
            }
        }
        return bytes
    }
}
