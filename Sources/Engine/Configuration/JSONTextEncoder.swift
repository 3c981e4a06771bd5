// Values as JSON text: what the APIs answer and the registry stores, written straight into bytes. Foundation's encoder
// makes a tree first and converts each name of each object anew; an answer with twenty endpoints took it 900 µs of a
// processor that the ingest loops want. The text is Foundation's, byte for byte (with sorted keys and plain slashes;
// a name that needs an escape is sorted by it); `JSONTextEncoderTests` holds the two against each other. Pure.
//
// Invariants: the top frame is the value that is being written; a container that is used again first closes whatever
// was opened in it since; members of an object are sorted when it closes, if they did not come so.

package struct JSONTextEncoder: Sendable {
    package enum Names: Sendable {
        case asDeclared
        /// `pageSizeMax` is `page_size_max`. Names that come from a dictionary stay as they are.
        case snakeCase
    }
    private let names: Names

    package init(names: Names = .asDeclared) { self.names = names }

    /// Keys sorted, so that the same value is the same text. Throws for a number that JSON does not have, and for a
    /// value that encodes itself as nothing at all.
    package func text(of value: some Encodable) throws -> String {
        let writer = JSONTextWriter(names: names)
        try writer.write(value)
        return String(decoding: writer.text.bytes, as: UTF8.self)
    }
}

/// The text and what is open in it.
private struct JSONTextBuffer {
    private enum Kind { case nothing, value, object, list }
    private struct Frame {
        var kind = Kind.nothing
        /// Where its text begins, and its first member.
        let start: Int
        let firstMember: Int
        var isSorted = true
        var isEmpty = true
    }
    /// `"name":value`; it ends before the comma of the next one.
    private struct Member {
        let start: Int
        let nameEnd: Int
    }
    private(set) var bytes: [UInt8] = []
    private let names: JSONTextEncoder.Names
    private var frames: [Frame] = []
    private var members: [Member] = []

    init(names: JSONTextEncoder.Names) {
        self.names = names
        bytes.reserveCapacity(1024)
    }

    // MARK: Frames

    mutating func open() { frames.append(Frame(start: bytes.count, firstMember: members.count)) }
    var depth: Int { frames.count }
    /// Closes the frame at `depth` and what is open in it; false when nothing was written.
    mutating func finish(_ depth: Int) -> Bool {
        close(above: depth)
        return closeTop()
    }
    /// Closes what was opened in the frame at `depth` (1 = the outermost).
    mutating func close(above depth: Int) {
        while frames.count > depth { closeTop() }
    }
    /// False when nothing was written in it.
    @discardableResult
    mutating func closeTop() -> Bool {
        let frame = frames.removeLast()
        switch frame.kind {
        case .object:
            if !frame.isSorted { sort(frame) }
            members.removeLast(members.count - frame.firstMember)
            bytes.append(UInt8(ascii: "}"))
        case .list: bytes.append(UInt8(ascii: "]"))
        // Somebody asked for a container's encoder and wrote nothing.
        case .nothing: bytes.append(contentsOf: "{}".utf8)
        case .value: break
        }
        return frame.kind != .nothing
    }
    /// The top frame is an object from here on; asked for twice it is the same one. Its depth.
    mutating func beginObject() -> Int { begin(.object, "{") }
    mutating func beginList() -> Int { begin(.list, "[") }
    private mutating func begin(_ kind: Kind, _ bracket: Unicode.Scalar) -> Int {
        if frames[frames.count - 1].kind == .nothing {
            frames[frames.count - 1].kind = kind
            bytes.append(UInt8(ascii: bracket))
        }
        return frames.count
    }
    mutating func beginValue() { frames[frames.count - 1].kind = .value }

