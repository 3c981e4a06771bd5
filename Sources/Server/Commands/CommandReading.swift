// From the words of a command line to a command that can run, or to what is said instead and the exit status.
//
// A mistyped command is looked for before ArgumentParser sees the line, because it would only speak of an unexpected
// argument; mistyped options it finds itself. Its own status for a wrong command line is 64; Sluice's is 2.
import ArgumentParser
import Engine

package struct CommandReading {
    /// Nil when there is nothing to run: help, the version, or a mistake.
    let command: (any ParsableCommand)?
    /// What is said instead of running; to standard error exactly when `status` is not 0.
    package let text: String
    package let status: Int32
    package var canRun: Bool { command != nil }

    /// `arguments` without the program's name.
    package init(_ arguments: [String]) {
        if let problem = CommandReading.unknownCommand(in: arguments, of: Sluice.self) {
            (command, text, status) = (nil, "sluice: " + problem, ExitStatus.usage.rawValue)
            return
        }
        do {
            var parsed = try Sluice.parseAsRoot(arguments)
            // Help is a command to ArgumentParser, and throws its text.
            if type(of: parsed).configuration.commandName == "help" { try parsed.run() }
            command = parsed
            (text, status) = ("", 0)
        } catch {
            command = nil
            (text, status) = CommandReading.ending(of: error)
        }
    }

    /// How an error of parsing or running ends the process.
    static func ending(of error: any Error) -> (text: String, status: Int32) {
        let code = Sluice.exitCode(for: error)
        if code == .success { return (Sluice.fullMessage(for: error), 0) }
        if code == .validationFailure { return (Sluice.fullMessage(for: error), ExitStatus.usage.rawValue) }
        return ("sluice: \(error)", ExitStatus.fault.rawValue)
    }

    private static func unknownCommand(in arguments: [String], of root: any ParsableCommand.Type) -> String? {
        var command = root
        for word in arguments {
            let children = command.configuration.subcommands
            // An option, or the arguments of a command that has no subcommands.
            guard !children.isEmpty, !word.hasPrefix("-"), word != "help" else { return nil }
            if let child = children.first(where: { name(of: $0) == word }) {
                command = child
                continue
            }
            if command.configuration.defaultSubcommand != nil { return nil }
            let names = children.map { name(of: $0) }
            let advice =
                NearestName.of(word, among: names).map { "did you mean `\($0)`?" }
                ?? "there is \(names.joined(separator: ", "))"
            return "unknown command `\(word)`; \(advice)"
        }
        return nil
    }
    private static func name(of command: any ParsableCommand.Type) -> String {
        command.configuration.commandName ?? kebab("\(command)")
    }
    /// As ArgumentParser names a command without a name of its own: `RetryNow` is `retry-now`.
    private static func kebab(_ name: String) -> String {
        var text = ""
        for character in name {
            if character.isUppercase, !text.isEmpty { text += "-" }
            text += character.lowercased()
        }
        return text
    }
}
