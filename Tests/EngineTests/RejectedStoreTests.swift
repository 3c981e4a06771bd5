// The store of refused requests: its bounds, its ids, and verifying again what it keeps.

import Engine
import FastPath
import Foundation
import Synchronization
import TestSupport
import Testing

private func refused(_ source: String, _ number: Int, bodyBytes: Int = 10) -> RejectedRequest {
    RejectedRequest(
        sourceName: source, reason: number.isMultiple(of: 2) ? .signatureMismatch : .missingHeader,
        receivedAt: UInt64(number) * 1_000_000_000, peer: IPAddress("192.0.2.\(number % 200 + 1)"),
        head: Array("POST /in/\(source) HTTP/1.1\r\nHost: h\r\n\r\n".utf8),
        body: [UInt8](repeating: 0x61, count: bodyBytes))
}
private func bounds(count: Int = 1000, bytes: Int = 1 << 20) -> RejectedConfiguration {
    var bounds = RejectedConfiguration()
    bounds.countMax = count
    bounds.bytesMax = bytes
    return bounds
}

extension TemporaryFolder {
    fileprivate var url: URL { URL(fileURLWithPath: path) }
}

@Suite struct RejectedStoreTests {
    private let folder: TemporaryFolder
    init() { folder = TemporaryFolder() }
    private var path: String { folder.url.appending(path: RejectedStore.fileName).path }

