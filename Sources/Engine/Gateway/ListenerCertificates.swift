// The TLS contexts of the listeners: made when the configuration is checked, swapped when a reload finds that a file
// has changed, and told to whoever serves the listeners. Sessions that run keep what they began with; whether their
// client is believed still is for whoever has them.
//
// Invariant: a context that is handed out was made of files that fit each other and are valid now; what is refused has
// changed nothing. All contexts share their ticket keys, so that sessions outlive a reload.

import FastPath
import Foundation
import Synchronization

/// One certificate that a listener shows.
package struct ListenerCertificate: Equatable, Sendable {
    package let listener: String
    /// The file's name without its folder.
    package let file: String
    /// Seconds since 1970.
    package let expiresAt: Int64
    /// Operators are told when fewer days than these are left.
    package static let warningDays: Int64 = 14

    package init(listener: String, file: String, expiresAt: Int64) {
        self.listener = listener
        self.file = file
        self.expiresAt = expiresAt
    }
}

package final class ListenerCertificates: TopologyParticipant {
    private struct State {
        var contexts: [String: TLSContext] = [:]
        var certificates: [ListenerCertificate] = []
        /// What the files held that `contexts` were made of; nil before the first time.
        var contents: String?
        var onChange: [@Sendable ([String: TLSContext]) -> Void] = []
    }
    private let listeners: [Listener]
    private let tickets: TLSTicketKeys?
    private let state = Mutex(State())

    package init(_ process: ProcessSettings) {
        listeners = ListenerCertificates.listeners(of: process)
        tickets = listeners.isEmpty ? nil : TLSTicketKeys()
    }
    private struct Listener {
        let path: FieldPath
        let address: String
        let tls: ListenerTLS
    }
    /// Those of ingest, then the control listener.
    private static func listeners(of process: ProcessSettings) -> [Listener] {
        let ingest = process.listen.enumerated().compactMap { index, address in
            process.listenTLS[address].map {
                Listener(path: FieldPath("listen")[index]["tls"], address: address, tls: $0)
            }
        }
        let control = process.adminTLS.map {
            Listener(path: FieldPath("admin", "tls"), address: process.admin, tls: $0)
        }
        return ingest + [control].compactMap(\.self)
    }

    /// By the listener's address as the configuration spells it; plain listeners have none.
    package var contexts: [String: TLSContext] { state.withLock { $0.contexts } }
    package var certificates: [ListenerCertificate] { state.withLock { $0.certificates } }
    /// Calls `tell` with the contexts of each reload from now on, after those that asked before.
    package func onChange(_ tell: @escaping @Sendable ([String: TLSContext]) -> Void) {
        state.withLock { $0.onChange.append(tell) }
    }
    /// To be called every few hours: tickets are good for three times as long.
    package func rotateTicketKeys() { _ = tickets?.rotate() }

    package func prepare(_ change: TopologyChange) throws(ValidationIssues) -> any PreparedTopology {
        guard let contents = change.live.certificateContents, !isInForce(contents) else { return Unchanged() }
        var prepared = Prepared(participant: self, contents: contents)
        var issues: [ValidationIssue] = []
        for listener in listeners {
            let (path, address, tls) = (listener.path, listener.address, listener.tls)
            guard let tickets else { throw ValidationIssues([ValidationIssue(path, "no random bytes are to be had")]) }
            do throws(ListenerTLSError) {
                let settings = try tls.settings()
                prepared.contexts[address] = try tls.context(settings, tickets: tickets)
                prepared.certificates += tls.certificates(settings, listener: address)
            } catch { issues.append(error.issue(at: path)) }
        }
        guard issues.isEmpty else { throw ValidationIssues(issues) }
        return prepared
    }
    /// An edit of something else does not look at the files: one that has become bad meanwhile is no mistake of it.
    private func isInForce(_ contents: String) -> Bool { state.withLock { $0.contents == contents } }

    /// What is wrong with a manifest's files; nothing is kept.
    static func issues(of process: ProcessSettings) -> [ValidationIssue] {
        guard let tickets = TLSTicketKeys() else { return [] }
        return listeners(of: process).compactMap { one in
            do throws(ListenerTLSError) { _ = try one.tls.context(try one.tls.settings(), tickets: tickets) } catch {
                return error.issue(at: one.path)
            }
            return nil
        }
    }

    private struct Unchanged: PreparedTopology {
        func publish() {}
    }
    private struct Prepared: PreparedTopology {
        let participant: ListenerCertificates
        let contents: String
        var contexts: [String: TLSContext] = [:]
        var certificates: [ListenerCertificate] = []

        func publish() {
            let tell = participant.state.withLock { state in
                state.contents = contents
                state.contexts = contexts
                state.certificates = certificates
                return state.onChange
            }
            for one in tell { one(contexts) }
        }
    }
}

