// From a source's configuration and the catalogue to what a loop needs: compiled scheme, selectors, handshake.
//
// Invariant: a source gets a scheme, or it has said `unverified: true`; there is no third way. Everything that can be
// wrong is found here, at start, and thrown as a `SourceError`.

import FastPath

package struct CompiledSourceParts: Sendable {
    /// Owns what the others point into: keep it as long as any of them is used.
    package let memory: CompiledMemory
    package let provider: Provider
    /// Verified on the ingest loop where `verifier` is nil; beside one it has the keys of challenges. Nil when neither
    /// is of use.
    package let scheme: SignatureScheme?
    /// Verified by a worker.
    package let verifier: (any RequestVerifier)?
    /// Reads, with a worker, what the loop does not read itself.
    package let reader: EventReader?
    /// What its events are held against; nil = nothing. A worker reads them then.
    package let schemas: SourceSchemas?
    package let selectors: EventSelectors
    package let handshake: Handshake?
    package let edge: SourceEdge
    package let dedupWindowSeconds: UInt32
    package let answer: IngestAnswer
    /// What a person should know although the source is sound; one sentence each.
    package let warnings: [String]
}

package enum SourceCompiler {
    /// `defaultWindowSeconds`: the installation's dedup window, for a source that sets none.
    package static func compile(
        _ source: SourceConfiguration, defaultWindowSeconds: UInt32 = 86_400, gatewayURL: String? = nil,
        certificates: CertificateResolver = .waiting
    ) throws(SourceError) -> CompiledSourceParts {
        func fail(_ problem: SourceProblem) -> SourceError {
            SourceError(source: source.qualifiedName, problem: problem)
        }
        guard let provider = ProviderCatalogue.provider(named: source.provider) else {
            throw fail(
                .unknownProvider(source.provider, nearest: ProviderCatalogue.nearestNames(to: source.provider)))
        }
        let memory = CompiledMemory()
        let rule: CompiledRule
        let selectors: EventSelectors
        let reader: EventReader?
        let schemas: SourceSchemas?
        let handshake: Handshake?
        let edge: SourceEdge
        let answer: IngestAnswer
        do throws(SourceProblemError) {
            answer = try AnswerCompiler.answer(of: source, provider)
            rule = try compileRule(
                source, provider, window: source.dedupWindowSeconds ?? defaultWindowSeconds, certificates, memory)
            let handshakes = try handshakes(of: source, provider)
            handshake = try compileHandshake(source, handshakes, memory)
            selectors = try compileSelectors(source, provider, memory)
            schemas = try SourceSchemas.compile(source.schemas)
            reader = try SplitCompiler.reader(source, selectors, decodesBody: rule.decodesBody, memory)
            edge = try compileEdge(source, provider, handshakes, gatewayURL, memory)
        } catch { throw fail(error.problem) }
        return CompiledSourceParts(
            memory: memory, provider: provider, scheme: rule.scheme, verifier: rule.verifier,
            reader: reader, schemas: schemas, selectors: selectors, handshake: handshake, edge: edge,
            dedupWindowSeconds: source.dedupWindowSeconds ?? defaultWindowSeconds,
            answer: answer,
            warnings: rule.warnings)
    }

    typealias Alternative = (rule: ProviderRule, secrets: [SourceSecret])

    /// The schemes of a source with the secrets of each; empty when it is unverified.
    /// `window`: how long a repetition is known as one.
    static func alternatives(
        _ source: SourceConfiguration, _ provider: Provider, window: UInt32 = 86_400
    ) throws(SourceProblemError) -> [Alternative] {
        if source.unverified {
            guard source.secrets.isEmpty else { throw SourceProblemError(.secretsAndUnverified) }
            return []
        }
        guard !source.secrets.isEmpty else { throw SourceProblemError(.noSecret) }
        if let empty = source.secrets.firstIndex(where: \.value.isEmpty) {
            throw SourceProblemError(.scheme(.emptySecret(index: empty)))
        }
        var schemes = provider.schemes
        if let configured = source.scheme {
            var definition = try definition(of: configured)
            if provider.signsForAnyone { definition.refuseOpaqueBodies() }
            schemes = [ProviderScheme(definition)]
        }
        guard !schemes.isEmpty else { throw SourceProblemError(.noScheme) }
        for (index, secret) in source.secrets.enumerated()
        where !schemes.contains(where: { $0.takes.takes(secret.value) }) {
            throw SourceProblemError(.unusableSecret(index: index))
        }
        var alternatives: [Alternative] = []
        for scheme in schemes {
            let secrets = source.secrets.filter { scheme.takes.takes($0.value) }
            if !secrets.isEmpty { alternatives.append((scheme.rule, secrets)) }
        }
        if let tolerance = source.timestampToleranceSeconds {
            guard tolerance >= 0, tolerance <= 86_400 else { throw SourceProblemError(.badTolerance(tolerance)) }
            var isUsed = false
            for index in alternatives.indices {
                guard case .data(var definition) = alternatives[index].rule, definition.timestamp != nil else {
                    continue
                }
                definition.timestamp?.toleranceSeconds = UInt64(tolerance)
                definition.timestamp?.pastToleranceSeconds = nil
                alternatives[index].rule = .data(definition)
                isUsed = true
            }
            guard isUsed else { throw SourceProblemError(.toleranceWithoutTimestamp) }
        }
        return withRetries(alternatives, source, provider, window: window)
    }

    /// Neither of the two when the source is unverified.
    private struct CompiledRule {
        var scheme: SignatureScheme?
        var verifier: (any RequestVerifier)?
        var decodesBody = false
        var warnings: [String] = []
    }

    private static func compileRule(
        _ source: SourceConfiguration, _ provider: Provider, window: UInt32, _ certificates: CertificateResolver,
        _ memory: CompiledMemory
    ) throws(SourceProblemError) -> CompiledRule {
        let alternatives = try alternatives(source, provider, window: window)
        guard !alternatives.isEmpty else { return CompiledRule() }
        do throws(SchemeError) {
            var definitions: [(definition: SchemeDefinition, secrets: [SourceSecret])] = []
            for alternative in alternatives {
                switch alternative.rule {
                case .data(let definition): definitions.append((definition, alternative.secrets))
                case .named(let named):
                    // A provider has one scheme in code, and no other beside it.
                    return CompiledRule(
                        verifier: try NamedScheme.verifier(
                            named, secrets: alternative.secrets, certificates: certificates),
                        warnings: [named.warning].compactMap(\.self))
                }
            }
            if provider.signsForAnyone { try checkChallenges(definitions.map(\.definition)) }
            let isCostly = definitions.contains(where: \.definition.isCostly)
            let isWithWorker = isCostly || source.split != nil || !source.schemas.isEmpty
            return CompiledRule(
                scheme: isCostly ? nil : try SignatureScheme(definitions, in: memory),
                verifier: isWithWorker ? try SchemeVerifier(definitions, in: memory) : nil,
                decodesBody: definitions.contains(where: \.definition.signsDecodedBody),
                warnings: warnings(of: definitions))
        } catch { throw SourceProblemError(.scheme(error)) }
    }

    /// Lets the provider's own retries through, which bring the first try's time: only where a repetition within that
    /// time is a duplicate, by the key that the catalogue says. Such a key names only what is signed.
    private static func withRetries(
        _ alternatives: [Alternative], _ source: SourceConfiguration, _ provider: Provider, window: UInt32
    ) -> [Alternative] {
        guard let seconds = provider.signedRetrySeconds, source.scheme == nil, source.dedupKey.isEmpty,
            source.split == nil, source.eventID.isEmpty, source.timestampToleranceSeconds == nil
        else { return alternatives }
        return alternatives.map { alternative in
            guard case .data(var definition) = alternative.rule, let rule = definition.timestamp else {
                return alternative
            }
            // A time may lie ahead by the tolerance: so much longer the signature passes.
            guard UInt64(window) >= UInt64(seconds) + rule.toleranceSeconds else { return alternative }
            definition.timestamp?.pastToleranceSeconds = UInt64(seconds)
            return (.data(definition), alternative.secrets)
        }
    }

    /// The provider's challenge signs what anyone asks for: that must be no request of these schemes.
    private static func checkChallenges(_ definitions: [SchemeDefinition]) throws(SchemeError) {
        for definition in definitions {
            try definition.check()
            guard definition.signsNoOpaqueText else {
                throw .badTemplate(
                    "signed: \"\(definition.signed)\" could be a challenge of this provider, which is signed for "
                        + "anyone; it needs {body}, {url} or text with more than letters, digits, - and _")
            }
        }
    }

    private static func warnings(
        of definitions: [(definition: SchemeDefinition, secrets: [SourceSecret])]
    ) -> [String] {
        var warnings: [String] = []
        for warning in definitions.flatMap(\.definition.warnings) where !warnings.contains(warning) {
            warnings.append(warning)
        }
        return warnings
    }

    private static func compileHandshake(
        _ source: SourceConfiguration, _ definitions: [HandshakeDefinition], _ memory: CompiledMemory
    ) throws(SourceProblemError) -> Handshake? {
        guard !definitions.isEmpty else { return nil }
        do throws(HandshakeError) {
            return try Handshake(
                definitions, verifyToken: source.verifyToken, allowedOrigins: source.allowedOrigins,
                in: memory)
        } catch { throw SourceProblemError(.scheme(.badHeader(error.message))) }
    }

    /// The source's own, then the provider's. Each of its own is compiled by itself first, so that a mistake is said at
    /// its place.
    private static func handshakes(
        of source: SourceConfiguration, _ provider: Provider
    ) throws(SourceProblemError) -> [HandshakeDefinition] {
        var own: [HandshakeDefinition] = []
        for (index, handshake) in source.handshakes.enumerated() {
            do throws(HandshakeSpellingError) { own.append(try HandshakeDefinition(handshake)) } catch {
                throw SourceProblemError(.badHandshake(index: index, why: error.words))
            }
            do throws(HandshakeError) { _ = try Handshake([own[index]], in: CompiledMemory()) } catch {
                throw SourceProblemError(.badHandshake(index: index, why: error.message))
            }
        }
        return own + provider.handshakes
    }

    private static func compileEdge(
        _ source: SourceConfiguration, _ provider: Provider, _ handshakes: [HandshakeDefinition],
        _ gatewayURL: String?, _ memory: CompiledMemory
    ) throws(SourceProblemError) -> SourceEdge {
        let alternatives = try alternatives(source, provider)
        do throws(EdgeProblem) {
            return try EdgeCompiler.source(
                source, provider, alternatives, handshakes: handshakes, gatewayURL: gatewayURL, in: memory)
        } catch { throw SourceProblemError(.edge(error)) }
    }

    private static func compileSelectors(
        _ source: SourceConfiguration, _ provider: Provider, _ memory: CompiledMemory
    ) throws(SourceProblemError) -> EventSelectors {
        let eventID = source.eventID.isEmpty ? SplitCompiler.places(provider.eventID, in: source) : source.eventID
        let eventType =
            source.eventType.isEmpty ? SplitCompiler.places(provider.eventType, in: source) : source.eventType
        if provider.takesEnvelope, !source.eventType.isEmpty {
            throw SourceProblemError(
                .selector(
                    key: "event: type",
                    why: "is what `event_type` of the body says for provider \(provider.name); leave it out"))
        }
        // A source that says where its id is means that id when it says nothing of the key.
        // What the provider calls a request's is no event's of a request that is split.
        let ofProvider = source.split == nil ? provider.dedupKey : provider.elementKey
        let fallback = source.eventID.isEmpty ? ofProvider : source.eventID
        let dedupKey = source.dedupKey.isEmpty ? fallback : source.dedupKey
        try SplitCompiler.check(dedupKey, of: source, provider)
        // One by one first, so that a mistake is said at its key.
        for (key, lists) in [
            ("event: id", (eventID, [], [])), ("event: type", ([], eventType, [])), ("dedup: key", ([], [], dedupKey)),
        ] as [(String, ([String], [String], [String]))] {
            do throws(SelectorError) {
                _ = try EventSelectors(eventID: lists.0, eventType: lists.1, dedupKey: lists.2, in: memory)
            } catch { throw SourceProblemError(.selector(key: key, why: error.message)) }
        }
        do throws(SelectorError) {
            return try EventSelectors(eventID: eventID, eventType: eventType, dedupKey: dedupKey, in: memory)
        } catch { throw SourceProblemError(.selector(key: "event", why: error.message)) }
    }
}

