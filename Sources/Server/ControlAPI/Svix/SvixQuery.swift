// The query of a call of the Svix-shaped API. What it does not know it leaves alone, because SDKs of other versions
// send more than it takes.
//
// Invariant: a value of another type than its parameter's is 400 `generic_error`; one that is of the type and breaks a
// rule is 422 at `query`.
import Engine
import Hummingbird

package struct SvixQuery: Sendable {
    private let values: [(name: String, value: String)]

    init(_ request: Request) {
        values = request.uri.queryParameters.map { (String($0.key), String($0.value)) }
    }
    package init(_ values: [(name: String, value: String)]) { self.values = values }

    /// The last one counts.
    package func text(_ name: String) -> String? { values.last { $0.name == name }?.value }
    package func flag(_ name: String, default value: Bool = false) throws -> Bool {
        switch text(name) {
        case nil: return value
        case "true": return true
        case "false": return false
        default: throw SvixError.generic("`\(name)` takes true or false")
        }
    }
    /// Nanoseconds since 1970.
    package func time(_ name: String) throws -> UInt64? {
        guard let text = text(name) else { return nil }
        guard let time = TimeText.parse(text) else {
            throw SvixError.generic("`\(name)` takes a time such as 2026-01-31T00:00:00Z")
        }
        return time
    }
    package func integer(_ name: String) throws -> Int? {
        guard let text = text(name) else { return nil }
        guard let integer = Int(text) else { throw SvixError.generic("`\(name)` takes a whole number") }
        return integer
    }
    /// Every value of a list: repeated, separated by commas, or under `name[]` and `name[0]`.
    package func list(_ name: String) -> [String] {
        values.filter { $0.name == name || $0.name.hasPrefix(name + "[") }.flatMap {
            $0.value.split(separator: ",").map(String.init)
        }
    }

    /// `isIterator` says whether a text can be one of this list.
    package func paging(
        isAscending: Bool, takesOrder: Bool = false, isIterator: (String) -> Bool
    ) throws -> SvixPaging {
        var paging = SvixPaging(isAscending: isAscending)
        if let limit = try integer("limit") {
            guard limit >= 0 else { throw SvixError.generic("`limit` takes a whole number") }
            guard (1...SvixPaging.limitMax).contains(limit) else {
                throw SvixError.invalid(["query", "limit"], "must be from 1 to \(SvixPaging.limitMax)")
            }
            paging.limit = limit
        }
        if takesOrder, let order = text("order") {
            guard ["ascending", "descending"].contains(order) else {
                throw SvixError.generic("`order` takes ascending or descending")
            }
            paging.isAscending = order == "ascending"
        }
        guard let iterator = text("iterator"), !iterator.isEmpty else { return paging }
        paging.isBackward = iterator.hasPrefix("-")
        let id = paging.isBackward ? String(iterator.dropFirst()) : iterator
        guard isIterator(id) else {
            throw SvixError.invalid(
                ["query", "iterator"], "is not what `iterator` or `prevIterator` of this list said")
        }
        paging.iterator = id
        return paging
    }
}
