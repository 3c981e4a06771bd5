// The keys of an endpoint's `coalesce`. What is right among them is the registry's affair; its answer comes back to the
// line.
import Engine
import Yams

extension ConfigurationKeys {
    static let coalesce = ConfigurationKey<EndpointConfiguration>(
        name: "coalesce", form: "mapping", range: "{ key: list of header:NAME, json:$.PATH, group; within }"
    ) { node, endpoint, reading in
        var settings = CoalesceSettings()
        var within = ConfigurationKey<OptionalNumber>.time(
            "within", \.value, of: OptionalNumber(), CoalesceSettings.withinRange)
        within.initial = "none"
        let keys: [ConfigurationKey<CoalesceSettings>] = [
            .texts("key", \.key, of: settings).required, .optional(within, \.withinMillis, never: false),
        ]
        readMapping(node, into: &settings, keys: keys, called: "`coalesce`", reading)
        endpoint.policies.coalesce = settings
    }
}
