// What a closer look finds: for each hint a request that fails for exactly that cause, and none where nothing helps.

import Engine
import FastPath
import Testing

private let now: UInt64 = 1_750_000_000
private let json = #"{"b":1,"a":"x/y é","list":[1.50,true,null]}"#

private func source(
    _ name: String = "github", provider: String = "github", secrets: [SourceSecret] = ["right-secret"]
) -> SourceConfiguration {
    var source = SourceConfiguration()
    source.name = name
    source.provider = provider
    source.secrets = secrets
    return source
}

/// As the provider would send it, signed with `secret`.
private func request(
    _ body: String = json, provider: String = "github", secret: String = "right-secret", at time: UInt64 = now
) throws -> PlainRequest {
    let signer = try RequestSigner(provider: provider, secrets: [secret])
    let bytes = Array(body.utf8)
    var raw = "POST /in/x HTTP/1.1\r\nHost: h\r\nContent-Length: \(bytes.count)\r\n"
    for header in signer.headers(body: bytes, type: "t", id: "id-1", timestamp: time) {
        raw += "\(header.name): \(header.value)\r\n"
    }
    return try #require(PlainRequest(Array((raw + "\r\n").utf8) + bytes))
}

private func look(
    _ request: PlainRequest, _ source: SourceConfiguration = source(), among others: [SourceConfiguration] = []
) throws -> HintFinding? {
    let subject = try #require(HintSubject(source, among: [source] + others))
    guard case .rejected(let reason) = subject.check.verdict(request, origin: nil, nowSeconds: now) else {
        Issue.record("the request verifies as it is")
        return nil
    }
    return RejectionHints.look(at: request, reason: reason, subject: subject, origin: nil, nowSeconds: now)
}

