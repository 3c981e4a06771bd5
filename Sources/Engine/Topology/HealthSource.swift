// The optional health path of the ingest port, as a source that takes no events: GET and HEAD are challenges whose
// answer is always the same. For balancers that look at the port where the traffic goes; whether the gateway is ready
// is said by the admin port.

import FastPath

enum HealthSource {
    static func make(in memory: CompiledMemory) -> IngestSource {
        var get = HandshakeDefinition(.get)
        get.body = [.literal(#"{"status":"up"}"#)]
        let handshake: Handshake
        let selectors: EventSelectors
        do {
            handshake = try Handshake([get, .headCheck], in: memory)
            selectors = try EventSelectors(eventID: [], eventType: [], dedupKey: [], in: memory)
        } catch { preconditionFailure("the health path's own words do not compile: \(error)") }
        var source = IngestSource(
            name: memory.place(text: "health"), scheme: nil, selectors: selectors, handshake: handshake)
        source.edge.eventMethods = []
        source.edge.handshakeMethods = [.get, .head]
        source.edge.allow = memory.place(text: source.edge.handshakeMethods.text)
        // What is counted of it is counted with the sources past the bound.
        source.counterSlot = IngestMetrics.sourceSlotCount - 1
        return source
    }
}
