// The identity provider in force and its keys: read from a file when the configuration is applied, or fetched by a
// thread of its own, at the start, every hour, and when a token names a key that is not known.
//
// Invariants: a fetch that fails leaves the keys as they are, and at most one begins in a minute; whoever asks never
// waits for one. A token that was found right is remembered until it ends or keys or settings change, so that it is not
// verified with each call; no more are remembered than `acceptedCountMax`.
import FastPath
import Foundation
import Logging
import Synchronization

/// Who a token of the identity provider says its bearer is.
package struct TokenHolder: Equatable, Sendable {
    /// The `sub` claim; what is not plain text in it is escaped as in URLs.
    package let subject: String
    /// An id or a uid.
    package let tenant: String
    package let role: KeyRole
}

package enum IdentityVerdict: Equatable, Sendable {
    case holder(TokenHolder)
    case refused(TokenFault)
    /// No identity provider is configured.
    case noProvider
}

package final class IdentityProvider: TopologyParticipant {
    package typealias Fetch = @Sendable (EndpointAddress) -> [UInt8]?

    private struct Accepted {
        let holder: TokenHolder
        let lastSecond: UInt64
    }
    private struct State {
        var settings: IdentitySettings?
        var keys: [TokenKey] = []
        /// Grows with each change of settings or keys.
        var generation = 0
        var accepted: [[UInt8]: Accepted] = [:]
        var fetchedSeconds: UInt64?
        var triedSeconds: UInt64?
        var isFetching = false

        mutating func take(_ new: [TokenKey]) {
            keys = new
            generation += 1
            accepted = [:]
        }
    }
    static let acceptedCountMax = 4096
    static let fetchSecondsMin: UInt64 = 60
    static let ageSecondsMax: UInt64 = 3600
    private static let subjectBytesMax = 255

    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "sluice.identity", qos: .utility)
    private let fetch: Fetch
    private let logger: Logger
    private let nowSeconds: @Sendable () -> UInt64
    /// Of a clock that nobody sets.
    private let ageSeconds: @Sendable () -> UInt64

    package init(
        logger: Logger,
        fetch: @escaping Fetch = { SecureFetch.get(host: $0.host, path: $0.target, port: $0.port) },
        nowSeconds: @escaping @Sendable () -> UInt64 = { UInt64(max(0, Date().timeIntervalSince1970)) },
        ageSeconds: @escaping @Sendable () -> UInt64 = { ProcessResources.monotonicNanos / 1_000_000_000 }
    ) {
        self.logger = logger
        self.fetch = fetch
        self.nowSeconds = nowSeconds
        self.ageSeconds = ageSeconds
    }

    // MARK: tokens

    /// Has the form of such a token, and not of one of the gateway's own.
    package static func isToken(_ text: String) -> Bool { JSONWebToken.hasForm(text) }

    /// Of a token that was found right before; quick. Nil for others.
    package func known(_ token: String) -> TokenHolder? {
        let digest = Digest.sha256(Array(token.utf8))
        let now = nowSeconds()
        let (settings, accepted) = state.withLock { ($0.settings, $0.accepted[digest]) }
        if let settings, settings.isFetched { refresh(settings) }
        return accepted.flatMap { now <= $0.lastSecond ? $0.holder : nil }
    }
    /// Verifies; takes up to some 100 µs.
    package func verdict(on text: String) -> IdentityVerdict {
        let (settings, keys, generation) = state.withLock { ($0.settings, $0.keys, $0.generation) }
        guard let settings else { return .noProvider }
        let now = nowSeconds()
        if settings.isFetched { refresh(settings) }
        do throws(TokenFault) {
            let token = try JSONWebToken(text)
            if settings.keys.isEmpty {
                try token.check(secret: Array(settings.secret.utf8))
            } else {
                try token.check(keys)
            }
            let lastSecond = try token.checkClaims(settings, nowSeconds: now)
            let holder = try IdentityProvider.holder(token.claims, settings)
            remember(text, Accepted(holder: holder, lastSecond: lastSecond), of: generation)
            return .holder(holder)
        } catch {
            if error == .unknownKey, settings.isFetched { refresh(settings, wantsNew: true) }
            return .refused(error)
        }
    }
    private static func holder(_ claims: SignedJSON, _ settings: IdentitySettings) throws(TokenFault) -> TokenHolder {
        guard let subject = claims["sub"]?.text, !subject.isEmpty, subject.utf8.count <= subjectBytesMax else {
            throw .claim("sub")
        }
        guard let tenant = claims[settings.tenantClaim]?.text, !tenant.isEmpty else {
            throw .claim(settings.tenantClaim)
        }
        // A provider's token is always one tenant's: the platform's own key is the gateway's to make.
        guard let role = claims[settings.roleClaim]?.text.flatMap({ KeyRole(name: $0) }), role != .platform else {
            throw .claim(settings.roleClaim)
        }
        return TokenHolder(subject: escaped(subject), tenant: tenant, role: role)
    }
    /// No two subjects become one, and none has a space or a control character.
    private static func escaped(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if (0x21...0x7E).contains(byte), byte != UInt8(ascii: "%") {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
    private func remember(_ text: String, _ accepted: Accepted, of generation: Int) {
        let digest = Digest.sha256(Array(text.utf8))
        state.withLock { state in
            guard state.generation == generation else { return }
            if state.accepted.count >= IdentityProvider.acceptedCountMax { state.accepted = [:] }
            state.accepted[digest] = accepted
        }
    }

    // MARK: keys that are fetched

    private func refresh(_ settings: IdentitySettings, wantsNew: Bool = false) {
        let now = ageSeconds()
        let isDue = state.withLock { state in
            let isOld = state.fetchedSeconds.map { now >= $0 + IdentityProvider.ageSecondsMax } ?? true
            let mayTry = state.triedSeconds.map { now >= $0 + IdentityProvider.fetchSecondsMin } ?? true
            guard state.settings == settings, wantsNew || isOld, mayTry, !state.isFetching else { return false }
            state.isFetching = true
            state.triedSeconds = now
            return true
        }
        guard isDue, let address = try? EndpointAddress(settings.keys) else { return }
        queue.async { [self] in
            let found = fetch(address)
            do throws(JSONWebKeySetError) {
                let set = try found.map { bytes throws(JSONWebKeySetError) in try JSONWebKeySet(bytes) }
                take(set, settings, now)
            } catch { fail(error.message) }
        }
    }
    private func take(_ set: JSONWebKeySet?, _ settings: IdentitySettings, _ now: UInt64) {
        guard let set else {
            return fail("no answer of 200 with a body of a stated length, \(SecureFetch.bytesMax) bytes at most")
        }
        state.withLock { state in
            state.isFetching = false
            guard state.settings == settings else { return }
            state.fetchedSeconds = now
            state.take(set.keys)
        }
    }
    private func fail(_ reason: String) {
        state.withLock { $0.isFetching = false }
        logger.warning("the identity provider's keys are not to be had", metadata: ["reason": "\(reason)"])
    }

    // MARK: the configuration

    package func prepare(_ change: TopologyChange) throws(ValidationIssues) -> any PreparedTopology {
        try prepare(change.live.identity)
    }
    package func prepare(_ settings: IdentitySettings?) throws(ValidationIssues) -> any PreparedTopology {
        guard state.withLock({ $0.settings }) != settings else { return Unchanged() }
        return Prepared(provider: self, settings: settings, keys: try IdentityProvider.keys(of: settings))
    }
    /// Of a file; nil where there is none.
    private static func keys(of settings: IdentitySettings?) throws(ValidationIssues) -> [TokenKey]? {
        guard let settings, !settings.keys.isEmpty, !settings.isFetched else { return nil }
        let path = FieldPath("identity", "keys")
        do throws(PEMFileError) {
            let bytes = try PEMFile.read(settings.keys)
            do throws(JSONWebKeySetError) { return try JSONWebKeySet(bytes).keys } catch {
                throw PEMFileError(message: "`\(PEMFile.name(settings.keys))` \(error.message)")
            }
        } catch { throw ValidationIssues([ValidationIssue(path, error.message, about: .nothing)]) }
    }
    /// What is wrong with a manifest's file; nothing is kept.
    static func issues(of live: LiveSettings) -> [ValidationIssue] {
        do { _ = try keys(of: live.identity) } catch { return error.issues }
        return []
    }

    private struct Unchanged: PreparedTopology {
        func publish() {}
    }
    private struct Prepared: PreparedTopology {
        let provider: IdentityProvider
        let settings: IdentitySettings?
        let keys: [TokenKey]?

        func publish() {
            provider.state.withLock { state in
                // Keys of the same address are good until others have come.
                let isSameAddress = settings?.isFetched == true && state.settings?.keys == settings?.keys
                state.settings = settings
                state.take(keys ?? (isSameAddress ? state.keys : []))
                state.triedSeconds = nil
                state.fetchedSeconds = nil
            }
            if let settings, settings.isFetched { provider.refresh(settings) }
        }
    }
}