    mutating func beginMember(_ name: String, in depth: Int, isDeclared: Bool) {
        close(above: depth)
        let index = depth - 1
        if !frames[index].isEmpty { bytes.append(UInt8(ascii: ",")) }
        let start = bytes.count
        if isDeclared && names == .snakeCase { appendSnakeCase(name) } else { append(name) }
        let member = Member(start: start, nameEnd: bytes.count)
        if !frames[index].isEmpty, let last = members.last, frames[index].isSorted {
            frames[index].isSorted = precedes(last, member)
        }
        frames[index].isEmpty = false
        members.append(member)
        bytes.append(UInt8(ascii: ":"))
    }
    mutating func beginElement(in depth: Int) {
        close(above: depth)
        let index = depth - 1
        if !frames[index].isEmpty { bytes.append(UInt8(ascii: ",")) }
        frames[index].isEmpty = false
    }
    private func precedes(_ one: Member, _ other: Member) -> Bool {
        bytes[one.start + 1..<one.nameEnd - 1].lexicographicallyPrecedes(bytes[other.start + 1..<other.nameEnd - 1])
    }
    private mutating func sort(_ frame: Frame) {
        let own = members[frame.firstMember...]
        let end = bytes.count
        var ordered: [UInt8] = []
        ordered.reserveCapacity(end - frame.start)
        for index in own.indices.sorted(by: { precedes(members[$0], members[$1]) }) {
            let memberEnd = index + 1 < members.count ? members[index + 1].start - 1 : end
            ordered.append(ordered.isEmpty ? UInt8(ascii: "{") : UInt8(ascii: ","))
            ordered.append(contentsOf: bytes[members[index].start..<memberEnd])
        }
        bytes.replaceSubrange(frame.start..., with: ordered)
    }

    // MARK: Leaves

    mutating func append(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            bytes.append(contentsOf: text.utf8)
        } else {
            for byte in text.utf8 { appendEscaped(byte) }
        }
        bytes.append(UInt8(ascii: "\""))
    }
    private mutating func appendEscaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): bytes.append(contentsOf: "\\\"".utf8)
        case UInt8(ascii: "\\"): bytes.append(contentsOf: "\\\\".utf8)
        case 0x08: bytes.append(contentsOf: "\\b".utf8)
        case 0x09: bytes.append(contentsOf: "\\t".utf8)
        case 0x0A: bytes.append(contentsOf: "\\n".utf8)
        case 0x0C: bytes.append(contentsOf: "\\f".utf8)
        case 0x0D: bytes.append(contentsOf: "\\r".utf8)
        case 0..<0x20:
            bytes.append(contentsOf: (byte < 0x10 ? "\\u000" : "\\u00").utf8)
            bytes.append(contentsOf: String(byte, radix: 16).utf8)
        default: bytes.append(byte)
        }
    }
    private mutating func appendSnakeCase(_ name: String) {
        guard name.utf8.contains(where: SnakeCase.isCapital) else { return append(name) }
        bytes.append(UInt8(ascii: "\""))
        SnakeCase.append(name, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func append(_ flag: Bool) { bytes.append(contentsOf: (flag ? "true" : "false").utf8) }
    mutating func append(_ number: some BinaryInteger) { bytes.append(contentsOf: String(number).utf8) }
    mutating func append(_ number: some BinaryFloatingPoint & LosslessStringConvertible) throws {
        guard number.isFinite else {
            throw EncodingError.invalidValue(number, .init(codingPath: [], debugDescription: "JSON has finite numbers"))
        }
        let text = number.description
        bytes.append(contentsOf: text.hasSuffix(".0") ? text.utf8.dropLast(2) : text.utf8[...])
    }
    mutating func appendNull() { bytes.append(contentsOf: "null".utf8) }
}

// MARK: Encoder

/// The buffer as the containers share it. Each of their calls takes it once, as a whole: each taking is checked.
private final class JSONTextWriter: Encoder {
    var text: JSONTextBuffer
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(names: JSONTextEncoder.Names) { text = JSONTextBuffer(names: names) }

    func write(_ value: some Encodable) throws {
        text.open()
        let depth = text.depth
        try value.encode(to: self)
        guard text.finish(depth) else {
            throw EncodingError.invalidValue(value, .init(codingPath: [], debugDescription: "it encodes as nothing"))
        }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        let isDeclared = ObjectIdentifier(type) != DictionaryKeys.type
        return KeyedEncodingContainer(
            JSONObjectContainer<Key>(writer: self, depth: text.beginObject(), isDeclared: isDeclared))
    }
    func unkeyedContainer() -> any UnkeyedEncodingContainer { JSONListContainer(writer: self, depth: text.beginList()) }
    func singleValueContainer() -> any SingleValueEncodingContainer { JSONValueContainer(writer: self) }
}

private struct JSONObjectContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let writer: JSONTextWriter
    let depth: Int
    let isDeclared: Bool
    var codingPath: [any CodingKey] { [] }

    private func begin(_ key: Key) {
        writer.text.beginMember(key.stringValue, in: depth, isDeclared: isDeclared)
    }
    func encodeNil(forKey key: Key) {
        begin(key)
        writer.text.appendNull()
    }
    func encode(_ value: Bool, forKey key: Key) {
        begin(key)
        writer.text.append(value)
    }
    func encode(_ value: String, forKey key: Key) {
        begin(key)
        writer.text.append(value)
    }
    func encode(_ value: Int, forKey key: Key) {
        begin(key)
        writer.text.append(value)
    }
    func encode(_ value: Double, forKey key: Key) throws {
        begin(key)
        try writer.text.append(value)
    }
    func encode(_ value: some Encodable, forKey key: Key) throws {
        begin(key)
        try writer.write(value)
    }
    func nestedContainer<Nested: CodingKey>(
        keyedBy keyType: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        begin(key)
        writer.text.open()
        return writer.container(keyedBy: keyType)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        begin(key)
        writer.text.open()
        return writer.unkeyedContainer()
    }
    func superEncoder() -> any Encoder {
        writer.text.beginMember("super", in: depth, isDeclared: false)
        writer.text.open()
        return writer
    }
    func superEncoder(forKey key: Key) -> any Encoder {
        begin(key)
        writer.text.open()
        return writer
    }
}

