// Signs a request as a provider would: for `sluice send`, for load and for tests. Works from the same scheme data as
// the verifier, so that a scheme that cannot be signed cannot be verified either.

import FastPath

package struct RequestSigner: Sendable {
    private let memory: CompiledMemory
    private let provider: Provider
    private let definition: SchemeDefinition
    private let secrets: [String]
    private let keys: [SigningKey]

    /// `scheme` for `generic`. Without secrets the request goes unsigned.
    package init(provider name: String, secrets: [String], scheme: SchemeConfiguration? = nil) throws(SourceError) {
        var source = SourceConfiguration()
        source.name = name
        source.provider = name
        source.secrets = secrets.map { SourceSecret($0) }
        source.scheme = scheme
        func fail(_ problem: SourceProblem) -> SourceError { SourceError(source: name, line: 0, problem: problem) }
        guard let provider = ProviderCatalogue.provider(named: name) else {
            throw fail(.unknownProvider(name, nearest: ProviderCatalogue.nearestNames(to: name)))
        }
        self.provider = provider
        memory = CompiledMemory()
        do throws(SourceProblemError) {
            // Of several schemes the first that a secret fits; its secrets alone sign.
            let chosen = try SourceCompiler.alternatives(source, provider)[0]
            definition = chosen.definition
            self.secrets = chosen.secrets.map(\.value)
        } catch { throw fail(error.problem) }
        do throws(SchemeError) {
            _ = try SignatureScheme([(definition, self.secrets)], in: memory)
            var keys: [SigningKey] = []
            if case .hmac(let algorithm) = definition.algorithm {
                for (index, secret) in self.secrets.enumerated() {
                    let bytes = try definition.secretEncoding.key(of: secret, index: index)
                    keys.append(SigningKey(secret: bytes, algorithm: algorithm, in: memory))
                }
            }
            self.keys = keys
        } catch { throw fail(.scheme(error)) }
    }

    /// The signature's headers alone, in the order id, timestamp, signature. `timestamp` in seconds.
    package func signatureHeaders(body: [UInt8], id: String, timestamp: UInt64) -> [(name: String, value: String)] {
        let names = definition.headers[0]
        let time = String(timestamp * (definition.timestamp?.unitsPerSecond ?? 1))
        var headers: [(name: String, value: String)] = []
        if let name = names.id { headers.append((name, id)) }
        if let rule = definition.timestamp, rule.listKey == nil, let name = names.timestamp {
            headers.append((name, time))
        }
        headers.append((names.signature, value(body: body, id: id, time: time)))
        return headers
    }

    /// All that the provider would send besides `Host` and framing: content type, event id and type, signature.
    package func headers(
        body: [UInt8], type: String, id: String, timestamp: UInt64
    ) -> [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = [("Content-Type", "application/json")]
        let signed = signatureHeaders(body: body, id: id, timestamp: timestamp)
        for (selectors, value) in [(provider.eventID, id), (provider.eventType, type)] where !value.isEmpty {
            guard let selector = selectors.first(where: { $0.hasPrefix("header:") }) else { continue }
            let name = String(selector.dropFirst("header:".count))
            if !signed.contains(where: { $0.name.lowercased() == name.lowercased() }) { headers.append((name, value)) }
        }
        return headers + signed
    }

    private func value(body: [UInt8], id: String, time: String) -> String {
        if definition.algorithm == .token { return definition.prefix + secrets[0] }
        let message = signedBytes(body: body, id: id, time: time)
        let signatures = withExtendedLifetime(memory) { keys.map { encoded($0.mac(over: message)) } }
        switch definition.list {
        case .none: return definition.prefix + signatures[0]
        case .space: return signatures.map { "\(definition.listKey),\($0)" }.joined(separator: " ")
        case .comma, .semicolon:
            var entries = signatures.map { "\(definition.listKey)=\($0)" }
            if let key = definition.timestamp?.listKey { entries.insert("\(key)=\(time)", at: 0) }
            return entries.joined(separator: definition.list == .comma ? "," : ";")
        }
    }
    private func signedBytes(body: [UInt8], id: String, time: String) -> [UInt8] {
        // The template was compiled in `init`, so it parses.
        let pieces = (try? SignedTemplate.pieces(of: definition.signed)) ?? []
        return pieces.flatMap { piece -> [UInt8] in
            switch piece {
            case .literal(let text): Array(text.utf8)
            case .id: Array(id.utf8)
            case .timestamp: Array(time.utf8)
            case .body: body
            }
        }
    }
    private func encoded(_ digest: [UInt8]) -> String {
        switch definition.encoding {
        case .hex: return TextEncoding.hex(digest)
        case .base64: return TextEncoding.base64(digest)
        case .base64URL:
            let text = TextEncoding.base64(digest).map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }
            return String(text.prefix(while: { $0 != "=" }))
        }
    }
}
