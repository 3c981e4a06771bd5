// JSON that is written once and never read: members stand in the order in which they were given. Pure.

package indirect enum PayloadValue: Equatable, Sendable {
    case null
    case flag(Bool)
    case number(Int64)
    case text(String)
    case list([PayloadValue])
    case object([Member])

    package struct Member: Equatable, Sendable {
        package let name: String
        package let value: PayloadValue

        package init(_ name: String, _ value: PayloadValue) {
            self.name = name
            self.value = value
        }
    }
    package static func texts(_ texts: [String]) -> PayloadValue { .list(texts.map { .text($0) }) }
    package static func text(_ text: String?) -> PayloadValue { text.map { .text($0) } ?? .null }
    package static func number(_ number: Int?) -> PayloadValue { number.map { .number(Int64($0)) } ?? .null }
    /// Sorted by name.
    package static func texts(_ texts: [String: String]) -> PayloadValue {
        .object(texts.sorted { $0.key < $1.key }.map { Member($0.key, .text($0.value)) })
    }
    package subscript(name: String) -> PayloadValue? {
        if case .object(let members) = self { members.first { $0.name == name }?.value } else { nil }
    }

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return bytes
    }
    private func write(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes += "null".utf8
        case .flag(let flag): bytes += (flag ? "true" : "false").utf8
        case .number(let number): bytes += "\(number)".utf8
        case .text(let text): PayloadValue.write(text, to: &bytes)
        case .list(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                element.write(to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                PayloadValue.write(member.name, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                member.value.write(to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }
    private static func write(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                bytes += "\\u00\(digits.utf8.count < 2 ? "0" : "")\(digits)".utf8
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
