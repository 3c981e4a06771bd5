// The sources of a configuration, compiled into what the loops read, and the place where each is counted.
//
// Invariant: a source keeps its counter slot for the life of the process, whatever reloads come; so counters never go
// back.
import FastPath

struct SourceTable {
    /// Names by counter slot.
    private(set) var names: [String] = []

    /// The slot of a name; the last one is shared by all names past the bound.
    private mutating func slot(of name: String) -> Int {
        if let known = names.firstIndex(of: name) { return known }
        guard names.count < IngestMetrics.sourceSlotCount - 1 else { return IngestMetrics.sourceSlotCount - 1 }
        names.append(name)
        return names.count - 1
    }

    /// The snapshot owns the leases of its verifiers.
    mutating func snapshot(
        of configuration: GatewayConfiguration, verifiers: VerifierRegistry
    ) throws(GatewayError) -> IngestSnapshot {
        let memory = CompiledMemory()
        var owners: [AnyObject] = [memory]
        var sources: [IngestSource] = []
        var paths: [ByteView] = []
        for source in configuration.sources {
            let parts: CompiledSourceParts
            do {
                parts = try SourceCompiler.compile(
                    source, defaultWindowSeconds: configuration.dedup.windowSeconds,
                    gatewayURL: configuration.publicURL, certificates: verifiers.certificates)
            } catch { throw .source(error) }
            owners.append(parts.memory)
            var compiled = IngestSource(
                name: memory.place(text: source.name), scheme: parts.scheme, selectors: parts.selectors,
                handshake: parts.handshake)
            if let verifier = parts.verifier {
                let lease = verifiers.register(verifier)
                owners.append(lease)
                compiled.verifierID = lease.id
            }
            compiled.observes = source.mode == .observe
            compiled.rejectedPerSecondMax = UInt32(clamping: configuration.rejectedPerSecondMax)
            compiled.dedupWindowSeconds = parts.dedupWindowSeconds
            compiled.bodyBytesMax = source.bodyBytesMax ?? configuration.limits.bodyBytesMax
            compiled.successStatus = parts.successStatus
            if let body = parts.provider.successBody { compiled.setSuccessBody(body) }
            compiled.durability = source.durability.level
            compiled.counterSlot = slot(of: source.name)
            compiled.edge = parts.edge
            sources.append(compiled)
            paths.append(memory.place(text: source.path ?? "/in/\(source.name)"))
        }
        let edge: EdgePolicy
        do { edge = try EdgeCompiler.policy(configuration, in: memory) } catch { throw .limits(error.message) }
        return IngestSnapshot(sources: sources, paths: paths, edge: edge, owners: owners)
    }
    /// The largest body that any source takes.
    static func bodyBytesMax(_ configuration: GatewayConfiguration) -> Int {
        max(configuration.limits.bodyBytesMax, configuration.sources.compactMap(\.bodyBytesMax).max() ?? 0)
    }
    static func dedupWindowSecondsMax(_ configuration: GatewayConfiguration) -> UInt32 {
        max(configuration.dedup.windowSeconds, configuration.sources.compactMap(\.dedupWindowSeconds).max() ?? 0)
    }
}

extension Durability {
    var level: DurabilityLevel {
        switch self {
        case .fsync: .fsync
        case .written: .written
        case .memory: .memory
        }
    }
}
