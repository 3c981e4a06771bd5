// What a request claims and what of it is signed, by any scheme, for worker threads: the costly algorithms verify it,
// `sluice verify --explain` and the hints show it. The same reading as the loop's; it allocates.
//
// Safety: the memory lives for one call; the claims are read back by the lengths that were written before them.

package struct SignatureReading: Sendable {
    /// Decoded; of a token or of credentials the text behind the prefix.
    package var signatures: [[UInt8]] = []
    /// The signed bytes; empty for tokens and credentials.
    package var message: [UInt8] = []
    /// The same with the other spelling of the URL's port, where the scheme tries both.
    package var otherMessage: [UInt8]?
    /// As they came; empty where the scheme has none.
    package var id: [UInt8] = []
    package var timestamp: [UInt8] = []
    /// The place of the scheme among the source's alternatives.
    package var alternative = 0
}

extension SignatureScheme {
    /// As many claims of a public key as `SignatureClaims.costlyCountMax`, of less than 1 KiB each (RSA of 4096 bits
    /// has 512).
    private static let claimBytesMax = SignatureClaims.costlyCountMax << 10

    /// Reads by the alternative that the request is checked by. A failure is what the loop would say before any
    /// signature is computed.
    package func read(
        _ request: borrowing CapturedRequest, origin: String?, nowSeconds: UInt64
    ) -> Result<SignatureReading, SignatureRejection> {
        let originBytes = Array((origin ?? "").utf8)
        // Decoding and composing write at most what they read; the template's literals are the configuration's.
        let room = 4 * (request.bytes.count + request.body.count + originBytes.count) + (1 << 16)
        let composed = UnsafeMutablePointer<UInt8>.allocate(capacity: room)
        let claims = UnsafeMutablePointer<UInt8>.allocate(capacity: SignatureScheme.claimBytesMax)
        let form = FormParameters()
        defer {
            unsafe composed.deallocate()
            unsafe claims.deallocate()
            form.deallocate()
        }
        return request.bytes.withView { bytes in
            request.body.withView { body in
                originBytes.withView { originView in
                    var reading = unsafe RequestReading(
                        bytes: bytes, head: request.head, body: body, origin: originView, nowSeconds: nowSeconds,
                        form: form, composed: ComposedBytes(memory: composed, capacity: room))
                    return unsafe read(&reading, request.fields, claims)
                }
            }
        }
    }

    private func read(
        _ request: inout RequestReading, _ fields: borrowing FieldTable, _ claimMemory: UnsafeMutablePointer<UInt8>
    ) -> Result<SignatureReading, SignatureRejection> {
        let chosen = unsafe SchemeData.chosen(self, &request, fields)
        var result = SignatureReading()
        var place = unsafe data
        while unsafe place != chosen, let next = unsafe place.pointee.alternative {
            unsafe place = next
            result.alternative += 1
        }
        var parts = SignatureParts()
        var message = ComposedMessage()
        let isMAC = unsafe chosen.pointee.kind == .mac
        var claims = unsafe SignatureClaims(
            memory: claimMemory, digestBytes: isMAC ? chosen.pointee.algorithm.digestBytes : 0,
            capacity: isMAC ? SignatureClaims.bytesMax : SignatureScheme.claimBytesMax)
        let reason = unsafe chosen.pointee.read(&request, fields, parts: &parts, claims: &claims, message: &message)
        guard !request.composed.overflowed else { return .failure(.malformedHeader) }
        if let reason { return .failure(reason) }
        result.id = parts.id.array
        result.timestamp = parts.timestamp.array
        switch unsafe chosen.pointee.kind {
        case .token, .basic:
            guard let token = unsafe chosen.pointee.rest(of: parts.signature) else { return .failure(.malformedHeader) }
            result.signatures = [token.array]
            return .success(result)
        case .mac, .costly: break
        }
        result.message = message.before.array
        if message.hasBody { result.message += request.body.array + message.after.array }
        if message.hasOther {
            result.otherMessage = message.otherBefore.array
            if message.hasBody { result.otherMessage! += request.body.array + message.otherAfter.array }
        }
        var offset = 0
        for _ in 0..<claims.count {
            var count = claims.digestBytes
            if count == 0 {
                count = unsafe Int(claimMemory[offset]) << 8 | Int(claimMemory[offset + 1])
                offset += 2
            }
            unsafe result.signatures.append(ByteView(claimMemory + offset, count: count).array)
            offset += count
        }
        return .success(result)
    }
}