/// A problem on its way to where the source's name is known.
struct SourceProblemError: Error {
    let problem: SourceProblem
    init(_ problem: SourceProblem) { self.problem = problem }
}

extension SourceCompiler {
    /// The configuration's words as a definition.
    static func definition(of scheme: SchemeConfiguration) throws(SourceProblemError) -> SchemeDefinition {
        let headers = ([scheme.header] + scheme.otherHeaders).map {
            SchemeHeaders(signature: $0, id: scheme.idHeader, timestamp: scheme.timestamp?.header)
        }
        var definition = SchemeDefinition(
            algorithm: try word("algorithm", scheme.algorithm, algorithms), headers: headers)
        definition.takesEverySet = scheme.takesEveryHeader
        definition.prefix = scheme.prefix
        definition.prefixIgnoresCase = scheme.prefixIgnoresCase
        definition.signsPartOnly = scheme.signsPartOnly
        definition.urlDecodes = scheme.urlDecodes ?? ""
        definition.signsDecodedBody = try word(
            "contentCoding", scheme.contentCoding ?? "as-received", [("as-received", false), ("decoded", true)])
        definition.bodyHash = scheme.bodyHash
        definition.triesBothPorts = try word("urlPorts", scheme.urlPorts, [("as-received", false), ("both", true)])
        definition.encoding = try word("encoding", scheme.encoding, encodings)
        definition.list = try word("list", scheme.list, lists)
        definition.listKey = scheme.listKey
        definition.signed = scheme.signed
        // A public key has one form for each algorithm; what is not said is that one.
        let ownEncoding: SecretEncoding? =
            switch definition.algorithm {
            case .ed25519: .ed25519
            case .ecdsaP256, .rsaSHA256: .spki
            case .hmac, .token, .basic: nil
            }
        let usesOwn = ownEncoding != nil && scheme.secretEncoding == SchemeConfiguration().secretEncoding
        guard let secretEncoding = usesOwn ? ownEncoding : SecretEncoding(rawValue: scheme.secretEncoding) else {
            let wanted = SecretEncoding.allCases.map(\.rawValue).joined(separator: ", ")
            throw SourceProblemError(
                .badSchemeValue(key: "secretEncoding", value: scheme.secretEncoding, wanted: wanted))
        }
        definition.secretEncoding = secretEncoding
        if let timestamp = scheme.timestamp {
            guard timestamp.toleranceSeconds >= 0, timestamp.toleranceSeconds <= 86_400 else {
                throw SourceProblemError(.badTolerance(timestamp.toleranceSeconds))
            }
            definition.timestamp = TimestampRule(
                listKey: timestamp.listKey, form: try word("timestamp: unit", timestamp.unit, units),
                toleranceSeconds: UInt64(timestamp.toleranceSeconds), checksFuture: timestamp.checksFuture,
                checksPast: timestamp.checksPast, isOptional: timestamp.isOptional)
        }
        return definition
    }

    private static func word<T>(
        _ key: String, _ value: String, _ known: [(String, T)]
    ) throws(SourceProblemError) -> T {
        if let match = known.first(where: { $0.0 == value }) { return match.1 }
        let wanted = known.map(\.0).joined(separator: ", ")
        throw SourceProblemError(.badSchemeValue(key: key, value: value, wanted: wanted))
    }
    private static let algorithms: [(String, SchemeAlgorithm)] = [
        ("hmac-sha256", .hmac(.sha256)), ("hmac-sha1", .hmac(.sha1)), ("hmac-sha512", .hmac(.sha512)),
        ("token", .token), ("basic", .basic), ("ed25519", .ed25519), ("ecdsa-p256", .ecdsaP256),
        ("rsa-sha256", .rsaSHA256),
    ]
    private static let encodings: [(String, SignatureEncoding)] = [
        ("hex", .hex), ("base64", .base64), ("base64url", .base64URL),
    ]
    private static let lists: [(String, SignatureList)] = [
        ("none", .none), ("space", .space), ("comma", .comma), ("semicolon", .semicolon),
    ]
    private static let units: [(String, TimestampForm)] = [
        ("seconds", .seconds), ("milliseconds", .milliseconds), ("iso8601", .iso8601),
    ]
}
