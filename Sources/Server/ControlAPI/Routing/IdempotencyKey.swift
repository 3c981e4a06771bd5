// The header by which a caller says that two calls are one.
import Engine
import HTTPTypes

enum IdempotencyKey {
    static let header = HTTPField.Name("Idempotency-Key")!
    static let form = PublishRules.idempotencyKeyForm
    /// As the Svix-shaped API takes it: an empty one is none.
    static func outbound(_ fields: HTTPFields) -> String? { fields[header].flatMap { $0.isEmpty ? nil : $0 } }
    static func isRight(_ key: String) -> Bool { PublishRules.isIdempotencyKey(key) }
}
