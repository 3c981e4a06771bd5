// W3C Trace Context as it stands in a request's field lines: `traceparent` (version, trace, parent, flags) and
// `tracestate`. Pure.
//
// Invariants: what is malformed, or said twice, is as if it were not there; a later version is read as far as this one
// goes (Trace Context, section 4). If that failed, spans would be hung under a trace that nobody has.
import FastPath

package struct TraceID: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    package var hex: String { TraceID.hex(high) + TraceID.hex(low) }
    /// 16 lower-case digits, as ids of spans are written too.
    package static func hex(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

/// The trace that an event belongs to.
package struct TraceContext: Equatable, Sendable {
    package static let sampledFlag: UInt8 = 1
    /// The trace's id is random (Trace Context, level 2): passed on.
    private static let randomFlag: UInt8 = 2
    package var trace: TraceID
    /// The span of whoever sent the request; 0 where the trace begins here.
    package var parent: UInt64 = 0
    package var flags: UInt8 = 0

    package init(trace: TraceID, parent: UInt64 = 0, flags: UInt8 = 0) {
        self.trace = trace
        self.parent = parent
        self.flags = flags
    }
    package var isSampled: Bool { flags & TraceContext.sampledFlag != 0 }

    /// As a field line with its CRLF: `span` is what the receiver's spans hang under. Only of what is sampled.
    package func line(span: UInt64) -> [UInt8] {
        let known = TraceContext.sampledFlag | flags & TraceContext.randomFlag
        return Array("traceparent: 00-\(trace.hex)-\(TraceID.hex(span))-0\(known)\r\n".utf8)
    }
    package static let lineBytes = 70

    // MARK: reading

    private static let stateBytesMax = 512
    private static let parentName: StaticString = "traceparent"
    private static let stateName: StaticString = "tracestate"

    /// Of a request's field lines; O(bytes).
    package init?(lines: ByteView) {
        var found: TraceContext?
        var count = 0
        TraceContext.forEachValue(of: TraceContext.parentName, in: lines) { value in
            count += 1
            found = TraceContext(value: value)
        }
        guard count == 1, let found else { return nil }
        self = found
    }
    /// Of the field's value.
    package init?(value: ByteView) {
        guard let said = TraceParent(value) else { return nil }
        self.init(trace: TraceID(high: said.high, low: said.low), parent: said.parent, flags: said.flags)
    }
    /// What vendors say of the trace, all lines joined; empty when there is none, or more than has to be passed on.
    package static func state(in lines: ByteView) -> String {
        var values: [String] = []
        forEachValue(of: stateName, in: lines) { if $0.count > 0 { values.append($0.text) } }
        let state = values.joined(separator: ",")
        return state.utf8.count <= stateBytesMax ? state : ""
    }

    /// What a publisher's request says of its trace, as field lines of the event's record; empty where that is nothing,
    /// or malformed.
    package static func lines(parents: [String], states: [String]) -> String {
        guard parents.count == 1, let parent = parents.first, parent.utf8.count <= parentBytesMax, isPlain(parent),
            Array(parent.utf8).withView({ TraceContext(value: $0) }) != nil
        else { return "" }
        let state = states.filter { !$0.isEmpty }.joined(separator: ",")
        let isKept = !state.isEmpty && state.utf8.count <= stateBytesMax && isPlain(state)
        return "\(parentName): \(parent)\r\n" + (isKept ? "\(stateName): \(state)\r\n" : "")
    }
    private static let parentBytesMax = 256
    private static func isPlain(_ text: String) -> Bool { text.utf8.allSatisfy { (0x20...0x7E).contains($0) } }

    private static func forEachValue(of name: StaticString, in lines: ByteView, _ body: (ByteView) -> Void) {
        let nameCount = name.utf8CodeUnitCount
        var start = 0
        while start < lines.count {
            var end = start
            while end < lines.count, lines[end] != 0x0A { end += 1 }
            if end - start > nameCount, lines[start] | 0x20 == UInt8(ascii: "t"),
                lines[start + nameCount] == UInt8(ascii: ":"),
                lines.slice(start, nameCount).equalsIgnoringCase(name)
            {
                body(trimmed(lines, from: start + nameCount + 1, to: end))
            }
            start = end + 1
        }
    }
    private static func trimmed(_ lines: ByteView, from: Int, to: Int) -> ByteView {
        var (first, last) = (from, to)
        while first < last, lines[first] == 0x20 || lines[first] == 0x09 { first += 1 }
        while last > first, lines[last - 1] == 0x20 || lines[last - 1] == 0x09 || lines[last - 1] == 0x0D { last -= 1 }
        return lines.slice(first, last - first)
    }
    /// True exactly when one of `lines`, whole field lines, is named so.
    package static func isNamed(in lines: [UInt8]) -> Bool {
        guard !lines.isEmpty else { return false }
        return lines.withView { view in
            var isFound = false
            forEachValue(of: parentName, in: view) { _ in isFound = true }
            return isFound
        }
    }
}
