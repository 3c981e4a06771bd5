// What every command shares: exit statuses, and where words go. Results go to standard output, everything else to
// standard error; colour and progress only where a person looks.
import ArgumentParser
import Engine
import Foundation

/// The exit statuses of every command.
package enum ExitStatus {
    /// The answer is no: a signature does not verify, a log is damaged, a delivery was refused.
    package static let no = ExitCode(1)
    /// The command line or the configuration is wrong.
    package static let usage = ExitCode(2)
    /// A fault of Sluice's own.
    package static let fault = ExitCode(70)
}

enum Output {
    /// True exactly when a person reads standard error.
    static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// One line of the result.
    static func line(_ text: String) {
        try? FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8))
    }
    /// Text that has its own line ends.
    static func raw(_ text: String, isFailure: Bool, endsLine: Bool = true) {
        let handle = isFailure ? FileHandle.standardError : FileHandle.standardOutput
        try? handle.write(contentsOf: Data((text.hasSuffix("\n") || !endsLine ? text : text + "\n").utf8))
    }
    /// One JSON value, on one line.
    static func json(_ value: some Encodable) { line(JSONText.of(value)) }
    /// What went wrong, for a person.
    static func failure(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data(("sluice: " + text + "\n").utf8))
    }
    /// A remark beside the result, for a person.
    static func note(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
    }
}

package enum JSONText {
    /// Keys sorted, so that the same value is the same bytes.
    package static func of(_ value: some Encodable) -> String {
        (try? JSONTextEncoder().text(of: value)) ?? "null"
    }
}
