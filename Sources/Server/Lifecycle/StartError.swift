// A start that was refused: what is wrong, and how to fix it. Whoever finds out throws it; the command line prints it.

package struct StartError: Error, Equatable, Sendable, CustomStringConvertible {
    package let message: String
    package let remedy: String

    package init(_ message: String, remedy: String) {
        self.message = message
        self.remedy = remedy
    }
    package var description: String { "\(message); \(remedy)" }
}
