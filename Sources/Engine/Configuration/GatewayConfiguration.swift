// A whole configuration as plain values, already parsed and with its secrets resolved: what the process takes at its
// start, what can change while it runs, and the sources and endpoints. The manifest adapter makes it from YAML.

@dynamicMemberLookup
package struct GatewayConfiguration: Sendable {
    package var process = ProcessSettings()
    package var live = LiveSettings()
    package var sources: [SourceConfiguration] = []
    package var endpoints: [EndpointConfiguration] = []

    package init() {}
    package subscript<Value>(dynamicMember path: WritableKeyPath<ProcessSettings, Value>) -> Value {
        get { process[keyPath: path] }
        set { process[keyPath: path] = newValue }
    }
    package subscript<Value>(dynamicMember path: WritableKeyPath<LiveSettings, Value>) -> Value {
        get { live[keyPath: path] }
        set { live[keyPath: path] = newValue }
    }
}

extension GatewayConfiguration {
    /// The sources, each with the public URL that holds for it.
    package var sourcesWithPublicURL: [SourceConfiguration] {
        sources.map { source in
            var copy = source
            copy.publicURL = source.publicURL ?? live.publicURL
            return copy
        }
    }
    package var delivery: DeliveryConfiguration {
        var delivery = DeliveryConfiguration()
        delivery.allow = live.allow
        delivery.historyMillis = live.historyMillis
        delivery.bufferBytes = process.deliveryBufferBytes
        return delivery
    }
}

/// What the delivery service takes of a configuration.
package struct DeliveryConfiguration: Equatable, Sendable {
    package var allow: [String] = []
    package var historyMillis = LiveSettings().historyMillis
    package var bufferBytes = ProcessSettings().deliveryBufferBytes
    package init() {}
}
