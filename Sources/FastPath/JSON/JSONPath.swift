// Paths into a JSON document, compiled for `JSONPathScan`: `$.a.b`, `$.items[0].id`, `$['a key'].b`.
//
// Safety: a set points into the `CompiledMemory` given at compilation and is valid as long as that lives.

package enum JSONPathError: Error, Equatable, Sendable {
    case bad(path: String, why: String)

    package var message: String {
        switch self {
        case .bad(let path, let why): "\"\(path)\" \(why)"
        }
    }
}

package enum JSONPathStep: Equatable, Sendable {
    /// Compared with what the document spells, escapes decoded.
    case key(String)
    case index(Int)
}

package struct JSONPath: Equatable, Sendable {
    /// A scan keeps one frame a step.
    package static let stepCountMax = 8
    package let steps: [JSONPathStep]

    package init(steps: [JSONPathStep]) {
        precondition(!steps.isEmpty && steps.count <= JSONPath.stepCountMax)
        self.steps = steps
    }
    package init(_ text: String) throws(JSONPathError) {
        var rest = text[...]
        guard rest.first == "$" else { throw .bad(path: text, why: "must begin with $, as in $.event.id") }
        rest = rest.dropFirst()
        var steps: [JSONPathStep] = []
        while let mark = rest.first {
            rest = rest.dropFirst()
            if mark == "." {
                let name = rest.prefix(while: { $0 != "." && $0 != "[" })
                guard !name.isEmpty else { throw .bad(path: text, why: "has an empty name") }
                steps.append(.key(String(name)))
                rest = rest[name.endIndex...]
            } else if mark == "[" {
                guard let close = rest.firstIndex(of: "]") else { throw .bad(path: text, why: "has a [ without its ]") }
                steps.append(try JSONPath.bracketed(String(rest[..<close]), in: text))
                rest = rest[rest.index(after: close)...]
            } else {
                throw .bad(path: text, why: "must go on with . or [ where it has \"\(mark)\"")
            }
        }
        guard !steps.isEmpty else { throw .bad(path: text, why: "names the whole document; use body for that") }
        guard steps.count <= JSONPath.stepCountMax else {
            throw .bad(path: text, why: "has \(steps.count) steps; at most \(JSONPath.stepCountMax) are taken")
        }
        self.steps = steps
    }

    private static func bracketed(_ inside: String, in path: String) throws(JSONPathError) -> JSONPathStep {
        if inside.count >= 3, let quote = inside.first, quote == "'" || quote == "\"", inside.last == quote {
            return .key(String(inside.dropFirst().dropLast()))
        }
        guard let index = Int32(inside), index >= 0, inside.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
            throw .bad(path: path, why: "has [\(inside)], which is neither an index nor a quoted name")
        }
        return .index(Int(index))
    }
}

/// Up to eight paths that one pass over a document looks for. Trivial.
/// Safety: points into its source's `CompiledMemory`.
@safe struct JSONPathSet {
    static let pathCountMax = 8

    struct Step {
        var key: ByteView
        /// -1 for a key.
        var index: Int32
    }
    /// What a container at a depth is to the paths: bit i stands for path i.
    struct Level {
        /// Paths that end here.
        var ending: UInt8 = 0
        /// Paths that go on by a key, and by an index.
        var byKey: UInt8 = 0
        var byIndex: UInt8 = 0
    }
    let count: Int
    /// `JSONPath.stepCountMax` a path.
    let steps: UnsafePointer<Step>
    /// One for each depth, 0 to `JSONPath.stepCountMax`.
    let levels: UnsafePointer<Level>

    init(_ paths: [JSONPath], in memory: CompiledMemory) {
        precondition(paths.count <= JSONPathSet.pathCountMax)
        var steps = [Step](repeating: Step(key: .empty, index: -1), count: max(paths.count, 1) * JSONPath.stepCountMax)
        var levels = [Level](repeating: Level(), count: JSONPath.stepCountMax + 1)
        for (place, path) in paths.enumerated() {
            let bit = UInt8(1) << UInt8(place)
            for (depth, step) in path.steps.enumerated() {
                switch step {
                case .key(let name):
                    steps[place * JSONPath.stepCountMax + depth].key = memory.place(bytes: Array(name.utf8))
                    levels[depth].byKey |= bit
                case .index(let index):
                    steps[place * JSONPath.stepCountMax + depth].index = Int32(index)
                    levels[depth].byIndex |= bit
                }
            }
            levels[path.steps.count].ending |= bit
        }
        count = paths.count
        unsafe self.steps = UnsafePointer(memory.place(steps))
        unsafe self.levels = UnsafePointer(memory.place(levels))
    }
}
