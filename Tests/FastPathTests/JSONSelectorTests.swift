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
        return request.select(try ValueSelector(spellings, in: memory))
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

    @Test func givesNumbersAndRawEscapes() throws {
        #expect(try select(["json:$.id"], [], #"{"id":820982911946154508}"#) == "820982911946154508")
        #expect(try select(["json:$.id"], [], #"{"id":"a\u0041\n"}"#) == #"a\u0041\n"#)
        #expect(try select(["json:$.id"], [], #"{"id":false}"#) == "false")
    }

    @Test func selectsAllThreeAndFallsBackToTheBody() throws {
        let selectors = try EventSelectors(
            eventID: ["json:$.id"], eventType: ["header:X-Type", "json:$.type"], dedupKey: ["json:$.id"], in: memory)
        let whole = GuardedRequest([], body: Array(#"{"type":"a.b","id":"e1"}"#.utf8)).select(selectors)
        #expect(whole.id == "e1" && whole.type == "a.b" && whole.dedupKey == "e1" && !whole.keyIsBody)
        let request = GuardedRequest([("X-Type", "push")], body: Array("a=b".utf8))
        let form = request.select(selectors)
        #expect(form.id == "" && form.type == "push" && form.dedupKey == "a=b" && form.keyIsBody)
        let named = try EventSelectors(eventID: [], eventType: [], dedupKey: ["body"], in: memory)
        #expect(request.select(named).keyIsBody)
    }

    @Test func refusesSpellingsThatAreNone() {
        for spelling in ["", "header", "header:", "header:a b", "json:id", "json:", "cookie:x", "Body", "query:"] {
            #expect(throws: SelectorError.self, "\(spelling)") { try ValueSelector([spelling], in: memory) }
        }
        let many = (0..<9).map { "json:$.k\($0)" }
        #expect(throws: SelectorError.self) { try ValueSelector(many, in: memory) }
    }
}
