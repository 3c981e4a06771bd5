// The certificate that the probe's gateway shows over TLS, and the authority that its client believes: those of the
// tests.
import FastPath
import Foundation

struct ProbeCertificates {
    static let name = "sluice.test"
    let server: TLSContext
    let client: TLSContext

    init() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../..")
        let file = root.appendingPathComponent("Tests/Fixtures/tls.json")
        let all = try JSONDecoder().decode([String: [String: String]].self, from: Data(contentsOf: file))
        func text(_ name: String, _ part: String) throws -> [UInt8] {
            guard let found = all[name]?[part] else { throw ProbeError("the fixture has no \(name).\(part)") }
            return Array(found.utf8)
        }
        guard let tickets = TLSTicketKeys() else { throw ProbeError("no random numbers for ticket keys") }
        let identity = TLSIdentity(chain: try text("server", "chain"), key: try text("server", "key"))
        server = try TLSContext.server(TLSServerSettings(identities: [identity]), tickets: tickets)
        client = try TLSContext.client(TLSClientSettings(authorities: try text("root", "chain")))
    }
}
