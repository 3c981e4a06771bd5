// Signature headers of each form. A byte that says which, then lines: the header, the id, the time, and the body; in
// the header `@` stands for the true signature and `#` for the time. What is accepted has the true signature in it and
// a time within the tolerance; the plain way to write it is accepted; engines and the reading of workers agree.
import FastPath

enum SignatureFuzz {
    private struct Form: @unchecked Sendable {
        let definition: SchemeDefinition
        let scheme: SignatureScheme
        let key: SigningKey?
        /// How the header is written when it is right.
        let plain: String
    }
    private static let now: UInt64 = 1_760_000_000
    private static let secret = "user:key"
    private static let memory = CompiledMemory()
    private static let forms: [Form] = definitions.map { definition, plain in
        guard let scheme = try? SignatureScheme([(definition, [SourceSecret(secret)])], in: memory) else {
            fatalError("the form \(plain) does not compile")
        }
        guard case .hmac(let algorithm) = definition.algorithm else {
            return Form(definition: definition, scheme: scheme, key: nil, plain: plain)
        }
        let key = SigningKey(secret: Array(secret.utf8), algorithm: algorithm, in: memory)
        return Form(definition: definition, scheme: scheme, key: key, plain: plain)
    }

    private static let definitions: [(SchemeDefinition, String)] = [
        (form { $0.prefix = "sha256=" }, "sha256=@"), (form(.sha1) { $0.encoding = .base64 }, "@"),
        (form(.sha512) { _ in }, "@"),
        (
            form { scheme in
                scheme.headers = [SchemeHeaders(signature: "X-Sig", id: "X-Id", timestamp: "X-Time")]
                (scheme.list, scheme.listKey, scheme.encoding) = (.space, "v1", .base64)
                (scheme.signed, scheme.timestamp) = ("{id}.{timestamp}.{body}", TimestampRule())
            }, "v1,@"
        ),
        (listed(.comma, "t", "v1"), "t=#,v1=@"), (listed(.semicolon, "ts", "h1"), "ts=#;h1=@"),
        (
            form { scheme in
                scheme.headers = [SchemeHeaders(signature: "X-Sig", timestamp: "X-Time")]
                (scheme.signed, scheme.timestamp) = ("{timestamp}{body}", TimestampRule(form: .milliseconds))
            }, "@"
        ),
        (
            form { scheme in
                scheme.headers = [SchemeHeaders(signature: "X-Sig", timestamp: "X-Time")]
                (scheme.signed, scheme.timestamp) = ("{timestamp}{body}", TimestampRule(form: .iso8601))
            }, "@"
        ),
        (
            form { scheme in
                (scheme.algorithm, scheme.prefix, scheme.prefixIgnoresCase) = (.token, "Bearer ", true)
            }, "Bearer @"
        ), (form { $0.algorithm = .basic }, "Basic @"),
    ]
    private static func form(
        _ algorithm: MACAlgorithm = .sha256, _ change: (inout SchemeDefinition) -> Void
    ) -> SchemeDefinition {
        var scheme = SchemeDefinition(algorithm: .hmac(algorithm), headers: [SchemeHeaders(signature: "X-Sig")])
        change(&scheme)
        return scheme
    }
    private static func listed(_ list: SignatureList, _ timeKey: String, _ key: String) -> SchemeDefinition {
        form { scheme in
            (scheme.list, scheme.listKey) = (list, key)
            (scheme.signed, scheme.timestamp) = ("{timestamp}.{body}", TimestampRule(listKey: timeKey))
        }
    }

    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        guard let first = input.first else { return }
        let form = forms[Int(first) % forms.count]
        let parts = lines(Array(input.dropFirst()), 3)
        let (id, time, body) = (parts[1], parts[2], parts[3])
        let true_ = signature(form, id, time, body)
        let header = replaced(parts[0], true_, time)
        let verdict = try verdict(form, header, id, time, body)
        if verdict == nil {
            try hold(holds(form, header, true_), "accepted without its signature: \(header)")
            try hold(isInTime(form, time), "accepted at another time")
        }
        let plain = replaced(Array(form.plain.utf8), true_, time)
        let isPlain = id.allSatisfy { (0x21..<0x7F).contains($0) } && !id.isEmpty && isDigits(time)
        guard isPlain, form.definition.timestamp.map({ $0.form != .iso8601 }) ?? true, isInTime(form, time) else {
            return
        }
        let wanted = try self.verdict(form, plain, id, time, body)
        try hold(wanted == nil, "the plain way is refused: \(String(describing: wanted))")
    }

    private static func isDigits(_ text: [UInt8]) -> Bool {
        (1...16).contains(text.count) && text.allSatisfy { (0x30...0x39).contains($0) }
    }
    private static func isInTime(_ form: Form, _ time: [UInt8]) -> Bool {
        guard let rule = form.definition.timestamp, rule.form != .iso8601 else { return true }
        guard isDigits(time), let claimed = UInt64(String(decoding: time, as: UTF8.self)) else { return false }
        let unit: UInt64 = rule.form == .milliseconds ? 1000 : 1
        return claimed >= (now - 300) * unit && claimed <= (now + 300) * unit
    }
    private static func holds(_ form: Form, _ header: [UInt8], _ signature: [UInt8]) -> Bool {
        func lowered(_ bytes: [UInt8]) -> [UInt8] { bytes.map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 } }
        if form.key != nil, form.definition.encoding == .hex {
            return lowered(header).firstRange(of: lowered(signature)) != nil
        }
        // Padding may be left out, and the other alphabet be used.
        func standard(_ bytes: [UInt8]) -> [UInt8] {
            bytes.filter { $0 != 0x3D }.map { $0 == 0x2D ? 0x2B : $0 == 0x5F ? 0x2F : $0 }
        }
        return standard(header).firstRange(of: standard(signature)) != nil
    }
    private static func signature(_ form: Form, _ id: [UInt8], _ time: [UInt8], _ body: [UInt8]) -> [UInt8] {
        guard let key = form.key else {
            let text = Array(secret.utf8)
            return form.definition.algorithm == .basic ? Array(TextEncoding.base64(text).utf8) : text
        }
        var message: [UInt8] = []
        switch form.definition.signed {
        case "{id}.{timestamp}.{body}": message = id + [0x2E] + time + [0x2E]
        case "{timestamp}.{body}": message = time + [0x2E]
        case "{timestamp}{body}": message = time
        default: break
        }
        let digest = key.mac(over: message + body)
        let text = form.definition.encoding == .hex ? TextEncoding.hex(digest) : TextEncoding.base64(digest)
        return Array(text.utf8)
    }
    private static func replaced(_ text: [UInt8], _ signature: [UInt8], _ time: [UInt8]) -> [UInt8] {
        text.flatMap { $0 == UInt8(ascii: "@") ? signature : $0 == UInt8(ascii: "#") ? time : [$0] }
    }

    private static func verdict(
        _ form: Form, _ header: [UInt8], _ id: [UInt8], _ time: [UInt8], _ body: [UInt8]
    ) throws(FuzzFinding) -> SignatureRejection? {
        let named: [(String, [UInt8])] = [("X-Sig", header), ("X-Id", id), ("X-Time", time)]
        var raw = Array("POST /in/x HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.count)\r\n".utf8)
        for (name, value) in named { raw += Array("\(name): ".utf8) + value + [0x0D, 0x0A] }
        raw += [0x0D, 0x0A] + body
        guard let request = try? CapturedRequest(raw) else { return .malformedHeader }
        var verdicts: [SignatureRejection?] = []
        for engine in VerifierEngine.available {
            let copies = engine == .multiBuffer ? 20 : 1
            switch request.verify(form.scheme, nowSeconds: now, engine: engine, copies: copies, origin: nil) {
            case .accepted: verdicts.append(nil)
            case .rejected(let reason): verdicts.append(reason)
            case .undecided: throw FuzzFinding("the loop's schemes always decide")
            }
        }
        let verdict = verdicts[0]
        for other in verdicts { try hold(other == verdict, "engines differ: \(verdicts)") }
        switch form.scheme.read(request, origin: nil, nowSeconds: now) {
        case .failure(let reason):
            try hold(verdict == reason, "the loop \(String(describing: verdict)), read \(reason)")
        case .success:
            let isCredential = form.key == nil && verdict == .malformedHeader
            try hold(
                verdict == nil || verdict == form.definition.mismatch || isCredential,
                "read, and \(String(describing: verdict))")
        }
        return verdict
    }
}
