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

/// The nearest of some names, for "did you mean".
package enum NearestName {
    /// Nil when nothing is near: more than a third of the letters (at least two) would have to change.
    package static func of(_ name: String, among names: [String]) -> String? {
        let ranked = names.map { (name: $0, distance: distance(name, $0)) }
        guard let best = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(2, name.count / 3) && best.distance < name.count ? best.name : nil
    }
    /// Levenshtein distance; O(n·m) on names of a few dozen letters.
    static func distance(_ left: String, _ right: String) -> Int {
        let columns = Array(right)
        var row = Array(0...columns.count)
        for (index, letter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in columns.indices {
                let substituted = diagonal + (letter == columns[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(substituted, row[column] + 1, diagonal + 1)
            }
        }
        return row[columns.count]
    }
}
