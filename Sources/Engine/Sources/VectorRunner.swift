// Runs signature vectors, and captured requests, through the code of the hot path: the vector's request is rendered to
// bytes, parsed by `HeadParser`, verified by a compiled scheme in a `BatchVerifier`. For `sluice verify` and the tests.
//
// Invariant: what this version has no scheme for is skipped and said so; it never counts as passed.

import FastPath
import Foundation

package enum VectorRunner {
    /// `data`: a JSON array of vectors. Throws when it is none.
    package static func run(
        file data: [UInt8], engine: VerifierEngine = .automatic
    ) throws -> [VectorResult] {
        let vectors = try JSONValueDecoder().decode([SignatureVector].self, from: data)
        return vectors.map { run($0, engine: engine) }
    }

    package static func run(_ vector: SignatureVector, engine: VerifierEngine) -> VectorResult {
        func result(_ outcome: VectorResult.Outcome, _ reason: String?) -> VectorResult {
            let text = outcome == .accept ? "accept" : "reject:\(reason ?? "")"
            let wanted = [vector.expect] + (vector.alt_expect ?? [])
            return VectorResult(
                id: vector.id, result: outcome, reason: reason, expected: vector.expect,
                passes: outcome != .skipped && wanted.contains(text))
        }
        guard ProviderCatalogue.provider(named: providerName(vector)) != nil else {
            return result(.skipped, "this version does not know the provider \(vector.provider)")
        }
        guard let body = Data(base64Encoded: vector.body), let raw = rendered(vector, body: [UInt8](body)) else {
            return result(.skipped, "the vector is malformed")
        }
        switch vector.kind {
        case .sign:
            let secrets = vector.secrets.map(\.value)
            return signs(vector, providerName(vector), secrets)
                ? result(.accept, nil) : result(.reject, "sign_output_differs")
        case .derive: return derives(vector) ? result(.accept, nil) : result(.reject, "derived_value_differs")
        case .verify, .handshake: break
        }
        let outcome = verify(
            source: source(vector), origin: origin(vector), now: vector.now, rawRequest: raw, engine: engine,
            window: 0)
        switch outcome {
        case .rejected(let reason), .accepted(.rejected(let reason), _): return result(.reject, reason.rawValue)
        case .invalidSecret: return result(.reject, SignatureRejection.invalidSecret.rawValue)
        case .unreadable(let why): return result(.reject, why)
        case .accepted(.none, _):
            return vector.kind == .handshake ? result(.reject, "no_answer") : result(.accept, nil)
        case .accepted(.answered(let answer), _):
            guard vector.kind == .handshake, !VectorResponse.matches(vector, answer) else {
                return result(.accept, nil)
            }
            return result(.reject, "wrong_answer")
        }
    }

    /// The catalogue's name: `github-sha1` is a profile of its own; `gitlab-token` is a scheme of `gitlab`.
    package static func providerName(_ vector: SignatureVector) -> String {
        switch vector.scheme {
        case "hubspot-v1", "hubspot-v2": return "hubspot-legacy"
        default: break
        }
        let isProfile =
            vector.scheme.hasPrefix(vector.provider + "-") && ProviderCatalogue.provider(named: vector.scheme) != nil
        return isProfile ? vector.scheme : vector.provider
    }

    /// The source that the vector's secrets describe.
    private static func source(_ vector: SignatureVector) -> SourceConfiguration {
        var source = SourceConfiguration()
        source.name = vector.provider
        source.provider = providerName(vector)
        for secret in vector.secrets {
            switch secret.type {
            case "verify-token": source.verifyToken = secret.value
            case "allowed-origin": source.allowedOrigins.append(secret.value)
            case "header":
                source.secrets.append(SourceSecret(secret.value))
                var scheme = SchemeConfiguration()
                scheme.algorithm = "token"
                scheme.header = secret.header ?? ""
                source.scheme = scheme
            default: source.secrets.append(SourceSecret(secret.value))
            }
        }
        return source
    }
    private static func origin(_ vector: SignatureVector) -> String? {
        guard let end = vector.url.range(of: "://")?.upperBound else { return nil }
        return String(vector.url[..<end]) + vector.url[end...].prefix(while: { $0 != "/" && $0 != "?" })
    }
    private static func derives(_ vector: SignatureVector) -> Bool {
        guard let url = URLComponents(string: vector.url), let wanted = vector.expect_qsh else { return false }
        return QueryHash.hash(
            method: vector.method, path: url.percentEncodedPath, query: url.percentEncodedQuery ?? "") == wanted
    }

    /// The request as bytes; nil when a header is no pair or the URL has no path.
    private static func rendered(_ vector: SignatureVector, body: [UInt8]) -> [UInt8]? {
        guard let url = URLComponents(string: vector.url) else { return nil }
        let path = url.percentEncodedPath.isEmpty ? "/" : url.percentEncodedPath
        let target = url.percentEncodedQuery.map { "\(path)?\($0)" } ?? path
        var head = "\(vector.method) \(target) HTTP/1.1\r\n"
        var names: Set<String> = []
        for header in vector.headers {
            guard header.count == 2 else { return nil }
            names.insert(header[0].lowercased())
            head += "\(header[0]): \(header[1])\r\n"
        }
        if !names.contains("host") { head += "Host: \(url.percentEncodedHost ?? "localhost")\r\n" }
        if !names.contains("content-length"), !names.contains("transfer-encoding") {
            head += "Content-Length: \(body.count)\r\n"
        }
        return Array((head + "\r\n").utf8) + body
    }

    private static func signs(_ vector: SignatureVector, _ provider: String, _ secrets: [String]) -> Bool {
        guard let signer = try? RequestSigner(provider: provider, secrets: secrets),
            let body = Data(base64Encoded: vector.body), let wanted = vector.expect_headers
        else { return false }
        let headers = signer.signatureHeaders(body: [UInt8](body), id: vector.msg_id ?? "", timestamp: vector.now)
        return headers.map { [$0.name, $0.value] } == wanted
    }
}

