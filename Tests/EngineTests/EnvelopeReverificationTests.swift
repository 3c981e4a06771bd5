// Refused requests with the contract's envelope, verified again: more than the signature must hold, as on the loop. And
// what such a source cannot be.

import Engine
import FastPath
import Foundation
import TestSupport
import Testing

@Suite struct EnvelopeReverificationTests {
    private static let tenant = "3f0c1f5e-9d6b-4b1a-8f5e-2a7f6f1d0c42"
    private static let other = "00000000-0000-4000-8000-000000000000"
    private static let number: UInt32 = 8
    private let folder = TemporaryFolder()

    /// Signed with a secret that its source has only now.
    private func refused(
        tenant: String = EnvelopeReverificationTests.tenant, mediaType: String = "application/json",
        body: String = #"{"event_type":"paid"}"#
    ) throws -> RejectedRequest {
        let seconds: UInt64 = 1_700_000_000
        let signer = try RequestSigner(provider: "contract", secrets: ["new"])
        let signed = signer.sign(
            UnsignedRequest(
                body: Array(body.utf8), id: UUID().uuidString.lowercased(), type: "paid", timestamp: seconds))
        var head = "POST /in/s HTTP/1.1\r\nHost: h\r\nX-Tenant-Id: \(tenant)\r\nContent-Type: \(mediaType)\r\n"
        for header in signed.headers where header.name.lowercased() != "content-type" {
            head += "\(header.name): \(header.value)\r\n"
        }
        var request = RejectedRequest(
            sourceName: "s", reason: .signatureMismatch, receivedAt: seconds * 1_000_000_000, peer: nil,
            head: Array((head + "\r\n").utf8), body: Array(body.utf8))
        request.sourceNumber = EnvelopeReverificationTests.number
        return request
    }
    private func source() -> SourceConfiguration {
        var source = SourceConfiguration()
        source.name = "s"
        source.provider = "contract"
        source.secrets = [SourceSecret("new")]
        return source
    }

    @Test("What the loop would refuse behind the signature is refused again")
    func holdsTheEnvelope() throws {
        let path = URL(fileURLWithPath: folder.path).appending(path: RejectedStore.fileName).path
        let store = try RejectedStore(path: path, bounds: RejectedConfiguration())
        try store.add([
            (try refused(), nil), (try refused(tenant: EnvelopeReverificationTests.other), nil),
            (try refused(mediaType: "text/plain"), nil), (try refused(body: #"{"source":"a"}"#), nil),
            (try refused(tenant: "acme"), nil),
        ])
        var configuration = GatewayConfiguration()
        configuration.sources = [source()]
        let service = RegistryService(
            store: MemoryRegistryStore(), process: ProcessSettings(), verifiers: VerifierRegistry())
        try service.open()
        _ = try service.apply(.manifest(configuration), actor: ChangeActor("t"))
        let known = try #require(service.state.sources.all.first { $0.name == "s" })
        var offered: [InjectedEvent] = []
        func run(_ tenantUUID: String?, isDry: Bool = true) throws -> ReverifyOutcome {
            var query = ReverifyQuery()
            query.isDry = isDry
            let again = Reverification(
                store: store, configuration: configuration,
                identify: { $0.number == EnvelopeReverificationTests.number ? known : nil },
                tenantUUID: { $0 == known.tenant ? tenantUUID : nil }
            ) { events in
                offered += events
                return events.map { _ in .failed }
            }
            return try again.run(query)
        }
        let outcome = try run(EnvelopeReverificationTests.tenant)
        #expect(outcome.accepted == 1)
        #expect(
            outcome.rejected == [
                .tenantMismatch: 1, .unsupportedMediaType: 1, .schemaViolation: 1, .malformedHeader: 1,
            ])
        #expect(offered.isEmpty)
        _ = try run(EnvelopeReverificationTests.tenant, isDry: false)
        #expect(offered.map(\.isEnveloped) == [true], "it is an event of the contract edge as it would have been then")
        let nobody = try run(nil)
        #expect(nobody.accepted == 0 && nobody.rejected == [.tenantMismatch: 5])
    }

    @Test("Its requests hold one event each")
    func isNotSplit() {
        var split = source()
        split.split = "json:$.events"
        split.dedupKey = ["json:$.id"]
        isRefused(split, saying: "one event each")
    }
    @Test("The type that it is matched by is the one that entries get")
    func takesItsTypeFromNowhereElse() {
        var other = source()
        other.eventType = ["header:X-Type"]
        isRefused(other, saying: "event: type: is what `event_type` of the body says")
    }
    private func isRefused(
        _ source: SourceConfiguration, saying words: String, _ place: SourceLocation = #_sourceLocation
    ) {
        let refused = #expect(throws: SourceError.self, sourceLocation: place) { try SourceCompiler.compile(source) }
        #expect(refused?.description.contains(words) == true, sourceLocation: place)
    }
}