    @Test func keepsTheNewestOfEachSourceByCount() throws {
        let store = try RejectedStore(path: path, bounds: bounds(count: 5))
        try store.add((0..<20).map { (refused("a", $0), nil) })
        try store.add([(refused("b", 99), nil)])
        var query = RejectedQuery()
        query.source = "a"
        #expect(try store.list(query).map { $0.request.receivedSeconds } == [19, 18, 17, 16, 15])
        #expect(store.sourceTotals()["b"]?.count == 1)
    }
    @Test func sourcesThatAreCalledAlikeTakeNoneOfEachOthersRoom() throws {
        let store = try RejectedStore(path: path, bounds: bounds(count: 5))
        func add(_ range: Range<Int>, of source: UInt32) throws {
            try store.add(
                range.map {
                    var request = refused("github", $0)
                    request.sourceNumber = source
                    return (request, nil)
                })
        }
        try add(0..<3, of: 7)
        try add(0..<20, of: 8)
        try add(0..<2, of: 0)
        let total = try #require(store.sourceTotals()["github"])
        #expect(total.count == 10 && total.bytes == 10 * refused("github", 0).byteCount)
        #expect(try store.numbers(source: nil, ofSources: [7]).count == 3)
        #expect(try store.numbers(source: nil, ofSources: [8]).count == 5)
        let again = try RejectedStore(path: path, bounds: bounds(count: 2))
        for source in [UInt32(0), 7, 8] {
            #expect(try again.numbers(source: nil, ofSources: [source]).count == 2, "\(source)")
        }
    }
    @Test func whatWasSentToSourcesThatAreGoneGoesWithThem() throws {
        let store = try RejectedStore(path: path, bounds: bounds())
        for source in [UInt32(0), 7, 8] {
            var request = refused("a", 1)
            request.sourceNumber = source
            try store.add([(request, nil)])
        }
        try store.removeAll(butOf: [8])
        #expect(try store.list(RejectedQuery()).map(\.request.sourceNumber).sorted() == [0, 8])
        #expect(store.sourceTotals()["a"]?.count == 2)
    }
    @Test func keepsTheNewestByBytes() throws {
        let store = try RejectedStore(path: path, bounds: bounds(bytes: 5000))
        for number in 0..<20 { try store.add([(refused("a", number, bodyBytes: 1000), nil)]) }
        let total = try #require(store.sourceTotals()["a"])
        #expect(total.count == 4 && total.bytes <= 5000)
        // One that is larger than all of the room is not kept.
        try store.add([(refused("a", 30, bodyBytes: 6000), nil)])
        #expect(store.sourceTotals()["a"]?.bytes ?? 0 <= 5000)
    }
    @Test func smallerBoundsHoldAfterARestart() throws {
        do {
            let store = try RejectedStore(path: path, bounds: bounds())
            try store.add((0..<20).map { (refused("a", $0), HintFinding(.clockSkew, "d")) })
        }
        let store = try RejectedStore(path: path, bounds: bounds(count: 3))
        let rows = try store.list(RejectedQuery())
        #expect(rows.count == 3)
        #expect(rows[0].finding == HintFinding(.clockSkew, "d"))
        #expect(rows[0].request.peer == IPAddress("192.0.2.20"))
        #expect(rows[0].request.body.isEmpty)
        let whole = try #require(try store.row(rows[0].number))
        #expect(whole.request.body.count == 10 && whole.request.head == refused("a", 19).head)
    }
    @Test func filtersAndPages() throws {
        let store = try RejectedStore(path: path, bounds: bounds())
        try store.add((0..<10).map { (refused("a", $0), nil) })
        var query = RejectedQuery()
        query.reason = .missingHeader
        query.limit = 2
        let first = try store.list(query)
        #expect(first.map { $0.request.receivedSeconds } == [9, 7])
        query.before = first[1].number
        #expect(try store.list(query).map { $0.request.receivedSeconds } == [5, 3])
    }
    @Test func aNumberIsNeverGivenTwice() throws {
        let store = try RejectedStore(path: path, bounds: bounds())
        try store.add([(refused("a", 1), nil)])
        let number = try #require(try store.list(RejectedQuery()).first?.number)
        try store.remove([number, number, 12345])
        #expect(store.sourceTotals()["a"]?.count == 0)
        try store.add([(refused("a", 2), nil)])
        #expect(try #require(try store.list(RejectedQuery()).first).number > number)
        #expect(RejectedRow.number(of: "rej_7") == 7)
        for bad in ["7", "rej_", "rej_0", "rej_07", "rej_-1", "rej_7x"] {
            #expect(RejectedRow.number(of: bad) == nil)
        }
    }
    @Test func onlyTheOwnerMayReadTheFile() throws {
        let store = try RejectedStore(path: path, bounds: bounds())
        try store.add([(refused("a", 1), nil)])
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.url.path) {
            let file = folder.url.appending(path: name).path
            let rights = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
            #expect(rights == 0o600, "\(name)")
        }
    }

    // MARK: verifying again

    private func signed(_ number: Int, secret: String) throws -> RejectedRequest {
        let signer = try RequestSigner(provider: "slack", secrets: [secret])
        let body = Array(#"{"event_id":"Ev\#(number)"}"#.utf8)
        var head = "POST /in/s HTTP/1.1\r\nHost: h\r\n"
        let seconds = UInt64(1_700_000_000 + number)
        for header in signer.signatureHeaders(body: body, id: "", timestamp: seconds) {
            head += "\(header.name): \(header.value)\r\n"
        }
        return RejectedRequest(
            sourceName: "s", reason: .signatureMismatch, receivedAt: seconds * 1_000_000_000, peer: nil,
            head: Array((head + "\r\n").utf8), body: body)
    }
    private func configuration(_ secret: SourceSecret) -> GatewayConfiguration {
        var source = SourceConfiguration()
        source.name = "s"
        source.provider = "slack"
        source.secrets = [secret]
        var configuration = GatewayConfiguration()
        configuration.sources = [source]
        return configuration
    }

    @Test func whatVerifiesNowBecomesAnEventOnce() throws {
        let store = try RejectedStore(path: path, bounds: bounds())
        try store.add(try (0..<50).map { (try signed($0, secret: $0 < 40 ? "new" : "never"), nil) })
        try store.add([(refused("gone", 1), nil)])
        let seen = Mutex<[InjectedEvent]>([])
        let offer: ([InjectedEvent]) -> [InjectionFate] = { events in
            events.map { event in
                seen.withLock { seen in
                    defer { seen.append(event) }
                    let id = EventID(logIdentity: 1, sequence: UInt64(seen.count + 1))
                    return seen.contains { $0.body == event.body } ? .duplicate(id) : .kept(id)
                }
            }
        }
        let again = Reverification(store: store, configuration: configuration("new"), offer: offer)
        var query = ReverifyQuery()
        let dry = try again.run(query)
        #expect(dry.accepted == 40 && dry.rejected == [.signatureMismatch: 10] && dry.withoutSource == 1)
        #expect(seen.withLock { $0.isEmpty })
        query.isDry = false
        #expect(try again.run(query).accepted == 40)
        #expect(seen.withLock { $0.count } == 40)
        let second = try again.run(query)
        #expect(second.accepted == 0 && second.rejected == [.signatureMismatch: 10])
        // The same request once more, as a provider's own retry: known, and not kept any longer.
        try store.add([(try signed(3, secret: "new"), nil)])
        #expect(try again.run(query).duplicates == 1)
        #expect(store.sourceTotals()["s"]?.count == 10)
    }
    @Test func whatWasSentToASourceThatIsGoneIsNoOtherSources() throws {
        let store = try RejectedStore(path: path, bounds: bounds())
        for (number, source) in [(1, UInt32(7)), (2, 8)] {
            var request = try signed(number, secret: "new")
            request.sourceNumber = source
            try store.add([(request, nil)])
        }
        let service = RegistryService(
            store: MemoryRegistryStore(), process: ProcessSettings(), verifiers: VerifierRegistry())
        try service.open()
        _ = try service.apply(.manifest(configuration("new")), actor: ChangeActor("t"))
        let known = try #require(service.state.sources.all.first { $0.name == "s" })
        let again = Reverification(
            store: store, configuration: configuration("new"), identify: { $0.number == 8 ? known : nil }
        ) { $0.map { _ in .kept(EventID(logIdentity: 1, sequence: 1)) } }
        var query = ReverifyQuery()
        query.isDry = false
        let outcome = try again.run(query)
        #expect(outcome.accepted == 1 && outcome.withoutSource == 1)
        #expect(try store.numbers(source: nil, ofSources: [7]).count == 1, "it stays where it was sent")
    }
    /// It once became two, of a source without a window.
    @Test func whatIsOfferedAgainIsTheSameEvent() throws {
        let store = try RejectedStore(path: path, bounds: bounds())
        try store.add([(try signed(1, secret: "new"), nil), (try signed(1, secret: "new"), nil)])
        var configuration = configuration("new")
        configuration.sources[0].dedupWindowSeconds = 0
        var offers: [[InjectedEvent]] = []
        var query = ReverifyQuery()
        query.isDry = false
        for _ in 0..<2 {
            let again = Reverification(store: store, configuration: configuration) { events in
                offers.append(events)
                return events.map { _ in .unknown }
            }
            #expect(try again.run(query).deferred == 2)
        }
        #expect(offers[0].map(\.identity) == offers[1].map(\.identity))
        #expect(Set(offers[0].map(\.identity)).count == 2, "two requests are two events")
        #expect(offers[0].allSatisfy { $0.dedupWindowSeconds == 0 })
    }
    @Test func whatTheLogDoesNotTakeStays() throws {
        let store = try RejectedStore(path: path, bounds: bounds())
        try store.add([(try signed(1, secret: "new"), nil)])
        let again = Reverification(store: store, configuration: configuration("new")) { $0.map { _ in .failed } }
        var query = ReverifyQuery()
        query.isDry = false
        #expect(try again.run(query).deferred == 1)
        #expect(store.sourceTotals()["s"]?.count == 1)
    }

    /// What a run that is not dry makes of one request; none of these may become an event.
    private func outcome(
        _ request: RejectedRequest, _ change: (inout SourceConfiguration) -> Void
    ) throws -> ReverifyOutcome {
        let store = try RejectedStore(path: path, bounds: bounds())
        try store.add([(request, nil)])
        var configuration = configuration("new")
        change(&configuration.sources[0])
        var offered = 0
        let again = Reverification(store: store, configuration: configuration) { events in
            offered += events.count
            return events.map { _ in .kept(EventID(logIdentity: 1, sequence: 1)) }
        }
        var query = ReverifyQuery()
        query.isDry = false
        let outcome = try again.run(query)
        #expect(offered == outcome.accepted)
        return outcome
    }
    private func asked(_ origin: String) -> RejectedRequest {
        let head = "OPTIONS /in/s HTTP/1.1\r\nHost: h\r\nWebHook-Request-Origin: \(origin)\r\n"
        return RejectedRequest(
            sourceName: "s", reason: .originNotAllowed, receivedAt: 1_700_000_000_000_000_000, peer: nil,
            head: Array((head + "Authorization: Bearer new\r\n\r\n").utf8), body: [])
    }

    /// An OPTIONS with the right bearer was once an event.
    @Test func aQuestionIsNeverAnEvent() throws {
        func asCloudEvents(_ source: inout SourceConfiguration) {
            source.provider = "cloudevents"
            source.allowedOrigins = ["events.example"]
        }
        #expect(try outcome(asked("evil.example"), asCloudEvents).rejected == [.originNotAllowed: 1])
        RejectedStore.remove(folder: folder.url.path)
        #expect(try outcome(asked("events.example"), asCloudEvents).challenges == 1)
        RejectedStore.remove(folder: folder.url.path)
        var plain = asked("events.example")
        plain.head = Array("GET /in/s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer new\r\n\r\n".utf8)
        let other = try outcome(plain, asCloudEvents)
        #expect(other.accepted == 0 && other.rejected == [.missingChallenge: 1])
    }
    @Test func aChallengeThatIsRefusedIsNoEvent() throws {
        let body = Array(#"{"type":"url_verification"}"#.utf8)
        let signer = try RequestSigner(provider: "slack", secrets: ["new"])
        var head = "POST /in/s HTTP/1.1\r\nHost: h\r\n"
        for header in signer.signatureHeaders(body: body, id: "", timestamp: 1_700_000_000) {
            head += "\(header.name): \(header.value)\r\n"
        }
        let request = RejectedRequest(
            sourceName: "s", reason: .signatureMismatch, receivedAt: 1_700_000_000_000_000_000, peer: nil,
            head: Array((head + "\r\n").utf8), body: body)
        let result = try outcome(request) { _ in }
        #expect(result.accepted == 0 && result.rejected == [.missingChallenge: 1])
    }
    @Test func whoMaySendIsAskedAgain() throws {
        for (number, peer, isTaken) in [
            (1, "203.0.113.9", true), (2, "198.51.100.1", false), (3, nil, false),
        ] as [(Int, String?, Bool)] {
            var request = try signed(number, secret: "new")
            request.peer = peer.flatMap { IPAddress($0) }
            request.reason = .addressNotAllowed
            let result = try outcome(request) { $0.allowAddresses = ["203.0.113.0/24"] }
            #expect(result.accepted == (isTaken ? 1 : 0), "\(peer ?? "-")")
            #expect(result.rejected == (isTaken ? [:] : [.addressNotAllowed: 1]), "\(peer ?? "-")")
            RejectedStore.remove(folder: folder.url.path)
        }
    }
}

@Suite struct CredentialMaskTests {
    @Test func masksCredentialsAndNothingElse() {
        let mask = CredentialMask()
        #expect(mask.value("Bearer abcdef", of: "authorization") == "Bearer ***(6 characters)")
        #expect(mask.value("tok", of: "X-Gitlab-Token") == "***(3 characters)")
        #expect(mask.value("a=b", of: "Cookie") == "***(3 characters)")
        #expect(mask.value("application/json", of: "Content-Type") == "application/json")
        #expect(mask.target("/x?access_token=abc&a=b") == "/x?access_token=***(3 characters)&a=b")
        #expect(CredentialMask.secret("whsec_abcdefgh") == "whse…(14 characters)")
        #expect(CredentialMask.secret("short") == "…(5 characters)")
    }
    @Test func masksTheHeaderOfAConfiguredToken() {
        var source = SourceConfiguration()
        source.name = "p"
        source.secrets = ["t"]
        var scheme = SchemeConfiguration()
        scheme.algorithm = "token"
        scheme.header = "X-Own"
        source.scheme = scheme
        #expect(CredentialMask(sources: [source]).hides("x-own"))
        #expect(!CredentialMask().hides("x-own"))
    }
    private func tokenSource(_ header: String, _ others: [String] = []) -> SourceConfiguration {
        var source = SourceConfiguration()
        source.name = "p"
        source.provider = "generic"
        source.secrets = ["wholesecret123"]
        var scheme = SchemeConfiguration()
        scheme.algorithm = "token"
        scheme.header = header
        scheme.otherHeaders = others
        source.scheme = scheme
        return source
    }
    @Test func masksTheParameterOfAConfiguredToken() {
        let mask = CredentialMask(sources: [tokenSource("query:Sig")])
        for name in ["Sig", "sig", "%53ig", "S%69%67"] {
            #expect(mask.target("/x?a=b&\(name)=wholesecret123") == "/x?a=b&\(name)=***(14 characters)")
        }
        #expect(mask.target("/x?signature=s") == "/x?signature=s")
        let asked = CredentialMask().target("/x?hub.verify_token=t&hub.mode=m")
        #expect(asked == "/x?hub.verify_token=***(1 characters)&hub.mode=m")
    }
    @Test func anExplanationDoesNotTellAToken() {
        let source = tokenSource("query:sig", ["header:X-Old"])
        let raw = Array("POST /in/p?sig=wholesecret123 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".utf8)
        let explanation = RequestExplanation(raw, source: source, origin: nil, nowSeconds: 1)
        #expect(explanation.isAccepted)
        #expect(explanation.steps.contains { $0.text.contains("sig=***(14 characters)") })
        #expect(!explanation.steps.contains { $0.text.contains("wholesecret123") })
    }
    /// Only the first place was once withheld from the endpoints.
    @Test func everyPlaceOfATokenIsACredential() {
        let places = CredentialPlaces.of(tokenSource("X-Token", ["X-Old", "header:X-Older", "query:t", "json:$.t"]))
        #expect(CredentialPlaces.headers(places) == ["x-token", "x-old", "x-older"])
        let other = CredentialPlaces.of(tokenSource("header:X-Token"))
        #expect(CredentialPlaces.headers(other) == ["x-token"])
    }
}
