// The pieces of what a scheme signs, taken from a request one by one, to be shown as lengths and digests. Never used to
// verify: that is the compiled scheme's work, and this only says what it looked at.

import FastPath
import Foundation

enum SignedContentSummary {
    /// A template as literals and `{…}` pieces.
    static func pieces(_ template: String) -> [String] {
        var pieces: [String] = []
        var rest = template[...]
        while !rest.isEmpty {
            if rest.first == "{", let close = rest.firstIndex(of: "}") {
                pieces.append(String(rest[...close]))
                rest = rest[rest.index(after: close)...]
            } else {
                let end = rest.dropFirst().firstIndex(of: "{") ?? rest.endIndex
                pieces.append(String(rest[..<end]))
                rest = rest[end...]
            }
        }
        return pieces
    }

    /// Nil when the request has not what the piece stands for, or it is computed in a way that is not shown.
    static func bytes(
        of piece: String, _ request: PlainRequest, _ definition: SchemeDefinition, origin: String?
    ) -> [UInt8]? {
        guard piece.hasPrefix("{"), piece.hasSuffix("}") else { return Array(piece.utf8) }
        let name = String(piece.dropFirst().dropLast())
        let path = String(request.target.prefix { $0 != "?" })
        switch name {
        case "body": return request.body
        case "method": return Array(request.method.utf8)
        case "path": return Array(path.utf8)
        case "query": return Array(request.target.dropFirst(path.count).dropFirst().utf8)
        case "url": return origin.map { Array(($0 + definition.signedTarget(request.target)).utf8) }
        case "form": return form(request.body)
        case "timestamp": return timestamp(request, definition).map { Array($0.utf8) }
        case "id":
            return definition.headers.compactMap(\.id).lazy.compactMap { values($0, request).first }.first
                .map { Array($0.utf8) }
        default: return values(name, request).first.map { Array($0.utf8) }
        }
    }

    /// What stands at a place; several when a header repeats.
    static func values(_ place: String, _ request: PlainRequest) -> [String] {
        if place.hasPrefix("json:") {
            return json(String(place.dropFirst("json:".count)), request.body).map { [$0] } ?? []
        }
        if place.hasPrefix("query:") {
            let items = URLComponents(string: request.target)?.queryItems ?? []
            return items.filter { $0.name == place.dropFirst("query:".count) }.compactMap(\.value)
        }
        if place.hasPrefix("form:") { return field(place, request).map { [$0] } ?? [] }
        let name = SchemePlaces.header(place) ?? place
        return request.fields.filter { $0.isCalled(name) }.map(\.value)
    }

    private static func field(_ place: String, _ request: PlainRequest) -> String? {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        guard let selectors = try? EventSelectors(eventID: [], eventType: [place], dedupKey: [], in: memory),
            let captured = try? CapturedRequest(head: request.head, body: request.body)
        else { return nil }
        let value = captured.texts(selectors).eventType
        return value.isEmpty ? nil : String(decoding: value, as: UTF8.self)
    }

    static func timestamp(_ request: PlainRequest, _ definition: SchemeDefinition) -> String? {
        guard let rule = definition.timestamp else { return nil }
        guard let key = rule.listKey else {
            return definition.headers.compactMap(\.timestamp).lazy.compactMap { values($0, request).first }.first
        }
        let separator: Character = definition.list == .semicolon ? ";" : ","
        for set in definition.headers {
            for value in values(set.signature, request) {
                for entry in value.split(separator: separator) where entry.trimmed.hasPrefix(key + "=") {
                    return String(entry.trimmed.dropFirst(key.count + 1))
                }
            }
        }
        return nil
    }
    static func seconds(_ text: String, _ rule: TimestampRule) -> UInt64? {
        switch rule.form {
        case .seconds: UInt64(text)
        case .milliseconds: UInt64(text).map { $0 / 1000 }
        case .iso8601: TimeCandidates.seconds(in: text)
        }
    }

    /// Names and distinct values, sorted, written one behind the other.
    private static func form(_ body: [UInt8]) -> [UInt8]? {
        guard let text = String(validating: body, as: UTF8.self) else { return nil }
        func decoded(_ part: Substring) -> String {
            part.replacing("+", with: " ").removingPercentEncoding ?? String(part)
        }
        var pairs: Set<[String]> = []
        for parameter in text.split(separator: "&") {
            let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            pairs.insert([decoded(parts[0]), parts.count > 1 ? decoded(parts[1]) : ""])
        }
        return Array(pairs.sorted { $0.lexicographicallyPrecedes($1) }.joined().joined().utf8)
    }

    /// `$.a.b` and `$.a[0].b` of a body; text, numbers and words.
    private static func json(_ path: String, _ body: [UInt8]) -> String? {
        guard var tree = JSONTree.parse(body) else { return nil }
        let steps = path.dropFirst().replacing("[", with: ".").replacing("]", with: "").split(separator: ".")
        for step in steps {
            switch tree {
            case .object(let members):
                guard let member = members.first(where: { Array(step.unicodeScalars) == $0.key }) else { return nil }
                tree = member.value
            case .array(let items):
                guard let index = Int(step), items.indices.contains(index) else { return nil }
                tree = items[index]
            case .string, .literal: return nil
            }
        }
        switch tree {
        case .string(let scalars): return String(String.UnicodeScalarView(scalars))
        case .literal(let bytes): return String(decoding: bytes, as: UTF8.self)
        case .object, .array: return nil
        }
    }
}
