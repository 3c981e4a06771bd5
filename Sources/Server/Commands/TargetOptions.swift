// What `send` and `load` take of a configuration (a source's scheme, secrets and address) and the header fields that go
// with every request.
import ArgumentParser
import Engine
import FastPath
import Foundation

struct TargetOptions: ParsableArguments {
    @Option(
        help: "A configuration file, for the scheme, the secrets and the address of --source.",
        completion: .file(extensions: ["yaml", "yml"]))
    var config: String?
    @Option(help: "The source in --config to send to.")
    var source: String?
    @Option(help: "One more header field, NAME: VALUE; repeatable.")
    var header: [String] = []

    /// What decides where a request ends is the sender's own business.
    private static let framing: Set<String> = ["host", "connection", "content-length", "transfer-encoding"]

    func validate() throws {
        if (config == nil) != (source == nil) { throw ValidationError("--config FILE and --source NAME go together") }
        _ = try fields()
    }

    /// `--header`, checked: whatever is in there can be written as it is.
    func fields() throws -> [(name: String, value: String)] {
        try header.map { text in
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let name = parts[0]
            guard parts.count == 2, !name.isEmpty, name.utf8.allSatisfy(CharacterClasses.isToken) else {
                throw ValidationError("--header `\(text)` is not NAME: VALUE")
            }
            let value = parts[1].trimmingCharacters(in: .whitespaces)
            guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
                throw ValidationError("--header \(name): a value is one line of text")
            }
            if TargetOptions.framing.contains(name.lowercased()) {
                throw ValidationError("--header \(name): that one follows from the URL and the body")
            }
            return (name, value)
        }
    }

    /// The source that --source names; nil when nothing is taken of a configuration.
    func configured() throws -> ConfiguredSource? {
        guard let config, let source else { return nil }
        let configuration = try ConfigurationInput.read(config)
        return ConfiguredSource(
            source: try ConfiguredSource.find(source, in: configuration.sources, file: config),
            listen: configuration.listen.first)
    }
}

struct ConfiguredSource {
    let source: SourceConfiguration
    /// The gateway's first address.
    let listen: String?

    static func find(_ name: String, in sources: [SourceConfiguration], file: String) throws -> SourceConfiguration {
        if let found = sources.first(where: { $0.name == name || $0.qualifiedName == name }) { return found }
        let names = sources.map(\.qualifiedName)
        let advice =
            NearestName.of(name, among: names).map { "did you mean `\($0)`?" }
            ?? (names.isEmpty ? "it has none" : "there is \(names.joined(separator: ", "))")
        throw ValidationError("there is no source `\(name)` in \(file); \(advice)")
    }

    /// Where it is reached: `url` when it has a path, else with the source's path; without a `url` at the gateway's
    /// first address, on this machine when that is every address.
    func address(_ url: String?) throws -> String {
        if let url {
            if url.hasPrefix("unix:") { return url.dropFirst(5).contains(":") ? url : url + ":" + source.pathInForce }
            guard let parts = URLComponents(string: url), parts.path.isEmpty || parts.path == "/" else { return url }
            return (url.hasSuffix("/") ? String(url.dropLast()) : url) + source.pathInForce
        }
        guard let listen else { throw ValidationError("the configuration has no `listen`; give --url") }
        if listen.hasPrefix("unix:") { return listen + ":" + source.pathInForce }
        guard let (host, port) = AddressText.host(of: listen) else {
            throw ValidationError("`listen` \(listen) is no address to send to; give --url")
        }
        return "http://" + AddressText.text(host: AddressText.nearby(host), port: port) + source.pathInForce
    }
}
