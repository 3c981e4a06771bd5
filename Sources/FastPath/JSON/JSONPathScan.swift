// Finds the values at a few paths of a JSON document in one pass: no tree, no recursion, no allocation. Stops as soon
// as it has them all.
//
// It reads structure only as far as it must: brackets, strings and commas on the way to a value are checked, what is
// skipped is only balanced. So it does not validate JSON; it never reads outside the document, and a document that ends
// early or has something else where structure must be is `malformed` for the paths not found until then. Names are
// compared decoded; of two equal ones the first counts. A byte order mark in front is no part of the document.
//
// Invariants: one frame for each step of a path, so depth of the document costs no memory; every step forward consumes
// a byte.
// Safety: steps and levels lie in the memory of the set's source; depth and path are below the set's bounds.

package enum JSONKind: UInt8, Sendable {
    /// The document has no such value.
    case absent
    /// The document broke before the value was found.
    case malformed
    /// `range` is what stands between the quotes, escapes as they are.
    case string
    /// `range` has the value as written.
    case number, literal, object, array
}

package struct JSONValue: Equatable, Sendable {
    package var kind: JSONKind
    package var range: ByteRange

    package static var absent: JSONValue { JSONValue(kind: .absent, range: .empty) }
}

/// What one pass found, by the place of the path in its set.
package struct JSONMatches: Sendable {
    private var values: InlineArray<8, JSONValue>

    @inline(__always) init() { values = InlineArray(repeating: .absent) }
    @inline(__always) package subscript(index: Int) -> JSONValue { values[index] }
    /// The value's bytes in the document that was read; empty where there is none: a `null` and an empty text are none.
    @inline(__always) func bytes(_ index: Int, of document: ByteView) -> ByteView {
        let value = values[index]
        switch value.kind {
        case .absent, .malformed: return .empty
        case .string, .number, .object, .array: return document.slice(value.range)
        case .literal: return document[Int(value.range.start)] == 0x6E ? .empty : document.slice(value.range)
        }
    }
    @inline(__always) mutating func set(_ paths: UInt8, to value: JSONValue) {
        var rest = paths
        while rest != 0 {
            values[rest.trailingZeroBitCount] = value
            rest &= rest - 1
        }
    }
}

/// The reader of one document; lives for one call.
struct JSONPathScan {
    private struct Frame {
        /// Paths that go on inside this container.
        var active: UInt8
        /// Paths whose value is this container.
        var ending: UInt8
        var isArray: Bool
        /// The element that comes next.
        var index: Int32
        var start: UInt32
    }
    private enum Next { case value, afterValue, member, done, broken }

    private var cursor: JSONCursor
    private let set: JSONPathSet
    private var frames: InlineArray<8, Frame>
    private var depth = 0
    private var missing: UInt8
    /// Paths that lead to the value at the cursor.
    private var here: UInt8
    private var matches = JSONMatches()

    @inline(__always) private init(_ body: ByteView, _ set: JSONPathSet) {
        cursor = JSONCursor(body)
        self.set = set
        missing = UInt8(truncatingIfNeeded: (UInt16(1) << UInt16(set.count)) - 1)
        here = missing
        frames = InlineArray(repeating: Frame(active: 0, ending: 0, isArray: false, index: 0, start: 0))
    }

    /// O(length of `body`).
    static func run(_ body: ByteView, _ set: JSONPathSet) -> JSONMatches {
        var scan = JSONPathScan(body, set)
        var next = Next.value
        while scan.missing != 0 {
            switch next {
            case .value: next = scan.readValue()
            case .afterValue: next = scan.leaveValue()
            case .member: next = scan.enterMember()
            case .done: return scan.matches
            case .broken:
                scan.matches.set(scan.missing, to: JSONValue(kind: .malformed, range: .empty))
                return scan.matches
            }
        }
        return scan.matches
    }

    /// At the first byte of a value (white space may precede it).
    @inline(__always) private mutating func readValue() -> Next {
        guard let first = cursor.peekPastSpace() else { return .broken }
        let start = cursor.position
        let wanted = here & missing
        let level = unsafe set.levels[depth]
        let ending = wanted & level.ending
        switch first {
        case 0x7B, 0x5B:
            let isArray = first == 0x5B
            let inside = wanted & (isArray ? level.byIndex : level.byKey)
            guard inside != 0 else {
                guard cursor.skipContainer() else { return .broken }
                record(ending, isArray ? .array : .object, start, cursor.position)
                return .afterValue
            }
            frames[depth] = Frame(active: inside, ending: ending, isArray: isArray, index: 0, start: UInt32(start))
            depth += 1
            cursor.advance()
            guard let next = cursor.peekPastSpace() else { return .broken }
            return next == (isArray ? 0x5D : 0x7D) ? .afterValue : .member
        case 0x22:
            guard cursor.skipString() else { return .broken }
            record(ending, .string, start + 1, cursor.position - 1)
        case 0x2D, 0x30...0x39:
            cursor.skipScalar()
            record(ending, .number, start, cursor.position)
        case 0x74, 0x66, 0x6E:
            cursor.skipScalar()
            record(ending, .literal, start, cursor.position)
        default: return .broken
        }
        return .afterValue
    }

    /// Behind a value, or at the end of an empty container.
    @inline(__always) private mutating func leaveValue() -> Next {
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
        return close(frame)
    }
    @inline(__always) private mutating func close(_ frame: Frame) -> Next {
        record(frame.ending & missing, frame.isArray ? .array : .object, Int(frame.start), cursor.position)
        depth -= 1
        return .afterValue
    }

    /// At a member of an object, or at an element.
    @inline(__always) private mutating func enterMember() -> Next {
        let frame = frames[depth - 1]
        let active = frame.active & missing
        if active == 0 {
            // Nothing more is wanted of this container.
            guard cursor.skipContainer(depth: 1) else { return .broken }
            return close(frame)
        }
        here = 0
        var rest = active
        if frame.isArray {
            while rest != 0 {
                let path = rest.trailingZeroBitCount
                if unsafe set.steps[path * JSONPath.stepCountMax + depth - 1].index == frame.index { here |= 1 << path }
                rest &= rest - 1
            }
            return .value
        }
        guard cursor.peekPastSpace() == 0x22 else { return .broken }
        let start = cursor.position + 1
        guard cursor.skipString() else { return .broken }
        let key = cursor.body.slice(start, cursor.position - 1 - start)
        guard cursor.peekPastSpace() == 0x3A else { return .broken }
        cursor.advance()
        while rest != 0 {
            let path = rest.trailingZeroBitCount
            if unsafe JSONEscape.isName(key, set.steps[path * JSONPath.stepCountMax + depth - 1].key) {
                here |= 1 << path
            }
            rest &= rest - 1
        }
        // Of equal names the first counts, also where it does not lead to what is wanted.
        frames[depth - 1].active &= ~here
        return .value
    }

    @inline(__always) private mutating func record(_ paths: UInt8, _ kind: JSONKind, _ start: Int, _ end: Int) {
        guard paths != 0 else { return }
        matches.set(paths, to: JSONValue(kind: kind, range: ByteRange(start: start, count: end - start)))
        missing &= ~paths
    }
}
