// The body of a request: JSON, held against the schema of what the call takes, then decoded. All that is wrong is said
// together, with paths.
import Engine
import Foundation

enum BodyReading {
    /// `path` is where the value stands in the body, for messages.
    static func decode<Value: Described>(_ body: [UInt8], as type: Value.Type) throws -> Value {
        try decode(try json(body), as: type)
    }
    static func decode<Value: Described>(_ value: JSONValue, as type: Value.Type, path: String = "") throws -> Value {
        let errors = SchemaCheck.errors(value, type.schema, path: path)
        guard errors.isEmpty else { throw ControlError.invalid(errors) }
        do {
            return try decoder.decode(type, from: value)
        } catch {
            throw ControlError(.badJSON, "the body is not the JSON that this call takes")
        }
    }
    static func json(_ body: [UInt8]) throws -> JSONValue {
        guard !body.isEmpty else { throw ControlError(.badJSON, "the body is empty; it must be a JSON object") }
        do throws(JSONProblem) { return try JSONReading.value(body) } catch {
            throw ControlError(.badJSON, "the body \(error.message)")
        }
    }
    /// A value as the API would write it.
    static func json(of value: some Encodable) throws -> JSONValue {
        try json(Array(APIText.of(value).utf8))
    }

    static let decoder = JSONValueDecoder(names: .snakeCase)
}

/// JSON as `/api/v1` writes it: snake_case, keys sorted, what is absent left out.
package enum APIText {
    package static func of(_ value: some Encodable) -> String {
        (try? JSONTextEncoder(names: .snakeCase).text(of: value)) ?? "null"
    }
}
