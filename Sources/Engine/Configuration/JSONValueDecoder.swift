// What was read as a value of JSON, as a declared type: the counterpart of `JSONTextEncoder`. A part that is declared
// as JSON is taken as it was read, whatever is in it, so that decoding costs what the declaration has, not what a
// caller put into a free field. Foundation's decoder cannot: it offers such a part kind by kind, and each refusal is an
// error that is thrown (4 s for a MiB of `{}`). Pure.
//
// Invariants: each member is looked up once; a part of JSON shares its storage with what was read; an integer is exact
// or refused (one beyond Int64 is a fraction in `PlainJSON`, and refused).

package struct JSONValueDecoder: Sendable {
    private let names: JSONTextEncoder.Names

    package init(names: JSONTextEncoder.Names = .asDeclared) { self.names = names }

    package func decode<Value: Decodable>(_ type: Value.Type, from value: PlainJSON) throws -> Value {
        try Value(from: JSONValueReader(value: value, names: names))
    }
    /// Of a text that we have written: a body that was taken may stand in it a few levels deeper.
    package func decode<Value: Decodable>(_ type: Value.Type, from text: [UInt8]) throws -> Value {
        try decode(type, from: try JSONReading.value(text, depthMax: JSONReading.depthMax + 8))
    }
}

/// One value, as itself or as what holds others.
struct JSONValueReader: Decoder, SingleValueDecodingContainer {
    let value: PlainJSON
    let names: JSONTextEncoder.Names
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .object(let members) = value else { throw JSONValueReader.mismatch([String: PlainJSON].self) }
        let isSnake = names == .snakeCase && ObjectIdentifier(type) != DictionaryKeys.type
        return KeyedDecodingContainer(JSONMemberReader<Key>(members: members, names: names, isSnake: isSnake))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .list(let elements) = value else { throw JSONValueReader.mismatch([PlainJSON].self) }
        return JSONElementReader(elements: elements, names: names)
    }
    func singleValueContainer() -> any SingleValueDecodingContainer { self }

    func decodeNil() -> Bool { value.isNull }
    func decode(_ type: Bool.Type) throws -> Bool {
        guard case .bool(let flag) = value else { throw JSONValueReader.mismatch(type) }
        return flag
    }
    func decode(_ type: String.Type) throws -> String {
        guard case .text(let text) = value else { throw JSONValueReader.mismatch(type) }
        return text
    }
    func decode(_ type: Double.Type) throws -> Double {
        switch value {
        case .integer(let integer): return Double(integer)
        case .number(let number): return number
        default: throw JSONValueReader.mismatch(type)
        }
    }
    func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }
    func decode(_ type: Int.Type) throws -> Int { try integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try Value(from: self) }

    private func integer<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
        guard case .integer(let integer) = value, let number = Number(exactly: integer) else {
            throw JSONValueReader.mismatch(type)
        }
        return number
    }
    static func mismatch(_ type: Any.Type) -> DecodingError {
        .typeMismatch(type, .init(codingPath: [], debugDescription: "it is of another kind, or out of range"))
    }
}

private struct JSONMemberReader<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let members: [String: PlainJSON]
    let names: JSONTextEncoder.Names
    /// Of names that are declared; those of a dictionary stay as they are.
    let isSnake: Bool
    var codingPath: [any CodingKey] { [] }
    /// Asked for by dictionaries.
    var allKeys: [Key] { members.keys.compactMap { Key(stringValue: $0) } }

    private func member(_ key: Key) -> PlainJSON? {
        members[isSnake ? SnakeCase.of(key.stringValue) : key.stringValue]
    }
    private func needed(_ key: Key) throws -> JSONValueReader {
        guard let member = member(key) else {
            throw DecodingError.keyNotFound(key, .init(codingPath: [], debugDescription: "`\(key.stringValue)`"))
        }
        return JSONValueReader(value: member, names: names)
    }
    func contains(_ key: Key) -> Bool { member(key) != nil }
    func decodeNil(forKey key: Key) throws -> Bool { try needed(key).decodeNil() }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try needed(key).decode(type) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try needed(key).decode(type) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try needed(key).decode(type) }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try Value(from: try needed(key))
    }
    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        guard let member = member(key), !member.isNull else { return nil }
        return try Value(from: JSONValueReader(value: member, names: names))
    }
    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try needed(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try needed(key).unkeyedContainer()
    }
    func superDecoder() -> any Decoder { JSONValueReader(value: members["super"] ?? .null, names: names) }
    func superDecoder(forKey key: Key) throws -> any Decoder { try needed(key) }
}

private struct JSONElementReader: UnkeyedDecodingContainer {
    let elements: [PlainJSON]
    let names: JSONTextEncoder.Names
    private(set) var currentIndex = 0
    var codingPath: [any CodingKey] { [] }
    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex >= elements.count }

    init(elements: [PlainJSON], names: JSONTextEncoder.Names) { (self.elements, self.names) = (elements, names) }

    private func needed() throws -> JSONValueReader {
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(PlainJSON.self, .init(codingPath: [], debugDescription: "the list ends"))
        }
        return JSONValueReader(value: elements[currentIndex], names: names)
    }
    mutating func decodeNil() throws -> Bool {
        guard try needed().decodeNil() else { return false }
        currentIndex += 1
        return true
    }
    /// What does not decode is still there: the next try may be of another type.
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        let value = try Value(from: try needed())
        currentIndex += 1
        return value
    }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        let container = try needed().container(keyedBy: type)
        currentIndex += 1
        return container
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let container = try needed().unkeyedContainer()
        currentIndex += 1
        return container
    }
    mutating func superDecoder() throws -> any Decoder {
        let reader = try needed()
        currentIndex += 1
        return reader
    }
}

extension PlainJSON {
    fileprivate var isNull: Bool { if case .null = self { true } else { false } }
}
