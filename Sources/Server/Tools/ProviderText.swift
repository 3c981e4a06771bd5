// The catalogue in words: what a provider is expected to do and what a person copies from where. `sluice providers`
// prints it, docs/providers.md is written from it.
import Engine
import FastPath

package enum ProviderText {
    /// One fact a line: its name and its words.
    package static func facts(_ provider: Provider) -> [(name: String, words: String)] {
        var facts: [(name: String, words: String)] = [
            ("URL", provider.guide.url), ("Secret", provider.guide.secret),
        ]
        facts += provider.schemes.map { ("Signature", words(of: $0)) }
        if provider.methods != .post { facts.append(("Methods", provider.methods.text)) }
        for (name, selectors) in [("Event id", provider.eventID), ("Event type", provider.eventType)]
        where !selectors.isEmpty {
            facts.append((name, selectors.joined(separator: ", else ")))
        }
        facts.append(("Dedup key", dedupKey(of: provider)))
        facts += provider.handshakes.map { ("Handshake", words(of: $0)) }
        facts.append(("Answer", answer(of: provider)))
        facts.append(("Retries", retries(of: provider)))
        if !provider.addresses.isEmpty { facts.append(("Addresses", provider.addresses.joined(separator: ", "))) }
        return facts
    }

    /// What to put into the configuration file.
    package static func block(_ provider: Provider) -> String {
        let variable = provider.name.uppercased().map { $0.isLetter || $0.isNumber ? $0 : "_" }
        let lines =
            [
                "name: \(provider.name)", "provider: \(provider.name)",
                "secrets: [\"${\(String(variable))_SECRET}\"]",
            ] + provider.guide.settings
        return "sources:\n  - " + lines.joined(separator: "\n    ")
    }

    /// docs/providers.md as a whole.
    package static var markdown: String {
        let providers = ProviderCatalogue.all
        var text = """
            # Providers

            What Sluice knows about each sender: where its URL goes, which secret it signs with, what it signs, where
            its event id and type are, what it wants to hear. `sluice providers show NAME` prints the same with a ready
            source block. Written by `sluice providers list --markdown`; do not edit.

            | name | sender | signature | answer |
            |---|---|---|---|

            """
        for provider in providers {
            let schemes = provider.schemes.map { algorithm(of: $0) }
            var seen: [String] = []
            for scheme in schemes where !seen.contains(scheme) { seen.append(scheme) }
            text += "| [`\(provider.name)`](#\(provider.name)) | \(provider.title) | "
            text += "\(seen.isEmpty ? "as configured" : seen.joined(separator: ", ")) | \(provider.successStatus) |\n"
        }
        for provider in providers {
            text += "\n## \(provider.name)\n\n\(provider.title).\n\n"
            for fact in facts(provider) { text += "- \(fact.name): \(marked(fact.words))\n" }
            for note in provider.guide.notes { text += "- \(note)\n" }
            text += "\n```yaml\n\(block(provider))\n```\n"
        }
        return text
    }

    /// Templates and places as code, so that no renderer takes them for something else.
    private static func marked(_ words: String) -> String {
        words.split(separator: " ", omittingEmptySubsequences: false).map { word in
            let isCode = word.contains("{") || word.contains("$") || word.contains(":$") || word.hasPrefix("header:")
            guard isCode, !word.contains("`") else { return String(word) }
            let tail = word.reversed().prefix(while: { $0 == "," || $0 == ";" })
            return "`\(word.dropLast(tail.count))`\(String(tail.reversed()))"
        }.joined(separator: " ")
    }

    private static func dedupKey(of provider: Provider) -> String {
        guard provider.name != "generic" else { return "where the source says its event's id is; else none" }
        guard !provider.dedupKey.isEmpty else {
            return "none: nothing of an event is its own and the same on every try, so each one is kept"
        }
        return provider.dedupKey.joined(separator: ", else ")
    }

    // MARK: answers

    private static func answer(of provider: Provider) -> String {
        var words = "\(provider.successStatus)"
        if let body = provider.successBody.map({ "\($0)" }) {
            words += body.isEmpty ? " without a body" : " with \(body)"
        }
        if let seconds = provider.answerSecondsMax { words += ", within \(seconds) s" }
        return words
    }
    private static func retries(of provider: Provider) -> String {
        var words =
            switch provider.retries {
            case .automatic: "by itself"
            case .none: "none; what is refused is lost, unless it is sent again by hand"
            case .unknown: "not published"
            }
        if let header = provider.retryHeader { words += "; \(header) counts them" }
        if let seconds = provider.signedRetrySeconds {
            words +=
                "; they come with the first try's time, which may therefore be "
                + "\(TimeSpan.text(of: seconds * 1000)) old: a repetition within that is a duplicate by the dedup "
                + "key. Where the source has a `dedup.key`, a `tolerance`, or a shorter `dedup.window` of its own, "
                + "the signature's time counts alone"
        }
        if provider.retryAfterHonoured { words += "; waits as long as Retry-After says" }
        return words
    }

    // MARK: handshakes

    static func words(of handshake: HandshakeDefinition) -> String {
        let asked =
            switch handshake.trigger {
            case .body: "a signed POST"
            case .get: "GET"
            case .options: "OPTIONS"
            case .head: "HEAD"
            case .post: "an unsigned POST"
            }
        guard let challenge = handshake.challenge else { return "\(asked) → \(handshake.status)" }
        let isSigned = handshake.body.contains { if case .mac = $0 { true } else { false } }
        return "\(asked) with \(challenge.place) → \(handshake.status), "
            + (isSigned ? "its HMAC with the secret" : "the same value")
            + (challenge.rule == .opaque ? " (letters, digits, - and _ alone are signed)" : "")
    }
}

