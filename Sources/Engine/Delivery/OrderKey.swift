// By what an endpoint's deliveries are ordered: all of them together, or those whose events have the same key. A key is
// a hash of the value found in the event: two keys that collide in it wait for each other, which is slower and not
// wrong, so nothing but the hash is kept.
//
// Events without a value are ordered among themselves. A value of JSON is compared decoded, so two spellings of one
// string are one key. An event's group is one of the places: `EventGroups` says what it is.

import FastPath
import Foundation

package enum DeliveryOrder: Sendable {
    case ofAll
    case byKey(OrderKey)

    /// Nil when the endpoint asks for none.
    init?(_ settings: EndpointConfiguration) {
        if let coalesce = settings.policies.coalesce, let key = OrderKey(coalesce.key) {
            self = .byKey(key)
            return
        }
        // One batch after the other needs no lines: see `Lane.batchesInOrder`.
        guard settings.ordered, settings.policies.batch == nil else { return nil }
        self = OrderKey(settings.orderKey).map { .byKey($0) } ?? .ofAll
    }
    package func key(of event: StoredEvent, in groups: EventGroups) -> UInt64 {
        switch self {
        case .ofAll: DeliveryOrder.commonKey
        case .byKey(let key): key.hash(of: event, in: groups)
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
        case group
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
            case .group?: places.append(.group)
            case nil: break
            }
        }
        guard !places.isEmpty else { return nil }
        self.places = places
        finder = paths.isEmpty ? nil : JSONFinder(paths, in: memory)
    }

    package func hash(of event: StoredEvent, in groups: EventGroups) -> UInt64 {
        withValue(of: event, in: groups) { OrderKey.hash(of: $0) } ?? OrderKey.seed
    }
    static func hash(of value: ByteView) -> UInt64 { value.hashed(from: seed) }
    private static let seed: UInt64 = 0x5EED

    /// The value that makes the event's key; nil when it has none.
    package func withValue<Result>(
        of event: StoredEvent, in groups: EventGroups, _ body: (ByteView) -> Result
    ) -> Result? {
        var matches: JSONMatches?
        for place in places {
            switch place {
            case .header(let name):
                let value = OrderKey.value(of: name, in: event.fieldLines)
                if value.count > 0 { return body(value) }
            case .json(let index):
                if matches == nil { matches = finder?.find(in: event.body) }
                if let match = matches?[index], let result = OrderKey.with(match, event.body, body) { return result }
            case .group:
                if let result = groups.withGroup(of: event, body) { return result }
            }
        }
        return nil
    }
    /// Nil for what is absent, empty or `null`.
    private static func with<Result>(
        _ match: FastPath.JSONValue, _ text: ByteView, _ body: (ByteView) -> Result
    ) -> Result? {
        let value = text.slice(match.range)
        guard value.count > 0 else { return nil }
        switch match.kind {
        case .absent, .malformed: return nil
        case .literal where value[0] == UInt8(ascii: "n"): return nil
        case .string where value.array.contains(UInt8(ascii: "\\")):
            let quoted = Data([UInt8(ascii: "\"")] + value.array + [UInt8(ascii: "\"")])
            guard let decoded = try? JSONDecoder().decode(String.self, from: quoted) else { return body(value) }
            return Array(decoded.utf8).withView { body($0) }
        case .string, .number, .literal, .object, .array: return body(value)
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
        case group
    }
    private static func parse(_ spelling: String) -> Spelling? {
        if spelling == "group" { return .group }
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
        return issues + keyIssues(of: endpoint.orderKey, at: path)
    }
    /// Of the key that an endpoint asks for.
    package static func keyIssues(of spellings: [String], at path: FieldPath) -> [ValidationIssue] {
        countIssues(of: spellings, at: path)
            + spellings.indices.filter { parse(spellings[$0]) == nil }.map { index in
                ValidationIssue(path[index], "is none of `header:NAME`, `json:$.PATH` and `group`", about: .value)
            }
    }
    /// Of what a source calls the group of its events.
    package static func issues(of spellings: [String], at path: FieldPath) -> [ValidationIssue] {
        countIssues(of: spellings, at: path)
            + spellings.indices.filter { index in
                switch parse(spellings[index]) {
                case .header?, .json?: false
                case .group?, nil: true
                }
            }.map { index in
                ValidationIssue(path[index], "is neither `header:NAME` nor `json:$.PATH`", about: .value)
            }
    }
    private static func countIssues(of spellings: [String], at path: FieldPath) -> [ValidationIssue] {
        guard spellings.count > placeCountMax else { return [] }
        return [ValidationIssue(path, "has \(spellings.count) entries; at most \(placeCountMax)")]
    }
}
