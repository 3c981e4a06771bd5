// Where one value stands in a request, compiled: `header:X-Event-Id`, `query:id`, `form:id`, `json:$.event.id`,
// `form:payload.$.type` (a value of JSON that stands in a form's field), `body`, `method`, `target`. A list is read in
// its order and the first that has a value counts; a JSON `null` and an empty value count as none.
//
// Safety: points into the `CompiledMemory` given at compilation; what is selected points into the request.

package enum SelectorError: Error, Equatable, Sendable {
    case bad(String)
    package var message: String {
        switch self {
        case .bad(let why): why
        }
    }
}

enum ValueSpelling: UInt8 {
    /// It is what it says.
    case plain
    /// Of a JSON string that has escapes.
    case escaped
    /// Of a parameter of the query that has `%`; a plus stays one, for signatures in base 64 come with theirs bare.
    case percentEncoded
    /// Of a form's field.
    case formEncoded
}

/// A value where it stands. Trivial.
/// Safety: `selector` points into its source's `CompiledMemory`.
@safe struct SelectedValue {
    var view = ByteView.empty
    var spelling = ValueSpelling.plain
    /// Set exactly when the value is JSON in a form's field: where in `view`, decoded, it is.
    var selector: UnsafePointer<Selector>?

    @inline(__always) init(view: ByteView = .empty, spelling: ValueSpelling = .plain) {
        self.view = view
        self.spelling = spelling
        unsafe selector = nil
    }
    static var none: SelectedValue { SelectedValue() }
    @inline(__always) var isEmpty: Bool { view.count == 0 }
}

/// One request, for the selectors. Trivial.
struct SelectedRequest {
    let bytes: ByteView
    let head: RequestHead
    let body: ByteView
    let room: ComposedBytes
}

struct Selector {
    enum Kind: UInt8 { case header, query, form, json, body, method, target }
    var kind: Kind
    var header: HeaderName?
    var name: ByteView
    /// Place in the path set.
    var path: Int
    /// The path inside a form's field.
    var inner: JSONPathSet?
}

/// One list of alternatives. The paths lie in a set that several lists may share, so that one pass serves them all.
@safe struct ValueSelector: @unchecked Sendable {
    private let selectors: UnsafePointer<Selector>
    private let count: Int
    private let paths: JSONPathSet

    init(_ list: SelectorList, _ paths: JSONPathSet) {
        unsafe selectors = list.selectors
        count = list.count
        self.paths = paths
    }

    /// The first alternative that has a value; none when the request has none of them.
    @inline(__always)
    func select(
        _ request: SelectedRequest, _ fields: borrowing FieldTable, _ document: inout ScannedDocument
    ) -> SelectedValue {
        for index in 0..<count {
            let value = find(index, request, fields, &document)
            if !value.isEmpty { return value }
        }
        return .none
    }

    @inline(__always)
    func find(
        _ index: Int, _ request: SelectedRequest, _ fields: borrowing FieldTable, _ document: inout ScannedDocument
    ) -> SelectedValue {
        let selector = unsafe selectors + index
        var found = SelectedValue.none
        switch unsafe selector.pointee.kind {
        case .header:
            if let header = unsafe selector.pointee.header {
                let place = fields.firstIndex(of: header, in: request.bytes)
                if place >= 0 { found.view = request.bytes.slice(fields[place].value) }
            }
        case .query:
            let query = request.bytes.slice(request.head.query)
            found.view = unsafe QueryText.value(of: selector.pointee.name, in: query) ?? .empty
            if ValueSelector.contains(0x25, found.view) { found.spelling = .percentEncoded }
        case .json:
            let path = unsafe selector.pointee.path
            found.view = document.value(path, paths, request.body)
            if document.isString(path), ValueSelector.contains(ASCII.backslash, found.view) {
                found.spelling = .escaped
            }
        case .form: return unsafe ValueSelector.field(selector, request, fields)
        case .body: found.view = request.body
        case .method: found.view = request.bytes.slice(request.head.methodRange)
        case .target: found.view = request.bytes.slice(request.head.target)
        }
        return found
    }
    @inline(never)
    private static func field(
        _ selector: UnsafePointer<Selector>, _ request: SelectedRequest, _ fields: borrowing FieldTable
    ) -> SelectedValue {
        var form = FormFields(bytes: request.bytes, fields: fields, body: request.body)
        guard let field = unsafe form.first(named: selector.pointee.name) else { return .none }
        var found = SelectedValue(view: field.value, spelling: field.isEncoded ? .formEncoded : .plain)
        guard unsafe selector.pointee.inner != nil else { return found }
        unsafe found.selector = selector
        // A copy: what is written to see whether the value is there counts for nothing. Without room it is there, and
        // whoever needs it refuses the request.
        var probe = request.room
        if let text = probe.plainText(of: found), text.count == 0 { return .none }
        return found
    }
    @inline(__always) private static func contains(_ byte: UInt8, _ value: ByteView) -> Bool {
        for index in 0..<value.count where value[index] == byte { return true }
        return false
    }
}

extension ComposedBytes {
    /// What `value` spells, as the reading of a scheme decodes it (`ReadLocation.find`), so that all spellings of one
    /// value are one; the value itself where it spells nothing. Nil when there is no room.
    mutating func plainText(of value: SelectedValue) -> ByteView? {
        if let selector = unsafe value.selector { return unsafe innerText(of: value, selector) }
        let start = count
        switch value.spelling {
        case .plain: return value.view
        case .percentEncoded: appendPercentDecoded(value.view, plusIsSpace: false)
        case .formEncoded: appendPercentDecoded(value.view, plusIsSpace: true)
        case .escaped:
            guard appendJSONDecoded(value.view) else {
                truncate(to: start)
                return value.view
            }
        }
        return overflowed ? nil : written(since: start)
    }
    private mutating func innerText(of value: SelectedValue, _ selector: UnsafePointer<Selector>) -> ByteView? {
        var document = value.view
        if value.spelling == .formEncoded {
            let start = count
            appendPercentDecoded(document, plusIsSpace: true)
            if overflowed { return nil }
            document = written(since: start)
        }
        guard let paths = unsafe selector.pointee.inner else { return .empty }
        var scan = ScannedDocument()
        let text = scan.value(0, paths, document)
        guard scan.isString(0) else { return text }
        let start = count
        guard appendJSONDecoded(text) else {
            truncate(to: start)
            return text
        }
        return overflowed ? nil : written(since: start)
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
        return matches.bytes(path, of: body)
    }
    /// Of a path whose value was asked for.
    @inline(__always) func isString(_ path: Int) -> Bool { matches[path].kind == .string }
}
