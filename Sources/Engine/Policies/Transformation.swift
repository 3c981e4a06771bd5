// The steps of a transformation as they run, in the order in which they are written. Pure.
//
// Invariants: deterministic; a step that finds nothing at its path changes nothing, except `constant` and `template`,
// which make what is missing on the way; no step makes more than the bound, and all of them take no more work than
// theirs (`TransformEdit`). Of a name that an object has twice the first is read; where a step writes, no other is left
// beside it.
import FastPath

/// What `format` makes of a value.
package enum TransformFormat: String, CaseIterable, Sendable {
    case upper, lower, trim
    /// A number, `true`, `false`, `null`, an object or a list as the text that it is written as.
    case text
    /// A text as the number that it is written as.
    case number
    /// Seconds or milliseconds since 1970 as RFC 3339.
    case time
    /// Its SHA-256 in hexadecimal digits.
    case sha256
}

package final class Transformation: Sendable {
    package static let stepCountMax = 32
    package static let pathCountMax = 64
    package static let nameBytesMax = 256
    package static let textBytesMax = 4096
    package static let jsonBytesMax = 16 << 10

    enum Piece: Sendable {
        case text([UInt8])
        case value([JSONPathStep])
    }
    private enum Step: Sendable {
        case pick([[JSONPathStep]])
        case remove([[JSONPathStep]])
        case rename([JSONPathStep], [UInt8])
        case constant([JSONPathStep], [UInt8])
        case format([JSONPathStep], TransformFormat)
        case template([JSONPathStep], [Piece])
    }
    private let steps: [Step]

    /// Nil without steps. They have been checked; one that is malformed is left out.
    init?(_ written: [TransformStep]) {
        guard !written.isEmpty else { return nil }
        steps = written.compactMap { Transformation.compiled($0) }
    }
    private static func compiled(_ step: TransformStep) -> Step? {
        switch step {
        case .pick(let paths): return .pick(paths.compactMap { path($0) })
        case .remove(let paths): return .remove(paths.compactMap { path($0) })
        case .rename(let place, let to):
            guard let path = Transformation.path(place) else { return nil }
            return .rename(path, name(to))
        case .constant(let place, let json):
            guard let path = Transformation.path(place) else { return nil }
            return .constant(path, Array(json.utf8))
        case .format(let place, let form):
            guard let path = Transformation.path(place), let form = TransformFormat(rawValue: form) else { return nil }
            return .format(path, form)
        case .template(let place, let text):
            guard let path = Transformation.path(place) else { return nil }
            guard let pieces = try? Transformation.pieces(text) else { return nil }
            return .template(path, pieces)
        }
    }
    private static func path(_ text: String) -> [JSONPathStep]? { (try? JSONPath(text))?.steps }
    /// As it stands between quotes.
    private static func name(_ text: String) -> [UInt8] {
        Array(JSONEdit.quoted(Array(text.utf8)).dropFirst().dropLast())
    }
    /// `{{$.a.b}}` and what stands between.
    static func pieces(_ text: String) throws(JSONPathError) -> [Piece] {
        var pieces: [Piece] = []
        var rest = text[...]
        while let open = rest.firstRange(of: "{{") {
            guard let close = rest[open.upperBound...].firstRange(of: "}}") else {
                throw .bad(path: text, why: "has {{ without its }}")
            }
            pieces.append(.text(Array(rest[..<open.lowerBound].utf8)))
            let path = spaceless(rest[open.upperBound..<close.lowerBound])
            pieces.append(.value(try JSONPath(path).steps))
            rest = rest[close.upperBound...]
        }
        pieces.append(.text(Array(rest.utf8)))
        return pieces
    }

    /// A name in it may have spaces of its own.
    private static func spaceless(_ text: Substring) -> String {
        String(String(text.drop { $0 == " " }.reversed()).drop { $0 == " " }.reversed())
    }

    package func apply(to body: [UInt8], bytesMax: Int) throws(PreparationFailure) -> [UInt8] {
        guard let edit = TransformEdit(body) else { throw .notJSON }
        // What the steps have made so far, so that a value which is used twice thirty times is stopped on the way.
        var left = bytesMax
        for step in steps { try apply(step, to: edit, &left) }
        let out = edit.text(of: edit.root)
        guard out.count <= bytesMax else { throw .tooLarge }
        return out
    }
    private func apply(_ step: Step, to edit: TransformEdit, _ left: inout Int) throws(PreparationFailure) {
        switch step {
        case .pick(let paths):
            edit.root = try picked(edit.root, paths.map { $0[...] }, edit) ?? .made(Array("{}".utf8))
        case .remove(let paths): edit.root = try removed(edit.root, paths.map { $0[...] }, edit)
        case .rename(let path, let to): edit.root = try renamed(edit.root, path[...], to, edit)
        case .constant(let path, let json):
            try take(json.count, of: &left)
            edit.root = try set(edit.root, path[...], to: .made(json), edit)
        case .format(let path, let form):
            guard let found = try value(edit.root, path[...], edit) else {
                // What an equal name further back leads to would go out as it is.
                return try apply(.remove([path]), to: edit, &left)
            }
            let made = try formatted(found, form, edit)
            try take(made.count, of: &left)
            edit.root = try set(edit.root, path[...], to: .made(made), edit)
        case .template(let path, let pieces):
            let made = JSONEdit.quoted(try text(of: pieces, edit, left))
            try take(made.count, of: &left)
            edit.root = try set(edit.root, path[...], to: .made(made), edit)
        }
    }
    private func text(
        of pieces: [Piece], _ edit: TransformEdit, _ bytesMax: Int
    ) throws(PreparationFailure) -> [UInt8] {
        var text: [UInt8] = []
        // Opened once for all of them.
        let isOpened = pieces.contains { piece in
            if case .value(let path) = piece { edit.leads(path.first, into: edit.root) } else { false }
        }
        let root = isOpened ? try edit.opened(edit.root) : edit.root
        for piece in pieces {
            switch piece {
            case .text(let bytes): text += bytes
            case .value(let path): text += try value(root, path[...], edit).map { edit.plain($0) } ?? []
            }
            guard text.count <= bytesMax else { throw .tooLarge }
        }
        edit.forget(root, of: edit.root)
        return text
    }
    private func take(_ count: Int, of left: inout Int) throws(PreparationFailure) {
        left -= count
        guard left >= 0 else { throw .tooLarge }
    }

    // MARK: the steps

    private typealias Path = ArraySlice<JSONPathStep>

    private func value(
        _ node: JSONEditNode, _ path: Path, _ edit: TransformEdit
    ) throws(PreparationFailure) -> JSONEditNode? {
        guard let first = path.first else { return node }
        let opened = try edit.opened(node, for: first)
        defer { edit.forget(opened, of: node) }
        switch (opened, first) {
        case (.object(let members), .key(let name)):
            let name = Array(name.utf8)
            guard let found = members.first(where: { JSONEdit.isName($0.name, name) }) else { return nil }
            return try value(found.value, path.dropFirst(), edit)
        case (.list(let elements), .index(let index)):
            return index < elements.count ? try value(elements[index], path.dropFirst(), edit) : nil
        default: return nil
        }
    }
    /// Nil when nothing of it is picked.
    private func picked(
        _ node: JSONEditNode, _ paths: [Path], _ edit: TransformEdit
    ) throws(PreparationFailure) -> JSONEditNode? {
        if paths.contains(where: \.isEmpty) { return node }
        let paths = paths.filter { edit.leads($0.first, into: node) }
        guard !paths.isEmpty else { return nil }
        let opened = try edit.opened(node)
        switch opened {
        case .object(let members):
            let names = TransformNames(paths)
            try edit.pass(members.count * names.count)
            var kept: [JSONEditMember] = []
            for member in members {
                let inside = names.paths(into: member)
                guard !inside.isEmpty, let value = try picked(member.value, inside, edit) else { continue }
                kept.append(JSONEditMember(name: member.name, value: value))
            }
            edit.forget(opened, of: node, kept: kept.count)
            return kept.isEmpty ? nil : .object(kept)
        case .list(let elements):
            var kept: [JSONEditNode] = []
            let places = paths.compactMap { path -> Int? in
                if case .index(let place)? = path.first { place } else { nil }
            }
            for place in Set(places).sorted() where place < elements.count {
                let inside = paths.filter { $0.first == .index(place) }.map { $0.dropFirst() }
                if let value = try picked(elements[place], inside, edit) { kept.append(value) }
            }
            edit.forget(opened, of: node, kept: kept.count)
            return kept.isEmpty ? nil : .list(kept)
        case .raw, .made: return nil
        }
    }
    /// All that is removed of an object at once; of a list one by one, since the places behind move up.
    private func removed(
        _ node: JSONEditNode, _ paths: [Path], _ edit: TransformEdit
    ) throws(PreparationFailure) -> JSONEditNode {
        let paths = paths.filter { edit.leads($0.first, into: node) }
        guard !paths.isEmpty else { return node }
        let opened = try edit.opened(node)
        switch opened {
        case .object(let members):
            let names = TransformNames(paths)
            try edit.pass(members.count * names.count)
            var kept: [JSONEditMember] = []
            var isFound = false
            for member in members {
                let inside = names.paths(into: member)
                if !inside.isEmpty { isFound = true }
                guard !inside.contains(where: \.isEmpty) else { continue }
                let value = inside.isEmpty ? member.value : try removed(member.value, inside, edit)
                kept.append(JSONEditMember(name: member.name, value: value))
            }
            if isFound { return .object(kept) }
        case .list(var elements):
            var isFound = false
            for path in paths {
                guard case .index(let index)? = path.first, index < elements.count else { continue }
                isFound = true
                try edit.pass(elements.count)
                if path.count == 1 {
                    elements.remove(at: index)
                } else {
                    elements[index] = try removed(elements[index], [path.dropFirst()], edit)
                }
            }
            if isFound { return .list(elements) }
        case .raw, .made: break
        }
        edit.forget(opened, of: node)
        return node
    }
    /// What had the new name before makes room for it.
    private func renamed(
        _ node: JSONEditNode, _ path: Path, _ to: [UInt8], _ edit: TransformEdit
    ) throws(PreparationFailure) -> JSONEditNode {
        guard let first = path.first else { return node }
        let opened = try edit.opened(node, for: first)
        switch (opened, first) {
        case (.object(let members), .key(let name)):
            let name = Array(name.utf8)
            guard let place = members.firstIndex(where: { JSONEdit.isName($0.name, name) }) else { break }
            var changed = members
            if path.count > 1 {
                for index in members.indices where JSONEdit.isName(members[index].name, name) {
                    changed[index].value = try renamed(members[index].value, path.dropFirst(), to, edit)
                }
                return .object(changed)
            }
            changed[place].name = to
            let plain: [UInt8] = to.withView { JSONSyntax.decoded($0) }
            return .object(
                changed.enumerated().filter { index, member in
                    index == place || !JSONEdit.isName(member.name, plain) && !JSONEdit.isName(member.name, name)
                }.map(\.element))
        case (.list(var elements), .index(let index)):
            guard index < elements.count else { break }
            elements[index] = try renamed(elements[index], path.dropFirst(), to, edit)
            return .list(elements)
        default: break
        }
        edit.forget(opened, of: node)
        return node
    }
    private func set(
        _ node: JSONEditNode, _ path: Path, to value: JSONEditNode, _ edit: TransformEdit
    ) throws(PreparationFailure) -> JSONEditNode {
        guard let first = path.first else { return value }
        switch (try edit.opened(node, for: first), first) {
        case (.object(var members), .key(let name)):
            let plain = Array(name.utf8)
            guard let place = members.firstIndex(where: { JSONEdit.isName($0.name, plain) }) else {
                let inner = try set(.object([]), path.dropFirst(), to: value, edit)
                members.append(JSONEditMember(name: Transformation.name(name), value: inner))
                return .object(members)
            }
            members[place].value = try set(members[place].value, path.dropFirst(), to: value, edit)
            return .object(
                members.enumerated().filter { index, member in
                    index == place || !JSONEdit.isName(member.name, plain)
                }.map(\.element))
        case (.list(var elements), .index(let index)):
            if index == elements.count {
                elements.append(try set(.object([]), path.dropFirst(), to: value, edit))
            } else {
                guard index < elements.count else { throw .wrongShape }
                elements[index] = try set(elements[index], path.dropFirst(), to: value, edit)
            }
            return .list(elements)
        default: throw .wrongShape
        }
    }
    private func formatted(
        _ node: JSONEditNode, _ form: TransformFormat, _ edit: TransformEdit
    ) throws(PreparationFailure) -> [UInt8] {
        let kind = edit.kind(node)
        switch form {
        case .upper, .lower, .trim:
            guard kind == .text else { throw .notConvertible }
            let text = String(decoding: edit.plain(node), as: UTF8.self)
            let changed =
                switch form {
                case .upper: text.uppercased()
                case .lower: text.lowercased()
                default: Transformation.trimmed(text)
                }
            return JSONEdit.quoted(Array(changed.utf8))
        case .text: return kind == .text ? edit.text(of: node) : JSONEdit.quoted(edit.text(of: node))
        case .number:
            if kind == .number { return edit.text(of: node) }
            let text = Array(Transformation.trimmed(String(decoding: edit.plain(node), as: UTF8.self)).utf8)
            guard kind == .text, JSONEdit.isNumber(text) else { throw .notConvertible }
            return text
        case .time:
            let text = String(decoding: edit.plain(node), as: UTF8.self)
            guard kind == .number || kind == .text, let time = Transformation.time(text) else { throw .notConvertible }
            return JSONEdit.quoted(Array(time.utf8))
        case .sha256: return JSONEdit.quoted(Array(TextEncoding.hex(Digest.sha256(edit.plain(node))).utf8))
        }
    }
    private static func trimmed(_ text: String) -> String {
        guard let first = text.firstIndex(where: { !$0.isWhitespace }),
            let last = text.lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(text[first...last])
    }
    /// From 10^10 on they are milliseconds: as seconds that would be the year 2286.
    private static func time(_ text: String) -> String? {
        let whole = text.prefix { $0 != "." }
        guard let number = Int64(whole), (0..<10_000_000_000_000).contains(number) else { return nil }
        return TimeText.of(epochMillis: number < 10_000_000_000 ? number * 1000 : number)
    }
}
