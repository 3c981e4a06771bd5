// What is JSON and what is not, and that values are cut out as they stand.
import Engine
import Foundation
import TestSupport
import Testing

@Suite struct JSONMembersTests {
    private func read(_ text: String) -> Result<JSONMembers, JSONProblem> {
        do throws(JSONProblem) { return .success(try JSONMembers(Array(text.utf8))) } catch { return .failure(error) }
    }
    private func problem(_ text: String) -> JSONProblem? {
        if case .failure(let problem) = read(text) { problem } else { nil }
    }

    @Test func valuesAreCutOutAsTheyStand() throws {
        let text = " {\"a\" : [1 , {\"b\":null}],\"c\\u0041\":\"x\\ny\" ,\"d\": -0.5e+10, \"e\":{} , \"f\":true}\n"
        let members = try JSONMembers(Array(text.utf8))
        let shown = members.members.map { "\($0.name)=" + String(decoding: members.bytes(of: $0), as: UTF8.self) }
        #expect(shown == ["a=[1 , {\"b\":null}]", "cA=\"x\\ny\"", "d=-0.5e+10", "e={}", "f=true"])
        #expect(members.string(of: try #require(members["cA"])) == "x\ny")
        #expect(members.string(of: try #require(members["d"])) == nil)
        let lists = try JSONMembers(Array(#"{"a":["x","\u00e4"],"b":[1],"c":[]}"#.utf8))
        #expect(lists.strings(of: try #require(lists["a"])) == ["x", "ä"])
        #expect(lists.strings(of: try #require(lists["b"])) == nil)
        #expect(lists.strings(of: try #require(lists["c"])) == [])
    }
    @Test(arguments: [
        "", " ", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{\"a\" 1}", "{a:1}",
        "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":+1}", "{\"a\":1e}", "{\"a\":-}", "{\"a\":tru}",
        "{\"a\":True}", "{\"a\":nulll}",
        "{\"a\":\"\t\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1 2]}",
        "{\"a\":[}", "{\"a\":{]}", "{\"a\":1}}", "{\"a\":1} {}", "{\"a\":'b'}", "{\"a\":1/*x*/}",
    ])
    func whatIsNoJSONIsRefused(_ text: String) {
        if case .malformed? = problem(text) { return }
        Issue.record("\(text): \(String(describing: problem(text)))")
    }
    @Test func everyBeginningOfADocumentIsRefused() {
        let text = #"{"a":[1,{"b":"\u0041"}],"c":-1.5e3,"d":{"e":[[],{}]},"f":false}"#
        for count in 0..<text.utf8.count { #expect(problem(String(text.prefix(count))) != nil, "\(count)") }
        #expect(problem(text) == nil)
    }
    @Test func boundsAreKept() {
        func nested(_ depth: Int) -> String {
            "{\"a\":" + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + "}"
        }
        #expect(problem(nested(64)) == nil && problem(nested(65)) == .tooDeep)
        #expect(problem(nested(1_000_000)) == .tooDeep)
        let digits = String(repeating: "7", count: 512)
        #expect(problem("{\"a\":\(digits)}") == nil && problem("{\"a\":\(digits)7}") == .numberTooLong)
        #expect(problem(#"{"a":1,"\u0061":2}"#) == .repeated("a"))
        #expect(problem(#"{"a":{"b":1,"b":2}}"#) == nil, "what is in a value is its sender's")
        for text in ["[]", "7", "\"a\"", "null"] { #expect(problem(text) == .notAnObject) }
        func wide(_ count: Int) -> String { "{" + (0..<count).map { "\"\($0)\":0" }.joined(separator: ",") + "}" }
        #expect(problem(wide(256)) == nil && problem(wide(257)) == .tooManyMembers)
        #expect(problem("{\"a\":\(wide(10_000))}") == nil)
    }
    @Test func anObjectIsOneWhateverItsMembersAreCalled() {
        func isObject(_ text: String) -> Bool { JSONMembers.isObject(Array(text.utf8)) }
        let wide = (0..<10_000).map { "\"\($0 % 9)\":0" }.joined(separator: ",")
        for text in ["{}", " {\"a\":1} ", "{\"a\":1,\"a\":[2]}", "{\(wide)}"] { #expect(isObject(text)) }
        for text in ["", "[]", "7", "{", "{\"a\"}", "{} {}", "{}x", "null"] { #expect(!isObject(text), "\(text)") }
        #expect(!JSONMembers.isObject([0x7B, 0xFF, 0x7D]))
    }
    @Test func whatIsNoUTF8IsRefused() {
        let text = Array("{\"a\":\"".utf8) + [0xC3, 0x28] + Array("\"}".utf8)
        #expect(throws: JSONProblem.notUTF8) { try JSONMembers(text) }
    }
    @Test func itAgreesWithFoundationOnChangedDocuments() throws {
        let text = Array(#"{"a":[1,-2.5e3,{"b":"\u0041\n"}],"c":null,"d":{"e":[true,false,[],{}]},"f":0}"#.utf8)
        var generator = SeededGenerator(seed: 11)
        let bytes = Array("{}[]\",:0123456789.eE+-\\u ntf".utf8)
        var soundCount = 0
        for _ in 0..<20_000 {
            var changed = text
            let place = Int.random(in: 0..<changed.count, using: &generator)
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: changed[place] = bytes.randomElement(using: &generator)!
            case 1: changed.remove(at: place)
            default: changed.insert(bytes.randomElement(using: &generator)!, at: place)
            }
            let isSound = (try? JSONMembers(changed)) != nil
            let isFoundations =
                (try? JSONSerialization.jsonObject(with: Data(changed))) is [String: Any]
            // Foundation takes repeated names, and a comma before the end of a list or an object.
            if isSound != isFoundations {
                let text = String(decoding: changed, as: UTF8.self)
                if case .repeated? = problem(text) { continue }
                if isFoundations, text.contains(",]") || text.contains(",}") { continue }
                Issue.record("\(text): \(isSound), Foundation \(isFoundations)")
            }
            if isSound { soundCount += 1 }
        }
        #expect(soundCount > 500)
    }
}
