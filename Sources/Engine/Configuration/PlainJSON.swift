// JSON as a value: a filter as it was written, bodies that are checked before they are decoded, documents that are
// compared. For what is small and read now and then; events are never made into one. Pure.

package enum PlainJSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case list([PlainJSON])
    case object([String: PlainJSON])

    /// On one line, names sorted, so that the same value is the same text.
    package var json: String {
        switch self {
        case .null: "null"
        case .bool(let flag): "\(flag)"
        case .integer(let integer): "\(integer)"
        case .number(let number): "\(number)"
        case .text(let text): PlainJSON.quoted(text)
        case .list(let list): "[" + list.map(\.json).joined(separator: ",") + "]"
        case .object(let members):
            "{"
                + members.sorted { $0.key < $1.key }.map { "\(PlainJSON.quoted($0.key)):\($0.value.json)" }
                .joined(separator: ",") + "}"
        }
    }
    /// As it is read again where it is stored: `1.0` is 1 there.
    package var asStored: PlainJSON {
        switch self {
        case .number(let number): Int64(exactly: number).map { .integer($0) } ?? self
        case .list(let list): .list(list.map(\.asStored))
        case .object(let members): .object(members.mapValues(\.asStored))
        case .null, .bool, .integer, .text: self
        }
    }
    /// A text as JSON has it, with its quotes.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension PlainJSON: Codable {
    package init(from decoder: any Decoder) throws {
        if let read = decoder as? JSONValueReader { self = read.value } else { try self.init(guessing: decoder) }
    }
    /// Of a decoder that does not have its text as a value: kind by kind, with an error thrown for each that it is not.
    /// For what is small and ours.
    private init(guessing decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let integer = try? value.decode(Int64.self) {
            self = .integer(integer)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let list = try? value.decode([PlainJSON].self) {
            self = .list(list)
        } else {
            self = .object(try value.decode([String: PlainJSON].self))
        }
    }
    package func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        switch self {
        case .null: try value.encodeNil()
        case .bool(let bool): try value.encode(bool)
        case .integer(let integer): try value.encode(integer)
        case .number(let number): try value.encode(number)
        case .text(let text): try value.encode(text)
        case .list(let list): try value.encode(list)
        case .object(let members): try value.encode(members)
        }
    }
}
