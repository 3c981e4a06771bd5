// Ids of traces and spans, made of what an event is: so that nothing has to be stored, and what happens to an event
// after a restart continues its trace. Pure.
//
// Invariants: no id is 0; the same event, endpoint and attempt are the same id in every process of this log.
import FastPath

package struct TraceIdentity: Sendable {
    /// What an id is of, so that no two kinds share one.
    private enum Seed {
        static let traceHigh: UInt64 = 0x736C_7569_6365_2E74
        static let traceLow: UInt64 = 0x736C_7569_6365_2E6C
        static let ingest: UInt64 = 0x736C_7569_6365_2E69
        static let delivery: UInt64 = 0x736C_7569_6365_2E64
        static let attempt: UInt64 = 0x736C_7569_6365_2E61
    }
    private let log: UInt64

    package init(log: UInt64) { self.log = log }

    /// Of an event that came without a trace.
    package func trace(_ sequence: UInt64) -> TraceID {
        TraceID(high: id(Seed.traceHigh, sequence), low: id(Seed.traceLow, sequence))
    }
    package func ingest(_ sequence: UInt64) -> UInt64 { id(Seed.ingest, sequence) }
    package func delivery(_ sequence: UInt64, _ endpoint: EndpointID) -> UInt64 {
        id(Seed.delivery, sequence, UInt64(endpoint.number))
    }
    /// Of one that is asked for by hand and begins at `nanos`: nothing of it outlasts the process, and it may be asked
    /// for again.
    package func manualDelivery(_ sequence: UInt64, _ endpoint: EndpointID, nanos: UInt64) -> UInt64 {
        id(Seed.delivery, sequence, UInt64(endpoint.number), nanos)
    }
    /// Of one that begins at `nanos`.
    package func attempt(_ sequence: UInt64, _ endpoint: EndpointID, nanos: UInt64) -> UInt64 {
        id(Seed.attempt, sequence, UInt64(endpoint.number), nanos)
    }

    private func id(_ seed: UInt64, _ sequence: UInt64, _ endpoint: UInt64 = 0, _ nanos: UInt64 = 0) -> UInt64 {
        var id = TraceIdentity.mixed(log ^ seed)
        id = TraceIdentity.mixed(id ^ sequence)
        id = TraceIdentity.mixed(id ^ endpoint)
        id = TraceIdentity.mixed(id ^ nanos)
        return id == 0 ? 1 : id
    }
    /// The finaliser of SplitMix64, one step behind its increment: every input bit moves half of the output's.
    private static func mixed(_ word: UInt64) -> UInt64 {
        var mixed = word &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Which traces are exported: a pure function of what an event is, so that all of an event is seen or nothing.
package struct TraceSampler: Equatable, Sendable {
    private static let randomBits: UInt64 = 56
    /// Traces whose last 56 bits are below are not sampled, as OpenTelemetry's consistent sampling has it.
    private let threshold: UInt64
    /// The sender's flag decides where there is one.
    private let heedsParent: Bool

    package init(ratio: Double, heedsParent: Bool) {
        let all = UInt64(1) << TraceSampler.randomBits
        threshold = all - UInt64((min(max(ratio, 0), 1) * Double(all)).rounded())
        self.heedsParent = heedsParent
    }
    package func isSampled(_ context: TraceContext) -> Bool {
        if heedsParent, context.parent != 0 { return context.isSampled }
        return context.trace.low & ((UInt64(1) << TraceSampler.randomBits) - 1) >= threshold
    }
}

/// Which trace an event belongs to, and whether it is seen.
package struct EventTracer: Sendable {
    package let identity: TraceIdentity
    package let sampler: TraceSampler

    package init(identity: TraceIdentity, sampler: TraceSampler) {
        self.identity = identity
        self.sampler = sampler
    }
    /// Nil when the event is not sampled.
    package func context(_ event: StoredEvent) -> TraceContext? {
        let context =
            TraceContext(lines: event.fieldLines) ?? TraceContext(trace: identity.trace(event.place.sequence))
        return sampler.isSampled(context) ? context : nil
    }
}
