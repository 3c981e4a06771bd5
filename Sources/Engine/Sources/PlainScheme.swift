// The scheme a provider signs with when nothing asks for another, for tools that sign every request. Compiles the
// source once first, so that a bad secret is reported in the words that `serve` has for it.

import FastPath

extension SourceCompiler {
    /// Nil when that scheme is code and no `SchemeDefinition` describes it.
    package static func plainScheme(
        of source: SourceConfiguration, _ provider: Provider
    ) throws(SourceError) -> (definition: SchemeDefinition, secret: String)? {
        _ = try compile(source)
        let alternatives: [Alternative]
        do throws(SourceProblemError) {
            alternatives = try self.alternatives(source, provider)
        } catch { throw SourceError(source: source.name, problem: error.problem) }
        for alternative in alternatives {
            if case .data(let definition) = alternative.rule, definition.appliesWhen == nil {
                return (definition, alternative.secrets[0].value)
            }
        }
        return nil
    }
}
