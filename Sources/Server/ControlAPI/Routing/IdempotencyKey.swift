// The header by which a caller says that two calls are one.
import Engine
import HTTPTypes

enum IdempotencyKey {
    static let header = HTTPField.Name("Idempotency-Key")!
    static let form = PublishRules.idempotencyKeyForm
    static func isRight(_ key: String) -> Bool { PublishRules.isIdempotencyKey(key) }
}