/// What is wrong with one of a listener's files; `path` is under the listener's `tls`.
struct ListenerTLSError: Error {
    let path: [FieldPath.Component]
    let message: String

    func issue(at path: FieldPath) -> ValidationIssue {
        var whole = path
        for component in self.path { whole.push(component) }
        return ValidationIssue(whole, message, about: .nothing)
    }
}

extension ListenerTLS {
    /// What the files hold, as a context takes it.
    func settings() throws(ListenerTLSError) -> TLSServerSettings {
        var settings = TLSServerSettings(identities: [])
        for (index, identity) in identities.enumerated() {
            let chain = try read(identity.certificate, place(index, "certificate"))
            let key = if let key = identity.key { try read(key, place(index, "key")) } else { chain }
            settings.identities.append(TLSIdentity(chain: chain, key: key))
        }
        if let clientAuthorities {
            settings.clientAuthorities = try read(clientAuthorities, [.key("client_ca")])
            settings.clientCertificate = .asked
        }
        if let clientRevoked { settings.clientRevoked = try read(clientRevoked, [.key("client_crl")]) }
        return settings
    }
    func context(
        _ settings: TLSServerSettings, tickets: TLSTicketKeys
    ) throws(ListenerTLSError) -> TLSContext {
        do throws(TLSSettingsError) { return try TLSContext.server(settings, tickets: tickets) } catch {
            throw problem(error)
        }
    }
    func certificates(_ settings: TLSServerSettings, listener: String) -> [ListenerCertificate] {
        zip(identities, settings.identities).compactMap { names, identity in
            guard let validity = identity.validity else { return nil }
            return ListenerCertificate(
                listener: listener, file: PEMFile.name(names.certificate), expiresAt: validity.upperBound)
        }
    }

    /// The first stands in `tls` itself, the others in its list.
    private func place(_ index: Int, _ key: String) -> [FieldPath.Component] {
        index == 0 ? [.key(key)] : [.key("certificates"), .index(index - 1), .key(key)]
    }
    private func read(_ path: String, _ place: [FieldPath.Component]) throws(ListenerTLSError) -> [UInt8] {
        do throws(PEMFileError) { return try PEMFile.read(path) } catch {
            throw ListenerTLSError(path: place, message: error.message)
        }
    }
    private func problem(_ error: TLSSettingsError) -> ListenerTLSError {
        switch error {
        case .unusable(let why): return ListenerTLSError(path: [], message: why)
        case .part(.certificate(let index), let reason):
            let name = PEMFile.name(identities[index].certificate)
            return ListenerTLSError(path: place(index, "certificate"), message: "`\(name)` \(reason)")
        case .part(.key(let index), let reason):
            let name = PEMFile.name(identities[index].key ?? identities[index].certificate)
            let key = identities[index].key == nil ? "certificate" : "key"
            return ListenerTLSError(path: place(index, key), message: "`\(name)` \(reason)")
        case .part(.revoked, let reason):
            let name = clientRevoked.map { "`\(PEMFile.name($0))` " } ?? ""
            return ListenerTLSError(path: [.key("client_crl")], message: name + reason)
        case .part(.authorities, let reason), .part(.system, let reason):
            let name = clientAuthorities.map { "`\(PEMFile.name($0))` " } ?? ""
            return ListenerTLSError(path: [.key("client_ca")], message: name + reason)
        }
    }
}
