// The forms of the Svix-shaped API on their own: ids, pages, queries, bodies, schemas, header names, URLs.
import Engine
import Foundation
import Server
import Testing

@Suite struct SvixFormTests {
    // MARK: ids

    @Test func idsAreTwentySevenDigitsThatSortAsTheirValuesDo() {
        let lows: [UInt128] = [0, 1, 61, 62, .max / 2, .max]
        let highs: [UInt32] = [0, 1, 61, 62, 1 << 31, .max]
        var last = ""
        for high in highs {
            for low in lows {
                let text = SvixID.text("msg_", high: high, low: low)
                #expect(text.utf8.count == 31 && text > last, "\(high) \(low)")
                last = text
                let parts = SvixID.parts(text, prefix: "msg_")
                #expect(parts?.high == high && parts?.low == low)
            }
        }
        #expect(SvixID.text("x_", high: 0, low: 0) == "x_" + String(repeating: "0", count: 27))
    }
    @Test(arguments: [
        "", "app_", "app_1", "ep_000000000000000000000000000", "app_00000000000000000000000000-",
        "app_0000000000000000000000000000", "app_zzzzzzzzzzzzzzzzzzzzzzzzzzz", "000000000000000000000000000",
        "app_00000000000000000000000000é",
    ])
    func whatIsNoIdIsNone(_ text: String) { #expect(SvixID.parts(text, prefix: "app_") == nil) }
    @Test func anIdLeadsBackToNumberAndPublicId() {
        for _ in 0..<200 {
            let (id, number) = (PublicID.make(.endpoint), UInt32.random(in: 0 ... .max))
            let found = SvixID.resource(SvixID.text(id, number: number), .endpoint)
            #expect(found?.publicID == id && found?.number == number)
        }
    }

    // MARK: pages

    /// A list of numbers, walked as a service would.
    private func page(_ list: [Int], _ paging: SvixPaging) -> SvixPage<Int> {
        let mark = paging.iterator.flatMap { Int($0) }
        let ordered = paging.isAscending ? list.sorted() : list.sorted(by: >)
        let walked = (paging.isBackward ? ordered.reversed() : ordered).filter { item in
            mark.map { paging.walksUp ? item > $0 : item < $0 } ?? true
        }
        return SvixPage(walked: Array(walked.prefix(paging.limit + 1)), paging) { "\($0)" }
    }
    @Test(arguments: [true, false]) func aWalkThereAndBackSeesEverythingInTheListsOrder(_ isAscending: Bool) throws {
        for count in 0...7 {
            for limit in 1...4 {
                let list = Array(1...7).prefix(count)
                let order = isAscending ? Array(list) : Array(list.reversed())
                var seen: [Int] = []
                var marks: [String] = []
                var iterator: String?
                repeat {
                    let query = SvixQuery(
                        [("limit", "\(limit)")] + (iterator.map { [("iterator", $0)] } ?? []))
                    let found = page(Array(list), try query.paging(isAscending: isAscending) { Int($0) != nil })
                    seen += found.data
                    if let mark = found.prevIterator { marks.append(mark) }
                    iterator = found.isDone ? nil : found.iterator
                } while iterator != nil
                #expect(seen == order, "\(count) by \(limit)")
                guard let last = marks.last, marks.count > 1 else { continue }
                let query = SvixQuery([("limit", "\(limit)"), ("iterator", last)])
                let back = page(Array(list), try query.paging(isAscending: isAscending) { Int($0) != nil })
                let end = order.firstIndex(of: seen.suffix(from: (marks.count - 1) * limit).first ?? 0) ?? 0
                #expect(back.data == Array(order[max(0, end - limit)..<end]))
                #expect(back.isDone == (end <= limit))
            }
        }
    }
    @Test func anEmptyPageHasAnIteratorThatIsNullAndNoneBefore() {
        let empty = SvixPage<Int>(walked: [], SvixPaging(isAscending: true)) { "\($0)" }
        #expect(empty.json { .integer(Int64($0)) } == ["data": [], "iterator": .null, "done": true])
    }

    // MARK: queries

    @Test func aValueOfAnotherTypeIs400AndOneThatBreaksARuleIs422() {
        func status(_ values: [(name: String, value: String)]) -> Int? {
            do {
                _ = try SvixQuery(values).paging(isAscending: true, takesOrder: true) { $0.hasPrefix("app_") }
                return nil
            } catch { return (error as? SvixError)?.status }
        }
        #expect(status([("limit", "abc")]) == 400 && status([("limit", "-1")]) == 400)
        #expect(status([("order", "x")]) == 400)
        #expect(status([("limit", "0")]) == 422 && status([("limit", "251")]) == 422)
        #expect(status([("iterator", "BAD")]) == 422 && status([("iterator", "-BAD")]) == 422)
        #expect(status([("limit", "250"), ("order", "descending"), ("iterator", "-app_1"), ("else", "x")]) == nil)
        #expect(SvixQuery([("t", "a,b"), ("t[]", "c"), ("t[0]", "d"), ("u", "e")]).list("t") == ["a", "b", "c", "d"])
    }

    // MARK: bodies

    private func issues(_ body: String, _ read: (inout SvixBody) -> Void) -> [SvixIssue] {
        do {
            var value = try SvixBody(Array(body.utf8))
            read(&value)
            try value.finish()
            return []
        } catch { return (error as? SvixError)?.issues ?? [] }
    }
    private func application(_ body: String) -> [SvixIssue] { issues(body) { _ = SvixApplicationDraft(reading: &$0) } }
    private func endpoint(_ body: String) -> [SvixIssue] { issues(body) { _ = SvixEndpointDraft(&$0) } }

    @Test(arguments: ["", "{", "[]", "null", "\"text\"", "{\"name\":\"a\"", "{\"name\":\"a\"} x"])
    func whatIsNoObjectIsRefused(_ text: String) {
        let found = application(text)
        #expect(found.map(\.kind) == [.decode] && found.map(\.loc) == [["body"]])
    }
    @Test func textThatIsNotUTF8IsRefused() {
        #expect(throws: SvixError.self) { try SvixBody(Array("{\"name\":\"".utf8) + [0xFF] + Array("\"}".utf8)) }
    }
    @Test func everythingThatIsWrongIsSaidTogether() {
        let found = application(#"{"name":"","uid":"app_x","throttleRate":0,"metadata":{"k":1}}"#)
        #expect(
            Set(found.map { $0.loc.joined(separator: ".") }) == [
                "body.name", "body.uid", "body.throttleRate", "body.metadata",
            ])
        #expect(application(#"{"uid":"u"}"#).map(\.loc) == [["body", "", ""]])
        #expect(application(#"{"name":"a","uid":null,"throttleRate":null,"metadata":null,"else":[1]}"#).isEmpty)
    }
    @Test func whatIsSaidIsBoundedHoweverMuchIsWrong() throws {
        func types(_ count: Int) -> [SvixIssue] {
            let texts = (0..<count).map { "\"bad \($0)\"" }.joined(separator: ",")
            return endpoint("{\"url\":\"http://h/\",\"eventTypes\":[\(texts)],\"filterTypes\":[\(texts)]}")
        }
        #expect(types(99).count == SvixBody.issueCountMax && types(1001).count == 2)
        func headers(_ names: [String]) -> [SvixIssue] {
            let fields = names.map { "\"\($0)\":\"v\"" }.joined(separator: ",")
            return issues("{\"headers\":{\(fields)}}") { _ = $0.headers() }
        }
        #expect(headers((0...SvixHeaders.countMax).map { "bad \($0)" }).map(\.loc) == [["body", "headers"]])
        let long = headers([String(repeating: "x", count: 100_000)])
        #expect(long.count == 1 && long.allSatisfy { $0.loc.joined().utf8.count < 2 * SvixIssue.nameBytesMax })
        let channels = (0..<10_000).map { "\"bad \($0 % 5)\"" }.joined(separator: ",")
        let message = "{\"eventType\":\"t\",\"payload\":{},\"channels\":[\(channels)]}"
        do {
            _ = try SvixMessageDraft(Array(message.utf8), application: "a")
            Issue.record("a message with such channels was taken")
        } catch { #expect((error as? SvixError)?.issues.count == SvixBody.issueCountMax) }
    }
    @Test func textsHaveNoControlCharactersButTabsAndLineEnds() {
        #expect(application("{\"name\":\"bell\\u0007\"}").count == 1)
        #expect(application("{\"name\":\"tab\\tand\\nline\"}").isEmpty)
    }
    @Test func metadataTakesAtMost4096BytesOfJSON() {
        let fits = String(repeating: "v", count: 4088)
        #expect(application("{\"name\":\"a\",\"metadata\":{\"k\":\"\(fits)\"}}").isEmpty)
        #expect(application("{\"name\":\"a\",\"metadata\":{\"k\":\"\(fits)v\"}}").count == 1)
    }
    @Test func ratesAreReadUnderBothNamesAndTodaysCounts() throws {
        func rate(_ text: String) throws -> Int? {
            var body = try SvixBody(Array("{\"name\":\"a\"\(text)}".utf8))
            return SvixApplicationDraft(reading: &body).throttleRate
        }
        #expect(try rate(",\"rateLimit\":3") == 3)
        #expect(try rate(",\"rateLimit\":3,\"throttleRate\":4") == 4)
        #expect(try rate(",\"rateLimit\":3,\"throttleRate\":null") == nil)
        for bad in ["0", "65536", "-1", "\"5\"", "1.5"] {
            #expect(application("{\"name\":\"a\",\"throttleRate\":\(bad)}").first?.loc == ["body", "throttleRate"])
        }
    }
    @Test func listsOfLabelsHaveBoundsAndLoseRepeats() throws {
        let eleven = (0..<11).map { "\"c\($0)\"" }.joined(separator: ",")
        for bad in ["[]", "[\"bad channel\"]", "[\"\"]", "[\(eleven)]", "[1]", "\"a\""] {
            #expect(!endpoint("{\"url\":\"http://h/\",\"channels\":\(bad)}").isEmpty, "\(bad)")
        }
        var body = try SvixBody(Array(#"{"url":"http://h/","channels":["b","a","b"],"filterTypes":["t"]}"#.utf8))
        let draft = SvixEndpointDraft(&body)
        #expect(draft.channels == ["b", "a"] && draft.eventTypes == ["t"])
    }
    @Test func aPatchLeavesWhatItDoesNotNameAndNullClears() throws {
        var old = SvixEndpointDraft()
        (old.url, old.uid, old.about, old.throttleRate) = ("http://h/", "u", "words", 3)
        (old.eventTypes, old.channels, old.metadata) = (["t"], ["c"], ["k": "v"])
        func over(_ text: String) throws -> SvixEndpointDraft {
            var body = try SvixBody(Array(text.utf8))
            let patch = SvixEndpointPatch(&body)
            try body.finish()
            return patch.over(old)
        }
        #expect(try over("{}") == old)
        let cleared = try over(#"{"uid":null,"throttleRate":null,"eventTypes":null,"channels":null,"metadata":null}"#)
        var bare = SvixEndpointDraft()
        (bare.url, bare.about) = (old.url, old.about)
        #expect(cleared == bare)
        for field in ["url", "description", "disabled", "version"] {
            #expect(throws: SvixError.self, "\(field)") { try over("{\"\(field)\":null}") }
        }
    }

    // MARK: secrets, header fields, URLs

    @Test func secretsHaveTheirPrefixAndLength() {
        func secret(_ count: Int) -> String { "whsec_" + Data(repeating: 7, count: count).base64EncodedString() }
        for count in [24, 32, 75] { #expect(SvixSecret.problem(secret(count)) == nil) }
        for bad in [
            secret(23), secret(76), "whsec_short", String(secret(24).dropFirst(6)), "whpk_" + "AAAA", "whsk_AAAA", "",
        ] {
            #expect(SvixSecret.problem(bad) != nil, "\(bad)")
        }
        let made = SvixSecret.make()
        #expect(SvixSecret.problem(made) == nil && made != SvixSecret.make())
    }
    @Test(arguments: [
        "User-Agent", "keep-alive", "TE", "transfer-encoding", "Content-Type", "x-amz-a", "X-Google", "x-gfe", "x-fd-a",
        "svix-id", "X-Svix-A", "host", "connection", "webhook-id", "sluice-source", "some:thing", "with space",
        "nul\u{0}", "", "ümlaut",
    ])
    func whatMayNotBeSetAsAHeaderFieldIsRefused(_ name: String) { #expect(SvixHeaders.problem(name: name) != nil) }
    @Test func headerFieldsMayBeSet() {
        for name in ["X-One", "authorization", "x-goo", "svixish", "cache"] {
            #expect(SvixHeaders.problem(name: name) == nil)
        }
        #expect(SvixHeaders.problem(value: String(repeating: "v", count: 4096)) == nil)
        for bad in [String(repeating: "v", count: 4097), "line\nbreak", "cr\r", "nul\u{0}"] {
            #expect(SvixHeaders.problem(value: bad) != nil)
        }
    }
    @Test func credentialsOfAURLStandApartAndAreShownInIt() throws {
        let (plain, user) = OutboundURL.split("http://user:p%40ss@EXAMPLE.com/a?b=c@d")
        #expect(plain == "http://EXAMPLE.com/a?b=c@d" && user == "user:p%40ss")
        let normal = try OutboundURL.normalised(plain)
        #expect(normal == "http://example.com/a?b=c@d")
        #expect(OutboundURL.joined(normal, user: user) == "http://user:p%40ss@example.com/a?b=c@d")
        #expect(OutboundURL.split("http://example.com/a@b").user == "")
        #expect(try OutboundURL.normalised("https://Example.com:8443") == "https://example.com:8443/")
    }

    // MARK: schemas of event types

    @Test(arguments: [
        #"true"#, #"{}"#, #"{"type":"object","required":["id"],"properties":{"id":{"type":"string"}}}"#,
        #"{"type":["string","null"],"enum":[1,null]}"#, #"{"items":[{"type":"integer"},true],"x-own":15}"#,
        #"{"dependencies":{"a":["b"],"c":{"minLength":1}},"anyOf":[{}],"definitions":{"d":{"multipleOf":0.5}}}"#,
    ])
    func schemasOfDraft7AreTaken(_ text: String) throws {
        let value = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
        #expect(SchemaDraft7.problems(of: value) == [])
    }
    @Test(arguments: [
        #"1"#, #"{"readOnly":15}"#, #"{"type":"no-such-type"}"#, #"{"type":[]}"#, #"{"properties":{"a":{"type":1}}}"#,
        #"{"required":["a","a"]}"#, #"{"minLength":-1}"#, #"{"anyOf":[]}"#, #"{"items":{"maximum":"1"}}"#,
        #"{"not":[]}"#, #"{"multipleOf":0}"#, #"{"dependencies":{"a":1}}"#, #"{"allOf":[{"not":{"pattern":1}}]}"#,
    ])
    func whatIsNoSchemaIsRefused(_ text: String) throws {
        let value = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
        #expect(SchemaDraft7.problems(of: value).count == 1, "\(SchemaDraft7.problems(of: value))")
    }
    @Test func whatIsSaidOfASchemaIsBounded() {
        let name = String(repeating: "n", count: 100_000)
        let wrong = (0..<1000).map { ("p\($0)", JSONValue.integer(1)) }
        let properties = JSONValue.object(Dictionary(uniqueKeysWithValues: wrong))
        let problems = SchemaDraft7.problems(of: ["properties": .object([name: ["properties": properties]])])
        #expect(problems.count == SchemaDraft7.problemCountMax)
        #expect(problems.allSatisfy { $0.utf8.count < 1000 }, "\(problems.map(\.utf8.count))")
    }
    @Test func aSchemaThatIsNestedTooDeepIsRefusedAndEnds() {
        var schema: JSONValue = [:]
        for _ in 0..<1000 { schema = ["not": schema] }
        #expect(SchemaDraft7.problems(of: schema).count == 1)
    }
}
