// From a YAML file to a `Manifest`: parse, read by the table of keys, check by the registry's rules. All problems of a
// file that parses are reported together.
// Safety: the flag that a file system call fills is a local variable.
import Engine
import Foundation
import Yams

package enum ConfigurationFile {
    /// Reads the file; `environment` is where `${NAME}` looks.
    package static func load(
        _ file: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> GatewayConfiguration {
        try manifest(file, environment: environment).configuration
    }
    /// The same with the places of its fields.
    package static func manifest(
        _ file: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> Manifest {
        try manifest(text: try read(file), file: file, environment: environment)
    }
    private static func read(_ file: String) throws -> String {
        var isFolder: ObjCBool = false
        if unsafe FileManager.default.fileExists(atPath: file, isDirectory: &isFolder), isFolder.boolValue {
            let message = "this is a folder; name the configuration file in it"
            throw ConfigurationError(file: file, problems: [ConfigurationProblem(line: 0, message: message)])
        }
        let bytes: Data
        do {
            bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        } catch {
            let message = "cannot read the configuration: \(ConfigurationReading.reason(of: error))"
            throw ConfigurationError(file: file, problems: [ConfigurationProblem(line: 0, message: message)])
        }
        guard let text = String(data: bytes, encoding: .utf8) else {
            throw ConfigurationError(
                file: file, problems: [ConfigurationProblem(line: 0, message: "this is not UTF-8 text")])
        }
        return text
    }

    /// Where the gateway of a configuration is asked (`HOST:PORT`, after `https://` where it has TLS), and the folder
    /// that its key is in; the configuration's secrets need not be at hand.
    package static func place(
        of file: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> (admin: String, dataFolder: String) {
        let text = try read(file)
        let reading = ConfigurationReading(file: file, environment: environment)
        var admin = ProcessSettings().admin
        var folder = reading.resolve(path: ProcessSettings().dataFolder)
        do {
            let keys = try Yams.compose(yaml: text)?.mapping
            if let node = keys?["admin"] {
                // With TLS its address stands in a mapping.
                let scheme = node.mapping?["tls"] == nil ? "" : AdminAddress.secureScheme
                let address = reading.text(node.mapping?["address"] ?? node, key: "admin").map(nearby)
                admin = address.map { scheme + $0 } ?? admin
            }
            if let node = keys?["data"], let path = reading.text(node, key: "data") {
                folder = reading.resolve(path: path)
            }
        } catch let error as YamlError {
            throw ConfigurationError(file: file, problems: [problem(of: error, in: text)])
        }
        guard reading.problems.isEmpty else { throw ConfigurationError(file: file, problems: reading.problems) }
        return (admin, folder)
    }

    private static func nearby(_ address: String) -> String {
        guard let (host, port) = AddressText.host(of: address) else { return address }
        return AddressText.text(host: AddressText.nearby(host), port: port)
    }

    /// `file` is what messages say and where relative paths start.
    package static func parse(
        _ text: String, file: String, environment: [String: String]
    ) throws -> GatewayConfiguration {
        try manifest(text: text, file: file, environment: environment).configuration
    }
    package static func manifest(
        text: String, file: String, environment: [String: String]
    ) throws -> Manifest {
        let reading = ConfigurationReading(file: file, environment: environment)
        var configuration = GatewayConfiguration()
        let root: Node
        do {
            // Values are texts here, whatever they look like: guessing a type for each takes half of the time.
            guard let found = try Yams.compose(yaml: text, .basic) else {
                throw ConfigurationError(
                    file: file,
                    problems: [
                        ConfigurationProblem(line: 1, message: "the file is empty; it needs `sources` at least")
                    ])
            }
            root = found
        } catch let error as YamlError {
            throw ConfigurationError(file: file, problems: [problem(of: error, in: text)])
        }
        readMapping(root, into: &configuration, keys: ConfigurationKeys.top, called: "the configuration", reading)
        let manifest = Manifest(configuration, file: file, root: root, held: Array(reading.held))
        if root.mapping?.contains(where: { $0.key.scalar?.string == "sources" }) == false {
            reading.at(.key("sources")) {
                reading.report(
                    root.mark?.line ?? 1,
                    "there is no `sources`; without a source nothing can come in (`sources: []` leaves them to the API)"
                )
            }
        }
        let read = reading.problems
        let found = RegistryValidation.issues(of: configuration).filter { reading.isSound($0.path) }
        let problems = read + found.map(manifest.problem)
        guard problems.isEmpty else { throw ConfigurationError(file: file, problems: problems) }
        return manifest
    }

    private static func problem(of error: YamlError, in text: String) -> ConfigurationProblem {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            if isIndentedByTab(mark.line, in: text) {
                return ConfigurationProblem(
                    line: mark.line, message: "a tab indents this line; YAML indents by spaces alone")
            }
            let before = context.map { " (\($0.text), which began at line \($0.mark.line))" } ?? ""
            return ConfigurationProblem(
                line: mark.line, message: "not YAML: \(problem)\(before), column \(mark.column)")
        case .duplicatedKeysInMapping(let names, let context):
            let name = names.first ?? ""
            let line = secondLine(of: name, in: text, from: context.mark.line) ?? context.mark.line
            return ConfigurationProblem(
                line: line, message: "the key `\(name)` is given twice; keep one of them")
        case .reader(let problem, _, _, _):
            return ConfigurationProblem(line: 1, message: "not YAML: \(problem)")
        default:
            return ConfigurationProblem(line: 1, message: "not YAML: \(error)")
        }
    }

    private static func isIndentedByTab(_ line: Int, in text: String) -> Bool {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.indices.contains(line - 1) else { return false }
        return lines[line - 1].prefix { $0 == " " || $0 == "\t" || $0 == "-" }.contains("\t")
    }

    /// The line where `key` begins a line for the second time, at the indentation of its first, in the mapping that
    /// begins at `start`. Yams names the mapping only.
    private static func secondLine(of key: String, in text: String, from start: Int) -> Int? {
        var indentation: Int?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
        where index + 1 >= start {
            let stripped = line.drop { $0 == " " || $0 == "-" }
            guard stripped.hasPrefix(key), stripped.dropFirst(key.count).drop(while: { $0 == " " }).first == ":" else {
                continue
            }
            let column = line.count - stripped.count
            if indentation == column { return index + 1 }
            if indentation == nil { indentation = column }
        }
        return nil
    }
}