/// What a captured request is.
package enum CapturedOutcome: Sendable {
    package enum Response: Sendable {
        /// An event, no challenge.
        case none
        /// A challenge, and what is said to it.
        case answered(ChallengeResponse)
        case rejected(SignatureRejection)
    }
    package struct ChallengeResponse: Equatable, Sendable {
        package let status: Int
        package let contentType: String
        /// Header lines besides, as they go out.
        package let lines: String
        package let body: [UInt8]
    }
    package struct Event: Equatable, Sendable {
        package let id: String?
        package let type: String?
        /// Nil when the body is the key.
        package let dedupKey: String?
    }
    case accepted(Response, Event)
    case rejected(SignatureRejection)
    /// A secret has not the form that the provider's scheme takes; the words name it by its place.
    case invalidSecret(String)
    /// No HTTP/1.1 request, or not all of one: a code of `HTTPError`, or `incomplete`.
    case unreadable(String)
}

extension VectorRunner {
    /// The hot path's answer to one request as it stood on the wire. `provider` must be in the catalogue and have a
    /// scheme, or
    /// `scheme` must be given.
    package static func verify(
        provider: String, secrets: [String], scheme: SchemeConfiguration? = nil, now: UInt64, rawRequest: [UInt8],
        engine: VerifierEngine = .automatic, origin: String? = nil
    ) -> CapturedOutcome {
        var source = SourceConfiguration()
        source.name = provider
        source.provider = provider
        source.secrets = secrets.map { SourceSecret($0) }
        source.scheme = scheme
        return verify(source: source, origin: origin, now: now, rawRequest: rawRequest, engine: engine)
    }

