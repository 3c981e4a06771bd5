// A small JSON body for a test event, with its id and type where the provider's selectors look for them.
import Engine
import Foundation

package struct EventBody: Sendable {
    private let idPaths: [[String]]
    private let typePaths: [[String]]

    package init(provider name: String) {
        let provider = ProviderCatalogue.provider(named: name) ?? ProviderCatalogue.generic
        idPaths = provider.eventID.compactMap(EventBody.path)
        typePaths = provider.eventType.compactMap(EventBody.path)
    }

    package func bytes(id: String, type: String) -> [UInt8] {
        var root: [String: Any] = ["sent_by": "sluice send", "id": id, "type": type]
        for path in typePaths { EventBody.set(type, at: path[...], in: &root) }
        for path in idPaths { EventBody.set(id, at: path[...], in: &root) }
        let data = try? JSONSerialization.data(withJSONObject: root, options: [.sortedKeys])
        return [UInt8](data ?? Data("{}".utf8))
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
