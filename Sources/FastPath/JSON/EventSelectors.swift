// Where a source's event id, event type and dedup key stand in a request, compiled. Spelled `header:X-Event-Id`,
// `query:id`,
// `json:$.event.id`, `body`; a list is read in its order and the first that has a value counts.
//
// Values are bytes of the request as they came: of a JSON string what stands between the quotes, escapes as they are; a
// JSON `null` and an empty value count as none. A dedup key says how it is spelled besides, and is decoded before it is
// compared: verifiers decode what they sign, so two spellings of one signed value must be one key.
//
// Safety: points into the `CompiledMemory` given at compilation; what is selected points into the request.

/// What `EventSelectors` found; a part that the request does not have is empty.
package struct SelectedValues {
    package var eventID = ByteView.empty
    package var eventType = ByteView.empty
    package var dedupKey = ByteView.empty
    /// What `dedupKey` must be decoded by before it is a key (`ComposedBytes.plainText`).
    var keySpelling = ValueSpelling.plain
    /// True exactly when `dedupKey` is the body itself (or the source names it and the body is empty).
    package var keyIsBody = false
}

extension SelectedValues {
    /// The dedup key as the log takes it. Allocates, so not for a loop.
    var plainKey: [UInt8] {
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: max(dedupKey.count, 1))
        defer { unsafe memory.deallocate() }
        // Decoding writes at most what it reads.
        var room = unsafe ComposedBytes(memory: memory, capacity: dedupKey.count)
        return room.plainText(of: dedupKey, keySpelling)?.array ?? dedupKey.array
    }
}

enum ValueSpelling: UInt8 {
    /// Compared as it came.
    case plain
    /// Of a JSON string that has escapes.
    case escaped
    /// Of a parameter of the query that has `%`.
    case percentEncoded
}

/// What one list found.
struct SelectedValue {
    var view: ByteView
    var isBody = false
    var spelling = ValueSpelling.plain
}

package enum SelectorError: Error, Equatable, Sendable {
    case bad(String)
    package var message: String {
        switch self {
        case .bad(let why): why
        }
    }
}

struct Selector {
    enum Kind: UInt8 { case header, query, json, body }
    var kind: Kind
    var header: HeaderName?
    var name: ByteView
    /// Place in the path set.
    var path: Int
}

/// One list of alternatives. The paths lie in a set that several lists may share, so that one pass serves them all.
@safe package struct ValueSelector: @unchecked Sendable {
    private let selectors: UnsafePointer<Selector>
    private let count: Int
    private let paths: JSONPathSet

    package init(_ spellings: [String], in memory: CompiledMemory) throws(SelectorError) {
        let group = try ValueSelector.group([spellings], in: memory)
        self = group[0]
    }
    private init(_ selectors: [Selector], _ paths: JSONPathSet, in memory: CompiledMemory) {
        unsafe self.selectors = UnsafePointer(memory.place(selectors))
        count = selectors.count
        self.paths = paths
    }

    /// Nil when the request has none of the alternatives.
    @_noAllocation @_noLocks
    package func select(
        bytes: ByteView, head: RequestHead, fields: borrowing FieldTable, body: ByteView
    ) -> ByteView? {
        var document = ScannedDocument()
        return select(bytes, head, fields, body, &document)?.view
    }

    @inline(__always)
    func select(
        _ bytes: ByteView, _ head: RequestHead, _ fields: borrowing FieldTable, _ body: ByteView,
        _ document: inout ScannedDocument
    ) -> SelectedValue? {
        for index in 0..<count {
            let selector = unsafe selectors[index]
            var value = ByteView.empty
            var spelling = ValueSpelling.plain
            switch selector.kind {
            case .body: return SelectedValue(view: body, isBody: true)
            case .header:
                if let name = selector.header {
                    let place = fields.firstIndex(of: name, in: bytes)
                    if place >= 0 { value = bytes.slice(fields[place].value) }
                }
            case .query:
                value = ValueSelector.parameter(selector.name, of: bytes.slice(head.query))
                if ValueSelector.contains(0x25, value) { spelling = .percentEncoded }
            case .json:
                value = document.value(selector.path, paths, body)
                if document.isString(selector.path), ValueSelector.contains(ASCII.backslash, value) {
                    spelling = .escaped
                }
            }
            if value.count > 0 { return SelectedValue(view: value, spelling: spelling) }
        }
        return nil
    }

    @inline(__always) private static func contains(_ byte: UInt8, _ value: ByteView) -> Bool {
        for index in 0..<value.count where value[index] == byte { return true }
        return false
    }
    /// The raw value of the first parameter called `name`.
    private static func parameter(_ name: ByteView, of query: ByteView) -> ByteView {
        var start = 0
        while start < query.count {
            var end = start
            while end < query.count, query[end] != 0x26 { end += 1 }
            let pair = query.slice(start, end - start)
            if pair.count > name.count, pair[name.count] == 0x3D, pair.slice(0, name.count).equals(name) {
                return pair.slice(name.count + 1, pair.count - name.count - 1)
            }
            start = end + 1
        }
        return .empty
    }

    /// Compiles lists that share one pass over the document.
    static func group(_ lists: [[String]], in memory: CompiledMemory) throws(SelectorError) -> [ValueSelector] {
        var paths: [JSONPath] = []
        var compiled: [[Selector]] = []
        for list in lists {
            var selectors: [Selector] = []
            for spelling in list { selectors.append(try Selector(spelling, paths: &paths, in: memory)) }
            compiled.append(selectors)
        }
        let set = JSONPathSet(paths, in: memory)
        return compiled.map { ValueSelector($0, set, in: memory) }
    }
}

