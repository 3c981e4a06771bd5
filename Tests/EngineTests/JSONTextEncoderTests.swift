// The text of `JSONTextEncoder` is Foundation's, byte for byte: values of every form the resources have, names of every
// spelling, and values made at random.

import Engine
import Foundation
import TestSupport
import Testing

@Suite struct JSONTextEncoderTests {
    private func same(_ value: some Encodable, _ place: SourceLocation = #_sourceLocation) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let declared = String(decoding: try encoder.encode(value), as: UTF8.self)
        #expect(try JSONTextEncoder().text(of: value) == declared, sourceLocation: place)
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let snake = String(decoding: try encoder.encode(value), as: UTF8.self)
        #expect(try JSONTextEncoder(names: .snakeCase).text(of: value) == snake, sourceLocation: place)
    }

    private struct Resource: Encodable {
        var zoneName = "last by name, first declared"
        var id = 7
        var isActive = true
        var absent: String?
        var pageSizeMax: Int? = 100
        var ratio = 0.25
        var whole = 3.0
        var listOfNames = ["a/b", "ä\u{1F600}", "\u{2028}"]
        var nested = Nested()
        var more: [Nested] = [Nested(), Nested(sourceURLMax: "x")]
        var byName: [String: Int] = ["aB": 1, "Zed": 2, "a_b": 3]
        var nobody: [String] = []
        var nothing: [String: Nested] = [:]
    }
    private struct Nested: Encodable {
        var sourceURLMax = "u"
        var p99Millis = UInt64.max
        var a = Int8.min
        var ID = Int64.min
        var none: Nothing? = Nothing()
        var form = Form.two("b", second: 2)
    }
    private struct Nothing: Encodable {}
    private enum Form: Encodable {
        case one
        case two(String, second: Int)
    }
    @Test func resourcesOfEveryForm() throws {
        try same(Resource())
        try same([Resource(), Resource(id: 8)])
        try same(["aB": Nested()])
        try same(Nested(form: .one))
        try same(Nothing())
        try same([Nothing]())
        try same("text")
        try same(Float(0.1))
    }
    /// Names that are ASCII, as declared names are.
    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }
    private struct Named: Encodable {
        let names: [String]
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Name.self)
            for name in names { try container.encode(1, forKey: Name(name)) }
        }
    }
    @Test func namesOfEverySpelling() throws {
        let names = [
            "a", "A", "ab", "aB", "Ab", "AB", "ABc", "aBC", "aBCd", "myURL", "myURLProperty", "URLMax", "p99Millis",
            "sha256Of", "x9Y9z", "a1B", "aB1", "already_snake", "endsWithX", "aBcDeFgH", "HTTPServer2XX", "jsonAPIv2",
        ]
        for name in names { try same(Named(names: [name])) }
        // No two of these become the same name.
        let long = names.filter { $0.count > 3 }
        try same(Named(names: long))
        try same(Named(names: long.reversed()))
    }
    @Test func textsWithEveryCharacterThatIsEscaped() throws {
        for value in 0...0x9F { try same("a\(Character(Unicode.Scalar(UInt8(value))))b") }
        try same("\r\n\u{0}\"\\/\u{7F}é\u{FFFF}\u{10FFFF}")
    }
    @Test func numbersOfEverySize() throws {
        for number in [0.0, -0.0, 1, -1.5, 0.1, 1e15, 1e16, 1.25e17, .leastNonzeroMagnitude, 1.797e308, 1e-7] {
            try same(number)
            try same([number, number / 3])
        }
        try same([Int.min, Int.max, 0])
        try same([UInt64.max])
        try same([Int16.min, Int16.max])
        for number in [Double.nan, .infinity] {
            #expect(throws: EncodingError.self) { try JSONTextEncoder().text(of: [number]) }
        }
    }

    private class Base: Encodable { var base = 1 }
    private final class Derived: Base {
        private enum Keys: String, CodingKey { case lastName, inner, list, firstName }
        override func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Keys.self)
            var list = container.nestedUnkeyedContainer(forKey: .list)
            try list.encode("x")
            var inList = list.nestedContainer(keyedBy: Keys.self)
            try inList.encode(1, forKey: .lastName)
            try inList.encode(2, forKey: .firstName)
            var deeper = list.nestedUnkeyedContainer()
            try deeper.encodeNil()
            try list.encode(3)
            try container.encodeNil(forKey: .lastName)
            var inner = container.nestedContainer(keyedBy: Keys.self, forKey: .inner)
            try inner.encode(Nothing(), forKey: .lastName)
            try inner.encode([1.5], forKey: .firstName)
            try super.encode(to: container.superEncoder())
            try container.encode("f", forKey: .firstName)
        }
    }
    @Test func containersInContainers() throws {
        try same(Derived())
        try same([Derived()])
    }

    @Test func valuesMadeAtRandom() throws {
        var random = SeededRandom(11)
        func value(_ depth: Int) -> PlainJSON {
            switch random.next() % (depth > 4 ? 5 : 7) {
            case 0: .null
            case 1: .bool(random.next() % 2 == 0)
            case 2: .integer(Int64(bitPattern: random.next()))
            case 3: .number(Double(random.next() % 100_000) / 64)
            case 4: .text(String(String.UnicodeScalarView((0..<random.next() % 9).map { _ in scalar() })))
            case 5: .list((0..<random.next() % 5).map { _ in value(depth + 1) })
            default:
                .object(
                    Dictionary(
                        (0..<random.next() % 6).map { _ in ("k\(random.next() % 100)B", value(depth + 1)) },
                        uniquingKeysWith: { $1 }))
            }
        }
        func scalar() -> Unicode.Scalar { Unicode.Scalar(UInt32(random.next() % 0x500)) ?? " " }
        for _ in 0..<2000 { try same(value(0)) }
    }

    private struct Silent: Encodable {
        func encode(to encoder: any Encoder) {}
    }
    @Test func aValueThatEncodesAsNothingIsRefused() {
        #expect(throws: EncodingError.self) { try JSONTextEncoder().text(of: [Silent()]) }
    }
}
