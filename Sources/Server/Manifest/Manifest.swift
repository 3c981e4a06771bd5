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

    init(_ configuration: GatewayConfiguration, file: String, root: Node) {
        self.configuration = configuration
        self.file = file
        self.root = root
    }

    /// The same issues as messages with lines.
    package func error(_ issues: ValidationIssues) -> ConfigurationError {
        ConfigurationError(file: file, problems: issues.issues.map(problem))
    }
    func problem(_ issue: ValidationIssue) -> ConfigurationProblem {
        let place = place(of: issue.path)
        let key = issue.path.shortKey
        let message =
            switch issue.subject {
            case .nothing: "`\(key)`: \(issue.reason)"
            case .field: "`\(key)` \(issue.reason)"
            case .value: place.text.map { "`\(key)`: `\(shown($0))` \(issue.reason)" } ?? "`\(key)` \(issue.reason)"
            }
        return ConfigurationProblem(line: place.line, message: message)
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
