// A document on its way through the steps of a transformation, and what they may still take: nodes for the containers
// that are open, and bytes that are passed over to open them or to find a member. Lives for one event, on one thread.
//
// Invariants: a container is opened only for a path that can go on in it; `nodesLeft` is what the open ones leave, so
// that memory has a bound whatever the document; `bytesLeft` never grows, so that time has one whatever the steps.
import FastPath

final class TransformEdit {
    /// Members and elements of open containers.
    private static let nodesMax = 1 << 20
    /// Passed over in small documents; in larger ones so many times their length.
    private static let passedBytesMax = 64 << 20
    private static let passesMax = 32
    /// What a member or element of an open container counts for.
    private static let nodeBytes = 8

    private let json: JSONEdit
    var root: JSONEditNode
    private var nodesLeft = TransformEdit.nodesMax
    private var bytesLeft: Int

    /// Nil when it is not one JSON document.
    init?(_ body: [UInt8]) {
        guard let json = JSONEdit(body) else { return nil }
        self.json = json
        root = json.root
        bytesLeft = max(TransformEdit.passedBytesMax, TransformEdit.passesMax * body.count)
    }

    func kind(_ node: JSONEditNode) -> JSONEditKind { json.kind(node) }
    func text(of node: JSONEditNode) -> [UInt8] { json.text(of: node) }
    func plain(_ node: JSONEditNode) -> [UInt8] { json.plain(node) }

    /// Whether a path that begins so can lead on in it.
    func leads(_ step: JSONPathStep?, into node: JSONEditNode) -> Bool {
        switch step {
        case .key?: kind(node) == .object
        case .index?: kind(node) == .list
        case nil: false
        }
    }
    /// It stays what it is when the step cannot lead on in it.
    func opened(_ node: JSONEditNode, for step: JSONPathStep) throws(PreparationFailure) -> JSONEditNode {
        leads(step, into: node) ? try opened(node) : node
    }
    func opened(_ node: JSONEditNode) throws(PreparationFailure) -> JSONEditNode {
        switch node {
        case .object(let members):
            try pass(members.reduce(0) { $0 + TransformEdit.nodeBytes + $1.name.count })
            return node
        case .list(let elements):
            try pass(elements.count * TransformEdit.nodeBytes)
            return node
        case .raw(let range): try pass(range.count)
        case .made(let made): try pass(2 * made.count)
        }
        guard let opened = json.opened(node, entriesMax: nodesLeft) else { throw .tooLarge }
        nodesLeft -= TransformEdit.nodeCount(opened)
        return opened
    }
    /// No more than so many of what was opened of `node` are kept.
    func forget(_ opened: JSONEditNode, of node: JSONEditNode, kept: Int = 0) {
        switch node {
        case .object, .list: break
        case .raw, .made: nodesLeft += TransformEdit.nodeCount(opened) - kept
        }
    }
    func pass(_ byteCount: Int) throws(PreparationFailure) {
        bytesLeft -= byteCount
        guard bytesLeft >= 0 else { throw .tooLarge }
    }
    private static func nodeCount(_ node: JSONEditNode) -> Int {
        switch node {
        case .object(let members): members.count
        case .list(let elements): elements.count
        case .raw, .made: 0
        }
    }
}

/// Paths that lead on by name, compared with the names of an object's members, each of which is decoded once.
struct TransformNames {
    typealias Path = ArraySlice<JSONPathStep>
    private let wanted: [(name: [UInt8], rest: Path)]
    var count: Int { wanted.count }

    init(_ paths: [Path]) {
        wanted = paths.compactMap { path in
            guard case .key(let name)? = path.first else { return nil }
            return (Array(name.utf8), path.dropFirst())
        }
    }
    /// What is left of the paths that lead into it, in their order.
    func paths(into member: JSONEditMember) -> [Path] {
        let name =
            member.name.contains(ASCII.backslash) ? member.name.withView { JSONSyntax.decoded($0) } : member.name
        return wanted.compactMap { $0.name == name ? $0.rest : nil }
    }
}
