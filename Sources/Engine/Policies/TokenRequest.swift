// What is said to a token endpoint, and what its answers mean (RFC 6749 sections 2.3.1, 4.4, 5.1 and 5.2). Pure.
//
// Invariants: an answer that is not plainly a bearer token is none; of an answer that is none, only its `error` and
// `error_description` are read, and the client's secret is taken out of them.
import FastPath

package enum TokenRequest {
    package static let answerBytesMax = 65_536
    package static let tokenBytesMax = 8192
    /// A token is asked for again at the latest after this, whatever it says of itself.
    package static let lifetimeMillisMax = 86_400_000
    private static let detailBytesMax = 200

    // MARK: What is said

    package static func bytes(
        _ settings: ClientCredentialsSettings, _ address: EndpointAddress, version: String
    ) -> [UInt8] {
        var form = [("grant_type", "client_credentials")]
        if !settings.scopes.isEmpty { form.append(("scope", settings.scopes.joined(separator: " "))) }
        if let audience = settings.audience { form.append(("audience", audience)) }
        var head = "POST \(address.target) HTTP/1.1\r\nHost: \(address.hostField)\r\nUser-Agent: Sluice/\(version)\r\n"
        head += "Accept: application/json\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        switch settings.authStyle {
        case .basic:
            let pair = "\(encoded(settings.clientID)):\(encoded(settings.clientSecret))"
            head += "Authorization: Basic \(TextEncoding.base64(Array(pair.utf8)))\r\n"
        case .body: form += [("client_id", settings.clientID), ("client_secret", settings.clientSecret)]
        }
        let body = form.map { "\($0.0)=\(encoded($0.1))" }.joined(separator: "&")
        head += "Content-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n"
        return Array((head + body).utf8)
    }
    /// `application/x-www-form-urlencoded`.
    static func encoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "*"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            case 0x20: encoded += "+"
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += "%" + (digits.utf8.count == 1 ? "0" : "") + digits
            }
        }
        return encoded
    }

    // MARK: What is answered

    package static func token(
        in answer: ExchangeAnswer, _ settings: ClientCredentialsSettings
    ) throws(TokenFailure) -> GrantedToken {
        let status = UInt16(clamping: answer.status)
        guard answer.status == 200 else { throw refusal(answer, settings) }
        guard let document = SignedJSON(answer.body), case .object = document else {
            throw TokenFailure(.badAnswer, status: status, detail: "it is no JSON object")
        }
        guard let text = document["access_token"]?.text, (1...tokenBytesMax).contains(text.utf8.count),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else {
            let detail = "`access_token` is not 1 to \(tokenBytesMax) visible ASCII characters"
            throw TokenFailure(.badAnswer, status: status, detail: detail)
        }
        guard document["token_type"]?.text?.lowercased() == "bearer" else {
            throw TokenFailure(.badAnswer, status: status, detail: "`token_type` is not Bearer")
        }
        guard let lifetime = document["expires_in"] else {
            return GrantedToken(text: text, lifetimeMillis: settings.tokenMillis)
        }
        // Some write the number as a text.
        guard let seconds = lifetime.seconds ?? lifetime.text.flatMap(seconds), seconds > 0 else {
            throw TokenFailure(.badAnswer, status: status, detail: "`expires_in` is no number of seconds above 0")
        }
        let millis = Int(min(seconds, UInt64(lifetimeMillisMax / 1000))) * 1000
        return GrantedToken(text: text, lifetimeMillis: millis)
    }
    private static func seconds(_ text: String) -> UInt64? {
        (1...16).contains(text.utf8.count) && text.utf8.allSatisfy { (48...57).contains($0) } ? UInt64(text) : nil
    }
    private static func refusal(_ answer: ExchangeAnswer, _ settings: ClientCredentialsSettings) -> TokenFailure {
        let isRefusal = (400..<500).contains(answer.status) && answer.status != 408 && answer.status != 429
        var failure = TokenFailure(isRefusal ? .refused : .unavailable, status: UInt16(clamping: answer.status))
        failure.retryAfterSeconds = answer.retryAfterSeconds
        let document = SignedJSON(answer.body)
        let said = [document?["error"]?.text, document?["error_description"]?.text].compactMap(\.self)
        failure.detail = cleaned(said.filter { !$0.isEmpty }.joined(separator: ": "), settings)
        return failure
    }
    /// For eyes and logs: without the secret in any of the ways it was sent, without control characters, short.
    static func cleaned(_ text: String, _ settings: ClientCredentialsSettings) -> String {
        let secret = settings.clientSecret
        let pair = "\(encoded(settings.clientID)):\(encoded(secret))"
        var text = text
        // Longer ones first: none leaves a part of another behind.
        let forms = [secret, encoded(secret)] + [pair, secret].map { TextEncoding.base64(Array($0.utf8)) }
        for form in forms.sorted(by: { $0.utf8.count > $1.utf8.count }) where !form.isEmpty {
            text = text.split(separator: form, omittingEmptySubsequences: false).joined(separator: "***")
        }
        let plain = text.unicodeScalars.map { scalar in
            scalar.properties.generalCategory == .control || scalar.value == 0x2028 || scalar.value == 0x2029
                ? " " : Character(scalar)
        }
        var cut = String(plain)
        while cut.utf8.count > detailBytesMax { cut.removeLast() }
        return cut
    }
}

extension TokenFailure {
    init(exchange failure: ExchangeFailure) {
        switch failure {
        case .connectFailed(let error): self.init(.connectFailed, detail: error == 0 ? "" : systemText(error))
        case .timedOut: self.init(.timedOut)
        case .tlsFailed(let reason): self.init(.tlsFailed, detail: "\(reason.explanation) (\(reason.code))")
        case .proxyRefused(let status): self.init(.proxyRefused, status: status)
        case .connectionLost: self.init(.connectionLost)
        case .badAnswer: self.init(.badAnswer, detail: "it is not HTTP/1.1")
        case .answerTooLarge: self.init(.answerTooLarge)
        }
    }
}
