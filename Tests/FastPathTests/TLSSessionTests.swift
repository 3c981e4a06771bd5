// TLS sessions without a kernel: a client's and a server's joined in memory, whole and byte by byte, and each way in
// which one can go wrong.

import FastPath
import TestSupport
import Testing

@Suite struct TLSSessionTests {
    private static let request = Array("POST /in HTTP/1.1\r\nHost: sluice.test\r\nContent-Length: 0\r\n\r\n".utf8)

    @Test(arguments: [1, 7, 65_536]) func carriesBytesBothWays(bytesAtOnce: Int) throws {
        let pair = try TLSPair(TLSFixture.client(), TLSFixture.server("server"))
        pair.exchange(bytesAtOnce: bytesAtOnce)
        #expect(pair.areOpen && pair.client.isVersion13 && !pair.client.isResumed)
        #expect(pair.client.write(TLSSessionTests.request) == TLSSessionTests.request.count)
        pair.exchange(bytesAtOnce: bytesAtOnce)
        #expect(pair.server.plaintext == TLSSessionTests.request)
        #expect(pair.server.write([1, 2, 3]) == 3)
        pair.exchange(bytesAtOnce: bytesAtOnce)
        #expect(pair.client.plaintext == [1, 2, 3])
    }
    @Test func takesNoMoreThanOneRecordAtOnce() throws {
        let pair = try TLSPair(TLSFixture.client(), TLSFixture.server("server"))
        pair.exchange()
        let body = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        var rest = body[...]
        while !rest.isEmpty {
            let taken = try #require(pair.client.write(Array(rest)))
            #expect(taken > 0 && taken <= 16_384)
            #expect(pair.client.outputCount <= TLSSession.outputBytesDefault)
            rest = rest.dropFirst(taken)
            pair.exchange()
        }
        #expect(pair.server.plaintext == body)
    }
    @Test func keepsWhatItHasNoRoomForUntilTheNextRead() throws {
        let pair = try TLSPair(TLSFixture.client(), TLSFixture.server("server"))
        pair.exchange()
        _ = pair.client.write([UInt8](repeating: 7, count: 5000))
        pair.server.take(pair.client.give(65_536), room: 100)
        #expect(pair.server.plaintext.count == 5000)
    }
    @Test func writesNothingBeforeItsHandshakeIsDone() throws {
        let pair = try TLSPair(TLSFixture.client(), TLSFixture.server("server"))
        #expect(pair.client.write([1]) == 0)
        #expect(pair.server.write([1]) == 0)
    }

    // MARK: names and certificates

