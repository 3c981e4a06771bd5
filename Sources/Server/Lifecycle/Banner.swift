// What `serve` says when it is ready: where it listens, what memory it took, what to do next. Never a secret of the
// configuration; the platform's key, by the start that made it and by no other.
import Engine

enum Banner {
    static func text(
        _ configuration: GatewayConfiguration, ingest: [String], admin: String, memoryBytes: Int, newKey: String?,
        nextSteps: [String]
    ) -> String {
        var lines = ["sluice is ready"]
        for address in ingest {
            lines.append("  ingest   " + (address.hasPrefix("unix:") ? address : "http://\(address)"))
        }
        for source in configuration.sources.prefix(8) {
            let unverified = source.unverified ? "   UNVERIFIED: anyone may send" : ""
            lines.append("  source   \(source.name)   POST \(source.path ?? "/in/\(source.name)")\(unverified)")
        }
        if configuration.sources.count > 8 { lines.append("  source   … and \(configuration.sources.count - 8) more") }
        for endpoint in configuration.endpoints.prefix(8) {
            lines.append("  endpoint \(endpoint.name)   \(endpoint.url)\(endpoint.disabled ? "   disabled" : "")")
        }
        if configuration.endpoints.count > 8 {
            lines.append("  endpoint … and \(configuration.endpoints.count - 8) more")
        }
        let scheme = configuration.process.adminTLS == nil ? "http" : "https"
        lines.append("  admin    \(scheme)://\(admin)   /metrics /ready /api/events")
        lines.append("  data     \(configuration.dataFolder)")
        if let newKey {
            lines.append(
                "  key      \(newKey)   the platform's, shown this once; kept in \(PlatformKey.fileName) there")
        }
        lines.append("  memory   \(ByteSize.approximate(memoryBytes)), all taken at start")
        lines += nextSteps.map { "  next     \($0)" }
        return lines.joined(separator: "\n")
    }
}
