// The keys of what is made of an endpoint's events before they are sent: `redact` and `transform`. What their words
// mean is the registry's affair; its answer comes back to the line.
import Engine
import FastPath
import Foundation
import Yams

extension ConfigurationKeys {
    /// `redact: true`, or `{ patterns: [email], hash: [email], key: ${KEY} }`.
    static let redact = ConfigurationKey<EndpointConfiguration>(
        name: "redact", form: "flag or mapping", initial: "false",
        range: "true, false, or patterns and hash (each \(RedactionKind.builtIn.map(\.name).joined(separator: ", "))), "
            + "key, allow, custom (name, pattern, replace)"
    ) { node, endpoint, reading in
        guard node.mapping != nil else {
            switch reading.text(node, key: "redact") {
            case "true"?: endpoint.policies.redaction = RedactionSettings()
            case "false"?: endpoint.policies.redaction = nil
            case nil: break
            case _?:
                reading.report(
                    node, "`redact`: `\(node.scalar?.string ?? "")` is none of true, false and { patterns: [email] }")
            }
            return
        }
        var settings = RedactionSettings()
        readMapping(node, into: &settings, keys: redactKeys, called: "`redact`", reading)
        endpoint.policies.redaction = settings
    }
    private static let redactKeys: [ConfigurationKey<RedactionSettings>] = {
        let initial = RedactionSettings()
        return [
            .texts("patterns", \.patterns, of: initial), .texts("hash", \.hash, of: initial),
            ConfigurationKey(name: "key", form: "secret") { node, settings, reading in
                if let key = reading.secret(node, key: "key") { settings.key = key }
            },
            .texts("allow", \.allow, of: initial),
            ConfigurationKey(name: "custom", form: "list") { node, settings, reading in
                settings.custom = readItems(node, reading) { item in
                    var one = RedactionSettings.Custom()
                    readMapping(item, into: &one, keys: customKeys, called: "`custom`", reading)
                    return one
                }
            },
        ]
    }()
    private static let customKeys: [ConfigurationKey<RedactionSettings.Custom>] = [
        .text("name", \.name, of: RedactionSettings.Custom()).required,
        .text("pattern", \.pattern, of: RedactionSettings.Custom()).required,
        .optionalText("replace", \.replace),
    ]

    /// A list of steps, each a mapping of one key.
    static let transform = ConfigurationKey<EndpointConfiguration>(
        name: "transform", form: "list", initial: "none",
        range: "pick: paths; remove: paths; rename: { path, to }; constant: { path, value }; format: { path, as }; "
            + "template: { path, text }"
    ) { node, endpoint, reading in
        let steps = readItems(node, reading) { item in step(item, reading) }
        endpoint.policies.transform = steps.isEmpty ? nil : steps
    }
    private static func step(_ node: Node, _ reading: ConfigurationReading) -> TransformStep? {
        guard let mapping = node.mapping, mapping.count == 1, let (key, value) = mapping.first else {
            reading.report(node, "a step of `transform` is one of \(TransformStep.names.joined(separator: ", "))")
            return nil
        }
        let name = key.scalar?.string ?? ""
        guard TransformStep.names.contains(name) else {
            let advice =
                NearestName.of(name, among: TransformStep.names).map { "did you mean `\($0)`?" }
                ?? "known steps: \(TransformStep.names.joined(separator: ", "))"
            reading.report(key, "unknown step `\(name)` in `transform`; \(advice)")
            return nil
        }
        var step: TransformStep?
        reading.at(.key(name)) {
            switch name {
            case "pick": step = .pick(paths: paths(value, name, reading))
            case "remove": step = .remove(paths: paths(value, name, reading))
            default: step = pairStep(name, value, reading)
            }
        }
        return step
    }
    private static func paths(_ node: Node, _ name: String, _ reading: ConfigurationReading) -> [String] {
        readItems(node, reading) { reading.text($0, key: name) }
    }
    /// A path and one thing more.
    private struct Pair: Sendable {
        var path = ""
        var other = ""
    }
    private static let others = ["rename": "to", "constant": "value", "format": "as", "template": "text"]
    private static func pairStep(_ name: String, _ node: Node, _ reading: ConfigurationReading) -> TransformStep? {
        let other = others[name] ?? ""
        var pair = Pair()
        let key = ConfigurationKey<Pair>(name: other, form: "text") { node, pair, reading in
            if name == "constant" {
                if let json = json(node, reading) { pair.other = json }
            } else if let text = reading.text(node, key: other) {
                pair.other = text
            }
        }
        readMapping(
            node, into: &pair, keys: [.text("path", \.path, of: Pair()).required, key.required], called: "`\(name)`",
            reading)
        return switch name {
        case "rename": .rename(path: pair.path, to: pair.other)
        case "constant": .constant(path: pair.path, json: pair.other)
        case "format": .format(path: pair.path, form: pair.other)
        default: .template(path: pair.path, text: pair.other)
        }
    }
    /// YAML's core schema as JSON; numbers keep their spelling.
    private static func json(_ node: Node, _ reading: ConfigurationReading) -> String? {
        if let mapping = node.mapping {
            let members = mapping.map { key, value in
                json(value, reading).map { "\(quoted(key.scalar?.string ?? "")):\($0)" }
            }
            return "{\(members.compactMap(\.self).joined(separator: ","))}"
        }
        if let sequence = node.sequence {
            return "[\(sequence.compactMap { json($0, reading) }.joined(separator: ","))]"
        }
        guard let scalar = node.scalar else { return nil }
        if scalar.style == .any || scalar.style == .plain {
            if ["true", "false", "null"].contains(scalar.string) { return scalar.string }
            if JSONEdit.isNumber(Array(scalar.string.utf8)) { return scalar.string }
        } else if scalar.string.isEmpty {
            return "\"\""
        }
        return reading.text(node, key: "value").map(quoted)
    }
    private static func quoted(_ text: String) -> String {
        String(decoding: JSONEdit.quoted(Array(text.utf8)), as: UTF8.self)
    }
}