    @Test func choosesTheCertificateByName() throws {
        let server = try TLSFixture.server("server", "second", "wild_a")
        for (name, isWanted) in [
            ("sluice.test", true), ("second.test", true), ("a.wild.test", true), ("b.wild.test", true),
            ("nobody.test", false), ("a.b.wild.test", false), ("wild.test", false),
        ] {
            let pair = try TLSPair(TLSFixture.client(), server, name: name)
            pair.exchange()
            #expect(pair.areOpen == isWanted, "\(name)")
            #expect(pair.client.failure == (isWanted ? nil : .nameMismatch), "\(name)")
            let shown = pair.client.session.peer
            #expect((shown != nil) == isWanted)
            guard let shown else { continue }
            let owner = ["second.test": "second", "a.wild.test": "wild_a"][name] ?? "server"
            let own = try CertificatePrint.all(inPEM: TLSFixture.text(owner))[0]
            #expect(shown.subject.text == "CN=\(owner)" && shown.fingerprint == own)
        }
    }
    @Test func comparesNamesWithoutCase() throws {
        let server = try TLSFixture.server("server", "second")
        let pair = try TLSPair(TLSFixture.client(), server, name: "SECOND.test")
        pair.exchange()
        #expect(pair.areOpen)
    }
    @Test func checksAnAddressAgainstTheAddressesOfTheCertificate() throws {
        for (address, isNamed) in [("127.0.0.1", true), ("127.0.0.2", false), ("::1", false)] {
            let pair = try TLSPair(TLSFixture.client(), TLSFixture.server("server"), name: address, isAddress: true)
            pair.exchange()
            #expect(pair.areOpen == isNamed)
            #expect(pair.client.failure == (isNamed ? nil : .nameMismatch))
        }
    }
    @Test func servesBothKindsOfKeyForOneName() throws {
        let pair = try TLSPair(TLSFixture.client(), TLSFixture.server("server_rsa", "server"))
        pair.exchange()
        #expect(pair.areOpen)
        let alone = try TLSPair(TLSFixture.client(), TLSFixture.server("server_rsa"))
        alone.exchange()
        #expect(alone.areOpen)
    }
    @Test(arguments: [
        ("other_name", TLSFailure.nameMismatch), ("unknown", .unknownAuthority), ("no_purpose", .wrongPurpose),
        ("not_a_ca", .notAnAuthority), ("self_signed", .selfSigned), ("revoked", .revoked),
    ])
    func refusesABadCertificateWithItsReason(_ name: String, _ reason: TLSFailure) throws {
        let client = try TLSFixture.client(revoked: name == "revoked" ? TLSFixture.text("lists", "root") : nil)
        let pair = try TLSPair(client, TLSFixture.server(name))
        pair.exchange()
        #expect(pair.client.failure == reason && reason.isOfCertificate)
        #expect(pair.client.write([1]) == nil)
        #expect(!pair.server.isOpen || pair.server.failure != nil)
    }
    @Test func believesACertificateThatTheListDoesNotName() throws {
        let client = try TLSFixture.client(revoked: TLSFixture.text("lists", "root"))
        let pair = try TLSPair(client, TLSFixture.server("server"))
        pair.exchange()
        #expect(pair.areOpen)
        // The intermediate's own list is not there, and its certificate is not the peer's.
        let behind = try TLSPair(client, TLSFixture.server("second"), name: "second.test")
        behind.exchange()
        #expect(behind.client.failure == .noRevocationList)
    }

    // MARK: client certificates

    @Test func asksForAClientCertificate() throws {
        for (identity, isGood) in [("client", true), ("client_unknown", false), ("server", false)] {
            let server = try TLSFixture.server("server", clients: .asked)
            let pair = try TLSPair(TLSFixture.client(identity), server)
            pair.exchange()
            #expect(pair.server.isOpen == isGood, "\(identity)")
            if !isGood {
                #expect(pair.server.failure?.isOfCertificate == true)
                #expect(pair.client.failure == .certificateRefused)
            }
        }
    }
    @Test func servesWhoeverShowsNoneUnlessOneIsRequired() throws {
        let asked = try TLSPair(TLSFixture.client(), TLSFixture.server("server", clients: .asked))
        asked.exchange()
        #expect(asked.areOpen)
        let required = try TLSPair(TLSFixture.client(), TLSFixture.server("server", clients: .required))
        required.exchange()
        #expect(required.server.failure == .noCertificate)
        #expect(required.client.failure == .certificateRefused)
    }

