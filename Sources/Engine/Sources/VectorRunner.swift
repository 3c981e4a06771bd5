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
        let vectors = try JSONDecoder().decode([SignatureVector].self, from: Data(data))
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
        if let why = skipReason(vector) { return result(.skipped, why) }
        let provider = providerName(vector)
        let secrets = vector.secrets.map(\.value)
        if vector.kind == .sign {
            return signs(vector, provider, secrets) ? result(.accept, nil) : result(.reject, "sign_output_differs")
        }
        guard let body = Data(base64Encoded: vector.body), let raw = rendered(vector, body: [UInt8](body)) else {
            return result(.skipped, "the vector is malformed")
        }
        switch verify(provider: provider, secrets: secrets, now: vector.now, rawRequest: raw, engine: engine) {
        case .rejected(let reason): return result(.reject, reason.rawValue)
        case .invalidSecret: return result(.reject, SignatureRejection.invalidSecret.rawValue)
        case .unreadable(let why): return result(.reject, why)
        case .accepted(let answer, _):
            guard vector.kind == .handshake else { return result(.accept, nil) }
            switch answer {
            case .answered(let bytes):
                return matches(vector, bytes) ? result(.accept, nil) : result(.reject, "wrong_answer")
            case .none: return result(.reject, "no_answer")
            case .rejected(let reason): return result(.reject, reason.rawValue)
            }
        }
    }

    private static func providerName(_ vector: SignatureVector) -> String {
        // `github-sha1` is a profile of its own; `gitlab-token` is a scheme of `gitlab`.
        let isProfile =
            vector.scheme.hasPrefix(vector.provider + "-") && ProviderCatalogue.provider(named: vector.scheme) != nil
        return isProfile ? vector.scheme : vector.provider
    }

    private static func skipReason(_ vector: SignatureVector) -> String? {
        guard vector.kind != .derive else { return "kind derive is not of this version" }
        guard let provider = ProviderCatalogue.provider(named: providerName(vector)), !provider.schemes.isEmpty else {
            return "provider \(vector.provider) is not of this version"
        }
        if vector.kind == .handshake, provider.handshake == nil {
            return "provider \(vector.provider) has no handshake"
        }
        if let type = vector.secrets.compactMap(\.type).first { return "secret type \(type) is not of this version" }
        return nil
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

    /// A handshake is always answered 200 with JSON.
    private static func matches(_ vector: SignatureVector, _ bytes: [UInt8]) -> Bool {
        guard let wanted = vector.expect_response else { return true }
        guard wanted.status ?? 200 == 200, wanted.body == nil else { return false }
        guard let answer = try? JSONDecoder().decode(JSONNode.self, from: Data(bytes)) else { return false }
        if let json = wanted.json, json != answer { return false }
        if let choices = wanted.any_of { return choices.contains { $0.json == answer } }
        return true
    }
}

/// What a captured request is.
package enum CapturedOutcome: Sendable {
    package enum Answer: Sendable {
        /// An event, no challenge.
        case none
        /// A challenge: 200 with these bytes of JSON.
        case answered([UInt8])
        case rejected(SignatureRejection)
    }
    package struct Event: Equatable, Sendable {
        package let id: String?
        package let type: String?
        /// Nil when the body is the key.
        package let dedupKey: String?
    }
    case accepted(Answer, Event)
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
        engine: VerifierEngine = .automatic
    ) -> CapturedOutcome {
        var source = SourceConfiguration()
        source.name = provider
        source.provider = provider
        source.secrets = secrets.map { SourceSecret($0) }
        source.scheme = scheme
        let parts: CompiledSourceParts
        do throws(SourceError) {
            parts = try SourceCompiler.compile(source)
        } catch { return .invalidSecret(error.problem.message) }
        let request: CapturedRequest
        do throws(CaptureError) {
            request = try CapturedRequest(rawRequest)
        } catch {
            switch error {
            case .refused(let reason): return .unreadable(reason.rawValue)
            case .incomplete: return .unreadable("incomplete")
            }
        }
        // The source has secrets, so it has a scheme; without one nothing is accepted here.
        guard let compiled = parts.scheme else { return .invalidSecret("has no scheme") }
        // More than the lanes, so that the engine that was asked for is the one that computes.
        let copies =
            engine == .multiBuffer ? 2 * (MACAlgorithm.allCases.map { VerifierEngine.laneCount($0) }.max() ?? 1) : 1
        // The scheme and the key point into it.
        defer { withExtendedLifetime(parts.memory) {} }
        switch request.verify(compiled, nowSeconds: now, engine: engine, copies: copies) {
        case .rejected(let reason): return .rejected(reason)
        case .undecided: return .unreadable("certificate_unavailable")
        case .accepted(let key):
            let found = request.select(parts.selectors)
            let event = CapturedOutcome.Event(id: found.id, type: found.type, dedupKey: found.dedupKey)
            return .accepted(answer(parts.handshake, request.body, key), event)
        }
    }

    private static func answer(_ handshake: Handshake?, _ body: [UInt8], _ key: SigningKey?) -> CapturedOutcome.Answer {
        guard let handshake else { return .none }
        let (answer, bytes) = handshake.answer(body: body, key: key)
        switch answer {
        case .none: return .none
        case .body: return .answered(bytes)
        case .rejected(let reason): return .rejected(reason)
        }
    }
}
