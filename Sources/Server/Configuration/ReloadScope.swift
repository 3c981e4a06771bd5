// What a reload cannot change, because the loops took it at start. A reload that would is refused as a whole, so that
// what runs is always one configuration and never a mixture of two.
import Engine

package enum ReloadScope {
    /// The keys that differ and need a restart.
    package static func restartKeys(from old: GatewayConfiguration, to new: GatewayConfiguration) -> [String] {
        var keys: [String] = []
        if old.listen != new.listen { keys.append("listen") }
        if old.proxyProtocol != new.proxyProtocol { keys.append("proxy_protocol") }
        if old.admin != new.admin { keys.append("admin") }
        if old.dataFolder != new.dataFolder { keys.append("data") }
        if old.loops != new.loops { keys.append("loops") }
        if old.verifierEngine != new.verifierEngine { keys.append("verifier") }
        if old.limits != new.limits { keys.append("limits") }
        if old.log != new.log { keys.append("log") }
        if old.dedup.entryCount != new.dedup.entryCount { keys.append("dedup.entries") }
        if old.rejected != new.rejected { keys.append("rejected") }
        if (old.rejectedPerSecondMax == 0) != (new.rejectedPerSecondMax == 0) { keys.append("rejected.per_second") }
        if old.delivery.bufferBytes != new.delivery.bufferBytes { keys.append("delivery.buffer") }
        return keys
    }
}
