// A start that was refused: what is wrong, and how to fix it. Whoever finds out throws it; the command line prints it.

package struct StartError: Error, Equatable, Sendable, CustomStringConvertible {
    package let message: String
    package let remedy: String
    /// True when nobody's words are wrong: there is less memory than what was asked for takes.
    package let isOfMemory: Bool

    package init(_ message: String, remedy: String, isOfMemory: Bool = false) {
        self.message = message
        self.remedy = remedy
        self.isOfMemory = isOfMemory
    }
    package var description: String { "\(message); \(remedy)" }
}
