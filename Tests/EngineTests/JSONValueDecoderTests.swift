// What was read as JSON, as declared types: as Foundation's decoder has it, and free parts as they were read.
import Engine
import Foundation
import Testing

@Suite struct JSONValueDecoderTests {
    private struct Inner: Codable, Equatable {
        var sourceURLMax: Int?
        var names: [String: [Int]]
    }
    private struct Outer: Codable, Equatable {
        enum Word: String, Codable { case one, two }
        var isOn: Bool
        var pageSizeMax: Int
        var ratio: Double
        var small: UInt8
        var large: Int64
        var word: Word
        var text: String?
        var nothing: Int?
        var list: [Inner]
        var byName: [String: Inner]
        var optionals: [Int?]
        var free: PlainJSON?
    }
    private struct Free: Codable { var free: PlainJSON }
    private struct Pairs: Decodable {
        var first: [Int] = []
        var second: String
        var tail: Bool

        init(from decoder: any Decoder) throws {
            var list = try decoder.unkeyedContainer()
            var inner = try list.nestedUnkeyedContainer()
            while !inner.isAtEnd { first.append(try inner.decode(Int.self)) }
            // What does not decode is still there.
            if let number = try? list.decode(Int.self) { second = "\(number)" } else {
                second = try list.decode(String.self)
            }
            tail = try list.decodeNil()
        }
    }
    private static let outer = Outer(
        isOn: true, pageSizeMax: 7, ratio: 0.25, small: 255, large: .min, word: .two, text: "ä\"\n", nothing: nil,
        list: [Inner(sourceURLMax: 1, names: ["camelCase": [1, 2], "snake_case": []])],
        byName: ["myName_x": Inner(sourceURLMax: nil, names: [:])], optionals: [1, nil, 3],
        free: .object(["camelCase": .list([.null, .bool(false), .number(1.5), .object([:])]), "snake_case": .text("")]))

    @Test func whatWasWrittenIsReadAgain() throws {
        for names in [JSONTextEncoder.Names.asDeclared, .snakeCase] {
            let text = try JSONTextEncoder(names: names).text(of: Self.outer)
            #expect(try JSONValueDecoder(names: names).decode(Outer.self, from: Array(text.utf8)) == Self.outer)
        }
    }
    @Test func itIsAsFoundationReadsIt() throws {
        let text = Data(try JSONTextEncoder().text(of: Self.outer).utf8)
        let decoded = try JSONDecoder().decode(Outer.self, from: text)
        #expect(try JSONValueDecoder().decode(Outer.self, from: Array(text)) == decoded)
        let snake = #"{"is_on":false,"page_size_max":1.0,"ratio":2,"small":0,"large":9,"word":"one","nothing":null,"#
            + #""list":[],"by_name":{"a_b":{"names":{"c_d":[1]}}},"optionals":[],"free":null,"strange":{}}"#
        let foundation = JSONDecoder()
        foundation.keyDecodingStrategy = .convertFromSnakeCase
        let read = try JSONValueDecoder(names: .snakeCase).decode(Outer.self, from: Array(snake.utf8))
        #expect(try foundation.decode(Outer.self, from: Data(snake.utf8)) == read)
        #expect(read.byName["a_b"]?.names == ["c_d": [1]], "names of a dictionary are no declared ones")
    }
    /// A MiB of `{}` in a free field took 4 s: an error was thrown for each kind that each of them was not.
    @Test func aFreePartIsTakenAsItWasRead() throws {
        let many = [UInt8]("{\"free\":[".utf8) + [UInt8](repeatElement("{},", count: 300_000).joined().utf8)
            + [UInt8]("0]}".utf8)
        let value = try JSONReading.value(many)
        guard case .object(let members) = value, case .list(let list)? = members["free"],
            case .list(let taken) = try JSONValueDecoder().decode(Free.self, from: value).free
        else {
            Issue.record("a list was expected")
            return
        }
        #expect(taken.count == 300_001)
        #expect(place(of: taken) == place(of: list), "not a copy")
    }
    /// Where its elements lie. Safety: the address is compared, never used.
    private func place(of list: [PlainJSON]) -> UInt? {
        list.withUnsafeBufferPointer { unsafe $0.baseAddress.map { UInt(bitPattern: $0) } }
    }
    @Test func listsMayBeReadByHand() throws {
        let pairs = try JSONValueDecoder().decode(Pairs.self, from: Array(#"[[1,2],"x",null]"#.utf8))
        #expect(pairs.first == [1, 2] && pairs.second == "x" && pairs.tail)
        #expect(throws: DecodingError.self) { try JSONValueDecoder().decode(Pairs.self, from: Array("[[1]]".utf8)) }
    }
    @Test func whatDoesNotFitIsRefused() throws {
        func fails<Value: Decodable>(_ type: Value.Type, _ text: String) -> Bool {
            (try? JSONValueDecoder().decode(type, from: Array(text.utf8))) == nil
        }
        #expect(fails([UInt8].self, "[256]") && fails([Int].self, "[1.5]") && fails([UInt].self, "[-1]"))
        #expect(fails([UInt64].self, "[18446744073709551615]"), "no fraction stands for an integer")
        #expect(fails([Bool].self, "[1]") && fails([String].self, "[null]") && fails([Double].self, #"["1"]"#))
        #expect(fails([String: Int].self, "[]") && fails([Int].self, "{}") && fails(Inner.self, #"{"names":null}"#))
        do {
            _ = try JSONValueDecoder().decode(Inner.self, from: Array("{}".utf8))
            Issue.record("it has no names")
        } catch DecodingError.keyNotFound(let key, _) { #expect(key.stringValue == "names") }
    }
}
