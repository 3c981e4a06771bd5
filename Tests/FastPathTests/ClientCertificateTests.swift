// What a source demands of a client's certificate: which one fits, which does not, over sessions that begin and that
// are resumed, and what an ingest loop answers.

import FastPath
import TestSupport
import Testing

private func prints(_ name: String) throws -> [[UInt8]] { try CertificatePrint.all(inPEM: TLSFixture.text(name)) }

/// A rule, whose memory lives as long as this.
private struct Demand {
    let memory = CompiledMemory()
    let rule: ClientCertificateRule

    init(authorities: [[UInt8]] = [], names: [String] = [], prints: [[UInt8]] = []) {
        rule = ClientCertificateRule(authorities: authorities, names: names, prints: prints, in: memory)
    }
    func fault(_ session: borrowing TLSSession, at seconds: UInt64 = 1_900_000_000) -> SignatureRejection? {
        withExtendedLifetime(memory) { rule.fault(of: session.peer, nowSeconds: seconds) }
    }
}

@Suite struct ClientCertificateTests {
    private func pair(_ identity: String?) throws -> TLSPair {
        let pair = try TLSPair(TLSFixture.client(identity), TLSFixture.server("server", clients: .asked))
        pair.exchange()
        #expect(pair.areOpen)
        return pair
    }

