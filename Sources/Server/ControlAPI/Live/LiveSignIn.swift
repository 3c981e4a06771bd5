// The keys of the running gateway and the tokens of its identity provider, as the control API signs callers in.
import Engine
import Foundation
import Synchronization

final class LiveSignIn: SignInService {
    private let gateway: Gateway

    private let worker = ControlWorker()
    /// Tokens that were found to be a key's, so that one which calls thousands of times a second is digested once. Each
    /// use asks whether the key is in force still.
    private let recent = Mutex<[String: (key: KeySpec, principal: Principal)]>([:])
    private static let recentCountMax = 256
    private let sample = Mutex(RefusalSample())
    private let queue = DispatchQueue(label: "sluice.refusals", qos: .utility)

    init(gateway: Gateway) { self.gateway = gateway }

    func note(_ refused: RefusedTry) { note(refused, count: 1) }
    /// Strangers that a loop of the ingest port has turned away by their head: it knows how many.
    func noteTurnedAway(_ count: UInt64) {
        guard count > 0 else { return }
        let refused = RefusedTry(
            principal: .stranger, requestID: "", address: "not kept",
            target: "POST on the ingest port, before its body", reason: .unauthorized)
        note(refused, count: Int(clamping: count))
    }
    private func note(_ refused: RefusedTry, count: Int) {
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        guard let omitted = sample.withLock({ $0.note(nowMillis: now, count: count) }) else { return }
        queue.async { [gateway] in
            let state = gateway.registry?.state
            let tenant = refused.principal.tenant.flatMap { PublicID($0, prefix: .tenant) }.flatMap {
                state?.tenant(publicID: $0)?.id
            }
            var changes = [
                FieldChange(field: "reason", before: "", after: refused.reason.rawValue),
                FieldChange(field: "address", before: "", after: refused.address),
            ]
            if omitted > 0 {
                changes.append(FieldChange(field: "refused before and not listed", before: "", after: "\(omitted)"))
            }
            // One that cannot be written is in the process's own log still.
            try? gateway.audit?.record([
                AuditEntry(
                    timeMillis: now, actor: refused.principal.name,
                    requestID: refused.requestID.isEmpty ? nil : refused.requestID, action: .refuse,
                    kind: nil, tenant: tenant ?? .nobody, resource: "", name: refused.target, changes: changes)
            ])
        }
    }

    func known(token: String) throws -> SignInAnswer? {
        guard IdentityProvider.isToken(token) else { return try key(token) }
        return try provider().known(token).map { try caller($0) }
    }
    /// The same at once, whatever it takes: for a thread that may wait.
    func current(token: String) throws -> SignInAnswer {
        try known(token: token) ?? verdict(on: token)
    }
    private func provider() throws -> IdentityProvider {
        guard let provider = gateway.identity else { throw ControlError.notRunning }
        return provider
    }
    /// On a thread of its own, so that strangers' tokens keep no loop busy.
    func verify(token: String) async throws -> SignInAnswer {
        try await worker.run { [self] in try verdict(on: token) }
    }
    private func verdict(on token: String) throws -> SignInAnswer {
        switch try provider().verdict(on: token) {
        case .holder(let holder): try caller(holder)
        case .refused(let fault): .refused(fault.message)
        case .noProvider: .unknown
        }
    }
    private func caller(_ holder: TokenHolder) throws -> SignInAnswer {
        guard let state = gateway.registry?.state else { throw ControlError.notRunning }
        guard let tenant = state.tenant(idOrUID: holder.tenant) else {
            return .refused("the token's tenant is not known here")
        }
        return .caller(
            Principal(name: "jwt:" + holder.subject, role: holder.role, tenant: tenant.publicID.text))
    }
    private func key(_ token: String) throws -> SignInAnswer {
        guard let ring = gateway.keys else { throw ControlError.notRunning }
        if let (key, principal) = recent.withLock({ $0[token] }) {
            if ring.isInForce(key) { return .caller(principal) }
            // A token that is good for nothing any more lies nowhere in plain.
            recent.withLock { $0[token] = nil }
        }
        switch ring.verdict(on: token) {
        case .unknown: return .unknown
        case .expired: return .expired
        case .key(let key):
            guard let principal = try principal(key) else { return .unknown }
            recent.withLock { recent in
                if recent.count >= LiveSignIn.recentCountMax { recent.removeAll(keepingCapacity: true) }
                recent[token] = (key, principal)
            }
            return .caller(principal)
        }
    }
    /// Until when a key is good whose token was known right before; nil for others.
    func goodUntil(_ token: String) -> UInt64? {
        guard let known = recent.withLock({ $0[token] }) else { return nil }
        return known.key.expiresMillis.map { UInt64(max($0, 0)) } ?? .max
    }
    func principal(_ key: KeySpec) throws -> Principal? {
        guard let id = key.tenant else { return Principal(name: key.publicID.text, role: key.role, tenant: nil) }
        guard let state = gateway.registry?.state else { throw ControlError.notRunning }
        // A tenant that went meanwhile takes its keys with it.
        guard let tenant = state.tenant(id) else { return nil }
        return Principal(
            name: key.publicID.text, role: key.role, tenant: tenant.publicID.text,
            featureFlags: key.featureFlags, isPortal: key.isPortal)
    }
    func tenant(_ ref: String) throws -> String? {
        guard let state = gateway.registry?.state else { throw ControlError.notRunning }
        return state.tenant(ref: ref)?.publicID.text
    }
}