extension Selector {
    init(_ spelling: String, paths: inout [JSONPath], in memory: CompiledMemory) throws(SelectorError) {
        self.init(kind: .body, header: nil, name: .empty, path: 0)
        if spelling == "body" { return }
        let parts = spelling.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty else {
            throw .bad("\"\(spelling)\" is none of header:NAME, json:$.PATH, query:NAME, body")
        }
        let name = String(parts[1])
        switch parts[0] {
        case "header":
            guard SchemeDefinition.isToken(name) else { throw .bad("\"\(spelling)\": \"\(name)\" is no header name") }
            kind = .header
            header = HeaderName(name)
        case "query":
            kind = .query
            self.name = memory.place(bytes: Array(name.utf8))
        case "json":
            kind = .json
            let known: JSONPath
            do throws(JSONPathError) { known = try JSONPath(name) } catch {
                throw .bad("\"\(spelling)\": \(error.message)")
            }
            if let place = paths.firstIndex(of: known) {
                path = place
            } else {
                guard paths.count < JSONPathSet.pathCountMax else {
                    throw .bad(
                        "\"\(spelling)\": a source takes at most \(JSONPathSet.pathCountMax) different JSON paths")
                }
                path = paths.count
                paths.append(known)
            }
        default: throw .bad("\"\(spelling)\" is none of header:NAME, json:$.PATH, query:NAME, body")
        }
    }
}

/// The pass over one document, made when the first selector asks for it.
struct ScannedDocument {
    private var isScanned = false
    private var matches = JSONMatches()

    @inline(__always) mutating func value(_ path: Int, _ paths: JSONPathSet, _ body: ByteView) -> ByteView {
        if !isScanned {
            matches = JSONPathScan.run(body, paths)
            isScanned = true
        }
        let value = matches[path]
        switch value.kind {
        case .absent, .malformed: return .empty
        case .string, .number, .object, .array: return body.slice(value.range)
        case .literal: return body[Int(value.range.start)] == 0x6E ? .empty : body.slice(value.range)
        }
    }
    /// Of a path whose value was asked for.
    @inline(__always) func isString(_ path: Int) -> Bool { matches[path].kind == .string }
}

/// The three lists of a source; one call, at most one pass over the body.
package struct EventSelectors: Sendable {
    private let eventID: ValueSelector
    private let eventType: ValueSelector
    private let dedupKey: ValueSelector

    package init(
        eventID: [String], eventType: [String], dedupKey: [String], in memory: CompiledMemory
    ) throws(SelectorError) {
        let group = try ValueSelector.group([eventID, eventType, dedupKey], in: memory)
        self.eventID = group[0]
        self.eventType = group[1]
        self.dedupKey = group[2]
    }

    /// Without a dedup key in the request the body is the key: two different events are never one, two equal ones are.
    @_noAllocation @_noLocks
    package func select(
        bytes: ByteView, head: RequestHead, fields: borrowing FieldTable, body: ByteView
    ) -> SelectedValues {
        var document = ScannedDocument()
        var selected = SelectedValues()
        selected.eventID = eventID.select(bytes, head, fields, body, &document)?.view ?? .empty
        selected.eventType = eventType.select(bytes, head, fields, body, &document)?.view ?? .empty
        if let key = dedupKey.select(bytes, head, fields, body, &document) {
            selected.dedupKey = key.view
            selected.keyIsBody = key.isBody
            selected.keySpelling = key.spelling
        } else {
            selected.dedupKey = body
            selected.keyIsBody = true
        }
        return selected
    }
}
