// PayPal: an RSA signature over the transmission's id and time, the webhook's id and the body's CRC-32.
//
// The body is covered by its CRC alone, which anyone can steer; but the webhook's id and a fresh transmission id are in
// what is signed, so another body with the same CRC needs a transmission that was seen. That is PayPal's rule; a
// receiver that must be surer asks PayPal's own API.

import FastPath

struct PayPalVerifier: StepwiseVerifier {
    let webhookIDs: [TimedKey<String>]
    let certificates: any CertificateSource

    func check(
        _ request: borrowing CapturedRequest, origin: String?, nowSeconds: UInt64
    ) throws(VerificationFailure) {
        let id = try request.single("paypal-transmission-id")
        let time = try request.single("paypal-transmission-time")
        let claimed = try request.single("paypal-transmission-sig")
        let address = try request.single("paypal-cert-url")
        guard try request.single("paypal-auth-algo") == "SHA256withRSA" else { throw .rejected(.wrongAlgorithm) }
        guard let url = PinnedURL(address), url.isPayPal else { throw .rejected(.untrustedCertificateURL) }
        // A bar would move the borders of what is signed.
        guard let signature = TextEncoding.strictBase64(claimed), !id.utf8.contains(0x7C) else {
            throw .rejected(.malformedHeader)
        }
        guard isTime(time) else { throw .rejected(.malformedTimestamp) }
        switch certificates.keys(at: url, nowSeconds: nowSeconds) {
        case .unavailable: throw .undecided
        case .untrusted: throw .rejected(.untrustedCertificateURL)
        case .keys(let keys):
            let checksum = CyclicRedundancy.crc32(request.body)
            for webhook in webhookIDs.usable(at: nowSeconds) {
                let signed = Array("\(id)|\(time)|\(webhook)|\(checksum)".utf8)
                if keys.contains(where: { $0.verifies(signature, of: signed) }) { return }
            }
            throw .rejected(.signatureMismatch)
        }
    }

    /// As far as the borders of what is signed depend on it: the characters of RFC 3339.
    private func isTime(_ text: String) -> Bool {
        text.utf8.count >= 20 && text.utf8.count <= 35
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x2B, 0x2D, 0x2E, 0x3A, 0x54, 0x5A, 0x74, 0x7A: true
                default: false
                }
            }
    }
}

/// The CRC of zlib and Ethernet (ISO 3309), a nibble at a time.
enum CyclicRedundancy {
    private static let table: [UInt32] = (0..<16).map { index in
        (0..<4).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }
    static func crc32(_ bytes: [UInt8]) -> UInt32 {
        var value = UInt32.max
        for byte in bytes {
            value ^= UInt32(byte)
            value = value >> 4 ^ table[Int(value & 15)]
            value = value >> 4 ^ table[Int(value & 15)]
        }
        return ~value
    }
}
