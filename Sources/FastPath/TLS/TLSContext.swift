// What one side of TLS shows and whom it believes. A context never changes: a reload makes another, and sessions that
// run keep the one they began with.
//
// The policy, for both sides: TLS 1.2 and 1.3, the ciphers and groups of Mozilla's intermediate profile without finite
// field Diffie-Hellman (its handshakes cost a server ten times those of a curve), security level 2, no renegotiation,
// no compression, no early data, `http/1.1` and nothing else.
//
// Safety: owns its SSL_CTX; sessions and views refer to it, the first counted by OpenSSL, the second kept alive by
// whoever holds the context.

import CShims

package struct TLSIdentity: Hashable, Sendable {
    /// The certificate, then what leads to its root, in PEM.
    package var chain: [UInt8]
    package var key: [UInt8]

    package init(chain: [UInt8], key: [UInt8]) {
        self.chain = chain
        self.key = key
    }
    /// Seconds since 1970 from which and until which the certificate is valid; nil when there is none.
    package var validity: ClosedRange<Int64>? {
        var (begins, ends): (Int64, Int64) = (0, 0)
        guard unsafe sluice_tls_certificate_dates(chain, chain.count, &begins, &ends) == 1, begins <= ends else {
            return nil
        }
        return begins...ends
    }
}

package struct TLSClientSettings: Hashable, Sendable {
    /// PEM; nil: the system's.
    package var authorities: [UInt8]?
    package var identity: TLSIdentity?
    /// PEM; nil: revocation is not looked at.
    package var revoked: [UInt8]?

    package init(authorities: [UInt8]? = nil, identity: TLSIdentity? = nil, revoked: [UInt8]? = nil) {
        self.authorities = authorities
        self.identity = identity
        self.revoked = revoked
    }
}

package struct TLSServerSettings: Sendable {
    package enum ClientCertificate: Sendable { case notAsked, asked, required }
    /// Not empty. A client gets the one for the name it asks for, or the first; where two are for the same name, an
    /// elliptic one and an RSA one, the one that it can verify.
    package var identities: [TLSIdentity]
    package var clientCertificate = ClientCertificate.notAsked
    /// Whose client certificates are accepted, in PEM.
    package var clientAuthorities: [UInt8] = []
    /// Lists of revoked ones, in PEM; one of them must cover the client's. Nil: revocation is not looked at.
    package var clientRevoked: [UInt8]?

    package init(identities: [TLSIdentity]) { self.identities = identities }
}

/// A context as a loop knows it: valid while somebody holds the `TLSContext`.
@safe package struct TLSContextView: @unchecked Sendable, BitwiseCopyable {
    let pointer: OpaquePointer
    let isServer: Bool
}

