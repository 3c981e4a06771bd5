// The keys of an endpoint's `batch`. What is right among them is the registry's affair; its answer comes back to the
// line.
import Engine
import Yams

extension ConfigurationKeys {
    static let batch = ConfigurationKey<EndpointConfiguration>(
        name: "batch", form: "mapping", range: "{ events, within, bytes, format: json or ndjson }"
    ) { node, endpoint, reading in
        let initial = BatchSettings()
        var settings = initial
        let keys: [ConfigurationKey<BatchSettings>] = [
            .count("events", \.events, of: initial, BatchSettings.eventsRange),
            .time("within", \.withinMillis, of: initial, BatchSettings.withinRange),
            .size("bytes", \.bytes, of: initial, BatchSettings.bytesRange),
            .word("format", \.format, of: initial),
        ]
        readMapping(node, into: &settings, keys: keys, called: "`batch`", reading)
        endpoint.policies.batch = settings
    }
}
