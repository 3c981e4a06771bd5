// Shows every value at a few paths of a JSON document in one pass: no tree, no recursion, no allocation. Worker
// threads; O(length), whatever the paths.
//
// Where `JSONPathScan` finds one value a path and stops, this one goes to the end, for a path may lead to many values
// and a document that breaks off is none. It reads structure only as far as it must: brackets, strings, commas,
// numbers and words on the way to a value are checked, what is skipped is only balanced, and so is all behind the last
// value. Names are compared decoded; of two equal ones in an object the first counts. A byte order mark in front is no
// part of the document.
//
// Invariants: one frame for each step of a path and one for the array at its end, so depth of the document costs no
// memory; every step forward consumes a byte.
// Safety: steps lie in the memory of the set; path is below the set's bound, and what is wanted of a depth is a step.

/// What a walk came to. Bit i of a mask stands for path i.
package struct JSONVisit: Sendable {
    /// Paths whose value this is.
    package let ending: UInt32
    /// Paths whose value is the array that this is an element of; never set for an object or an array.
    package let elements: UInt32
    /// Never absent and never malformed.
    package let value: JSONValue
}

@safe package final class JSONWalk: @unchecked Sendable {
    package static let pathCountMax = JSONWalkSet.pathCountMax
    private let set: JSONWalkSet

    /// At most `pathCountMax` paths.
    package init(_ paths: [JSONWalkPath]) { set = JSONWalkSet(paths) }

    /// False when the document is not whole; what was shown before counts for nothing then.
    package func walk(_ body: ByteView, _ visit: (JSONVisit) -> Void) -> Bool {
        var reader = JSONWalkReader(body, set)
        return reader.run(visit)
    }
}

/// The reader of one document; lives for one call.
struct JSONWalkReader {
    private struct Frame {
        /// Paths that go on inside this container.
        var active: UInt32
        /// Paths whose value is this container.
        var ending: UInt32
        var isArray: Bool
        /// The element that comes next.
        var index: Int32
        var start: UInt32

        @inline(__always) var elements: UInt32 { isArray ? ending : 0 }
    }
    private enum Next { case value, afterValue, member, done, broken }

    private var cursor: JSONCursor
    private let set: JSONWalkSet
    private var frames: InlineArray<9, Frame>
    private var depth = 0
    /// Paths that lead to the value at the cursor, and those that it is an element for.
    private var here: UInt32
    private var elements: UInt32 = 0

    init(_ body: ByteView, _ set: JSONWalkSet) {
        cursor = JSONCursor(body)
        self.set = set
        here = UInt32(truncatingIfNeeded: (UInt64(1) << UInt64(set.count)) - 1)
        frames = InlineArray(repeating: Frame(active: 0, ending: 0, isArray: false, index: 0, start: 0))
    }

    mutating func run(_ visit: (JSONVisit) -> Void) -> Bool {
        var next = Next.value
        while true {
            switch next {
            case .value: next = readValue(visit)
            case .afterValue: next = leaveValue(visit)
            case .member: next = enterMember(visit)
            case .done: return cursor.peekPastSpace() == nil
            case .broken: return false
            }
        }
    }