    @Test func fitsByAuthorityNameAndFingerprint() throws {
        let named = try prints("client_named")
        let (root, other) = (try prints("root"), try prints("other_root"))
        #expect(named.count == 2)
        let pair = try pair("client_named")
        for (demand, isGood) in [
            (Demand(), true), (Demand(authorities: root), true), (Demand(authorities: [named[1]]), true),
            (Demand(authorities: other + root), true), (Demand(authorities: other), false),
            // Its own certificate signs nobody.
            (Demand(authorities: [named[0]]), false),
            (Demand(prints: [named[0]]), true), (Demand(prints: other + [named[0]]), true),
            (Demand(prints: [named[1]]), false), (Demand(prints: root), false),
            (Demand(names: ["client_named"]), true), (Demand(names: ["Client_Named"]), false),
            (Demand(names: ["api.client.test"]), true), (Demand(names: ["API.client.TEST"]), true),
            (Demand(names: ["client.test"]), false), (Demand(names: ["i.client.test"]), false),
            (Demand(names: ["spiffe://client.test/a"]), true), (Demand(names: ["spiffe://client.test/"]), false),
            (Demand(names: ["spiffe://client.test/A"]), false), (Demand(names: ["ops@client.test"]), true),
            (Demand(names: ["nobody", "ops@client.test"]), true), (Demand(names: ["nobody"]), false),
            (Demand(authorities: root, names: ["api.client.test"], prints: [named[0]]), true),
            (Demand(authorities: other, names: ["api.client.test"], prints: [named[0]]), false),
            (Demand(authorities: root, names: ["x.client.test"], prints: [named[0]]), false),
            (Demand(authorities: root, names: ["api.client.test"], prints: [named[1]]), false),
        ] {
            #expect(demand.fault(pair.server.session) == (isGood ? nil : .clientCertificateNotAllowed))
        }
    }
    @Test func aNameCountsAsWhatItLooksLike() throws {
        // The same text, once a URI, once a DNS name: a certificate of the one kind is not of the other.
        let pair = try pair("client_workload")
        #expect(Demand(names: ["spiffe://client.test/a"]).fault(pair.server.session) == nil)
        #expect(pair.server.session.peer?.subject.text == "URI:spiffe://client.test/a")
        #expect(Demand(names: ["client.test"]).fault(pair.server.session) == .clientCertificateNotAllowed)
    }
    @Test func whoShowsNoneHasNone() throws {
        let pair = try pair(nil)
        #expect(Demand().fault(pair.server.session) == .missingClientCertificate)
        let unasked = try TLSPair(TLSFixture.client("client"), TLSFixture.server("server"))
        unasked.exchange()
        #expect(unasked.areOpen && Demand().fault(unasked.server.session) == .missingClientCertificate)
    }
    @Test func aConnectionDoesNotOutliveItsCertificate() throws {
        let pair = try pair("client_named")
        #expect(Demand().fault(pair.server.session, at: 1_900_000_000) == nil)
        #expect(Demand().fault(pair.server.session, at: 9_000_000_000) == .clientCertificateNotAllowed)
    }
    @Test func aResumedSessionBringsItsChain() throws {
        let keys = try #require(TLSTicketKeys())
        let client = try TLSFixture.client("client_named")
        let (root, other) = (Demand(authorities: try prints("root")), Demand(authorities: try prints("other_root")))
        var pair = try TLSPair(client, TLSFixture.server("server", clients: .asked, tickets: keys))
        for round in 0..<2 {
            pair.exchange()
            #expect(pair.areOpen && pair.server.isResumed == (round > 0))
            #expect(root.fault(pair.server.session) == nil)
            #expect(other.fault(pair.server.session) == .clientCertificateNotAllowed)
            #expect(pair.server.session.peer?.subject.text == "CN=client_named")
            guard round == 0 else { break }
            guard let ticket = pair.client.session.takeTicket() else { throw TLSTestError.noTicket }
            pair = try TLSPair(client, TLSFixture.server("server", clients: .asked, tickets: keys), ticket: ticket)
        }
    }
    /// What a reload may bring: other authorities, or lists.
    private func reloaded(_ authorities: [UInt8], lists: [UInt8]? = nil) throws -> TLSContext {
        var settings = TLSServerSettings(identities: [TLSFixture.identity("server")])
        (settings.clientCertificate, settings.clientAuthorities) = (.asked, authorities)
        settings.clientRevoked = lists
        return try TLSContext.server(settings, tickets: #require(TLSTicketKeys()))
    }
    @Test func whoIsBelievedIsAskedAgainOfOtherAuthoritiesAndLists() throws {
        let (root, other) = (TLSFixture.text("root"), TLSFixture.text("other_root"))
        let lists = TLSFixture.text("lists", "root")
        for (identity, context, isBelieved) in [
            ("client", try reloaded(root), true), ("client", try reloaded(root, lists: lists), true),
            ("client", try reloaded(other), false), ("client", try reloaded(other + root), true),
            ("client_named", try reloaded(root), true), ("client_named", try reloaded(other), false),
            // No list covers what the authority between has signed.
            ("client_named", try reloaded(root, lists: lists), false), (nil, try reloaded(root), false),
        ] as [(String?, TLSContext, Bool)] {
            let pair = try pair(identity)
            withExtendedLifetime(context) {
                #expect(pair.server.session.isBelieved(by: context.view) == isBelieved, "\(identity ?? "none")")
            }
        }
        let alike = try (reloaded(root), reloaded(root))
        #expect(alike.0.trust == alike.1.trust && !alike.0.trust.isEmpty)
        #expect(try reloaded(root, lists: lists).trust != alike.0.trust)
        #expect(try reloaded(other).trust != alike.0.trust)
    }
    @Test func aResumedSessionIsBelievedByWhatItsTicketHas() throws {
        let keys = try #require(TLSTicketKeys())
        // The authority between is not in the ticket.
        for (identity, isBelieved) in [("client", true), ("client_named", false)] {
            let client = try TLSFixture.client(identity)
            let first = try TLSPair(client, TLSFixture.server("server", clients: .asked, tickets: keys))
            first.exchange()
            guard let ticket = first.client.session.takeTicket() else { throw TLSTestError.noTicket }
            let pair = try TLSPair(client, TLSFixture.server("server", clients: .asked, tickets: keys), ticket: ticket)
            pair.exchange()
            #expect(pair.areOpen && pair.server.isResumed)
            let (root, other) = try (reloaded(TLSFixture.text("root")), reloaded(TLSFixture.text("other_root")))
            withExtendedLifetime((root, other)) {
                #expect(pair.server.session.isBelieved(by: root.view) == isBelieved, "\(identity)")
                #expect(pair.server.session.isBelieved(by: other.view) == false)
            }
        }
    }
    @Test func readsEachCertificateOfAFileOrSaysWhatIsWrong() throws {
        let root = TLSFixture.text("root")
        #expect(try prints("client_named").count == 2)
        #expect(try CertificatePrint.all(inPEM: Array("a comment\n".utf8) + root).count == 1)
        let broken = Array("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n".utf8)
        for bad in [[], Array("nothing".utf8), root + broken, broken + root, root + root.prefix(100)] {
            #expect(throws: TLSSettingsError.self) { try CertificatePrint.all(inPEM: bad) }
        }
    }

    // MARK: the loop

    private func sources() throws -> [HarnessSource] {
        let named = try prints("client_named")
        var open = HarnessSource(name: "open", check: .none)
        open.dedupKey = []
        var any = open
        (any.name, any.certificate) = ("any", { ClientCertificateRule(authorities: [], names: [], prints: [], in: $0) })
        var one = open
        one.name = "one"
        one.certificate = { ClientCertificateRule(authorities: [], names: [], prints: [named[0]], in: $0) }
        var signed = HarnessSource(name: "signed", check: .token)
        signed.certificate = one.certificate
        return [open, any, one, signed]
    }
    private static func answers(_ text: String) -> [String] {
        text.split(separator: "HTTP/1.1 ").map { answer in
            let status = String(answer.prefix(3))
            guard status == "403", let reason = answer.split(separator: "\"reason\":\"").last else { return status }
            return String(reason.prefix { $0 != "\"" })
        }
    }

    @Test func eachSourceOfAConnectionAsksForItself() throws {
        for (identity, expected) in [
            ("client_named", ["202", "202", "202", "401", "202"]),
            (
                "client",
                ["202", "202", "client_certificate_not_allowed", "client_certificate_not_allowed", "202"]
            ),
            (
                nil,
                [
                    "202", "missing_client_certificate", "missing_client_certificate", "missing_client_certificate",
                    "202",
                ]
            ),
        ] as [(String?, [String])] {
            let ingest = try SimulatedIngest(sources(), tls: TLSFixture.server("server", clients: .asked))
            let connection = try SecureClient(ingest, TLSFixture.client(identity))
            for source in ["open", "any", "one", "signed", "open"] { connection.send(post(source, "x")) }
            #expect(Self.answers(connection.text) == expected, "\(identity ?? "none")")
            ingest.finish()
        }
    }
    @Test func aReloadSaysWhoIsBelievedOnOpenConnections() throws {
        let ingest = try SimulatedIngest(sources(), tls: TLSFixture.server("server", clients: .asked))
        let root = TLSFixture.text("root")
        let plain = try SecureClient(ingest, TLSFixture.client())
        func ask(_ client: SecureClient) -> [String] {
            let known = Self.answers(client.text).count
            for source in ["open", "any", "one"] { client.send(post(source, "x")) }
            return Array(Self.answers(client.text).dropFirst(known))
        }
        let all = ["202", "202", "202"]
        // The connection ends with the answer that refuses its certificate.
        let refused = ["202", "client_certificate_not_allowed"]
        let none = ["202", "missing_client_certificate", "missing_client_certificate"]
        for (context, expected) in [
            (try reloaded(root + TLSFixture.text("other_root")), all),
            (try reloaded(TLSFixture.text("other_root")), refused),
            (try reloaded(root, lists: TLSFixture.text("lists", "root")), refused),
            (try reloaded(root), all),
        ] {
            ingest.shared.publish(contexts: [try reloaded(root)])
            ingest.tick()
            let named = try SecureClient(ingest, TLSFixture.client("client_named"))
            #expect(ask(named) == all && ask(plain) == none)
            ingest.shared.publish(contexts: [context])
            #expect(ask(named) == expected && ask(plain) == none)
        }
        ingest.finish()
    }
    @Test func aPlainListenerHasNoCertificates() throws {
        let ingest = try SimulatedIngest(sources())
        let socket = try #require(ingest.world.connect())
        for source in ["open", "any", "one"] { socket.inbound += Array(post(source, "x").utf8) }
        ingest.ticks(20)
        #expect(
            Self.answers(socket.text) == ["202", "missing_client_certificate", "missing_client_certificate"])
        #expect(ingest.count(.rejected, source: 1) == 1 && ingest.count(.accepted, source: 1) == 0)
        ingest.finish()
    }
}
