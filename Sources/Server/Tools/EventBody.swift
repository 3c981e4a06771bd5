// Bodies for test events: for the main providers of the shape that they send, for the others a small JSON object; with
// the id and the type where the provider's selectors look for them, and what the signer needs to find in the body.
import Engine
import Foundation

package struct EventBody: Sendable {
    private let template: String?
    private let idPaths: [[String]]
    private let typePaths: [[String]]

    /// `eventID` and `eventType` are a source's own selectors; empty = the provider's.
    package init(provider name: String, eventID: [String] = [], eventType: [String] = []) {
        let provider = ProviderCatalogue.provider(named: name) ?? ProviderCatalogue.generic
        template = EventBody.templates[name]
        idPaths = (eventID.isEmpty ? provider.eventID : eventID).compactMap(EventBody.path)
        typePaths = (eventType.isEmpty ? provider.eventType : eventType).compactMap(EventBody.path)
    }

    /// `timestamp` in unix seconds: for providers that have a time in the body which counts.
    package func bytes(id: String, type: String, timestamp: UInt64 = 0) -> [UInt8] {
        if let template { return EventBody.fill(template, id: id, type: type, timestamp: timestamp) }
        var root: [String: Any] = ["sent_by": "sluice send", "id": id, "type": type]
        for path in typePaths { EventBody.set(type, at: path[...], in: &root) }
        for path in idPaths { EventBody.set(id, at: path[...], in: &root) }
        let data = try? JSONSerialization.data(withJSONObject: root, options: [.sortedKeys])
        return [UInt8](data ?? Data("{}".utf8))
    }

    /// `%id`, `%type` (as the text of a JSON string or of a form), `%seconds`, `%millis`, `%date`, `%token`.
    private static func fill(_ template: String, id: String, type: String, timestamp: UInt64) -> [UInt8] {
        let isForm = !template.hasPrefix("{") && !template.hasPrefix("[")
        let date = Date(timeIntervalSince1970: TimeInterval(timestamp)).ISO8601Format()
        let values: [(name: String, value: String)] = [
            ("%id", isForm ? formText(id) : jsonText(id)), ("%type", isForm ? formText(type) : jsonText(type)),
            ("%token", EventBody.token(id)), ("%seconds", "\(timestamp)"), ("%millis", "\(timestamp * 1000)"),
            ("%date", date),
        ]
        // One pass, so that a value which looks like a name stays itself.
        var text = ""
        var rest = template[...]
        while let mark = rest.firstIndex(of: "%") {
            text += rest[..<mark]
            rest = rest[mark...]
            if let found = values.first(where: { rest.hasPrefix($0.name) }) {
                text += found.value
                rest = rest.dropFirst(found.name.count)
            } else {
                text += "%"
                rest = rest.dropFirst()
            }
        }
        return Array((text + rest).utf8)
    }
    /// Fifty letters and digits that two ids do not share.
    private static func token(_ id: String) -> String {
        let digits = id.utf8.map { String($0, radix: 16) }.joined()
        return String((String(repeating: "0", count: 50) + digits).suffix(max(50, digits.count)))
    }
    private static func jsonText(_ value: String) -> String {
        guard let data = try? JSONEncoder().encode(value) else { return "" }
        return String(String(decoding: data, as: UTF8.self).dropFirst().dropLast())
    }
    private static func formText(_ value: String) -> String {
        let plain = CharacterSet(charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._")
        return value.addingPercentEncoding(withAllowedCharacters: plain) ?? ""
    }

    /// `json:$.a.b` as names; nil for a selector that is no path of plain names.
    private static func path(_ selector: String) -> [String]? {
        guard selector.hasPrefix("json:$.") else { return nil }
        let names = selector.dropFirst("json:$.".count).split(separator: ".").map(String.init)
        return names.isEmpty || names.contains { $0.contains("[") } ? nil : names
    }
    private static func set(_ value: String, at path: ArraySlice<String>, in object: inout [String: Any]) {
        guard let name = path.first else { return }
        if path.count == 1 {
            object[name] = value
        } else {
            var inner = object[name] as? [String: Any] ?? [:]
            set(value, at: path.dropFirst(), in: &inner)
            object[name] = inner
        }
    }
}
