// From the spelling of places to what `ValueSelector` and `KeySelector` read. Runs on worker threads at start and
// reload.
//
// Safety: what is compiled lies in the `CompiledMemory` given.

/// A list, compiled, before the set of paths is complete.
@safe struct SelectorList {
    let selectors: UnsafePointer<Selector>
    let count: Int

    init(_ spellings: [String], paths: inout [JSONPath], in memory: CompiledMemory) throws(SelectorError) {
        var list: [Selector] = []
        for spelling in spellings { list.append(try Selector(spelling, paths: &paths, in: memory)) }
        unsafe selectors = UnsafePointer(memory.place(list))
        count = list.count
    }
}

/// A dedup key, compiled, before the set of paths is complete.
@safe struct KeyList {
    let selectors: SelectorList
    /// How many places each alternative has.
    let partCounts: UnsafePointer<UInt8>
    let alternativeCount: Int
    let isComposed: Bool
    /// One bit a place that is the body.
    let bodyPlaces: UInt64

    init(_ spellings: [String], paths: inout [JSONPath], in memory: CompiledMemory) throws(SelectorError) {
        var places: [String] = []
        var counts: [UInt8] = []
        for spelling in spellings {
            let parts = DedupKeySpelling.parts(of: spelling)
            guard parts.count <= SelectedKey.partCountMax else {
                throw .bad("\"\(spelling)\": at most \(SelectedKey.partCountMax) places count together")
            }
            places += parts
            counts.append(UInt8(parts.count))
        }
        guard places.count <= 64 else { throw .bad("\(places.count) places; a dedup key has at most 64") }
        bodyPlaces = places.enumerated().reduce(0) { $1.element == "body" ? $0 | 1 << UInt64($1.offset) : $0 }
        selectors = try SelectorList(places, paths: &paths, in: memory)
        unsafe partCounts = UnsafePointer(memory.place(counts))
        alternativeCount = counts.count
        isComposed = counts.contains { $0 > 1 }
    }

}

package enum DedupKeySpelling {
    /// Parts are joined by ` + `; what stands between the brackets of a path joins nothing.
    package static func parts(of spelling: String) -> [String] {
        var parts: [String] = []
        var part = ""
        var isBracketed = false
        var rest = spelling[...]
        while let character = rest.first {
            if !isBracketed, rest.hasPrefix(" + ") {
                parts.append(part)
                part = ""
                rest = rest.dropFirst(3)
                continue
            }
            if character == "[" { isBracketed = true }
            if character == "]" { isBracketed = false }
            part.append(character)
            rest = rest.dropFirst()
        }
        return parts + [part]
    }
}

extension Selector {
    private static let forms =
        "header:NAME, query:NAME, form:NAME, json:$.PATH, form:NAME.$.PATH, body, method, target"

    init(_ spelling: String, paths: inout [JSONPath], in memory: CompiledMemory) throws(SelectorError) {
        self.init(kind: .body, header: nil, name: .empty, path: 0)
        switch spelling {
        case "body": return
        case "method":
            kind = .method
            return
        case "target":
            kind = .target
            return
        default: break
        }
        let parts = spelling.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty else {
            throw .bad("\"\(spelling)\" is none of \(Selector.forms)")
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
        case "form":
            kind = .form
            let (field, path) = try Selector.field(name, of: spelling)
            self.name = memory.place(bytes: Array(field.utf8))
            if let path { inner = JSONPathSet([path], in: memory) }
        case "json":
            kind = .json
            let known = try Selector.path(name, of: spelling)
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
        default: throw .bad("\"\(spelling)\" is none of \(Selector.forms)")
        }
    }

    /// `payload.$.type`: a field's name, and a path inside its value.
    private static func field(
        _ name: String, of spelling: String
    ) throws(SelectorError) -> (name: String, path: JSONPath?) {
        for mark in name.indices where name[mark...].hasPrefix(".$.") || name[mark...].hasPrefix(".$[") {
            guard mark > name.startIndex else { break }
            return (String(name[..<mark]), try path(String(name[name.index(after: mark)...]), of: spelling))
        }
        return (name, nil)
    }
    private static func path(_ text: String, of spelling: String) throws(SelectorError) -> JSONPath {
        do throws(JSONPathError) { return try JSONPath(text) } catch {
            throw .bad("\"\(spelling)\": \(error.message)")
        }
    }
}