    /// `origin`: scheme and authority as the sender used them; nil when unknown. `window`: how long a repetition
    /// would be known as one; without that no retry's old time passes, and the signature's own rule is what counts.
    package static func verify(
        source: SourceConfiguration, origin: String?, now: UInt64, rawRequest: [UInt8], engine: VerifierEngine,
        window: UInt32 = 86_400
    ) -> CapturedOutcome {
        let parts: CompiledSourceParts
        do throws(SourceError) {
            parts = try SourceCompiler.compile(source, defaultWindowSeconds: window)
        } catch { return .invalidSecret(error.problem.message) }
        do throws(CaptureError) {
            return try outcome(parts, origin, now, rawRequest, engine)
        } catch {
            switch error {
            case .refused(let reason): return .unreadable(reason.rawValue)
            case .incomplete: return .unreadable("incomplete")
            }
        }
    }

    private static func outcome(
        _ parts: CompiledSourceParts, _ origin: String?, _ now: UInt64, _ rawRequest: [UInt8],
        _ engine: VerifierEngine
    ) throws(CaptureError) -> CapturedOutcome {
        let request = try CapturedRequest(rawRequest)
        // The scheme, the handshake and the key point into it.
        defer { withExtendedLifetime(parts.memory) {} }
        if let handshake = parts.handshake, request.isChallenge(for: handshake) {
            let key = parts.scheme.flatMap { $0.keyCount > 0 ? $0.key(at: 0) : nil }
            let said = answer(request.challengeAnswer(handshake, key: key))
            if case .rejected(let reason) = said { return .rejected(reason) }
            if case .answered = said { return .accepted(said, event(request, parts)) }
        }
        let isEnveloped = parts.provider.takesEnvelope
        if isEnveloped, let reason = request.envelopeFault(tenant: nil) { return .rejected(reason) }
        switch verdict(request, parts, origin, now, engine) {
        case .rejected(let reason): return .rejected(reason)
        case .undecided: return .unreadable("the sender's certificate is not available right now")
        case .accepted(let key):
            if isEnveloped, let reason = request.envelopeFault(tenant: nil, behindSignature: parts.selectors) {
                return .rejected(reason)
            }
            let said = parts.handshake.map { $0.answer(body: request.body, key: key) } ?? .none
            return .accepted(answer(said), event(request, parts))
        }
    }

    private static func verdict(
        _ request: borrowing CapturedRequest, _ parts: CompiledSourceParts, _ origin: String?, _ now: UInt64,
        _ engine: VerifierEngine
    ) -> VerificationResult {
        if let verifier = parts.verifier { return verifier.verify(request, origin: origin, nowSeconds: now) }
        // The source has secrets, so it has a scheme; without one nothing is accepted here.
        guard let scheme = parts.scheme else { return .rejected(.invalidSecret) }
        // More than the lanes, so that the engine that was asked for is the one that computes.
        let copies =
            engine == .multiBuffer ? 2 * (MACAlgorithm.allCases.map { VerifierEngine.laneCount($0) }.max() ?? 1) : 1
        return request.verify(scheme, nowSeconds: now, engine: engine, copies: copies, origin: origin)
    }
    private static func event(
        _ request: borrowing CapturedRequest, _ parts: CompiledSourceParts
    ) -> CapturedOutcome.Event {
        let found = request.select(parts.selectors)
        return CapturedOutcome.Event(id: found.id, type: found.type, dedupKey: found.dedupKey)
    }
    private static func answer(_ answer: Handshake.CopiedResponse) -> CapturedOutcome.Response {
        switch answer {
        case .none: .none
        case .rejected(let reason, _): .rejected(reason)
        case .reply(let status, let contentType, let lines, let body):
            // Every answer of a loop has the last line (`Reply`).
            .answered(
                CapturedOutcome.ChallengeResponse(
                    status: status, contentType: contentType, lines: lines + "X-Content-Type-Options: nosniff\r\n",
                    body: body))
        }
    }
}
