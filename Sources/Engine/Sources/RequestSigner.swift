// Signs a request as a provider would: for `sluice send`, for load and for tests. Works from the same scheme data as
// the verifier, so that a scheme that cannot be signed cannot be verified either. Schemes in code are signed by
// `NamedSigner`.

import FastPath

/// A request before it is signed.
package struct UnsignedRequest: Sendable {
    package var method = "POST"
    /// Scheme and authority of the receiver's public URL, such as "https://hooks.example.com".
    package var origin = ""
    /// Path and query as they stand in the request line.
    package var target = "/"
    package var body: [UInt8]
    package var id: String
    package var type: String
    /// Unix seconds.
    package var timestamp: UInt64

    package init(body: [UInt8], id: String, type: String = "", timestamp: UInt64) {
        self.body = body
        self.id = id
        self.type = type
        self.timestamp = timestamp
    }
    /// Path and query apart.
    var parts: (path: String, query: String) {
        guard let mark = target.firstIndex(of: "?") else { return (target, "") }
        return (String(target[..<mark]), String(target[target.index(after: mark)...]))
    }
}

/// A request as it goes out. Some providers sign in the body or in the query.
package struct SignedRequest: Sendable {
    package var headers: [(name: String, value: String)]
    package var target: String
    package var body: [UInt8]
}

package struct RequestSigner: Sendable {
    private var provider: Provider
    private let signing: Signing

    private enum Signing: Sendable {
        case data(SchemeSigner)
        case named(NamedSigner)
        /// For a source that takes requests from anyone.
        case nothing
    }

    /// `scheme` for `generic`. `secrets` are the source's; for a scheme with public keys the private ones that belong
    /// to them. Of several schemes the first that the first secret fits; its secrets alone sign.
    package init(provider name: String, secrets: [String], scheme: SchemeConfiguration? = nil) throws(SourceError) {
        func fail(_ problem: SourceProblem) -> SourceError { SourceError(source: name, problem: problem) }
        guard let provider = ProviderCatalogue.provider(named: name) else {
            throw fail(.unknownProvider(name, nearest: ProviderCatalogue.nearestNames(to: name)))
        }
        self.provider = provider
        guard !secrets.isEmpty else { throw fail(.noSecret) }
        if let empty = secrets.firstIndex(where: \.isEmpty) { throw fail(.scheme(.emptySecret(index: empty))) }
        do throws(SourceProblemError) {
            var schemes = provider.schemes
            if let scheme { schemes = [ProviderScheme(try SourceCompiler.definition(of: scheme))] }
            guard !schemes.isEmpty else { throw SourceProblemError(.noScheme) }
            // What only some requests are signed with is not what the provider does by itself.
            schemes = schemes.filter { $0.definition?.appliesWhen == nil }
            guard let chosen = schemes.first(where: { $0.takes.takes(RequestSigner.publicForm(secrets[0])) }) else {
                throw SourceProblemError(.unusableSecret(index: 0))
            }
            let own = secrets.filter { chosen.takes.takes(RequestSigner.publicForm($0)) }
            switch chosen.rule {
            case .data(let definition): signing = .data(try SchemeSigner(definition, secrets: own))
            case .named(let named): signing = .named(try NamedSigner(named, secrets: own))
            }
        } catch { throw fail(error.problem) }
    }

    /// For a source of a configuration, with its scheme, its selectors and those of its secrets that are in force.
    package init(source: SourceConfiguration, nowSeconds: UInt64) throws(SourceError) {
        var made: RequestSigner
        if source.unverified {
            guard let provider = ProviderCatalogue.provider(named: source.provider) else {
                let nearest = ProviderCatalogue.nearestNames(to: source.provider)
                throw SourceError(source: source.name, problem: .unknownProvider(source.provider, nearest: nearest))
            }
            made = RequestSigner(provider: provider, signing: .nothing)
        } else {
            let secrets = source.secrets.filter { $0.isUsable(at: nowSeconds) }.map(\.value)
            do throws(SourceError) {
                made = try RequestSigner(provider: source.provider, secrets: secrets, scheme: source.scheme)
            } catch { throw SourceError(source: source.name, problem: error.problem) }
        }
        if !source.eventID.isEmpty { made.provider.eventID = source.eventID }
        if !source.eventType.isEmpty { made.provider.eventType = source.eventType }
        self = made
    }
    private init(provider: Provider, signing: Signing) {
        self.provider = provider
        self.signing = signing
    }

    /// A private key is told by the form of the public key that belongs to it.
    private static func publicForm(_ secret: String) -> String {
        secret.hasPrefix("whsk_") ? "whpk_" + secret.dropFirst(5) : secret
    }

    /// Its ids must be UUIDs of version 4, and the tenant's is for whoever sends to add.
    package var takesEnvelope: Bool { provider.takesEnvelope }

    /// All that the provider would send besides `Host` and framing: content type, event id and type, signature.
    package func sign(_ request: UnsignedRequest) -> SignedRequest {
        let signed = signatures(request)
        var headers: [(name: String, value: String)] = [
            ("Content-Type", BodyForm(request.body).contentType)
        ]
        for (selectors, value) in [(provider.eventID, request.id), (provider.eventType, request.type)]
        where !value.isEmpty {
            guard let selector = selectors.first(where: { $0.hasPrefix("header:") }) else { continue }
            let name = String(selector.dropFirst("header:".count))
            if !signed.headers.contains(where: { $0.name.lowercased() == name.lowercased() }) {
                headers.append((name, value))
            }
        }
        headers += provider.constantHeaders
        return SignedRequest(headers: headers + signed.headers, target: signed.target, body: signed.body)
    }

    /// The signature's headers alone, in the order id, timestamp, signature. `timestamp` in seconds.
    package func signatureHeaders(body: [UInt8], id: String, timestamp: UInt64) -> [(name: String, value: String)] {
        signatures(UnsignedRequest(body: body, id: id, timestamp: timestamp)).headers
    }

    /// For providers that sign in headers alone.
    package func headers(
        body: [UInt8], type: String, id: String, timestamp: UInt64
    ) -> [(name: String, value: String)] {
        sign(UnsignedRequest(body: body, id: id, type: type, timestamp: timestamp)).headers
    }

    private func signatures(_ request: UnsignedRequest) -> SignedRequest {
        switch signing {
        case .data(let signer): signer.sign(request)
        case .named(let signer): signer.sign(request)
        case .nothing: SignedRequest(headers: [], target: request.target, body: request.body)
        }
    }
}

/// What a body is, told by its first byte: the forms that providers send.
enum BodyForm {
    case json, form

    init(_ body: [UInt8]) {
        let first = body.first { $0 != 0x20 && $0 != 0x09 && $0 != 0x0A && $0 != 0x0D }
        let isForm = first.map { $0 != 0x7B && $0 != 0x5B && $0 < 0x80 && body.contains(0x3D) } ?? false
        self = isForm ? .form : .json
    }
    var contentType: String {
        switch self {
        case .json: "application/json"
        case .form: "application/x-www-form-urlencoded"
        }
    }
}
