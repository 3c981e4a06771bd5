// The keys of an endpoint that are a word or a mapping: what its answers mean, and in which order it is delivered to.
import Engine
import Yams

extension ConfigurationKeys {
    /// `outcomes: standard-webhooks`, or `{ preset: …, 404: retry, "4xx": dead }`. What the words mean is the
    /// registry's affair; its answer comes back to the line.
    static let outcomes = ConfigurationKey<EndpointConfiguration>(
        name: "outcomes", form: "word or mapping", initial: OutcomePreset.standard.rawValue,
        range: OutcomePreset.allCases.map(\.rawValue).joined(separator: ", ")
            + "; or preset, statuses (404) and classes (4xx), each "
            + OutcomeMeaning.allCases.map(\.rawValue).joined(separator: ", ")
    ) { node, endpoint, reading in
        var written: [String: String] = [:]
        guard let mapping = node.mapping else {
            let presets = OutcomePreset.allCases.map(\.rawValue)
            let orElse = ", or a mapping such as { 404: retry }"
            guard let preset = readWord(node, "outcomes", presets, orElse: orElse, reading) else { return }
            endpoint.outcomes = [OutcomeTable.presetKey: preset]
            return
        }
        for (key, value) in mapping {
            let name = key.scalar?.string ?? ""
            reading.at(.key(name)) {
                if let word = reading.text(value, key: "outcomes.\(name)") { written[name] = word }
            }
        }
        endpoint.outcomes = written
    }

    /// `ordered: true`, or `{ key: json:$.customer }`.
    static let ordered = ConfigurationKey<EndpointConfiguration>(
        name: "ordered", form: "flag or mapping", initial: "false",
        range: "true, false, or { key: list of header:NAME, json:$.PATH, group }"
    ) { node, endpoint, reading in
        guard node.mapping != nil else {
            switch reading.text(node, key: "ordered") {
            case "true"?: endpoint.ordered = true
            case "false"?: endpoint.ordered = false
            case nil: break
            case _?:
                reading.report(
                    node,
                    "`ordered`: `\(node.scalar?.string ?? "")` is none of true, false and { key: json:$.PATH }")
            }
            return
        }
        endpoint.ordered = true
        let key = ConfigurationKey<EndpointConfiguration>.texts("key", \.orderKey, of: EndpointConfiguration())
        readMapping(node, into: &endpoint, keys: [key.required], called: "`ordered`", reading)
    }
}
