// One request by one scheme, signed by hand: the test writes down what the signed string must be, and the request is
// built around its MAC. `@SIG@` in the target, a header or the body becomes the signature.
import FastPath
import Testing

package struct SchemeTrial {
    package static let now: UInt64 = 1_760_000_000

    package var definition: SchemeDefinition
    package var message: String
    package var method = "POST"
    package var target = "/in/x?b=2&a=%41+c"
    package var headers: [(String, String)] = [("X-Sig", "@SIG@")]
    package var body = #"{"id":"evt_1","n":7}"#
    package var origin: String? = "https://hooks.example.com"
    package var secrets: [SourceSecret] = ["key"]
    package var signsWith = "key"

    package init(signed: String, message: String, _ change: (inout SchemeDefinition) -> Void = { _ in }) {
        definition = SchemeDefinition(algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: "X-Sig")])
        definition.signed = signed
        change(&definition)
        self.message = message
    }

    package var signature: String {
        guard case .hmac(let algorithm) = definition.algorithm else { return "" }
        let memory = CompiledMemory()
        let key = SigningKey(secret: Array(signsWith.utf8), algorithm: algorithm, in: memory)
        let digest = key.mac(over: Array(message.utf8))
        withExtendedLifetime(memory) {}
        return definition.encoding == .hex ? TextEncoding.hex(digest) : TextEncoding.base64(digest)
    }
    package var raw: [UInt8] {
        func filled(_ text: String) -> String {
            let parts = text.split(separator: "@SIG@", omittingEmptySubsequences: false)
            return parts.joined(separator: signature)
        }
        let body = filled(body)
        let lines = headers.map { "\($0.0): \(filled($0.1))\r\n" }.joined()
        let head = "\(method) \(filled(target)) HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.utf8.count)\r\n"
        return Array("\(head)\(lines)\r\n\(body)".utf8)
    }

    /// Nil = accepted. The engines must agree; the reading of worker threads must say the same before the mathematics.
    package func verdict(_ raw: [UInt8]? = nil, now: UInt64 = now) throws -> SignatureRejection? {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        let scheme = try SignatureScheme([(definition, secrets)], in: memory)
        return try verdict(scheme, raw ?? self.raw, now)
    }
    package func verdict(_ scheme: SignatureScheme, _ raw: [UInt8], _ now: UInt64) throws -> SignatureRejection? {
        let request: CapturedRequest
        do { request = try CapturedRequest(raw) } catch { return .malformedHeader }
        var verdicts: [SignatureRejection?] = []
        for engine in VerifierEngine.available {
            let copies = engine == .multiBuffer ? 20 : 1
            switch request.verify(scheme, nowSeconds: now, engine: engine, copies: copies, origin: origin) {
            case .accepted: verdicts.append(nil)
            case .rejected(let reason): verdicts.append(reason)
            case .undecided: Issue.record("the loop's schemes always decide")
            }
        }
        for other in verdicts { #expect(other == verdicts[0]) }
        if case .failure(let reason) = scheme.read(request, origin: origin, nowSeconds: now) {
            #expect(verdicts[0] == reason)
        } else {
            // A credential's form is looked at where it is compared; a signature's where it is read.
            let isCredential = definition.algorithm == .token || definition.algorithm == .basic
            let isFormError = isCredential && verdicts[0] == .malformedHeader
            #expect(verdicts[0] == nil || verdicts[0] == definition.mismatch || isFormError)
        }
        return verdicts[0]
    }

    /// Accepted as it is and with re-cased names; refused with every change.
    package func withstandsMutations(
        of names: [String], _ configure: (inout RequestMutations) -> Void = { _ in },
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        let scheme = try SignatureScheme([(definition, secrets)], in: memory)
        #expect(try verdict(scheme, raw, SchemeTrial.now) == nil, sourceLocation: location)
        var mutations = RequestMutations(raw: raw, headers: names)
        configure(&mutations)
        for mutation in mutations.harmless {
            #expect(try verdict(scheme, mutation.bytes, SchemeTrial.now) == nil, "\(mutation.what)")
        }
        for mutation in mutations.forgeries {
            #expect(try verdict(scheme, mutation.bytes, SchemeTrial.now) != nil, "\(mutation.what)")
        }
    }
}
