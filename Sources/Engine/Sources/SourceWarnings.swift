// What a person should know about sources that are sound: `serve` logs it, `config check` prints it.

import FastPath

extension SourceCompiler {
    /// Of all sources that compile, each sentence with the source's name before it.
    package static func warnings(of configuration: GatewayConfiguration) -> [String] {
        configuration.sources.flatMap { source in
            ((try? compile(source))?.warnings ?? []).map { "source \"\(source.name)\": \($0)" }
        }
    }
}
