// Filters: a first line that is a filter, and a body. What compiles says the same twice and in its trace, the opposite
// under `$not`, the same under `$and` and `$or` with itself; where nothing is known, nothing is known of the opposite.
import Engine
import FastPath
import Server

enum FilterFuzz {
    private static let fields = Array("X-Region: eu\r\nX-N: 12\r\nX-Empty:\r\n".utf8)

    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        let parts = lines(input, 1)
        guard let value = try? JSONReading.value(parts[0]) else { return }
        let filter: CompiledFilter
        do throws(ValidationIssue) { filter = try CompiledFilter(value) } catch {
            return try hold(!error.reason.isEmpty, "a refusal that says nothing")
        }
        let verdict = try verdict(filter, parts[1])
        for (wrap, isOpposite) in [
            (PlainJSON.object(["$not": value]), true), (.object(["$and": .list([value, value])]), false),
            (.object(["$or": .list([value, value])]), false),
        ] {
            guard let wrapped = try? CompiledFilter(wrap) else { continue }
            let other = try self.verdict(wrapped, parts[1])
            // Twice the conditions may be more than a filter compares of one event.
            guard other != .unreadable || verdict == .unreadable || isOpposite else { continue }
            let wanted: FilterVerdict =
                verdict == .unreadable ? .unreadable : (verdict == .matches) == isOpposite ? .differs : .matches
            try hold(other == wanted, "\(verdict), and wrapped \(other): \(wrap.json)")
        }
    }
    private static func verdict(_ filter: CompiledFilter, _ body: [UInt8]) throws(FuzzFinding) -> FilterVerdict {
        try withExactBytes(body) { bytes throws(FuzzFinding) in
            try withExactBytes(fields) { fields throws(FuzzFinding) in
                let input = FilterInput(
                    type: ByteView("invoice.paid"), source: ByteView("stripe"), channels: ByteView("a,b,,é"),
                    fieldLines: fields, body: bytes)
                let verdict = filter.verdict(on: input)
                try hold(filter.verdict(on: input) == verdict, "another verdict the second time")
                let trace = filter.trace(input)
                try hold(
                    trace.verdict == verdict || trace.verdict == .unreadable,
                    "\(verdict), and in the trace \(trace.verdict)")
                return verdict
            }
        }
    }
}
