// Where in a change a mistake is, and what is wrong there: the same for a manifest, the API and the command line. The
// manifest adapter turns a path into a line; the API returns it as it is.
//
// Invariant: an issue carries no value of the change. A value may have come from the environment or a secret file; only
// whoever knows how it was written may show it, in front of the reason.

/// Keys are spelled as in the manifest: `endpoints[3].timeouts.total`.
package struct FieldPath: Hashable, Sendable, CustomStringConvertible {
    package enum Component: Hashable, Sendable {
        case key(String)
        case index(Int)
    }
    package private(set) var components: [Component]

    package init(_ components: [Component] = []) { self.components = components }
    package init(_ keys: String...) { components = keys.map(Component.key) }

    package subscript(_ key: String) -> FieldPath { FieldPath(components + [.key(key)]) }
    package subscript(_ index: Int) -> FieldPath { FieldPath(components + [.index(index)]) }
    /// Appends a dotted key: `timeouts.total`.
    package func field(_ dotted: String) -> FieldPath {
        FieldPath(components + dotted.split(separator: ".").map { .key(String($0)) })
    }
    package func hasPrefix(_ other: FieldPath) -> Bool { components.starts(with: other.components) }
    package func appending(_ other: FieldPath) -> FieldPath { FieldPath(components + other.components) }
    package mutating func push(_ component: Component) { components.append(component) }
    package mutating func pop() { components.removeLast() }

    package var description: String {
        var text = ""
        for component in components {
            switch component {
            case .key(let key): text += text.isEmpty ? key : ".\(key)"
            case .index(let index): text += "[\(index)]"
            }
        }
        return text
    }
    /// The key within its source or endpoint, without the place in a list: what a reader of the line wants to see.
    package var shortKey: String {
        let isListed = components.count > 2 && [.key("sources"), .key("endpoints")].contains(components[0])
        let own = isListed ? components.dropFirst(2) : components[...]
        let keys = own.compactMap { component in
            if case .key(let key) = component { key } else { nil }
        }
        return keys.joined(separator: ".")
    }
}

/// One mistake. `reason` says what is wrong and what would be right.
package struct ValidationIssue: Error, Equatable, Sendable, CustomStringConvertible {
    package let path: FieldPath
    package let reason: String
    package let subject: Subject

    /// What `reason` is a predicate of, so that whoever shows it can put the right words before it.
    package enum Subject: Sendable {
        /// The field: "must be at least twice …".
        case field
        /// Its value, which may be shown as it was written: "is not a URL such as …".
        case value
        /// `reason` is a whole sentence.
        case nothing
    }

    package init(_ path: FieldPath, _ reason: String, about subject: Subject = .field) {
        self.path = path
        self.reason = reason
        self.subject = subject
    }
    package var description: String { path.components.isEmpty ? reason : "\(path): \(reason)" }
    package func under(_ prefix: FieldPath) -> ValidationIssue {
        ValidationIssue(prefix.appending(path), reason, about: subject)
    }
}

/// All mistakes of one change; never empty.
package struct ValidationIssues: Error, Equatable, Sendable, CustomStringConvertible {
    package let issues: [ValidationIssue]

    package init(_ issues: [ValidationIssue]) {
        precondition(!issues.isEmpty, "a refusal without a reason")
        self.issues = issues
    }
    package init(_ path: FieldPath, _ reason: String) { self.init([ValidationIssue(path, reason)]) }
    package var description: String { issues.map(\.description).joined(separator: "\n") }
}