@Suite struct RejectionHintTests {
    @Test func anUnchangedRequestVerifiesInItsPlainForm() throws {
        let check = try #require(SourceCheck(source()))
        guard case .accepted = check.verdict(try request(), origin: nil, nowSeconds: now) else {
            Issue.record("refused")
            return
        }
    }
    @Test func namesTheOtherSourceWhoseSecretWasUsed() throws {
        let other = source("billing", secrets: ["other-secret"])
        let finding = try look(try request(secret: "other-secret"), among: [source("third", secrets: ["x"]), other])
        #expect(finding?.hint == .wrongSecretOfOtherSource)
        #expect(finding?.detail.contains("\"billing\"") == true)
        #expect(finding?.detail.contains("other-secret") == false)
    }
    @Test func recognisesARequestOfAnotherSourceAtTheWrongAddress() throws {
        let other = source("shop", provider: "shopify", secrets: ["shop-secret"])
        let finding = try look(try request(provider: "shopify", secret: "shop-secret"), among: [other])
        #expect(finding?.hint == .wrongSecretOfOtherSource)
        #expect(finding?.detail.contains("wrong address") == true)
    }
    @Test func findsWhiteSpaceInTheConfiguredSecret() throws {
        #expect(
            try look(try request(), source(secrets: [" right-secret\n"]))?.hint == .secretHasWhitespace)
    }
    @Test func findsALineEndInTheSendersSecret() throws {
        #expect(try look(try request(secret: "right-secret\n"))?.hint == .secretHasWhitespace)
    }
    @Test(arguments: [
        (json + "\n", json), (json, json + "\n"), (json, " " + json + "\r\n"), ("{\"a\":\r\n1}", "{\"a\":\n1}"),
        ("{\"a\":\n1}", "{\"a\":\r\n1}"), ("\u{FEFF}" + json, json),
    ])
    func findsChangedWhiteSpace(signed: String, arrived: String) throws {
        let changed = try request(signed).with(body: Array(arrived.utf8))
        #expect(try look(changed)?.hint == .bodyModifiedWhitespace)
    }
    @Test(arguments: [
        #"{"b": 1, "a": "x/y é", "list": [1.50, true, null]}"#,
        #"{"a":"x/y é","b":1,"list":[1.50,true,null]}"#,
        #"{"b":1,"a":"x\/y \u00e9","list":[1.50,true,null]}"#,
        #"{"b": 1, "a": "x/y \u00e9", "list": [1.50, true, null]}"#,
        "{\n  \"b\": 1,\n  \"a\": \"x/y é\",\n  \"list\": [\n    1.50,\n    true,\n    null\n  ]\n}\n",
    ])
    func findsARewrittenBody(signed: String) throws {
        // What arrives is another form than the one that was signed.
        let changed = try request(signed).with(body: Array(json.utf8))
        let finding = try look(changed)
        #expect(finding?.hint == .bodyReserialised)
        #expect(finding?.detail.contains("x/y") == false)
    }
    @Test func saysByHowMuchTheClockIsOff() throws {
        let finding = try look(
            try request(provider: "stripe", secret: "whsec_abc", at: now - 700),
            source(provider: "stripe", secrets: ["whsec_abc"]))
        #expect(finding?.hint == .clockSkew)
        #expect(finding?.detail.contains("700 s behind") == true)
        let ahead = try look(
            try request(provider: "slack", secret: "s", at: now + 4000), source(provider: "slack", secrets: ["s"]))
        #expect(ahead?.detail.contains("4000 s ahead") == true)
    }
    @Test func anOldTimestampUnderAnotherSecretIsTheSecretsFault() throws {
        let other = source("billing", provider: "slack", secrets: ["other"])
        let finding = try look(
            try request(provider: "slack", secret: "other", at: now - 900), source(provider: "slack", secrets: ["s"]),
            among: [other])
        #expect(finding?.hint == .wrongSecretOfOtherSource)
    }
    @Test func findsAMissingPrefix() throws {
        let bare = try request().mapping("X-Hub-Signature-256") { String($0.dropFirst("sha256=".count)) }
        let finding = try look(bare)
        #expect(finding?.hint == .missingPrefix)
        #expect(finding?.detail.contains("sha256=") == true)
    }
    @Test func findsAStrayPrefix() throws {
        let marked = try request(provider: "shopify", secret: "s").mapping("Shopify-Hmac-Sha256") { "sha256=" + $0 }
        #expect(try look(marked, source(provider: "shopify", secrets: ["s"]))?.hint == .unexpectedPrefix)
    }
    @Test func findsHexadecimalInPlaceOfBase64() throws {
        let hex = try request(provider: "shopify", secret: "s").mapping("Shopify-Hmac-Sha256") {
            TextEncoding.hex(TextEncoding.bytes(of: $0, as: .base64) ?? [])
        }
        let finding = try look(hex, source(provider: "shopify", secrets: ["s"]))
        #expect(finding?.hint == .wrongEncoding)
        #expect(finding?.detail.contains("base 64") == true)
    }
    @Test(arguments: ["X-Original-Hub-Signature-256", "X_Hub_Signature_256", "X-Hub-Signature"])
    func findsARenamedHeader(name: String) throws {
        var renamed = try request()
        for index in renamed.fields.indices where renamed.fields[index].isCalled("X-Hub-Signature-256") {
            renamed.fields[index].name = name
        }
        let finding = try look(renamed)
        #expect(finding?.hint == .headerRenamedByProxy)
        #expect(finding?.detail.contains(name) == true)
    }
    @Test func findsNothingWhereNothingHelps() throws {
        #expect(try look(try request(secret: "unknown")) == nil)
        #expect(try look(try request().with(body: Array(#"{"b":2}"#.utf8))) == nil)
    }
    @Test func aLookIsBounded() throws {
        let subject = try #require(HintSubject(source(), among: [source()]))
        var trial = HintTrial(subject: subject, origin: nil, nowSeconds: now, countMax: 3, bytesMax: 1 << 20)
        let wrong = try request(secret: "unknown")
        var answered = 0
        for _ in 0..<10 where trial.verdict(wrong) != nil { answered += 1 }
        #expect(answered == 3)
        var small = HintTrial(subject: subject, origin: nil, nowSeconds: now, countMax: 100, bytesMax: 4096)
        answered = 0
        for _ in 0..<10 where small.verdict(wrong) != nil { answered += 1 }
        #expect(answered == 3)
    }
    /// Two bytes at a depth of 62 are some 250 when they are indented: once 64 KiB cost a gigabyte.
    @Test func aForgedBodyIsNotWrittenBeyondItsBounds() throws {
        let subject = try #require(HintSubject(source(), among: [source()]))
        let deep = String(repeating: "[", count: 62) + String(repeating: "1,", count: 30_000) + "1"
        let forged = try request(deep + String(repeating: "]", count: 62), secret: "unknown")
        #expect(JSONTree.parse(forged.body) != nil)
        var trial = HintTrial(subject: subject, origin: nil, nowSeconds: now)
        #expect(RejectionHints.body(forged, &trial) == nil)
        #expect(trial.bytesWritten > forged.body.count)
        #expect(trial.bytesWritten <= 40 * (2 * forged.body.count + 4096))
        var poor = HintTrial(subject: subject, origin: nil, nowSeconds: now, bytesMax: 1 << 20)
        #expect(RejectionHints.body(forged, &poor) == nil)
        #expect(poor.bytesWritten <= 1 << 20)
    }
    @Test func aLargeBodyIsNotWrittenAnew() throws {
        let subject = try #require(HintSubject(source(), among: [source()]))
        let items = String(repeating: "1, ", count: HintTrial.rewrittenBytesMax / 3)
        let forged = try request("[" + items + "1]", secret: "unknown")
        #expect(forged.body.count > HintTrial.rewrittenBytesMax && JSONTree.parse(forged.body) != nil)
        var trial = HintTrial(subject: subject, origin: nil, nowSeconds: now)
        #expect(RejectionHints.body(forged, &trial) == nil)
        #expect(trial.bytesWritten == 0)
    }
    @Test func deepJSONIsNoTree() {
        let deep = [UInt8](repeating: 0x5B, count: 100_000)
        #expect(JSONTree.parse(deep + [UInt8](repeating: 0x5D, count: 100_000)) == nil)
        #expect(JSONTree.parse(Array(#"{"a":"\ud800"}"#.utf8)) == nil)
        #expect(JSONTree.parse(Array(#"{"a":1} x"#.utf8)) == nil)
    }
    @Test func theBudgetEndsAndComesBack() {
        var budget = AnalysisBudget(countPerSecond: 5, nanosPerSecond: 1_000_000)
        var begun = 0
        for _ in 0..<20 where budget.begin(at: 1000) { begun += 1 }
        #expect(begun == 5)
        let soon = budget.begin(at: 1000 + 400_000_000)
        #expect(soon)
        budget.spent(nanos: 10_000_000)
        // Ten milliseconds are ten seconds' worth here.
        let early = budget.begin(at: 5_000_000_000)
        #expect(!early)
        let late = budget.begin(at: 20_000_000_000)
        #expect(late)
    }
    @Test func aLineIsWrittenOnceAMinute() {
        var lines = RejectedLines()
        let key = RejectedLines.Key(source: "a", reason: .signatureMismatch, hint: nil)
        let first = lines.note(key, detail: "", at: 1)
        #expect(first?.count == 1)
        for time in 2...10 {
            let again = lines.note(key, detail: "", at: UInt64(time))
            #expect(again == nil)
        }
        let other = RejectedLines.Key(source: "a", reason: .signatureMismatch, hint: .clockSkew)
        let others = lines.note(other, detail: "", at: 11)
        #expect(others != nil)
        let later = lines.note(key, detail: "", at: RejectedLines.pauseNanos + 12)
        #expect(later?.count == 10)
    }
}
