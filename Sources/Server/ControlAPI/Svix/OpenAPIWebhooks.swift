// Event types out of an OpenAPI document: each of its `webhooks` (or `x-webhooks`) is one, with the JSON Schema of its
// request's body, in the words of draft 7 and with all that it refers to in its own `definitions`. Pure.
//
// Invariants: what is looked at is bounded by a count over the whole document, and what comes of it by the bytes of its
// text before there is one; a reference is followed once for each schema, so that circles end; nothing outside the
// document is looked for.
import Engine
import Foundation

package struct OpenAPIEventType: Equatable, Sendable {
    package var name: String
    package var about = ""
    package var schema: JSONValue?
    package var isDeprecated = false
    package init(name: String) { self.name = name }
}

package struct OpenAPIWebhooks {
    package static let countMax = 1000
    package static let nodeCountMax = 200_000
    /// Of the texts of one type, and of all of them.
    package static let typeBytesMax = 2 << 20
    package static let bytesMax = 8 << 20
    package static let depthMax = 64
    static let tooLong =
        "is too long with all that it refers to: the schema and the description of a type have at most "
        + "\(typeBytesMax) bytes, those of all types \(bytesMax)"
    /// From one reference to the next.
    private static let chainMax = 32
    private static let methods = ["post", "put", "patch", "delete", "get", "options", "head", "trace"]

    private let document: JSONValue
    private var left = OpenAPIWebhooks.nodeCountMax
    private var bytesLeft = OpenAPIWebhooks.bytesMax
    private var issues: [SvixIssue] = []
    private let place: [String]

    /// By name. Throws 422 with what is wrong, each at its place in the document, which is at `place` in the body.
    package static func read(_ document: JSONValue, at place: [String]) throws -> [OpenAPIEventType] {
        var reading = OpenAPIWebhooks(document: document, place: place)
        let found = reading.all()
        guard reading.issues.isEmpty else {
            throw SvixError.invalid(Array(reading.issues.prefix(SvixBody.issueCountMax)))
        }
        return found
    }
    private init(document: JSONValue, place: [String]) {
        self.document = document
        self.place = place
    }

    /// What is wrong with one webhook.
    private struct Problem: Error {
        let way: [String]
        let message: String
    }
    private mutating func all() -> [OpenAPIEventType] {
        guard case .object(let root) = document else {
            note([], "is no OpenAPI document: it must be an object")
            return []
        }
        var webhooks: [String: (key: String, item: JSONValue)] = [:]
        for key in ["x-webhooks", "webhooks"] {
            guard let value = root[key] else { continue }
            guard case .object(let members) = value else {
                note([key], "must be an object of webhooks")
                continue
            }
            for (name, item) in members { webhooks[name] = (key, item) }
        }
        if webhooks.isEmpty, issues.isEmpty {
            note([], "has no webhooks: `webhooks` (OpenAPI 3.1) or `x-webhooks` of it are event types")
        }
        guard webhooks.count <= OpenAPIWebhooks.countMax else {
            note([], "has more than \(OpenAPIWebhooks.countMax) webhooks")
            return []
        }
        var found: [OpenAPIEventType] = []
        for (name, webhook) in webhooks.sorted(by: { $0.key < $1.key }) {
            guard issues.count < SvixBody.issueCountMax else { break }
            do throws(Problem) {
                found.append(try eventType(name, webhook.item))
            } catch { note([webhook.key, name] + error.way, error.message) }
        }
        return found
    }
    private mutating func note(_ way: [String], _ message: String) {
        issues.append(SvixIssue(place + way, message))
    }

    private mutating func eventType(_ name: String, _ item: JSONValue) throws(Problem) -> OpenAPIEventType {
        guard SvixRules.isLabel(name) else { throw Problem(way: [], message: "the name \(SvixRules.aboutLabel())") }
        let item = try object(item, [])
        var type = OpenAPIEventType(name: name)
        let method = OpenAPIWebhooks.methods.first { item[$0] != nil }
        let operation = try method.map { method throws(Problem) in
            try object(item[method] ?? .null, [method])
        }
        type.about =
            ["description", "summary"].lazy.compactMap { operation?[$0]?.words ?? nil }.first
            ?? ["description", "summary"].lazy.compactMap { item[$0]?.words ?? nil }.first ?? ""
        if operation?["deprecated"] == .bool(true) { type.isDeprecated = true }
        let bytesMax = min(bytesLeft, OpenAPIWebhooks.typeBytesMax)
        var bytes = bytesMax
        JSONValue.text(type.about).takeBytes(of: &bytes)
        guard bytes >= 0 else { throw Problem(way: [], message: OpenAPIWebhooks.tooLong) }
        // Those that are refused have cost what they were counted for.
        defer { bytesLeft -= bytesMax - max(bytes, 0) }
        guard let method, let body = operation?["requestBody"] else { return type }
        let way = [method, "requestBody"]
        guard case .object(let media)? = try object(body, way)["content"],
            let (kind, content) = OpenAPIWebhooks.json(of: media)
        else { return type }
        let place = way + ["content", kind]
        let described = try object(content, place)
        guard let schema = described["schema"] else { return type }
        var bundle = SchemaBundle(document: document, left: left, bytesLeft: bytes)
        do throws(SchemaBundle.Problem) {
            type.schema = try bundle.whole(schema)
        } catch {
            (left, bytes) = (bundle.left, bundle.bytesLeft)
            throw Problem(way: place + ["schema"] + error.way, message: error.message)
        }
        (left, bytes) = (bundle.left, bundle.bytesLeft)
        let examples = try examples(of: described, place)
        if !examples.isEmpty, case .object(var members)? = type.schema, members["examples"] == nil {
            JSONValue.list(examples).takeBytes(of: &bytes)
            guard bytes >= 0 else { throw Problem(way: place, message: OpenAPIWebhooks.tooLong) }
            members["examples"] = .list(examples)
            type.schema = .object(members)
        }
        if let schema = type.schema, let problem = SchemaDraft7.problems(of: schema).first {
            throw Problem(way: place + ["schema"], message: problem)
        }
        return type
    }
    private static func json(of media: [String: JSONValue]) -> (String, JSONValue)? {
        let kinds = media.keys.sorted()
        let kind =
            kinds.first { $0 == "application/json" } ?? kinds.first { $0.lowercased().contains("json") } ?? kinds.first
        return kind.flatMap { kind in media[kind].map { (kind, $0) } }
    }
    private mutating func examples(of media: [String: JSONValue], _ way: [String]) throws(Problem) -> [JSONValue] {
        if let one = media["example"] { return [one] }
        guard case .object(let named)? = media["examples"] else { return [] }
        var found: [JSONValue] = []
        for (name, example) in named.sorted(by: { $0.key < $1.key }) {
            if let value = try object(example, way + ["examples", name])["value"] { found.append(value) }
        }
        return found
    }
    /// What stands there, or where its `$ref` leads.
    private mutating func object(_ value: JSONValue, _ way: [String]) throws(Problem) -> [String: JSONValue] {
        var value = value
        for _ in 0..<OpenAPIWebhooks.chainMax {
            left -= 1
            guard left > 0 else { throw Problem(way: way, message: OpenAPIPointer.tooMuch) }
            guard case .object(let members) = value else { throw Problem(way: way, message: "must be an object") }
            guard case .text(let reference)? = members["$ref"] else { return members }
            do throws(OpenAPIPointer.Failure) {
                value = try OpenAPIPointer.resolve(reference, in: document)
            } catch { throw Problem(way: way + ["$ref"], message: error.message) }
        }
        throw Problem(way: way, message: "is a reference that leads to no end")
    }
}

