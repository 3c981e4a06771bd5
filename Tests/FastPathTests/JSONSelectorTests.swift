// Event id, type and dedup key: where they are looked for, in which order, and what counts as none.
import FastPath
import TestSupport
import Testing

@Suite struct JSONSelectorTests {
    private let memory = CompiledMemory()

    private func select(
        _ spellings: [String], _ headers: [(String, String)], _ body: String, target: String = "/"
    )
        throws -> String?
    {
        let request = GuardedRequest(headers, body: Array(body.utf8), target: target)
        return try request.select(spellings, in: memory)
    }

    @Test func takesTheFirstAlternativeThatHasAValue() throws {
        let spellings = ["header:X-Id", "json:$.event.id", "query:id", "body"]
        #expect(try select(spellings, [("x-id", "h")], #"{"event":{"id":"j"}}"#) == "h")
        #expect(try select(spellings, [("x-id", "")], #"{"event":{"id":"j"}}"#) == "j")
        #expect(try select(spellings, [], #"{"event":{"id":null}}"#, target: "/a?x=1&id=q&id=r") == "q")
        #expect(try select(spellings, [], #"{"event":{"id":""}}"#) == #"{"event":{"id":""}}"#)
        #expect(try select(Array(spellings.dropLast()), [], "{") == nil)
        #expect(try select(["query:id"], [], "", target: "/a?xid=1&idx=2&id") == nil)
    }

    @Test func givesValuesDecodedHoweverTheyAreSpelled() throws {
        #expect(try select(["json:$.id"], [], #"{"id":820982911946154508}"#) == "820982911946154508")
        #expect(try select(["json:$.id"], [], #"{"id":false}"#) == "false")
        for (written, meant) in [
            (#"order\/created"#, "order/created"), (#"a\u0041\n"#, "aA\n"), (#"caf\u00e9"#, "café"),
            (#"\ud83d\ude00"#, "😀"), (#"\"\\"#, #""\"#),
            // No escape that is one: as it came.
            (#"\q"#, #"\q"#), (#"\ud800"#, #"\ud800"#), (#"\u12"#, #"\u12"#),
        ] {
            #expect(try select(["json:$.id"], [], #"{"id":"\#(written)"}"#) == meant, "\(written)")
        }
        #expect(try select(["query:a"], [], "", target: "/?a=x%2Fy+z") == "x/y+z")
    }

    @Test func comparesNamesDecodedToo() throws {
        #expect(try select(["json:$.type"], [], #"{"\u0074ype":"a"}"#) == "a")
        #expect(try select(["json:$['a/b'].c"], [], #"{"a\/b":{"\u0063":1}}"#) == "1")
        #expect(try select(["json:$.type"], [], #"{"\u0074yp":"a","typ\q":"b"}"#) == nil)
        #expect(try select(["query:a b"], [], "", target: "/?a%20b=1") == "1")
        #expect(try select(["query:id"], [], "", target: "/?%69d=1&id=2") == "1")
    }

    @Test func aByteOrderMarkHidesNothing() throws {
        #expect(try select(["json:$.type"], [], "\u{FEFF}{\"type\":\"a\"}") == "a")
        #expect(try select(["json:$.type"], [], "\u{FEFF}\u{FEFF}{\"type\":\"a\"}") == nil)
        #expect(try select(["json:$.type"], [], "\u{FEFF}") == nil)
    }

    @Test func selectsAllThreeAndHasNoIdentityWithoutAKey() throws {
        let selectors = try EventSelectors(
            eventID: ["json:$.id"], eventType: ["header:X-Type", "json:$.type"], dedupKey: ["json:$.id"], in: memory)
        let whole = GuardedRequest([], body: Array(#"{"type":"a.b","id":"e1"}"#.utf8)).select(selectors)
        #expect(whole.id == "e1" && whole.type == "a.b" && whole.dedupKey == "e1" && !whole.keyIsBody)
        let request = GuardedRequest([("X-Type", "push")], body: Array("a=b".utf8))
        let form = request.select(selectors)
        #expect(form.id == "" && form.type == "push" && form.dedupKey == nil && !form.keyIsBody)
        let named = try EventSelectors(eventID: [], eventType: [], dedupKey: ["body"], in: memory)
        #expect(request.select(named).keyIsBody && request.select(named).dedupKey == "a=b")
        // No bytes are nothing by which an event is known.
        #expect(GuardedRequest([], body: []).select(named).dedupKey == nil)
    }

    @Test func refusesSpellingsThatAreNone() {
        for spelling in [
            "", "header", "header:", "header:a b", "json:id", "json:", "cookie:x", "Body", "query:", "form:",
            "form:a.$.", "Method",
        ] {
            #expect(throws: SelectorError.self, "\(spelling)") { try select([spelling], [], "") }
        }
        let many = (0..<9).map { "json:$.k\($0)" }
        #expect(throws: SelectorError.self) { try select(many, [], "") }
    }
}
