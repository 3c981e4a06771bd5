// What the general way of reading needs of a scheme beyond the quick one: places anywhere in a request, and what
// conditions it has. Compiled once; trivial.
//
// Safety: `sets` points into the `CompiledMemory` that made the scheme; `setCount` values are read while that lives.

/// A place, resolved. `query`, `form` and `json` values may need decoding, for which there is room in `ComposedBytes`.
struct ReadLocation {
    enum Kind: UInt8 { case none, header, query, form, json }
    var kind: Kind
    var header: HeaderName?
    var name: ByteView
    /// Place in the path set.
    var path: Int

    static var none: ReadLocation { ReadLocation(kind: .none, header: nil, name: .empty, path: 0) }

    init(kind: Kind, header: HeaderName?, name: ByteView, path: Int) {
        self.kind = kind
        self.header = header
        self.name = name
        self.path = path
    }
    init(_ place: ValueLocation, paths: inout [JSONPath], in memory: CompiledMemory) {
        self = .none
        switch place {
        case .header(let name):
            kind = .header
            header = HeaderName(name)
        case .query(let name):
            kind = .query
            self.name = memory.place(text: name)
        case .form(let name):
            kind = .form
            self.name = memory.place(text: name)
        case .json(let path):
            kind = .json
            self.path = paths.firstIndex(of: path) ?? paths.count
            if self.path == paths.count { paths.append(path) }
        }
    }
}

struct PlaceSet {
    var signature: ReadLocation
    var id: ReadLocation
    var timestamp: ReadLocation
}

/// Safety: points into its source's `CompiledMemory`, as `SchemeData` does.
@safe struct GeneralScheme {
    var sets: UnsafePointer<PlaceSet>
    var setCount: Int
    var takesEverySet: Bool
    var appliesWhen: ReadLocation
    var bodyHash: ReadLocation
    var triesBothPorts: Bool
    /// The characters of ASCII whose escapes in the URL are decoded before it is signed, a bit each.
    var urlDecodes: ASCIISet
    /// Those of all places and pieces: one pass over the body finds them.
    var paths: JSONPathSet

    /// The definition was checked, so its places parse and its paths are few enough.
    init(_ definition: SchemeDefinition, paths: inout [JSONPath], in memory: CompiledMemory) throws(SchemeError) {
        func place(_ spelling: String?, _ paths: inout [JSONPath]) throws(SchemeError) -> ReadLocation {
            guard let spelling else { return .none }
            return ReadLocation(try ValueLocation(spelling, for: "header"), paths: &paths, in: memory)
        }
        var places: [PlaceSet] = []
        for set in definition.headers {
            places.append(
                PlaceSet(
                    signature: try place(set.signature, &paths), id: try place(set.id, &paths),
                    timestamp: try place(definition.timestamp?.listKey == nil ? set.timestamp : nil, &paths)))
        }
        unsafe sets = UnsafePointer(memory.place(places))
        setCount = places.count
        takesEverySet = definition.takesEverySet
        appliesWhen = try place(definition.appliesWhen, &paths)
        bodyHash = try place(definition.bodyHash, &paths)
        triesBothPorts = definition.triesBothPorts
        urlDecodes = ASCIISet(definition.urlDecodes)
        self.paths = JSONPathSet(paths, in: memory)
    }
}

/// Some characters of ASCII. Trivial.
struct ASCIISet {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    /// Others than ASCII's are left out.
    init(_ characters: String) {
        for byte in characters.utf8 {
            if byte < 64 { low |= 1 << UInt64(byte) } else if byte < 128 { high |= 1 << UInt64(byte - 64) }
        }
    }
    var isEmpty: Bool { low | high == 0 }
    func contains(_ byte: UInt8) -> Bool {
        byte < 64 ? low & 1 << UInt64(byte) != 0 : byte < 128 && high & 1 << UInt64(byte - 64) != 0
    }
}
