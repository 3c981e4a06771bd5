// A source's rule, ready to check requests away from the loops: with the configured secrets, or with others, to find
// out whose secret a request was signed with. Compiled once a configuration; used by worker threads.

import FastPath
import Foundation
import Synchronization

package struct SourceCheck: Sendable {
    package let parts: CompiledSourceParts
    /// The only origin that counts when the source has a public URL: a `Host` field proves nothing then.
    let publicOrigin: String?

    /// Nil when the source cannot be compiled so, or checks nothing.
    package init?(
        _ source: SourceConfiguration, defaultWindowSeconds: UInt32 = 86_400,
        certificates: CertificateResolver = .waiting
    ) {
        guard
            let parts = try? SourceCompiler.compile(
                source, defaultWindowSeconds: defaultWindowSeconds, certificates: certificates),
            parts.scheme != nil || parts.verifier != nil || parts.schemas != nil
        else { return nil }
        self.parts = parts
        publicOrigin = parts.edge.publicOrigin.count > 0 ? parts.edge.publicOrigin.text : nil
    }

    /// Where a request may have been sent, likeliest first: for schemes that sign their URL.
    func origins(of request: PlainRequest) -> [String] {
        publicOrigin.map { [$0] } ?? RequestOrigins.candidates(request)
    }

    package func verdict(_ request: PlainRequest, origin: String?, nowSeconds: UInt64) -> VerificationResult {
        verdict(head: request.head, body: request.body, origin: origin, nowSeconds: nowSeconds)
    }
    package func verdict(
        head: [UInt8], body: [UInt8], origin: String?, nowSeconds: UInt64
    ) -> VerificationResult {
        guard let captured = try? CapturedRequest(head: head, body: body) else { return .rejected(.malformedHeader) }
        // The scheme points into the parts' memory.
        defer { withExtendedLifetime(parts.memory) {} }
        if let verifier = parts.verifier {
            return verifier.verify(captured, origin: origin, nowSeconds: nowSeconds)
        }
        // One that is unverified has a schema, or it would not be here.
        guard let scheme = parts.scheme else { return .accepted(key: nil) }
        return captured.verify(scheme, nowSeconds: nowSeconds, engine: .openssl, origin: origin)
    }
}

/// Where a request was sent, as far as it says: for schemes that sign their URL.
enum RequestOrigins {
    /// By its `Host`. A signature over the URL proves which one it was.
    static func candidates(_ request: PlainRequest) -> [String] {
        guard let host = request.value(of: "Host"), !host.isEmpty else { return [] }
        return ["https://\(host)", "http://\(host)"]
    }
}

/// What a closer look at one source's refused requests tries.
package struct HintSubject: Sendable {
    package struct Named: Sendable {
        package let name: String
        package let check: SourceCheck
    }
    package let name: String
    package let check: SourceCheck
    package let definitions: [SchemeDefinition]
    /// This source's rule with another source's secrets.
    package let borrowed: [Named]
    /// Other sources as they are: the request may have come to the wrong address.
    package let neighbours: [Named]
    /// With the secrets whose time is over or has not come; nil when there are none.
    package let untimely: SourceCheck?
    /// With the white space taken off the secrets; nil when there is none.
    package let stripped: SourceCheck?
    /// With the line end that a sender's copy of the secret may have.
    package let lineEnded: SourceCheck?

    /// Of more sources than this the rest is not tried.
    static let othersMax = 64

    /// Nil when the source is unverified or does not compile.
    package init?(
        _ source: SourceConfiguration, among all: [SourceConfiguration], certificates: CertificateResolver = .waiting
    ) {
        func check(_ source: SourceConfiguration) -> SourceCheck? { SourceCheck(source, certificates: certificates) }
        guard let own = check(source) else { return nil }
        name = source.name
        self.check = own
        definitions = SourceCompiler.definitions(of: source)
        let others = all.filter { $0.name != source.name && !$0.unverified && !$0.secrets.isEmpty }
            .prefix(HintSubject.othersMax)
        borrowed = others.filter { $0.secrets != source.secrets }.compactMap { other in
            check(source.with(secrets: other.secrets)).map { Named(name: other.name, check: $0) }
        }
        neighbours = others.compactMap { other in check(other).map { Named(name: other.name, check: $0) } }
        let windowed = source.secrets.filter { $0.notBefore != nil || $0.notAfter != nil }
        untimely = windowed.isEmpty ? nil : check(source.with(secrets: windowed.map { SourceSecret($0.value) }))
        let stripped = source.mappingSecrets { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
        self.stripped = stripped.secrets == source.secrets ? nil : check(stripped)
        lineEnded = check(source.mappingSecrets { $0 + "\n" })
    }
}

extension SourceConfiguration {
    func with(secrets: [SourceSecret]) -> SourceConfiguration {
        var copy = self
        copy.secrets = secrets
        return copy
    }
    func mappingSecrets(_ change: (String) -> String) -> SourceConfiguration {
        with(
            secrets: secrets.map {
                SourceSecret(change($0.value), notBefore: $0.notBefore, notAfter: $0.notAfter)
            })
    }
}

extension SourceCompiler {
    /// What a source's requests are checked by, as data; empty where it is code or does not compile.
    package static func definitions(of source: SourceConfiguration) -> [SchemeDefinition] {
        guard let provider = ProviderCatalogue.provider(named: source.provider) else { return [] }
        return ((try? alternatives(source, provider)) ?? []).compactMap {
            if case .data(let definition) = $0.rule { definition } else { nil }
        }
    }
}

/// The subjects of one configuration, each compiled when it is first asked for.
package final class HintSubjects: Sendable {
    /// By number: two tenants may call theirs alike.
    private let sources: [UInt32: SourceConfiguration]
    private let certificates: CertificateResolver
    private let known = Mutex<[UInt32: HintSubject?]>([:])

    package init(_ sources: [UInt32: SourceConfiguration], certificates: CertificateResolver = .waiting) {
        self.sources = sources
        self.certificates = certificates
    }

    package func subject(of source: UInt32) -> HintSubject? {
        if let known = known.withLock({ $0[source] }) { return known }
        let subject = sources[source].flatMap { own in
            // A hint that names another source names one of the same tenant.
            HintSubject(
                own, among: sources.values.filter { $0.tenant == own.tenant }.sorted { $0.name < $1.name },
                certificates: certificates)
        }
        known.withLock { $0[source] = .some(subject) }
        return subject
    }
}
