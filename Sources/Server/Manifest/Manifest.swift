// A configuration file that was read, together with the place of each of its fields: what the registry says of a field
// is shown at its line.
//
// Invariant: a message shows what stands in the file, never what a variable or a secret file held.
import Engine
import Yams

package struct Manifest {
    package var configuration: GatewayConfiguration
    let file: String
    private let root: Node
    /// What variables held, in small letters.
    private let held: [String]

    init(_ configuration: GatewayConfiguration, file: String, root: Node, held: [String]) {
        self.configuration = configuration
        self.file = file
        self.root = root
        self.held = held.map { $0.lowercased() }
    }

    /// The same issues as messages with lines.
    package func error(_ issues: ValidationIssues) -> ConfigurationError {
        ConfigurationError(file: file, problems: issues.issues.map(problem))
    }
    func problem(_ issue: ValidationIssue) -> ConfigurationProblem {
        let place = place(of: issue.path)
        let key = issue.path.shortKey
        let reason = reason(of: issue, about: place.text)
        let message =
            switch issue.subject {
            case .nothing: "`\(key)`: \(reason)"
            case .field: "`\(key)` \(reason)"
            case .value: place.text.map { "`\(key)`: `\(shown($0))` \(reason)" } ?? "`\(key)` \(reason)"
            }
        return ConfigurationProblem(line: place.line, message: message)
    }

    /// A reason may name a piece of the value (a scheme, a host). Of a text with a variable in it, words that have
    /// something of what the variable held are left out.
    private func reason(of issue: ValidationIssue, about text: String?) -> String {
        guard !held.isEmpty, text?.contains("${") != false else { return issue.reason }
        return issue.reason.split(separator: " ", omittingEmptySubsequences: false)
            .map { word in held.contains { Manifest.shows($0, in: word.lowercased()) } ? "…" : String(word) }
            .joined(separator: " ")
    }
    /// True when `word` has five characters of `held` in a row, or all of a shorter one.
    private static func shows(_ held: String, in word: String) -> Bool {
        let characters = Array(held)
        let run = min(characters.count, 5)
        guard run > 0 else { return false }
        return (0...characters.count - run).contains { word.contains(String(characters[$0..<$0 + run])) }
    }
    /// A URL without its user name and password.
    private func shown(_ text: String) -> String {
        guard let slashes = text.firstRange(of: "//"),
            let at = text[slashes.upperBound...].prefix(while: { $0 != "/" }).lastIndex(of: "@")
        else { return text }
        return text[..<slashes.upperBound] + "***" + text[at...]
    }
    /// The line of the field, or of the nearest thing above it that is there; its text when it is one value.
    private func place(of path: FieldPath) -> (line: Int, text: String?) {
        var node = root
        var isWhole = true
        for component in path.components {
            guard let next = Manifest.step(component, from: node) else {
                isWhole = false
                break
            }
            node = next
        }
        return (node.mark?.line ?? 0, isWhole ? node.scalar?.string : nil)
    }
    private static func step(_ component: FieldPath.Component, from node: Node) -> Node? {
        switch component {
        case .key(let key): return node.mapping?.first { $0.key.scalar?.string == key }?.value
        case .index(let index):
            // One value alone is a list of one.
            guard let sequence = node.sequence else { return index == 0 && node.scalar != nil ? node : nil }
            return index < sequence.count ? sequence[index] : nil
        }
    }
}
