// One reading of one configuration file: where problems are collected and `${NAME}` and `file:` are resolved.
//
// Invariant: a value that came out of the environment or a secret file never enters a message.
import Engine
import Foundation
import Yams

/// Used on one thread, for one file, from the first key to the last check.
package final class ConfigurationReading {
    let file: String
    /// Relative paths in the file start here: the folder the file is in.
    let folder: String
    private let environment: [String: String]
    private(set) var problems: [ConfigurationProblem] = []
    /// What the variables held that were put in, for `Manifest` to keep it out of messages.
    private(set) var held: Set<String> = []
    /// What is being read.
    private var path = FieldPath()
    /// What could not be read; what the rules find there is a consequence.
    private var failed: [FieldPath] = []

    package init(file: String, environment: [String: String]) {
        self.file = file
        self.environment = environment
        folder = URL(fileURLWithPath: file).deletingLastPathComponent().path
    }

    func report(_ line: Int, _ message: String) {
        problems.append(ConfigurationProblem(line: line, message: message))
        failed.append(path)
    }
    /// Reads what is under `component`.
    func at(_ component: FieldPath.Component, _ read: () -> Void) {
        path.push(component)
        read()
        path.pop()
    }
    /// True exactly when nothing at `path`, above or beneath it failed to be read.
    func isSound(_ path: FieldPath) -> Bool {
        !failed.contains { $0.hasPrefix(path) || path.hasPrefix($0) }
    }
    func report(_ node: Node, _ message: String) { report(node.mark?.line ?? 0, message) }

    /// A path of the file as the process sees it.
    func resolve(path: String) -> String {
        path.hasPrefix("/") || folder.isEmpty ? path : URL(fileURLWithPath: folder).appendingPathComponent(path).path
    }

    /// The scalar's text with `${NAME}` replaced; nil, and reported, when it is no scalar or a variable is missing.
    func text(_ node: Node, key: String) -> String? {
        guard let scalar = node.scalar else {
            report(node, "`\(key)` takes one value, not \(node.mapping != nil ? "a mapping" : "a list")")
            return nil
        }
        if scalar.string.isEmpty, scalar.style == .plain {
            report(node, "`\(key)` has no value; set one or remove the line")
            return nil
        }
        return expand(scalar.string, node: node, key: key)
    }

    /// Replaces `${NAME}`; `$${` stands for a literal `${`.
    private func expand(_ raw: String, node: Node, key: String) -> String? {
        guard raw.utf8.contains(UInt8(ascii: "$")) else { return raw }
        var result = ""
        var rest = raw[...]
        while let dollar = rest.range(of: "${") {
            if dollar.lowerBound > rest.startIndex, rest[rest.index(before: dollar.lowerBound)] == "$" {
                result += rest[..<rest.index(before: dollar.lowerBound)] + "${"
                rest = rest[dollar.upperBound...]
                continue
            }
            guard let end = rest[dollar.upperBound...].firstIndex(of: "}") else {
                report(node, "`\(key)`: `${` without its `}`; write ${NAME}, or $${ for the characters themselves")
                return nil
            }
            let name = String(rest[dollar.upperBound..<end])
            guard let value = environment[name], !value.isEmpty else {
                let state = environment[name] == nil ? "not set" : "empty"
                report(node, "`\(key)`: the environment variable \(name) is \(state); set it before starting")
                return nil
            }
            result += rest[..<dollar.lowerBound] + value
            held.insert(value)
            rest = rest[rest.index(after: end)...]
        }
        return result + rest
    }

    /// A secret: literal text, `${NAME}`, or `file:PATH` whose one trailing newline is not part of it.
    func secret(_ node: Node, key: String) -> String? {
        guard let raw = node.scalar?.string, raw.hasPrefix("file:") else {
            guard let value = text(node, key: key) else { return nil }
            if value.isEmpty {
                report(node, "`\(key)` is empty; an empty secret verifies nothing")
                return nil
            }
            return value
        }
        guard let path = expand(String(raw.dropFirst(5)), node: node, key: key) else { return nil }
        do {
            var bytes = try Data(contentsOf: URL(fileURLWithPath: resolve(path: path)))
            if bytes.last == 0x0A { bytes.removeLast() }
            if bytes.last == 0x0D { bytes.removeLast() }
            guard !bytes.isEmpty else {
                report(node, "`\(key)`: the secret file `\(raw.dropFirst(5))` is empty")
                return nil
            }
            guard let value = String(data: bytes, encoding: .utf8) else {
                report(node, "`\(key)`: the secret file `\(raw.dropFirst(5))` is not UTF-8 text")
                return nil
            }
            return value
        } catch {
            let reason = ConfigurationReading.reason(of: error)
            report(node, "`\(key)`: cannot read the secret file `\(raw.dropFirst(5))`: \(reason)")
            return nil
        }
    }

    static func reason(of error: any Error) -> String {
        switch (error as? CocoaError)?.code {
        case .fileReadNoSuchFile?: "there is no such file"
        case .fileReadNoPermission?: "this user may not read it"
        default: "it cannot be read (\((error as NSError).localizedDescription))"
        }
    }
}