@safe package final class TLSContext: @unchecked Sendable {
    package let view: TLSContextView
    /// Equal for contexts that believe the same clients; empty for a client's.
    package private(set) var trust: [UInt8] = []

    private init(owning pointer: OpaquePointer, isServer: Bool) {
        view = unsafe TLSContextView(pointer: pointer, isServer: isServer)
    }
    deinit { unsafe sluice_tls_context_free(view.pointer) }

    private static let ciphers =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
        + "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    private static let suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    private static let groups = "X25519:P-256:P-384"

    private static func open(isServer: Bool) throws(TLSSettingsError) -> TLSContext {
        var made: OpaquePointer?
        let fault = unsafe sluice_tls_context_open(isServer ? 1 : 0, ciphers, suites, groups, &made)
        try check(fault)
        guard let made = unsafe made else { throw .unusable("there is no memory for a TLS context") }
        return unsafe TLSContext(owning: made, isServer: isServer)
    }
    private static func check(
        _ fault: Int32, _ certificate: TLSSettingsError.Part = .system, _ key: TLSSettingsError.Part = .system
    ) throws(TLSSettingsError) {
        guard fault == 0 else { throw TLSSettingsError(fault, certificate: certificate, key: key) }
    }
    private func show(_ identity: TLSIdentity, index: Int) throws(TLSSettingsError) {
        let fault = unsafe sluice_tls_context_identity(
            view.pointer, identity.chain, identity.chain.count, identity.key, identity.key.count)
        try TLSContext.check(fault, .certificate(index), .key(index))
    }

    // MARK: a client's

    package static func client(_ settings: TLSClientSettings) throws(TLSSettingsError) -> TLSContext {
        let context = try open(isServer: false)
        let pointer = unsafe context.view.pointer
        if let authorities = settings.authorities {
            try unsafe check(sluice_tls_context_trust(pointer, authorities, authorities.count), .authorities)
        } else {
            try unsafe check(sluice_tls_context_trust_system(pointer))
        }
        if let revoked = settings.revoked {
            try unsafe check(sluice_tls_context_revoked(pointer, revoked, revoked.count), .revoked)
        }
        if let identity = settings.identity { try context.show(identity, index: 0) }
        return context
    }

    // MARK: a server's

    /// Which identities one context shows.
    private struct Choice: Hashable {
        var elliptic: Int?
        var rsa: Int?
        subscript(isRSA isRSA: Bool) -> Int? {
            get { isRSA ? rsa : elliptic }
            set { if isRSA { rsa = newValue } else { elliptic = newValue } }
        }
    }

    package static func server(
        _ settings: TLSServerSettings, tickets: TLSTicketKeys
    ) throws(TLSSettingsError) -> TLSContext {
        precondition(!settings.identities.isEmpty)
        var choices: [String: Choice] = [:]
        var (first, firstName): (Choice, String?) = (Choice(), nil)
        for (index, identity) in settings.identities.enumerated() {
            let text = String(decoding: identity.chain, as: UTF8.self)
            guard let leaf = Certificate.all(inPEM: text).first else {
                throw .part(.certificate(index), reason: "has no certificate in PEM")
            }
            let names = leaf.names
            for name in names where choices[name]?[isRSA: leaf.isRSA] == nil {
                choices[name, default: Choice()][isRSA: leaf.isRSA] = index
            }
            guard index == 0 else { continue }
            first[isRSA: leaf.isRSA] = 0
            firstName = names.first
        }
        // Whoever asks for nothing gets what the first name gets, its other kind of key included.
        if let firstName, let whole = choices[firstName] { first = whole }
        var contexts: [Choice: TLSContext] = [:]
        contexts[first] = try server(showing: first, settings, tickets)
        for choice in Set(choices.values) where contexts[choice] == nil {
            contexts[choice] = try server(showing: choice, settings, tickets)
        }
        guard let result = contexts[first] else { preconditionFailure("it was made first") }
        try result.tell(choices.mapValues { contexts[$0] ?? result })
        return result
    }
    private static func server(
        showing choice: Choice, _ settings: TLSServerSettings, _ tickets: TLSTicketKeys
    ) throws(TLSSettingsError) -> TLSContext {
        let context = try open(isServer: true)
        let pointer = unsafe context.view.pointer
        for index in [choice.elliptic, choice.rsa] {
            if let index { try context.show(settings.identities[index], index: index) }
        }
        let roots = settings.clientAuthorities
        if settings.clientCertificate != .notAsked {
            let isRequired: Int32 = settings.clientCertificate == .required ? 1 : 0
            try unsafe check(sluice_tls_context_ask(pointer, roots, roots.count, isRequired), .authorities)
        }
        let revoked = settings.clientRevoked ?? []
        if settings.clientRevoked != nil {
            try unsafe check(sluice_tls_context_revoked(pointer, revoked, revoked.count), .revoked)
        }
        // A session of a client that was verified otherwise, or is revoked by now, is not resumed.
        let label = Digest.sha256(Array("\(settings.clientCertificate) \(roots.count) ".utf8) + roots + revoked)
        try unsafe check(sluice_tls_context_label(pointer, label))
        context.trust = label
        try unsafe check(sluice_tls_context_tickets(pointer, tickets.pointer))
        return context
    }
    private func tell(_ targets: [String: TLSContext]) throws(TLSSettingsError) {
        // Copied by the callee: the texts only have to last until it returns.
        let texts = CompiledMemory()
        let names: [UnsafePointer<CChar>?] = unsafe targets.keys.map {
            unsafe UnsafePointer(texts.place(Array($0.utf8CString)))
        }
        let contexts = unsafe targets.values.map { unsafe Optional($0.view.pointer) }
        let fault = withExtendedLifetime(texts) {
            unsafe sluice_tls_context_names(view.pointer, names, contexts, targets.count)
        }
        try TLSContext.check(fault)
    }
}
