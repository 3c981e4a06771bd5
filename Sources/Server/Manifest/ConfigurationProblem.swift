// What is wrong with a configuration: the file, the line, what is wrong, what would be right. All that can be found in
// one reading is reported together. Messages quote what stands in the file, never what a variable or a secret file
// held.

package struct ConfigurationProblem: Equatable, Sendable, CustomStringConvertible {
    /// From 1; 0 when the problem is with the file as a whole.
    package let line: Int
    package let message: String
    package init(line: Int, message: String) {
        self.line = line
        self.message = message
    }
    package var description: String { line > 0 ? "\(line): \(message)" : message }
}

/// At least one problem; a configuration with any is not used at all.
package struct ConfigurationError: Error, CustomStringConvertible {
    package let file: String
    package let problems: [ConfigurationProblem]

    package init(file: String, problems: [ConfigurationProblem]) {
        precondition(!problems.isEmpty)
        self.file = file
        self.problems = problems.sorted { $0.line < $1.line }
    }
    /// One `file:line: message` a problem.
    package var lines: [String] {
        problems.map { $0.line > 0 ? "\(file):\($0.line): \($0.message)" : "\(file): \($0.message)" }
    }
    package var description: String { lines.joined(separator: "\n") }
}
