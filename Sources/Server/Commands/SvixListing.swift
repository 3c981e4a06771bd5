// Listings of the Svix-shaped API on the command line: page after page of JSON as the gateway writes it.
import ArgumentParser
import Engine
import Foundation

/// An item of that API as it came.
struct SvixItem: Decodable, Sendable {
    let members: [String: JSONValue]

    init(from decoder: any Decoder) throws { self.init(try JSONValue(from: decoder)) }
    init(_ value: JSONValue) {
        if case .object(let members) = value { self.members = members } else { members = [:] }
    }
    func text(_ name: String) -> String? { if case .text(let text)? = members[name] { text } else { nil } }
    func flag(_ name: String) -> Bool { members[name] == .bool(true) }
    var json: String { JSONText.of(JSONValue.object(members)) }
}

extension PageOptions {
    /// Shows each item, and says how it goes on.
    func eachSvix(
        _ gateway: GatewayOptions, _ path: String, _ query: [(name: String, value: String?)], show: (SvixItem) -> Void
    ) async throws {
        let next = try await gateway.svixPages(path, query, from: cursor, limit: all ? Int.max : limit, show: show)
        if let next { Output.note("more: --cursor \(next)") }
    }
}

extension GatewayOptions {
    private struct SvixAnswerPage: Decodable {
        let data: [JSONValue]
        let iterator: String?
        let done: Bool
    }
    /// As `pages`, of the other kind of page.
    func svixPages(
        _ path: String, _ query: [(name: String, value: String?)], from cursor: String? = nil, limit: Int,
        show: (SvixItem) -> Void
    ) async throws -> String? {
        var cursor = cursor
        var left = limit
        while true {
            let count = min(left, SvixPaging.limitMax)
            let target = URLText.target(path, query + [("limit", "\(count)"), ("iterator", cursor)])
            let page = try await ask { try await $0.resource(target, SvixAnswerPage.self) }
            for item in page.data { show(SvixItem(item)) }
            left -= page.data.count
            cursor = page.iterator
            if page.done || cursor == nil { return nil }
            if left <= 0 { return cursor }
        }
    }
    /// An object that the API answers with.
    func svix(_ method: AdminMethod, _ path: String, _ body: JSONValue? = nil) async throws -> SvixItem {
        SvixItem(
            try await ask { client in
                method == .get
                    ? try await client.resource(path, JSONValue.self)
                    : try await client.change(path, body.map { JSONText.of($0) }, JSONValue.self, method: method)
            })
    }
}

/// `KEY=VALUE` of options that may be repeated.
enum PairText {
    static func metadata(_ pairs: [String], option: String) throws -> JSONValue? {
        guard !pairs.isEmpty else { return nil }
        var members: [String: JSONValue] = [:]
        for pair in pairs {
            guard let sign = pair.firstIndex(of: "="), sign != pair.startIndex else {
                throw ValidationError("\(option) takes KEY=VALUE")
            }
            members[String(pair[..<sign])] = .text(String(pair[pair.index(after: sign)...]))
        }
        return .object(members)
    }
}
