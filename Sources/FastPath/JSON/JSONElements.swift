// Cuts a JSON array into its elements, where they lie: for requests that hold several events. Worker threads;
// O(length).
//
// Invariants: the elements are told apart as the document's brackets and strings say, whatever is in them; a document
// that has no such array, or whose array breaks off or has something else where structure must be, has none, so that
// what is no list of events stays one event. Inside an element brackets are counted and not told apart, as everywhere
// in this folder. Safety: points into the `CompiledMemory` given at compilation.

/// Where a request's events are. Points into its source's `CompiledMemory`.
@safe package struct JSONElements: @unchecked Sendable {
    package enum Cut: Equatable, Sendable {
        /// The body has no such array.
        case absent
        case elements([Range<Int>])
        /// More than may be in one request.
        case tooMany
    }
    private let paths: JSONPathSet?
    private let countMax: Int

    /// `path` is `$` for the document itself, or one like `$.events`.
    package init(path: String, countMax: Int, in memory: CompiledMemory) throws(JSONPathError) {
        paths = path == "$" ? nil : JSONPathSet([try JSONPath(path)], in: memory)
        self.countMax = countMax
    }

    package func cut(_ body: [UInt8]) -> Cut { body.withView { cut($0) } }
    func cut(_ body: ByteView) -> Cut {
        guard let paths else { return elements(body, endsDocument: true) }
        let found = JSONPathScan.run(body, paths)[0]
        guard found.kind == .array else { return .absent }
        let start = Int(found.range.start)
        switch elements(body.slice(found.range), endsDocument: false) {
        case .elements(let list): return .elements(list.map { $0.lowerBound + start..<$0.upperBound + start })
        case let other: return other
        }
    }

    private func elements(_ body: ByteView, endsDocument: Bool) -> Cut {
        var cursor = JSONCursor(body)
        guard cursor.peekPastSpace() == ASCII.openBracket else { return .absent }
        cursor.advance()
        var list: [Range<Int>] = []
        if cursor.peekPastSpace() == 0x5D {
            cursor.advance()
        } else {
            while true {
                guard let element = JSONElements.element(&cursor) else { return .absent }
                list.append(element)
                let next = cursor.peekPastSpace()
                guard next == ASCII.comma || next == 0x5D else { return .absent }
                cursor.advance()
                if next == 0x5D { break }
            }
        }
        if endsDocument, cursor.peekPastSpace() != nil { return .absent }
        // Looked at last: what is no array is one event, however many commas it has.
        return list.count > countMax ? .tooMany : .elements(list)
    }
    private static func element(_ cursor: inout JSONCursor) -> Range<Int>? {
        guard let first = cursor.peekPastSpace() else { return nil }
        let start = cursor.position
        switch first {
        case 0x7B, ASCII.openBracket: guard cursor.skipContainer() else { return nil }
        case 0x22: guard cursor.skipString() else { return nil }
        default: cursor.skipScalar()
        }
        return cursor.position > start ? start..<cursor.position : nil
    }
}
