// By what an endpoint's deliveries are ordered: all of them together, or those whose events have the same key. A key is
// a hash of the value found in the event: two keys that collide in it wait for each other, which is slower and not
// wrong, so nothing but the hash is kept.
//
// Events without a value are ordered among themselves. A value of JSON is compared decoded, so two spellings of one
// string are one key.

import FastPath
import Foundation

package enum DeliveryOrder: Sendable {
    case ofAll
    case byKey(OrderKey)

    /// Nil when the endpoint asks for none.
    init?(_ settings: EndpointConfiguration) {
        guard settings.ordered else { return nil }
        self = OrderKey(settings.orderKey).map { .byKey($0) } ?? .ofAll
    }
    package func key(of event: StoredEvent) -> UInt64 {
        switch self {
        case .ofAll: DeliveryOrder.commonKey
        case .byKey(let key): key.hash(fieldLines: event.fieldLines, body: event.body)
        }
    }
    /// Known without the event.
    package static let commonKey: UInt64 = 0
}

package final class OrderKey: Sendable {
    package static let placeCountMax = 4
    private enum Place: Sendable {
        case header(HeaderName)
        case json(Int)
    }
    private let places: [Place]
    private let memory = CompiledMemory()
    private let finder: JSONFinder?

    /// Nil when `spellings` name no place; those that are malformed are left out, `issues` refuses them before.
    package init?(_ spellings: [String]) {
        var places: [Place] = []
        var paths: [JSONPath] = []
        for spelling in spellings.prefix(OrderKey.placeCountMax) {
            switch OrderKey.parse(spelling) {
            case .header(let name)?: places.append(.header(HeaderName(name)))
            case .json(let path)?:
                places.append(.json(paths.count))
                paths.append(path)
            case nil: break
            }
        }
        guard !places.isEmpty else { return nil }
        self.places = places
        finder = paths.isEmpty ? nil : JSONFinder(paths, in: memory)
    }

    package func hash(fieldLines: ByteView, body: ByteView) -> UInt64 {
        var matches: JSONMatches?
        for place in places {
            switch place {
            case .header(let name):
                let value = OrderKey.value(of: name, in: fieldLines)
                if value.count > 0 { return value.hashed(from: OrderKey.seed) }
            case .json(let index):
                if matches == nil { matches = finder?.find(in: body) }
                if let match = matches?[index], let hash = OrderKey.hash(match, body) { return hash }
            }
        }
        return OrderKey.seed
    }
    private static let seed: UInt64 = 0x5EED

    /// Nil for what is absent, empty or `null`.
    private static func hash(_ match: FastPath.JSONValue, _ body: ByteView) -> UInt64? {
        let value = body.slice(match.range)
        guard value.count > 0 else { return nil }
        switch match.kind {
        case .absent, .malformed: return nil
        case .literal where value[0] == UInt8(ascii: "n"): return nil
        case .string where value.array.contains(UInt8(ascii: "\\")):
            let quoted = Data([UInt8(ascii: "\"")] + value.array + [UInt8(ascii: "\"")])
            guard let decoded = try? JSONDecoder().decode(String.self, from: quoted) else {
                return value.hashed(from: seed)
            }
            return Array(decoded.utf8).withView { $0.hashed(from: seed) }
        case .string, .number, .literal, .object, .array: return value.hashed(from: seed)
        }
    }
    /// Of the first line with this name, trimmed; empty when there is none.
    private static func value(of name: HeaderName, in lines: ByteView) -> ByteView {
        var start = 0
        while start < lines.count {
            var end = start
            while end < lines.count, lines[end] != 0x0A { end += 1 }
            var colon = start
            while colon < end, lines[colon] != UInt8(ascii: ":") { colon += 1 }
            if colon < end, lines.slice(start, colon - start).equalsIgnoringCase(lowered: name.view) {
                let hasReturn = end > colon + 1 && lines[end - 1] == 0x0D
                return FieldRules.trimmed(lines.slice(colon + 1, end - colon - (hasReturn ? 2 : 1)))
            }
            start = end + 1
        }
        return .empty
    }

    // MARK: spellings

    private enum Spelling {
        case header(String)
        case json(JSONPath)
    }
    private static func parse(_ spelling: String) -> Spelling? {
        let parts = spelling.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else { return nil }
        switch parts[0] {
        case "header" where Array(parts[1].utf8).withView({ FieldRules.isToken($0) }): return .header(parts[1])
        case "json": return (try? JSONPath(parts[1])).map { .json($0) }
        default: return nil
        }
    }
    static func issues(_ endpoint: EndpointConfiguration, at path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        if !endpoint.orderKey.isEmpty, !endpoint.ordered {
            issues.append(ValidationIssue(path, "is of no use without an order"))
        }
        if endpoint.orderKey.count > placeCountMax {
            issues.append(ValidationIssue(path, "has \(endpoint.orderKey.count) entries; at most \(placeCountMax)"))
        }
        for (index, spelling) in endpoint.orderKey.enumerated() where parse(spelling) == nil {
            issues.append(
                ValidationIssue(path[index], "is neither `header:NAME` nor `json:$.PATH`", about: .value))
        }
        return issues
    }
}