    /// At the first byte of a value (white space may precede it).
    @inline(__always) private mutating func readValue(_ visit: (JSONVisit) -> Void) -> Next {
        guard let first = cursor.peekPastSpace() else { return .broken }
        let start = cursor.position
        let level = set.levels[depth]
        let ending = here & level.ending
        switch first {
        case 0x7B, 0x5B:
            let isArray = first == 0x5B
            let inside = here & (isArray ? level.byIndex | level.byAny : level.byKey)
            guard inside != 0 || (isArray && ending != 0) else {
                guard cursor.skipContainer() else { return .broken }
                show(visit, ending, 0, isArray ? .array : .object, start, cursor.position)
                return .afterValue
            }
            frames[depth] = Frame(active: inside, ending: ending, isArray: isArray, index: 0, start: UInt32(start))
            depth += 1
            cursor.advance()
            guard let next = cursor.peekPastSpace() else { return .broken }
            return next == (isArray ? 0x5D : 0x7D) ? .afterValue : .member
        case 0x22:
            guard cursor.skipString() else { return .broken }
            show(visit, ending, elements, .string, start + 1, cursor.position - 1)
        case 0x2D, 0x30...0x39:
            var end = start
            cursor.skipScalar()
            guard JSONSyntax.passNumber(cursor.body, &end), end == cursor.position else { return .broken }
            show(visit, ending, elements, .number, start, cursor.position)
        case 0x74, 0x66, 0x6E:
            var end = start
            cursor.skipScalar()
            guard JSONSyntax.passWord(cursor.body, &end), end == cursor.position else { return .broken }
            show(visit, ending, elements, .literal, start, cursor.position)
        default: return .broken
        }
        return .afterValue
    }

    /// Behind a value, or at the end of an empty container.
    @inline(__always) private mutating func leaveValue(_ visit: (JSONVisit) -> Void) -> Next {
        guard depth > 0 else { return .done }
        guard let byte = cursor.peekPastSpace() else { return .broken }
        let frame = frames[depth - 1]
        if byte == 0x2C {
            cursor.advance()
            frames[depth - 1].index &+= 1
            return .member
        }
        guard byte == (frame.isArray ? 0x5D : 0x7D) else { return .broken }
        cursor.advance()
        return close(frame, visit)
    }
    @inline(__always) private mutating func close(_ frame: Frame, _ visit: (JSONVisit) -> Void) -> Next {
        show(visit, frame.ending, 0, frame.isArray ? .array : .object, Int(frame.start), cursor.position)
        depth -= 1
        return .afterValue
    }

    /// At a member of an object, or at an element.
    @inline(__always) private mutating func enterMember(_ visit: (JSONVisit) -> Void) -> Next {
        let frame = frames[depth - 1]
        if frame.active == 0, frame.elements == 0 {
            // Nothing more is wanted of this container.
            guard cursor.skipContainer(depth: 1) else { return .broken }
            return close(frame, visit)
        }
        if frame.isArray { return enterElement(frame) }
        elements = 0
        guard cursor.peekPastSpace() == 0x22 else { return .broken }
        let start = cursor.position + 1
        guard cursor.skipString() else { return .broken }
        let key = cursor.body.slice(start, cursor.position - 1 - start)
        guard cursor.peekPastSpace() == 0x3A else { return .broken }
        cursor.advance()
        here = 0
        var rest = frame.active
        while rest != 0 {
            let path = rest.trailingZeroBitCount
            let wanted = unsafe set.steps[path * JSONWalkPath.stepCountMax + depth - 1].key
            if JSONEscape.isName(key, wanted) { here |= 1 << UInt32(path) }
            rest &= rest - 1
        }
        frames[depth - 1].active &= ~here
        return .value
    }
    @inline(__always) private mutating func enterElement(_ frame: Frame) -> Next {
        let level = set.levels[depth - 1]
        var found: UInt32 = 0
        var rest = frame.active & level.byIndex
        while rest != 0 {
            let path = rest.trailingZeroBitCount
            if unsafe set.steps[path * JSONWalkPath.stepCountMax + depth - 1].index == frame.index {
                found |= 1 << UInt32(path)
            }
            rest &= rest - 1
        }
        frames[depth - 1].active &= ~found
        here = found | frame.active & level.byAny
        elements = frame.elements
        return .value
    }

    @inline(__always) private func show(
        _ visit: (JSONVisit) -> Void, _ ending: UInt32, _ elements: UInt32, _ kind: JSONKind, _ start: Int, _ end: Int
    ) {
        guard ending | elements != 0 else { return }
        let range = ByteRange(start: start, count: end - start)
        visit(JSONVisit(ending: ending, elements: elements, value: JSONValue(kind: kind, range: range)))
    }
}