// MARK: schemes

extension ProviderText {
    static func algorithm(of scheme: ProviderScheme) -> String {
        switch scheme.rule {
        case .named(let named): name(of: named)
        case .data(let definition): name(of: definition.algorithm)
        }
    }
    private static func name(of algorithm: SchemeAlgorithm) -> String {
        switch algorithm {
        case .hmac(.sha1): "HMAC-SHA1"
        case .hmac(.sha256): "HMAC-SHA256"
        case .hmac(.sha512): "HMAC-SHA512"
        case .token: "token"
        case .basic: "Basic"
        case .ed25519: "Ed25519"
        case .ecdsaP256: "ECDSA P-256"
        case .rsaSHA256: "RSA-SHA256"
        }
    }

    static func words(of scheme: ProviderScheme) -> String {
        guard case .data(let definition) = scheme.rule else { return algorithm(of: scheme) }
        let places = definition.headers.map(\.signature)
        let place =
            places.count > 3 ? "\(places[0]) to \(places[places.count - 1])" : places.joined(separator: ", else ")
        let prefix = definition.prefix.isEmpty ? "" : " after \"\(definition.prefix)\""
        var words: String
        switch definition.algorithm {
        case .token: return "the secret itself, in \(place)\(prefix); the body is not signed"
        case .basic: return "user and password, in \(place) (RFC 7617); the body is not signed"
        case .hmac, .ed25519, .ecdsaP256, .rsaSHA256:
            words = "\(name(of: definition.algorithm)) over \(definition.signed), as \(encoding(of: definition))"
            words += definition.list == .none ? "" : ", entries \(definition.listKey)"
            words += " in \(place)\(prefix)"
        }
        if let rule = definition.timestamp {
            let ways = rule.checksFuture ? "either way" : "old"
            words += "; the time may be \(rule.toleranceSeconds) s \(ways)"
        }
        if let hash = definition.bodyHash { words += "; the body's SHA-256 in \(hash) where that is" }
        if definition.signsPartOnly { words += "; the rest of the body is not signed" }
        if definition.refusesOpaqueBody { words += "; a body of letters, digits, - and _ alone is refused" }
        switch definition.secretEncoding {
        case .text: break
        case .base64: words += "; the key is the secret, base 64 decoded"
        case .hex: words += "; the key is the secret's hexadecimal digits"
        case .whsec: words += "; the key is the base 64 behind whsec_"
        case .ed25519, .spki: words += "; the secret is the sender's public key"
        }
        return words
    }
    private static func encoding(of definition: SchemeDefinition) -> String {
        switch definition.encoding {
        case .hex: "hex"
        case .base64: "base 64"
        case .base64URL: "base 64 URL"
        }
    }
    private static func name(of scheme: NamedScheme) -> String {
        switch scheme {
        case .notificationService: "RSA with Amazon's certificate over the values of the message"
        case .payPal: "RSA-SHA256 with PayPal's certificate over {id}|{time}|{webhook id}|{crc32 of the body}"
        case .jiraConnect: "JWT HS256 in Authorization, with the hash of method, path and query"
        case .adyenItem: "HMAC-SHA256 over eight values of each item, in its additionalData.hmacSignature"
        case .hubSpotLegacy: "SHA-256 of the secret, method and URL (v2 alone) and body, in X-HubSpot-Signature"
        }
    }
}
