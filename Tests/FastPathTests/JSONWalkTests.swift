// The walk over a document: what it shows at each path, that it knows a whole document from one that broke off, and
// that it is total on any bytes.
import FastPath
import TestSupport
import Testing

private func shown(_ text: String, _ paths: String...) throws -> [String]? {
    try shown(Array(text.utf8), paths)
}
/// `PATH=value`, `PATH+element`, in the order shown; nil when the document is not whole.
private func shown(_ text: [UInt8], _ paths: [String]) throws -> [String]? {
    let walk = JSONWalk(try paths.map { try JSONWalkPath($0) })
    var seen: [String] = []
    let isWhole = text.withView { body in
        walk.walk(body) { visit in
            let value = body.slice(visit.value.range).text
            for (index, path) in paths.enumerated() {
                if visit.ending >> UInt32(index) & 1 == 1 { seen.append("\(path)=\(value)") }
                if visit.elements >> UInt32(index) & 1 == 1 { seen.append("\(path)+\(value)") }
            }
        }
    }
    return isWhole ? seen : nil
}

@Suite struct JSONWalkTests {
    @Test func findsValuesAtNamesPlacesAndEveryElement() throws {
        let text = #"{"a":{"b":1},"list":[{"id":"x"},{"no":0},{"id":[2,{"z":3}]}],"t":true}"#
        #expect(try shown(text, "$.a.b", "$.t") == ["$.a.b=1", "$.t=true"])
        #expect(try shown(text, "$.list[2].id") == ["$.list[2].id+2", #"$.list[2].id=[2,{"z":3}]"#])
        #expect(
            try shown(text, "$.list[*].id") == ["$.list[*].id=x", "$.list[*].id+2", #"$.list[*].id=[2,{"z":3}]"#])
        #expect(try shown(text, "$.a") == [#"$.a={"b":1}"#])
        #expect(try shown(text, "$.absent.b", "$.a[0]", "$.list.id") == [])
        #expect(try shown("[1,[2,3]]", "$[*]", "$[1][0]") == ["$[*]=1", "$[*]+2", "$[1][0]=2", "$[*]+3", "$[*]=[2,3]"])
    }
    @Test func showsTheElementsOfAnArrayAtTheEndOfTheLongestPath() throws {
        let path = "$.a.b.c.d.e.f.g.h"
        let text = #"{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":[1,[2],{"i":3}]}}}}}}}}"#
        #expect(try shown(text, path) == ["\(path)+1", "\(path)=[1,[2],{\"i\":3}]"])
        let lists = #"[[[[[[[[1,[2]]]]]]]]]"#
        let places = "$[0][0][0][0][0][0][0][*]"
        #expect(try shown(lists, places) == ["\(places)=1", "\(places)+2", "\(places)=[2]"])
    }
    @Test func ofTwoEqualNamesTheFirstCounts() throws {
        #expect(try shown(#"{"a":1,"a":2,"\u0061":3}"#, "$.a") == ["$.a=1"])
        #expect(try shown(#"{"a":{"x":1},"a":{"b":2}}"#, "$.a.b") == [])
        #expect(try shown(#"{"\u0061\n":1}"#, "$['a\n']") == ["$['a\n']=1"])
    }
    @Test(arguments: [
        "", " ", "{", "[1", #"{"a""#, #"{"a":1"#, #"{"b":1,}"#, #"{"a":1} x"#, "[1]]", "{1:2}", #"{"a" 1}"#, "[1 2]",
        "nope", "token=1", "2024-01-01", "1&b=2", "[-]", "[1.]", "[01]", "[1e]", "[.5]", "[nul]", #""open"#,
        #"{"a":[1,2}"#,
    ])
    func knowsADocumentThatIsNotWhole(text: String) throws {
        #expect(try shown(text, "$.a", "$[0]") == nil)
    }
    @Test func whatIsSkippedIsOnlyBalanced() throws {
        #expect(try shown(#"{"a":1,}"#, "$.a") == ["$.a=1"])
        #expect(try shown(#"{"b":[01,nope],"a":-1.5e+9}"#, "$.a") == ["$.a=-1.5e+9"])
    }
    @Test func readsAByteOrderMarkAndScalars() throws {
        #expect(try shown("\u{FEFF}{\"a\":\"\"}", "$.a") == ["$.a="])
        #expect(try shown("12", "$.a") == [] && shown(" \"x\" ", "$[0]") == [])
        #expect(try shown("[]", "$[*]") == [] && shown("{}", "$.a") == [])
    }
    @Test func refusesPathsThatAreNone() {
        for bad in ["", "a.b", "$", "$.", "$..a", "$[*", "$[x]", "$.a[*]b", "$.1.2.3.4.5.6.7.8.9"] {
            #expect(throws: JSONPathError.self) { _ = try JSONWalkPath(bad) }
        }
    }
    @Test func takesAsManyPathsAsItSays() throws {
        let names = (0..<JSONWalk.pathCountMax).map { "k\($0)" }
        let text = "{" + names.map { "\"\($0)\":\($0.dropFirst())" }.joined(separator: ",") + "}"
        let seen = try shown(Array(text.utf8), names.map { "$.\($0)" })
        #expect(seen == names.map { "$.\($0)=\($0.dropFirst())" })
    }
    @Test func isTotalOnAnyBytes() throws {
        var random = SeededRandom(7)
        let walk = JSONWalk(try ["$.a", "$[*].a[*]", "$.a.b[3]", "$[0][1]"].map { try JSONWalkPath($0) })
        let alphabet = Array(#"{}[]",:\ab0-.truenl "#.utf8)
        let memory = GuardedBytes(capacity: 512)
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...200, using: &random)
            let isNoise = Int.random(in: 0..<4, using: &random) == 0
            let bytes = isNoise ? random.bytes(count) : (0..<count).map { _ in alphabet.randomElement(using: &random)! }
            let view = memory.fill(bytes)
            _ = walk.walk(view) { visit in
                #expect(visit.value.range.end <= view.count && visit.ending | visit.elements != 0)
            }
        }
    }
}