    @Test func refusesAFileOfWhichItCanReadAPart() throws {
        let (server, root) = (TLSFixture.identity("server"), TLSFixture.text("root"))
        let broken = Array("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n".utf8)
        let locked = Array(
            """
            -----BEGIN CERTIFICATE-----
            Proc-Type: 4,ENCRYPTED
            DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF

            AAAAAAAAAAAAAAAAAAAAAA==
            -----END CERTIFICATE-----

            """.utf8)
        let keys = try #require(TLSTicketKeys())
        let cut = Array(root.prefix(200))
        for (bad, word) in [(broken, "cannot be read"), (locked, "password"), (cut, "cannot be read")] {
            for text in [root + bad, bad + root] {
                var settings = TLSServerSettings(identities: [server])
                (settings.clientCertificate, settings.clientAuthorities) = (.asked, text)
                let asking = #expect(throws: TLSSettingsError.self) {
                    try TLSContext.server(settings, tickets: keys)
                }
                #expect(asking?.words.contains(word) == true, "\(asking?.words ?? "")")
                let client = #expect(throws: TLSSettingsError.self) {
                    try TLSContext.client(TLSClientSettings(authorities: text))
                }
                #expect(client?.words.contains(word) == true)
            }
            settings(showing: server.chain + bad, server.key, keys, word)
        }
    }
    private func settings(showing chain: [UInt8], _ key: [UInt8], _ keys: TLSTicketKeys, _ word: String) {
        let settings = TLSServerSettings(identities: [TLSIdentity(chain: chain, key: key)])
        let error = #expect(throws: TLSSettingsError.self) { try TLSContext.server(settings, tickets: keys) }
        #expect(error?.words.contains(word) == true)
    }

    // MARK: resumption

    @Test func resumesASessionAlsoAfterAReloadAndTwoRotations() throws {
        let keys = try #require(TLSTicketKeys())
        let client = try TLSFixture.client()
        for rotations in 0...3 {
            let first = try TLSPair(client, TLSFixture.server("server", tickets: keys))
            first.exchange()
            guard let ticket = first.client.session.takeTicket() else { throw TLSTestError.noTicket }
            let isFresh = ticket.isFresh
            #expect(isFresh)
            for _ in 0..<rotations { #expect(keys.rotate()) }
            let second = try TLSPair(client, TLSFixture.server("server", tickets: keys), ticket: ticket)
            second.exchange()
            #expect(second.areOpen)
            #expect(second.client.isResumed == (rotations < 3), "\(rotations) rotations")
            #expect(second.server.isResumed == (rotations < 3))
        }
    }
    @Test func doesNotResumeWhereClientsAreVerifiedOtherwise() throws {
        let keys = try #require(TLSTicketKeys())
        let client = try TLSFixture.client("client")
        let first = try TLSPair(client, TLSFixture.server("server", tickets: keys))
        first.exchange()
        guard let ticket = first.client.session.takeTicket() else { throw TLSTestError.noTicket }
        let second = try TLSPair(
            client, TLSFixture.server("server", clients: .required, tickets: keys), ticket: ticket)
        second.exchange()
        #expect(!second.server.isResumed)
    }

    // MARK: what goes wrong

    @Test func namesPlainHTTPAndOtherNonsense() throws {
        for (bytes, reason) in [
            (TLSSessionTests.request, TLSFailure.plainHTTP), (Array("SSH-2.0-OpenSSH\r\n".utf8), .notTLS),
            ([UInt8](repeating: 0, count: 64), .notTLS), ([0x16, 3, 1, 0, 4, 9, 9, 9, 9], .malformed),
        ] {
            let side = try TLSSide.accepting(TLSFixture.server("server"))
            side.take(bytes)
            #expect(side.failure == reason)
            side.take(bytes)
            #expect(side.failure == reason, "a failed session did something again")
        }
    }
    @Test func namesAServerThatSpeaksPlainHTTP() throws {
        let pair = try TLSPair(TLSFixture.client(), TLSFixture.server("server"))
        pair.client.take(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
        #expect(pair.client.failure == .notTLS)
    }
    @Test func failsOnAChangedByteAndSaysSoToThePeer() throws {
        let pair = try TLSPair(TLSFixture.client(), TLSFixture.server("server"))
        pair.exchange()
        _ = pair.client.write(TLSSessionTests.request)
        var record = pair.client.give(65_536)
        record[record.count - 1] ^= 1
        pair.server.take(record)
        #expect(pair.server.failure == .malformed && pair.server.plaintext.isEmpty)
        pair.client.take(pair.server.give(65_536))
        #expect(pair.client.failure == .refusedByPeer)
    }
    @Test func waitsForTheRestOfATruncatedRecord() throws {
        let pair = try TLSPair(TLSFixture.client(), TLSFixture.server("server"))
        pair.exchange()
        _ = pair.client.write(TLSSessionTests.request)
        let record = pair.client.give(65_536)
        pair.server.take(Array(record.dropLast()))
        #expect(pair.server.last == .wantsInput && pair.server.plaintext.isEmpty)
        pair.server.take([record[record.count - 1]])
        #expect(pair.server.plaintext == TLSSessionTests.request)
    }
    @Test func saysThatNothingMoreComes() throws {
        let pair = try TLSPair(TLSFixture.client(), TLSFixture.server("server"))
        pair.exchange()
        _ = pair.client.write([1])
        pair.client.session.finish()
        #expect(pair.client.write([2]) == 0)
        pair.exchange()
        #expect(pair.server.plaintext == [1] && pair.server.last == .closed)
        // The other direction is still open.
        #expect(pair.server.write([3]) == 1)
    }

    // MARK: memory

    @Test func asksTheSystemForNoMemoryOnceItIsWarm() throws {
        let pair = try TLSPair(TLSFixture.client(), TLSFixture.server("server"))
        pair.exchange()
        let before = TLSMemory.missCount
        for round in 0..<1100 {
            if round == 100 { #expect(TLSMemory.missCount - before < 100) }
            let warm = TLSMemory.missCount
            #expect(pair.client.write(TLSSessionTests.request) == TLSSessionTests.request.count)
            pair.server.take(pair.client.give(65_536))
            #expect(pair.server.write([1]) == 1)
            pair.client.take(pair.server.give(65_536))
            if round % 3 == 0 {
                pair.client.session.rest()
                pair.server.session.rest()
            }
            if round >= 100 { #expect(TLSMemory.missCount == warm, "round \(round)") }
        }
        #expect(pair.server.plaintext.count == 1100 * TLSSessionTests.request.count)
    }
}

@Suite struct TLSContextTests {
    @Test func refusesAnIdentityWithItsReason() throws {
        let keys = try #require(TLSTicketKeys())
        let good = TLSFixture.identity("server")
        for (identity, part, reason) in [
            (TLSIdentity(chain: [], key: good.key), TLSSettingsError.Part.certificate(1), "has no certificate in PEM"),
            (TLSIdentity(chain: good.chain, key: []), .key(1), "has no private key in PEM"),
            (
                TLSIdentity(chain: good.chain, key: TLSFixture.text("second", "key")), .key(1),
                "has a private key of another certificate"
            ),
            (TLSFixture.identity("expired"), .certificate(1), "has a certificate that has expired"),
            (TLSFixture.identity("not_yet"), .certificate(1), "has a certificate that is not valid yet"),
            (
                TLSFixture.identity("short_key"), .certificate(1),
                "has a certificate with a short key (RSA needs 2048 bits) or a weak digest (such as SHA-1)"
            ),
        ] {
            #expect(throws: TLSSettingsError.part(part, reason: reason)) {
                try TLSContext.server(
                    TLSServerSettings(identities: [TLSFixture.identity("second"), identity]), tickets: keys)
            }
        }
    }
    @Test func refusesAuthoritiesAndListsThatAreNone() throws {
        #expect(throws: TLSSettingsError.part(.authorities, reason: "has no certificate in PEM")) {
            try TLSContext.client(TLSClientSettings(authorities: Array("nothing".utf8)))
        }
        #expect(throws: TLSSettingsError.part(.revoked, reason: "has no list of revoked certificates in PEM")) {
            try TLSContext.client(
                TLSClientSettings(authorities: TLSFixture.text("root"), revoked: TLSFixture.text("root")))
        }
    }
    @Test func tellsUntilWhenACertificateIsValid() throws {
        let validity = try #require(TLSFixture.identity("expired").validity)
        #expect(validity.upperBound - validity.lowerBound == 10 * 86_400)
        #expect(TLSIdentity(chain: [], key: []).validity == nil)
    }
    @Test func eachFailureHasACodeOfItsOwn() {
        #expect(Set(TLSFailure.allCases.map(\.code)).count == TLSFailure.allCases.count)
        #expect(Set(TLSFailure.allCases.map(\.explanation)).count == TLSFailure.allCases.count)
    }
}
