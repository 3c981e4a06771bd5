// What the TLS tests share: the certificates of Tests/Fixtures/tls.json, and a client and a server session joined in
// memory, so many bytes at a time.

import FastPath
import Foundation
import TestSupport
import Testing

enum TLSFixture {
    private static let all: [String: [String: String]] = {
        guard let data = try? Data(contentsOf: Repository.fixture("tls.json")),
            let found = try? JSONDecoder().decode([String: [String: String]].self, from: data)
        else { preconditionFailure("Tests/Fixtures/tls.json is not there; make_tls.py makes it") }
        return found
    }()
    static func identity(_ name: String) -> TLSIdentity {
        TLSIdentity(chain: text(name, "chain"), key: text(name, "key"))
    }
    static func text(_ name: String, _ part: String = "chain") -> [UInt8] {
        guard let found = all[name]?[part] else { preconditionFailure("there is no \(name).\(part)") }
        return Array(found.utf8)
    }
    static func server(
        _ names: String..., clients: TLSServerSettings.ClientCertificate = .notAsked, tickets: TLSTicketKeys? = nil
    ) throws -> TLSContext {
        var settings = TLSServerSettings(identities: names.map(identity))
        settings.clientCertificate = clients
        if clients != .notAsked { settings.clientAuthorities = text("root") }
        return try TLSContext.server(settings, tickets: tickets ?? #require(TLSTicketKeys()))
    }
    static func client(_ identity: String? = nil, revoked: [UInt8]? = nil) throws -> TLSContext {
        try TLSContext.client(
            TLSClientSettings(
                authorities: text("root"), identity: identity.map { TLSFixture.identity($0) }, revoked: revoked))
    }
}

/// One side with what it has read. A class, because the macros of the tests copy what they look at.
final class TLSSide {
    var session: TLSSession
    var plaintext: [UInt8] = []
    var last = TLSStep.wantsInput

    init(_ session: consuming TLSSession) { self.session = session }
    /// A server's, before anybody has connected.
    static func accepting(_ context: TLSContext) throws -> TLSSide {
        guard let session = TLSSession(accepting: context.view) else { throw TLSTestError.noSession }
        return TLSSide(session)
    }
    var isOpen: Bool { session.isOpen }
    var isResumed: Bool { session.isResumed }
    var isVersion13: Bool { session.isVersion13 }
    var outputCount: Int { session.outputCount }

    /// Feeds the bytes and reads until it stops.
    func take(_ ciphertext: [UInt8], room: Int = 16_384) {
        var buffer = [UInt8](repeating: 0, count: room)
        ciphertext.withUnsafeBufferPointer { bytes in
            if let base = bytes.baseAddress { session.feed(base, count: bytes.count) }
            while true {
                last = buffer.withUnsafeMutableBufferPointer { session.read(into: $0.baseAddress!, room: room) }
                guard case .bytes(let count) = last else { return }
                plaintext += buffer[..<count]
            }
        }
    }
    /// At most so many bytes of what waits to be sent.
    func give(_ most: Int) -> [UInt8] {
        let count = min(session.outputCount, most)
        guard count > 0, let bytes = session.output else { return [] }
        let taken = Array(UnsafeBufferPointer(start: bytes, count: count))
        session.sent(count)
        return taken
    }
    func write(_ bytes: [UInt8]) -> Int? {
        bytes.withUnsafeBufferPointer { session.write($0.baseAddress!, count: $0.count) }
    }
    var failure: TLSFailure? { if case .failed(let reason) = last { reason } else { nil } }
}

final class TLSPair {
    let client: TLSSide
    let server: TLSSide

    init(
        _ clientContext: TLSContext, _ serverContext: TLSContext, name: String = "sluice.test",
        isAddress: Bool = false, ticket: consuming TLSTicket? = nil
    ) throws {
        guard let text = strdup(name) else { throw TLSTestError.noSession }
        defer { free(text) }
        guard var mine = TLSSession(connecting: clientContext.view, name: text, isAddress: isAddress),
            let theirs = TLSSession(accepting: serverContext.view)
        else { throw TLSTestError.noSession }
        if let ticket = ticket { mine.resume(ticket) }
        client = TLSSide(mine)
        server = TLSSide(theirs)
        client.take([])
    }
    /// Carries what both have to say until nobody has.
    func exchange(bytesAtOnce: Int = 65_536) {
        while client.outputCount > 0 || server.outputCount > 0 {
            server.take(client.give(bytesAtOnce))
            client.take(server.give(bytesAtOnce))
        }
    }
    var areOpen: Bool { client.isOpen && server.isOpen }
}

enum TLSTestError: Error { case noSession, noTicket }
