// The query of a request: described once for a route, then read and checked by that description, so that an unknown or
// malformed parameter is refused before a controller runs.
import Engine
import Foundation
import Hummingbird

struct QueryParameter: Sendable {
    enum Form: Sendable {
        case text
        case word([String])
        case count(ClosedRange<Int>)
        case flag
        /// RFC 3339.
        case time
    }
    let name: String
    let form: Form
    let about: String

    init(_ name: String, _ form: Form, _ about: String) {
        self.name = name
        self.form = form
        self.about = about
    }

    static let limitMax = 1000
    static let limitDefault = 100
    /// What every listing takes.
    static let paging = [
        QueryParameter("limit", .count(1...limitMax), "At most so many items; \(limitDefault) by default."),
        QueryParameter("cursor", .text, "Where to go on: `next` of the page before, with the same filters."),
    ]
    static let dryRun = QueryParameter("dry_run", .flag, "`true`: say what would change, change nothing.")
    static let reveal = QueryParameter("reveal", .flag, "`true`: show credentials as they came.")
}

struct QueryValues: Sendable {
    private let values: [String: String]

    init() { values = [:] }
    init(_ request: Request, parameters: [QueryParameter]) throws {
        var values: [String: String] = [:]
        for (key, value) in request.uri.queryParameters {
            let name = String(key)
            guard let parameter = parameters.first(where: { $0.name == name }) else {
                throw QueryValues.unknown(name, parameters.map(\.name))
            }
            guard values.updateValue(String(value), forKey: name) == nil else {
                throw ControlError(.badParameter, "`\(name)` is given twice")
            }
            if !value.isEmpty { try QueryValues.check(String(value), parameter) }
        }
        self.values = values
    }

    private static func unknown(_ name: String, _ known: [String]) -> ControlError {
        let advice =
            NearestName.of(name, among: known).map { "did you mean `\($0)`?" }
            ?? (known.isEmpty ? "this call takes none" : "it takes \(known.joined(separator: ", "))")
        return ControlError(.unknownParameter, "unknown parameter `\(name)`; \(advice)")
    }
    private static func check(_ text: String, _ parameter: QueryParameter) throws {
        let expected: String
        switch parameter.form {
        case .text: return
        case .word(let words):
            if words.contains(text) { return }
            let near = NearestName.of(text, among: words).map { "; did you mean `\($0)`?" } ?? ""
            expected = words.joined(separator: ", ") + near
        case .count(let range):
            if let value = Int(text), range.contains(value) { return }
            expected = "a number from \(range.lowerBound) to \(range.upperBound)"
        case .flag:
            if text == "true" || text == "false" { return }
            expected = "true or false"
        case .time:
            if TimeText.parse(text) != nil { return }
            expected = "a time such as 2026-01-31T00:00:00Z"
        }
        throw ControlError(.badParameter, "`\(parameter.name)` takes \(expected)")
    }

    func text(_ name: String) -> String? { values[name].flatMap { $0.isEmpty ? nil : $0 } }
    func count(_ name: String) -> Int? { text(name).flatMap { Int($0) } }
    func flag(_ name: String) -> Bool { text(name) == "true" }
    /// Nanoseconds since 1970.
    func time(_ name: String) -> UInt64? { text(name).flatMap { TimeText.parse($0) } }
    var limit: Int { count("limit") ?? QueryParameter.limitDefault }
    /// The numbers of the cursor, when there is one.
    func cursor(_ listing: Cursor.Listing, count: Int) throws -> [UInt64]? {
        try text("cursor").map { try Cursor($0, of: listing, count: count).parts }
    }
    /// Nil when neither `from` nor `until` is given; nanoseconds, the end is not in it.
    func times() throws -> Range<UInt64>? {
        let (from, until) = (time("from"), time("until"))
        if from == nil, until == nil { return nil }
        let start = from ?? 0
        guard let until else { return start..<UInt64.max }
        guard start <= until else { throw ControlError(.badParameter, "`until` is before `from`") }
        return start..<until
    }
}
