// `split`: what becomes of a request with a list of events, by configuration; and what is read of a body that came
// compressed.
import Engine
import FastPath
import Testing

private struct Unexpected: Error {}

@Suite struct SplitTests {
    private func source(
        _ provider: String, _ change: (inout SourceConfiguration) -> Void = { _ in }
    ) -> SourceConfiguration {
        var source = SourceConfiguration()
        source.name = "s"
        source.provider = provider
        source.unverified = true
        source.split = "json:$"
        change(&source)
        return source
    }
    private func read(_ source: SourceConfiguration, _ body: String, head: String = "") throws -> EventReader.Reading {
        let parts = try SourceCompiler.compile(source)
        defer { withExtendedLifetime(parts.memory) {} }
        let request = try CapturedRequest(
            head: Array("POST /in/s HTTP/1.1\r\nHost: h\r\n\(head)\r\n".utf8), body: Array(body.utf8))
        return try #require(parts.reader).read(request)
    }
    private func problem(_ source: SourceConfiguration) -> String {
        do {
            _ = try SourceCompiler.compile(source)
            return ""
        } catch { return "\(error)" }
    }
    private func table(_ rows: [(body: Range<Int>, key: String?, type: String)]) -> EventReader.Reading {
        var table = ElementTable()
        for row in rows {
            table.append(body: row.body, key: row.key.map { Array($0.utf8) }, eventType: Array(row.type.utf8))
        }
        return .split(table)
    }

    @Test func eachEventHasItsOwnTypeAndKey() throws {
        let body = #"[{"event":"open","sg_event_id":"x"},{"event":"cl\u0069ck","sg_event_id":"y"}]"#
        #expect(try read(source("sendgrid"), body) == table([(1..<35, "x", "open"), (36..<76, "y", "click")]))
        // HubSpot calls nothing of an event unique.
        let hubSpot = #"[{"eventId":1,"subscriptionType":"contact.creation"}]"#
        #expect(try read(source("hubspot"), hubSpot) == table([(1..<52, nil, "contact.creation")]))
        let own = source("generic") {
            $0.split = "json:$.events"
            $0.eventType = ["json:$.kind", "header:X-Kind"]
            $0.dedupKey = ["json:$.id + header:X-Account"]
        }
        let list = #"{"events":[{"id":7,"kind":"a"},{"id":8}]}"#
        #expect(
            try read(own, list, head: "X-Kind: h\r\nX-Account: acme\r\n")
                == table([(11..<30, "1:7,4:acme,", "a"), (31..<39, "1:8,4:acme,", "h")]))
        #expect(try read(source("sendgrid"), "[]") == table([]))
    }
    @Test func whatIsNoListIsOneEvent() throws {
        guard case .whole(let texts) = try read(source("sendgrid"), #"{"event":"test","sg_event_id":"z"}"#) else {
            Issue.record("split")
            return
        }
        #expect(texts.eventType == Array("test".utf8) && texts.key == Array("z".utf8))
    }
    @Test func moreEventsThanTheBoundAreRefused() throws {
        func list(_ count: Int) -> String { "[" + [String](repeating: "0", count: count).joined(separator: ",") + "]" }
        guard case .split(let table) = try read(source("sendgrid"), list(BatchLimits.eventCountMax)) else {
            Issue.record("not split")
            return
        }
        #expect(table.count == BatchLimits.eventCountMax)
        #expect(try read(source("sendgrid"), list(BatchLimits.eventCountMax + 1)) == .tooLarge)
        let long = source("generic") { $0.eventType = ["json:$.t"] }
        let type = String(repeating: "x", count: BatchLimits.typeBytesMax + 1)
        #expect(try read(long, #"[{"t":"\#(type)"}]"#) == .tooLarge)
    }
    @Test func whatARequestIsCalledIsNoEventsIdentity() throws {
        // Its id is a header, which all events of a request would share.
        let body = #"[{"a":1},{"a":2}]"#
        #expect(
            try read(source("github"), body, head: "X-GitHub-Delivery: d\r\n")
                == table([(1..<8, nil, ""), (9..<16, nil, "")]))
        #expect(problem(source("generic") { $0.dedupKey = ["header:X-Id"] }).contains("same for all events"))
        #expect(problem(source("generic") { $0.eventID = ["query:id"] }).contains("same for all events"))
        #expect(problem(source("generic") { $0.dedupKey = ["header:X-Id + json:$.id", "body"] }).isEmpty)
    }
    @Test func aSplitThatNamesNoListIsRefusedWithWhatWouldBeRight() {
        #expect(problem(source("generic") { $0.split = "$.events" }).contains("json:$.events"))
        #expect(problem(source("generic") { $0.split = "json:$." }).contains("empty name"))
        let decoded = source("generic") {
            var scheme = SchemeConfiguration()
            scheme.header = "X-Sig"
            scheme.contentCoding = "decoded"
            $0.scheme = scheme
            $0.unverified = false
            $0.secrets = [SourceSecret("key")]
        }
        #expect(problem(decoded).contains("content_coding"))
    }
    @Test func aQuickSchemeIsCheckedByTheWorkerThatSplits() throws {
        let quick = try SourceCompiler.compile(
            source("github") {
                $0.unverified = false
                $0.secrets = [SourceSecret("key")]
            })
        #expect(quick.verifier != nil && quick.scheme != nil && quick.reader != nil)
        let plain = try SourceCompiler.compile(source("github") { $0.split = nil })
        #expect(plain.verifier == nil && plain.reader == nil)
    }
    @Test func typeAndKeyOfACompressedBodyAreReadDecompressed() throws {
        // Python: zlib.compress of {"id":"evt_1","type":"order/created"}
        let packed = TextEncoding.bytes(
            of: "eJyrVspMUbJSSi0riTdU0lEqqSxIBXLzi1JSi/STi1ITS1JTlGoB3R4MOg==", as: .base64)
        let body = try #require(packed)
        let decoded = source("generic") {
            var scheme = SchemeConfiguration()
            scheme.header = "X-Sig"
            scheme.contentCoding = "decoded"
            $0.split = nil
            $0.scheme = scheme
            $0.unverified = false
            $0.secrets = [SourceSecret("key")]
            $0.eventType = ["json:$.type"]
            $0.dedupKey = ["json:$.id", "body"]
        }
        let parts = try SourceCompiler.compile(decoded)
        defer { withExtendedLifetime(parts.memory) {} }
        let reader = try #require(parts.reader)
        func texts(_ body: [UInt8], _ coding: String) throws -> EventSelectors.Texts {
            let head = "POST /in/s HTTP/1.1\r\nHost: h\r\nContent-Encoding: \(coding)\r\n\r\n"
            guard case .whole(let texts) = reader.read(try CapturedRequest(head: Array(head.utf8), body: body)) else {
                throw Unexpected()
            }
            return texts
        }
        let good = try texts(body, "deflate")
        #expect(good.eventType == Array("order/created".utf8) && good.key == Array("evt_1".utf8))
        #expect(try texts(body, "identity").keyIsBody, "nothing is read of what is not decompressed")
        #expect(ContentDecoding.decoded(body + [0], coding: "deflate", bytesMax: 1000) == nil)
        #expect(ContentDecoding.decoded(body + body, coding: "deflate", bytesMax: 1000) == nil)
    }
}
