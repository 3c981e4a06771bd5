// Why a source cannot be compiled: names the source, what is wrong and what would be right. Never carries a secret.

import FastPath

package enum SourceProblem: Equatable, Sendable {
    case unknownProvider(String, nearest: [String])
    case noSecret
    case secretsAndUnverified
    case noScheme
    case scheme(SchemeError)
    case badSchemeValue(key: String, value: String, wanted: String)
    /// No scheme of the provider takes a secret of this form.
    case unusableSecret(index: Int)
    case toleranceWithoutTimestamp
    case badTolerance(Int)
    case selector(key: String, why: String)
    case edge(EdgeProblem)
    case badAnswer(key: String, why: String)
    case badSplit(String)
    case badHandshake(index: Int, why: String)
    /// `type` nil: the schema of all.
    case badSchema(type: String?, String)
    case tooManySchemas(String)
}

package struct SourceError: Error, Equatable, Sendable, CustomStringConvertible {
    package let source: String
    package let problem: SourceProblem

    package var description: String { "source \"\(source)\": \(problem.message)" }
}

extension SourceProblem {
    package var message: String {
        switch self {
        case .unknownProvider(let name, let nearest):
            "provider \"\(name)\" is unknown; \(SourceProblem.suggestion(nearest))"
        case .noSecret, .scheme(.noSecret):
            "has no secret; give secrets: [\"${NAME}\"], or say unverified: true to take requests from anyone"
        case .secretsAndUnverified: "has secrets and unverified: true; leave out one of them"
        case .noScheme:
            "provider generic needs a scheme, such as "
                + "scheme: { header: X-Signature, encoding: hex, signed: \"{body}\" }"
        case .scheme(.emptySecret(let index)):
            "secret \(index + 1) is empty; is its environment variable or file set?"
        case .scheme(.badSecret(let index, let wanted)): "secret \(index + 1) has the wrong form; expected \(wanted)"
        case .scheme(let error): "scheme: \(error.message)"
        case .badSchemeValue(let key, let value, let wanted):
            "scheme: \(key): \"\(value)\" is unknown; expected \(wanted)"
        case .unusableSecret(let index): "secret \(index + 1) does not fit any scheme of this provider"
        case .toleranceWithoutTimestamp:
            "timestamp tolerance is set, but the provider signs no timestamp; leave it out"
        case .badTolerance(let seconds): "timestamp tolerance of \(seconds) s is out of range; expected 0 to 86400 s"
        case .selector(let key, let why): "\(key): \(why)"
        case .edge(let problem): problem.message
        case .badSplit(let why): "split: \(why)"
        case .badAnswer(let key, let why): "answer: \(key): \(why)"
        case .badHandshake(let index, let why): "handshake \(index + 1): \(why)"
        case .badSchema(let type, let why): (type.map { "the schema of \"\($0)\": " } ?? "schema: ") + why
        case .tooManySchemas(let why): why
        }
    }
    private static func suggestion(_ nearest: [String]) -> String {
        nearest.isEmpty
            ? "known are \(ProviderCatalogue.all.map(\.name).joined(separator: ", "))"
            : "did you mean \(nearest.map { "\"\($0)\"" }.joined(separator: " or "))?"
    }
}
