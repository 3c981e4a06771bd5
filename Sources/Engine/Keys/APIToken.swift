// Tokens: what a key's bearer shows. `sluice_`, 43 characters of base 62 (256 random bits), and a checksum of six: the
// prefix and the checksum let a scanner find a token in a repository without false alarms, and let a mistyped one be
// told before it is looked up. Also the secrets of tenants.
import Foundation

package enum APIToken {
    package static let prefix = "sluice_"
    private static let randomCount = 43
    private static let checksumCount = 6
    private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    package static func make() -> String {
        var generator = SystemRandomNumberGenerator()
        let random = (0..<randomCount).map { _ in digits[Int.random(in: digits.indices, using: &generator)] }
        return prefix + String(decoding: random + checksum(of: random), as: UTF8.self)
    }
    package static func isWellFormed(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard bytes.count == prefix.utf8.count + randomCount + checksumCount, text.hasPrefix(prefix) else {
            return false
        }
        let random = Array(bytes[prefix.utf8.count...].prefix(randomCount))
        return random.allSatisfy(digits.contains) && Array(bytes.suffix(checksumCount)) == checksum(of: random)
    }

    /// CRC-32 (IEEE 802.3) in base 62, the least digit last.
    private static func checksum(of bytes: [UInt8]) -> [UInt8] {
        var remainder: UInt32 = .max
        for byte in bytes {
            remainder ^= UInt32(byte)
            for _ in 0..<8 { remainder = remainder >> 1 ^ (remainder & 1 == 1 ? 0xEDB8_8320 : 0) }
        }
        var value = ~remainder
        var text = [UInt8](repeating: digits[0], count: checksumCount)
        for place in text.indices.reversed() {
            text[place] = digits[Int(value % 62)]
            value /= 62
        }
        return text
    }
}

extension TenantSpec {
    /// As Standard Webhooks spell one.
    static func makeSigningSecret() -> String {
        "whsec_" + Data(RandomBytes.make(32)).base64EncodedString()
    }
}
