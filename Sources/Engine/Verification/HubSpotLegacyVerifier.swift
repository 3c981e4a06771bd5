// HubSpot's signatures of version 1 and 2: plain SHA-256 over the secret and the request.
//
// A plain hash can be lengthened without the secret, and a text signed as one version reads as the other's. Invariants
// that close both: a body has no NUL (the padding of a lengthened message has one), and a body of version 1 is no text
// that begins with a method.

import FastPath

struct HubSpotLegacyVerifier: StepwiseVerifier {
    private let secrets: [TimedKey<[UInt8]>]

    init(_ secrets: [SourceSecret]) throws(SchemeError) {
        var keys: [TimedKey<[UInt8]>] = []
        for (index, secret) in secrets.enumerated() {
            keys.append(TimedKey(try SecretEncoding.text.key(of: secret.value, index: index), of: secret))
        }
        guard !keys.isEmpty else { throw .noSecret }
        self.secrets = keys
    }

    func check(
        _ request: borrowing CapturedRequest, origin: String?, nowSeconds: UInt64
    ) throws(VerificationFailure) {
        let claimed = try request.single("x-hubspot-signature")
        let version = try request.optional("x-hubspot-signature-version") ?? "v1"
        guard claimed.utf8.allSatisfy({ CharacterClasses.isHexadecimal($0) }) else { throw .rejected(.malformedHeader) }
        var message: [UInt8] = []
        switch version {
        case "v1":
            let first = request.body.first { $0 > 0x20 }
            if let first, first | 0x20 >= 0x61, first | 0x20 <= 0x7A { throw .rejected(.signatureMismatch) }
        case "v2": message = Array((request.method + (origin ?? "") + request.target).utf8)
        default: throw .rejected(.wrongAlgorithm)
        }
        message += request.body
        guard !message.contains(0) else { throw .rejected(.signatureMismatch) }
        let signature = Array(claimed.lowercased().utf8)
        for secret: [UInt8] in secrets.usable(at: nowSeconds) {
            let digest = TextEncoding.hex(Digest.sha256(secret + message))
            if Digest.areEqual(Array(digest.utf8), signature) { return }
        }
        throw .rejected(.signatureMismatch)
    }
}
