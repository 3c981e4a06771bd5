// The scans that find values without building a tree, held against a reader that builds one: on a document that is JSON
// both say the same of every path; on anything else a range lies inside of it.
import Engine
import FastPath

enum JSONScanFuzz {
    private static let paths = ["$.a", "$.a.b", "$.a[0]", "$.a[1].b", "$.id", "$.data.object.id", "$[0]", "$['a b']"]
    private static let walks = ["$.a", "$.a.b", "$[*].id", "$.a[*]", "$.a[*].b", "$.a[1]", "$[0].a", "$[*][*]", "$.b"]
    private static let memory = CompiledMemory()
    private static let finder = JSONFinder(paths.compactMap { try? JSONPath($0) }, in: memory)
    private static let walk = JSONWalk(walks.compactMap { try? JSONWalkPath($0) })

    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        let document = try? JSONDocument(input)
        try withExactBytes(input) { bytes throws(FuzzFinding) in
            let found = finder.find(in: bytes)
            for (index, path) in paths.enumerated() {
                let value = found[index]
                try hold(value.range.end <= bytes.count, "\(path) ends outside of the document")
                guard let document, let steps = (try? JSONPath(path))?.steps else { continue }
                let wanted = JSONTree(document).value(at: steps.map(JSONTree.Step.init))
                try hold(Shown(value) == wanted, "\(path) is \(value), and in the tree \(wanted)")
            }
            var visits = [[JSONValue]](repeating: [], count: walks.count)
            let isWhole = walk.walk(bytes) { visit in
                for index in walks.indices where visit.ending >> UInt32(index) & 1 == 1 {
                    visits[index].append(visit.value)
                }
            }
            for value in visits.joined() {
                try hold(value.range.end <= bytes.count, "a value ends outside of the document")
            }
            guard let document else { return }
            try hold(isWhole, "JSON that the walk takes for none")
            for (index, path) in walks.enumerated() {
                guard let steps = (try? JSONWalkPath(path))?.steps else { continue }
                let wanted = JSONTree(document).values(at: steps.map(JSONTree.Step.init))
                let same = visits[index].map(Shown.init).sorted { $0.range.lowerBound < $1.range.lowerBound } == wanted
                try hold(same, "\(path) is \(visits[index]), and in the tree \(wanted)")
            }
        }
    }
}

/// A document as a tree, by its places: the slow way to a path.
private struct JSONTree {
    enum Step {
        case key(String), index(Int), any

        init(_ step: JSONPathStep) {
            switch step {
            case .key(let name): self = .key(name)
            case .index(let index): self = .index(index)
            }
        }
        init(_ step: JSONWalkPath.Step) {
            switch step {
            case .key(let name): self = .key(name)
            case .index(let index): self = .index(index)
            case .any: self = .any
            }
        }
    }
    private let document: JSONDocument
    init(_ document: JSONDocument) { self.document = document }

    func value(at steps: [Step]) -> Shown { values(at: steps).first ?? Shown(.absent) }
    /// In the order of the document. Of two equal names the first counts.
    func values(at steps: [Step]) -> [Shown] {
        steps.reduce([0]) { places, step in places.flatMap { next($0, step) } }.map(shown)
    }
    private func next(_ place: Int, _ step: Step) -> [Int] {
        switch (kind(place), step) {
        case (.object, .key(let name)):
            // By their bytes: two texts that Unicode calls the same are two names.
            document.members(of: place).first { document.string($0.name).utf8.elementsEqual(name.utf8) }
                .map { [$0.value] } ?? []
        case (.array, .index(let index)):
            document.elements(of: place).dropFirst(index).first.map { [$0] } ?? []
        case (.array, .any): document.elements(of: place)
        default: []
        }
    }
    private func kind(_ place: Int) -> JSONKind {
        switch document.written(place).first {
        case UInt8(ascii: "{"): .object
        case UInt8(ascii: "["): .array
        case UInt8(ascii: "\""): .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): .literal
        default: .number
        }
    }
    private func shown(_ place: Int) -> Shown {
        let (kind, written) = (kind(place), document.written(place))
        let quotes = kind == .string ? 1 : 0
        return Shown(kind, written.startIndex + quotes..<written.endIndex - quotes)
    }
}

/// What a value is and where, whoever says so.
private struct Shown: Equatable {
    let kind: JSONKind
    let range: Range<Int>

    init(_ kind: JSONKind, _ range: Range<Int> = 0..<0) { (self.kind, self.range) = (kind, range) }
    init(_ value: JSONValue) { self.init(value.kind, Int(value.range.start)..<value.range.end) }
}
