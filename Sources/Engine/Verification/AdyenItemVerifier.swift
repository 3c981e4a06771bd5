// Adyen's payment notifications: an HMAC inside each item over eight of its values, joined by colons as they are.
//
// What the eight do not name is not covered by any signature; that is Adyen's rule. Invariant: each item of a request
// must verify, or none is taken.

import FastPath

struct AdyenItemVerifier: StepwiseVerifier {
    private let memory: CompiledMemory
    private let keys: [TimedKey<SigningKey>]
    static let itemsMax = 1000

    init(_ secrets: [SourceSecret]) throws(SchemeError) {
        memory = CompiledMemory()
        var keys: [TimedKey<SigningKey>] = []
        for (index, secret) in secrets.enumerated() {
            let bytes = try SecretEncoding.hex.key(of: secret.value, index: index)
            keys.append(TimedKey(SigningKey(secret: bytes, algorithm: .sha256, in: memory), of: secret))
        }
        guard !keys.isEmpty else { throw .noSecret }
        self.keys = keys
    }

    func check(
        _ request: borrowing CapturedRequest, origin: String?, nowSeconds: UInt64
    ) throws(VerificationFailure) {
        guard let document = SignedJSON(request.body), case .object = document else {
            throw .rejected(.malformedHeader)
        }
        var items = [document]
        if let list = document["notificationItems"] {
            guard let elements = list.elements, elements.count <= AdyenItemVerifier.itemsMax else {
                throw .rejected(.malformedHeader)
            }
            guard !elements.isEmpty else { throw .rejected(.missingHeader) }
            items = []
            for element in elements {
                guard let item = element["NotificationRequestItem"] else { throw .rejected(.malformedHeader) }
                items.append(item)
            }
        }
        let usable: [SigningKey] = keys.usable(at: nowSeconds)
        for item in items { try check(item: item, keys: usable) }
    }

    private func check(item: SignedJSON, keys: [SigningKey]) throws(VerificationFailure) {
        guard let claim = item["additionalData"]?["hmacSignature"] else { throw .rejected(.missingHeader) }
        guard let text = claim.text, let signature = TextEncoding.strictBase64(text) else {
            throw .rejected(.malformedHeader)
        }
        var values: [String] = []
        for name in ["pspReference", "originalReference", "merchantAccountCode", "merchantReference"] {
            values.append(try scalar(item[name] ?? .null))
        }
        for value in [item["amount"]?["value"], item["amount"]?["currency"], item["eventCode"], item["success"]] {
            guard let value, value != .null else { throw .rejected(.malformedHeader) }
            values.append(try scalar(value))
        }
        let signed = Array(values.joined(separator: ":").utf8)
        let isSigned = withExtendedLifetime(memory) {
            keys.contains { Digest.areEqual($0.mac(over: signed), signature) }
        }
        guard isSigned else { throw .rejected(.signatureMismatch) }
    }
    private func scalar(_ value: SignedJSON) throws(VerificationFailure) -> String {
        guard let text = value.scalarText else { throw .rejected(.malformedHeader) }
        return text
    }
}