private struct JSONListContainer: UnkeyedEncodingContainer {
    let writer: JSONTextWriter
    let depth: Int
    private(set) var count = 0
    var codingPath: [any CodingKey] { [] }

    init(writer: JSONTextWriter, depth: Int) {
        self.writer = writer
        self.depth = depth
    }
    private mutating func begin() {
        writer.text.beginElement(in: depth)
        count += 1
    }
    mutating func encodeNil() {
        begin()
        writer.text.appendNull()
    }
    mutating func encode(_ value: String) {
        begin()
        writer.text.append(value)
    }
    mutating func encode(_ value: some Encodable) throws {
        begin()
        try writer.write(value)
    }
    mutating func nestedContainer<Nested: CodingKey>(keyedBy keyType: Nested.Type) -> KeyedEncodingContainer<Nested> {
        begin()
        writer.text.open()
        return writer.container(keyedBy: keyType)
    }
    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        begin()
        writer.text.open()
        return writer.unkeyedContainer()
    }
    mutating func superEncoder() -> any Encoder {
        begin()
        writer.text.open()
        return writer
    }
}

private struct JSONValueContainer: SingleValueEncodingContainer {
    let writer: JSONTextWriter
    var codingPath: [any CodingKey] { [] }

    func encodeNil() {
        writer.text.beginValue()
        writer.text.appendNull()
    }
    func encode(_ value: Bool) {
        writer.text.beginValue()
        writer.text.append(value)
    }
    func encode(_ value: String) {
        writer.text.beginValue()
        writer.text.append(value)
    }
    func encode(_ value: Double) throws {
        writer.text.beginValue()
        try writer.text.append(value)
    }
    func encode(_ value: Float) throws {
        writer.text.beginValue()
        try writer.text.append(value)
    }
    func encode(_ value: Int) { integer(value) }
    func encode(_ value: Int8) { integer(value) }
    func encode(_ value: Int16) { integer(value) }
    func encode(_ value: Int32) { integer(value) }
    func encode(_ value: Int64) { integer(value) }
    func encode(_ value: UInt) { integer(value) }
    func encode(_ value: UInt8) { integer(value) }
    func encode(_ value: UInt16) { integer(value) }
    func encode(_ value: UInt32) { integer(value) }
    func encode(_ value: UInt64) { integer(value) }
    func encode(_ value: some Encodable) throws {
        writer.text.beginValue()
        try writer.write(value)
    }
    private func integer(_ value: some BinaryInteger) {
        writer.text.beginValue()
        writer.text.append(value)
    }
}

/// Which key type the standard library writes and reads a dictionary's names with: it has no public name, so it is
/// asked.
struct DictionaryKeys: Encoder {
    static let type: ObjectIdentifier? = {
        let asked = DictionaryKeys()
        try? [String: Int]().encode(to: asked)
        return asked.found.type
    }()
    private final class Found { var type: ObjectIdentifier? }
    private let found = Found()
    private let writer = JSONTextWriter(names: .asDeclared)
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        found.type = ObjectIdentifier(type)
        return KeyedEncodingContainer(JSONObjectContainer<Key>(writer: writer, depth: 0, isDeclared: false))
    }
    func unkeyedContainer() -> any UnkeyedEncodingContainer { JSONListContainer(writer: writer, depth: 0) }
    func singleValueContainer() -> any SingleValueEncodingContainer { JSONValueContainer(writer: writer) }
}
