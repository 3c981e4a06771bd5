// `sluice completions install|print`: what the shell proposes while a command is typed.
import ArgumentParser
import Foundation

struct CompletionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completions", abstract: "Teach the shell the commands and options of sluice.",
        discussion: """
            EXAMPLE
              sluice completions install
            """,
        subcommands: [Install.self, Print.self])

    struct Shell: ParsableArguments {
        @Option(help: "bash, zsh or fish; that of SHELL when absent.", transform: Shell.read)
        var shell: CompletionShell?

        private static func read(_ text: String) throws -> CompletionShell {
            guard let shell = CompletionShell(rawValue: text) else {
                throw ValidationError("--shell takes bash, zsh or fish")
            }
            return shell
        }
        func chosen(_ environment: [String: String]) throws -> CompletionShell {
            if let shell { return shell }
            let name = (environment["SHELL"] ?? "").split(separator: "/").last.map(String.init) ?? ""
            guard let shell = CompletionShell(rawValue: name) else {
                throw ValidationError("SHELL is `\(name)`: give --shell bash, zsh or fish")
            }
            return shell
        }
    }

    struct Install: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put the script where the shell looks for scripts of this user.",
            discussion: """
                bash: $BASH_COMPLETION_USER_DIR, else bash-completion of $XDG_DATA_HOME or ~/.local/share
                zsh: zsh/site-functions there, which has to be in `fpath`
                fish: fish/completions of $XDG_CONFIG_HOME or ~/.config

                A file there that is not of this command is left alone, unless --force is given.

                EXAMPLES
                  sluice completions install
                  sluice completions install --shell fish

                Exit status: 0 written, 2 there is another's file, or none can be written.
                """)
        @OptionGroup var shell: Shell
        @Flag(help: "Replace a file that this command has not written.")
        var force = false

        func run() throws {
            let environment = ProcessInfo.processInfo.environment
            let shell = try shell.chosen(environment)
            let place = try ProfileAccess.telling { try CompletionPlace(shell, environment) }
            guard force || CompletionScript.mayReplace(place.path) else {
                Output.failure("\(place.path) is there and not of this command: --force replaces it")
                throw ExitStatus.usage
            }
            do {
                try FileManager.default.createDirectory(
                    atPath: place.folder, withIntermediateDirectories: true)
                try Data(CompletionScript.marked(Sluice.completionScript(for: shell)).utf8).write(
                    to: URL(fileURLWithPath: place.path), options: .atomic)
            } catch {
                Output.failure("\(place.path) cannot be written: \(ConfigurationReading.reason(of: error))")
                throw ExitStatus.usage
            }
            Output.line("written: \(place.path)")
            Output.note(place.advice)
        }
    }

    struct Print: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the script, to be put elsewhere.",
            discussion: """
                EXAMPLE
                  sluice completions print --shell zsh > /usr/local/share/zsh/site-functions/_sluice
                """)
        @OptionGroup var shell: Shell

        func run() throws {
            let shell = try shell.chosen(ProcessInfo.processInfo.environment)
            Output.raw(CompletionScript.marked(Sluice.completionScript(for: shell)), isFailure: false)
        }
    }
}

/// A script says that it is ours in its first line, or in the second: zsh reads the first one.
package enum CompletionScript {
    static let mark = "# Written by `sluice completions`, which may replace it."

    package static func marked(_ script: String) -> String {
        guard script.hasPrefix("#compdef"), let end = script.firstIndex(of: "\n") else { return mark + "\n" + script }
        return "\(script[...end])\(mark)\n\(script[script.index(after: end)...])"
    }
    package static func isMarked(_ script: String) -> Bool {
        script.split(separator: "\n", maxSplits: 2, omittingEmptySubsequences: false).prefix(2).contains { $0 == mark }
    }
    /// Nothing is there, or what this command wrote.
    package static func mayReplace(_ path: String) -> Bool {
        do {
            return isMarked(String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self))
        } catch { return (error as? CocoaError)?.code == .fileReadNoSuchFile }
    }
}

/// Where a shell looks for scripts of its user.
package struct CompletionPlace {
    package let folder: String
    package let path: String
    /// What is left to do.
    package let advice: String

    package init(shell name: String, _ environment: [String: String]) throws {
        guard let shell = CompletionShell(rawValue: name) else { throw ProfileError(message: "no such shell") }
        try self.init(shell, environment)
    }
    init(_ shell: CompletionShell, _ environment: [String: String]) throws {
        let file: String
        switch shell {
        case .zsh:
            folder = try UserFolder.of("XDG_DATA_HOME", else: ".local/share", environment) + "/zsh/site-functions"
            file = "_sluice"
            advice =
                "zsh finds it where ~/.zshrc has, before `compinit`: fpath=(\(folder) $fpath); then open a new shell"
        case .fish:
            folder = try UserFolder.of("XDG_CONFIG_HOME", else: ".config", environment) + "/fish/completions"
            file = "sluice.fish"
            advice = "fish finds it by itself"
        default:
            if let own = environment["BASH_COMPLETION_USER_DIR"], own.hasPrefix("/") {
                folder = own + "/completions"
            } else {
                folder =
                    try UserFolder.of("XDG_DATA_HOME", else: ".local/share", environment)
                    + "/bash-completion/completions"
            }
            file = "sluice"
            advice = "bash finds it in a new shell, where the package bash-completion is installed"
        }
        path = folder + "/" + file
    }
}