/// References within a document: `#` and a JSON pointer (RFC 6901).
enum OpenAPIPointer {
    static let tooMuch = "the document has more than \(OpenAPIWebhooks.nodeCountMax) values where they are referred to"
    struct Failure: Error { let message: String }

    static func resolve(_ reference: String, in document: JSONValue) throws(Failure) -> JSONValue {
        guard reference.hasPrefix("#") else {
            throw Failure(message: "`\(reference.prefix(128))` is outside the document; bundle it into one")
        }
        let nothing = Failure(message: "`\(reference.prefix(128))` leads to nothing in the document")
        let pointer = reference.dropFirst()
        guard pointer.isEmpty || pointer.hasPrefix("/") else { throw nothing }
        var value = document
        for token in tokens(reference) {
            switch value {
            case .object(let members):
                guard let next = members[token] else { throw nothing }
                value = next
            case .list(let elements):
                guard let index = Int(token), elements.indices.contains(index) else { throw nothing }
                value = elements[index]
            default: throw nothing
            }
        }
        return value
    }
    static func tokens(_ reference: String) -> [String] {
        reference.dropFirst().split(separator: "/", omittingEmptySubsequences: false).dropFirst().map { token in
            let text = String(token)
            return (text.removingPercentEncoding ?? text).replacing("~1", with: "/").replacing("~0", with: "~")
        }
    }
}

extension JSONValue {
    /// What its text has, about; counts no further than until `left` is below 0.
    package func takeBytes(of left: inout Int) {
        guard left >= 0 else { return }
        switch self {
        case .null, .bool: left -= 5
        case .integer, .number: left -= 20
        case .text(let text): JSONValue.takeBytes(text, of: &left)
        case .list(let list):
            left -= 2
            for element in list {
                guard left >= 0 else { return }
                left -= 1
                element.takeBytes(of: &left)
            }
        case .object(let members):
            left -= 2
            for (name, value) in members {
                guard left >= 0 else { return }
                left -= 2
                JSONValue.takeBytes(name, of: &left)
                value.takeBytes(of: &left)
            }
        }
    }
    private static func takeBytes(_ text: String, of left: inout Int) {
        left -= text.utf8.count + 2
        guard left >= 0 else { return }
        for byte in text.utf8 {
            if byte < 0x20 { left -= 5 } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { left -= 1 }
        }
    }
    fileprivate var words: String? { if case .text(let text) = self, !text.isEmpty { text } else { nil } }
}
