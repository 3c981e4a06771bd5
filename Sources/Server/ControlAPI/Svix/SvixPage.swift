// Lists of the Svix-shaped API: `data`, `iterator`, `prevIterator` and `done`. An iterator is the id of the last item
// of a page, one with `-` before it that of the first; handed back, the list goes on behind the one or ends before the
// other. Pure.
//
// Invariant: a page is in the list's own order, whichever way it was reached; `done` is about the way that was walked.
import Engine

package struct SvixPaging: Equatable, Sendable {
    package static let limitDefault = 50
    package static let limitMax = 250

    package var limit = SvixPaging.limitDefault
    /// Without the `-`.
    package var iterator: String?
    /// Towards the beginning: the items before the iterator.
    package var isBackward = false
    /// The list's own order.
    package var isAscending: Bool

    package init(isAscending: Bool) { self.isAscending = isAscending }
    /// Whether what is walked grows.
    package var walksUp: Bool { isAscending != isBackward }
}

package struct SvixPage<Item: Sendable>: Sendable {
    package private(set) var data: [Item]
    package private(set) var iterator: String?
    package private(set) var prevIterator: String?
    package private(set) var isDone: Bool

    /// `walked`: from the iterator on in the direction walked, one more than the limit where there are so many.
    package init(walked: [Item], _ paging: SvixPaging, id: (Item) -> String) {
        let shown = Array(walked.prefix(paging.limit))
        data = paging.isBackward ? shown.reversed() : shown
        iterator = data.last.map(id)
        prevIterator = data.first.map { "-" + id($0) }
        isDone = walked.count <= paging.limit
    }
    package init(data: [Item], iterator: String?, prevIterator: String?, isDone: Bool) {
        self.data = data
        self.iterator = iterator
        self.prevIterator = prevIterator
        self.isDone = isDone
    }
    package func json(_ item: (Item) -> JSONValue) -> JSONValue {
        var members: [String: JSONValue] = [
            "data": .list(data.map(item)), "iterator": iterator.map { .text($0) } ?? .null, "done": .bool(isDone),
        ]
        if let prevIterator { members["prevIterator"] = .text(prevIterator) }
        return .object(members)
    }

    package static func schema(_ item: ObjectSchema) -> ObjectSchema {
        ObjectSchema(
            "ListResponse_\(item.name)_", "One page of a list.",
            [
                .required("data", .list(.object(item)), "In the list's own order."),
                .required("iterator", .orNull(.text), "Hand it back as `iterator` to go on."),
                .optional("prevIterator", .orNull(.text), "Hand it back as `iterator` to go back."),
                .required("done", .flag, "There is nothing more in the direction that was walked."),
            ])
    }
}
