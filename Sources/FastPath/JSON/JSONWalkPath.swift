// Paths into a JSON document that may lead to many values, compiled for `JSONWalk`: those of `JSONPath`, and `[*]` for
// each element of an array: `$.items[*].id`, `$[*].type`.
//
// Safety: a set points into the `CompiledMemory` that it owns.

package struct JSONWalkPath: Hashable, Sendable {
    package enum Step: Hashable, Sendable {
        /// Compared with what the document spells, escapes decoded.
        case key(String)
        case index(Int)
        /// Each element of an array.
        case any
    }
    package static let stepCountMax = JSONPath.stepCountMax
    package let steps: [Step]

    /// `steps`: one to `stepCountMax`.
    package init(steps: [Step]) {
        precondition(!steps.isEmpty && steps.count <= JSONWalkPath.stepCountMax)
        self.steps = steps
    }
    /// As `JSONPath` reads it, between one `[*]` and the next.
    package init(_ text: String) throws(JSONPathError) {
        guard text.first == "$" else { throw .bad(path: text, why: "must begin with $, as in $.event.id") }
        var steps: [Step] = []
        var rest = text.dropFirst()[...]
        while true {
            let mark = rest.firstRange(of: "[*]")
            let part = rest[..<(mark?.lowerBound ?? rest.endIndex)]
            if !part.isEmpty { steps += try JSONWalkPath.plain(String(part), in: text) }
            guard let mark else { break }
            steps.append(.any)
            rest = rest[mark.upperBound...]
        }
        guard !steps.isEmpty else { throw .bad(path: text, why: "names the whole document") }
        guard steps.count <= JSONWalkPath.stepCountMax else {
            throw .bad(
                path: text, why: "has \(steps.count) steps; at most \(JSONWalkPath.stepCountMax) are taken")
        }
        self.steps = steps
    }
    private static func plain(_ part: String, in text: String) throws(JSONPathError) -> [Step] {
        do throws(JSONPathError) {
            return try JSONPath("$" + part).steps.map { step in
                switch step {
                case .key(let name): .key(name)
                case .index(let index): .index(index)
                }
            }
        } catch {
            switch error {
            case .bad(_, let why): throw .bad(path: text, why: why)
            }
        }
    }
}

/// Up to 32 paths that one pass over a document looks for.
/// Safety: `steps` lies in `memory`.
@safe struct JSONWalkSet {
    static let pathCountMax = 32

    struct Step {
        var key: ByteView
        /// -1 for a key and for any element.
        var index: Int32
    }
    /// What a container at a depth is to the paths: bit i stands for path i.
    struct Level {
        /// Paths that end here.
        var ending: UInt32 = 0
        /// Paths that go on by a key, by an index, and by any element.
        var byKey: UInt32 = 0
        var byIndex: UInt32 = 0
        var byAny: UInt32 = 0
    }
    let count: Int
    /// `JSONWalkPath.stepCountMax` a path.
    let steps: UnsafePointer<Step>
    /// One for each depth: 0 to `JSONWalkPath.stepCountMax`, and that of the elements of an array at a path's end.
    let levels: InlineArray<10, Level>
    private let memory: CompiledMemory

    init(_ paths: [JSONWalkPath]) {
        precondition(paths.count <= JSONWalkSet.pathCountMax)
        let memory = CompiledMemory()
        let stride = JSONWalkPath.stepCountMax
        var steps = [Step](repeating: Step(key: .empty, index: -1), count: max(paths.count, 1) * stride)
        var levels = InlineArray<10, Level>(repeating: Level())
        for (place, path) in paths.enumerated() {
            let bit = UInt32(1) << UInt32(place)
            for (depth, step) in path.steps.enumerated() {
                switch step {
                case .key(let name):
                    steps[place * stride + depth].key = memory.place(bytes: Array(name.utf8))
                    levels[depth].byKey |= bit
                case .index(let index):
                    steps[place * stride + depth].index = Int32(index)
                    levels[depth].byIndex |= bit
                case .any: levels[depth].byAny |= bit
                }
            }
            levels[path.steps.count].ending |= bit
        }
        count = paths.count
        unsafe self.steps = UnsafePointer(memory.place(steps))
        self.levels = levels
        self.memory = memory
    }
}
