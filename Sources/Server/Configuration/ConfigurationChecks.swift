// What must hold between the keys of a configuration: names and paths once each, endpoints that name sources that
// exist, addresses and URLs that can work, bounds that fit each other. Each problem is reported at the line it can be
// mended at.
import Engine
import FastPath
import Foundation
import Yams

enum ConfigurationChecks {
    static func run(on configuration: GatewayConfiguration, root: Node, _ reading: ConfigurationReading) {
        let top = Lines(root)
        checkListeners(configuration, top, reading)
        checkBounds(configuration, top, reading)
        checkEdge(configuration, top, reading)
        let sources = Lines.items(root, "sources")
        if configuration.sources.isEmpty {
            reading.report(
                root.mark?.line ?? 1, "there is no source; without one nothing can come in (see `sources`)")
        }
        for (index, source) in configuration.sources.enumerated() where index < sources.count {
            let before = reading.problems.count
            check(source, sources[index], reading)
            // What else is wrong is the compiler's to say, once what is read is whole.
            if reading.problems.count == before { compile(source, sources[index], reading) }
        }
        reportRepeats(configuration.sources.map(\.name), sources, "name", "source", reading)
        reportRepeats(configuration.sources.map { $0.path ?? "/in/\($0.name)" }, sources, "path", "path", reading)
        let endpoints = Lines.items(root, "endpoints")
        let names = configuration.sources.map(\.name)
        for (index, endpoint) in configuration.endpoints.enumerated() where index < endpoints.count {
            check(endpoint, endpoints[index], sources: names, reading)
        }
        checkSecrets(configuration.endpoints, endpoints, reading)
        reportRepeats(configuration.endpoints.map(\.name), endpoints, "name", "endpoint", reading)
        for (index, range) in configuration.delivery.allow.enumerated() where !AddressText.isNetwork(range) {
            let shown = top.text("delivery", "allow", item: index)
            reading.report(
                top.line("delivery", "allow", item: index),
                "`delivery.allow`: `\(shown)` is not a range of addresses such as 10.0.0.0/8 or fd00::/8")
        }
    }

    private static func checkListeners(
        _ configuration: GatewayConfiguration, _ top: Lines, _ reading: ConfigurationReading
    ) {
        if configuration.listen.isEmpty { reading.report(top.line("listen"), "`listen` needs at least one address") }
        for (index, address) in configuration.listen.enumerated() where !AddressText.isListener(address) {
            let shown = top.text("listen", item: index)
            reading.report(
                top.line("listen", item: index),
                "`listen`: `\(shown)` is not HOST:PORT, [IPV6]:PORT or unix:PATH; an example: 127.0.0.1:8080")
        }
        if AddressText.host(of: configuration.admin) == nil {
            reading.report(
                top.line("admin"), "`admin`: `\(top.text("admin"))` is not HOST:PORT; an example: 127.0.0.1:8081")
        }
        for (index, address) in configuration.listen.enumerated() {
            let isTaken = configuration.listen[..<index].contains(address) || address == configuration.admin
            if isTaken, !address.hasSuffix(":0") {
                reading.report(
                    top.line("listen", item: index),
                    "`\(top.text("listen", item: index))` is asked for twice; each listener needs its own")
            }
        }
    }

    private static func checkEdge(
        _ configuration: GatewayConfiguration, _ top: Lines, _ reading: ConfigurationReading
    ) {
        if let url = configuration.publicURL {
            do { _ = try EdgeCompiler.origin(url) } catch { reading.report(top.line("public_url"), error.message) }
        }
        for (index, text) in configuration.trustedProxies.enumerated()
        where text != EdgeCompiler.localWord && CIDR(text) == nil {
            let problem = EdgeProblem.badAddress(
                key: "trusted_proxies", text: top.text("trusted_proxies", item: index))
            reading.report(top.line("trusted_proxies", item: index), problem.message)
        }
        let words = configuration.proxyProtocol
        for (index, word) in words.enumerated() where words != ["true"] && words != ["false"] {
            guard !configuration.listen.contains(word) else { continue }
            reading.report(
                top.line("proxy_protocol", item: index),
                "`proxy_protocol` takes true, false, or listeners as `listen` spells them")
        }
        let isListed = configuration.sources.contains { !$0.allowAddresses.isEmpty }
        if words != ["false"], configuration.trustedProxies.isEmpty, isListed {
            reading.report(
                top.line("proxy_protocol"),
                "with `proxy_protocol` whoever connects names the address that `allow_addresses` looks at; name the "
                    + "proxies in `trusted_proxies`")
        }
    }

    private static func checkBounds(
        _ configuration: GatewayConfiguration, _ top: Lines, _ reading: ConfigurationReading
    ) {
        let limits = configuration.limits
        if limits.requestLineBytesMax > limits.headBytesMax {
            reading.report(
                top.line("limits", "request_line"), "`request_line` is larger than the whole head (`limits.head`)")
        }
        let largest = max(limits.bodyBytesMax, configuration.sources.compactMap(\.bodyBytesMax).max() ?? 0)
        if limits.assemblyBytes < largest + limits.headBytesMax {
            reading.report(
                top.line("limits", "assembly"),
                "`limits.assembly` holds not even one request of \(ByteSize.text(of: largest)); "
                    + "give it several times that"
            )
        }
        if configuration.log.groupBytes < largest + limits.headBytesMax {
            reading.report(
                top.line("log", "group"),
                "`log.group` (\(ByteSize.text(of: configuration.log.groupBytes))) must take the largest request: "
                    + "body \(ByteSize.text(of: largest)) and head \(ByteSize.text(of: limits.headBytesMax))")
        }
        if configuration.log.segmentBytes < 2 * configuration.log.groupBytes {
            reading.report(
                top.line("log", "segment"),
                "`log.segment` must be at least twice `log.group` (\(ByteSize.text(of: configuration.log.groupBytes)))"
            )
        }
        if let kept = configuration.log.retentionBytes, kept < 2 * configuration.log.segmentBytes {
            reading.report(
                top.line("log", "retention"),
                "`log.retention.size` must be at least two segments "
                    + "(\(ByteSize.text(of: configuration.log.segmentBytes)) each)"
            )
        }
    }

    private static func check(_ source: SourceConfiguration, _ lines: Lines, _ reading: ConfigurationReading) {
        if !source.name.isEmpty, !isName(source.name) {
            reading.report(
                lines.line("name"),
                "`\(lines.text("name"))` is no name: 1 to 64 of the characters a-z A-Z 0-9 . _ -, as in `github`")
        }
        if let path = source.path, !isPath(path) {
            reading.report(
                lines.line("path"),
                "`path`: `\(lines.text("path"))` is not a path such as /webhooks/github (no `?`, no spaces)")
        }
        if source.secrets.isEmpty, !source.unverified, !lines.has("secrets") {
            reading.report(
                source.line,
                "source `\(source.name)` has no secret; give it `secrets: [\"${NAME}\"]`, "
                    + "or say `unverified: true` to take "
                    + "requests from anyone")
        }
        if source.unverified, lines.has("secrets") {
            reading.report(
                lines.line("unverified"),
                "source `\(source.name)` has secrets and says `unverified: true`; take one of them out")
        }
        for (key, items) in [
            ("event.id", source.eventID), ("event.type", source.eventType), ("dedup.key", source.dedupKey),
        ] {
            let parts = key.split(separator: ".").map(String.init)
            for (index, item) in items.enumerated() where !isExtraction(item, bodyToo: parts[0] == "dedup") {
                let shown = lines.text(parts[0], parts[1], item: index)
                let body = parts[0] == "dedup" ? ", or body" : ""
                reading.report(
                    lines.line(parts[0], parts[1]),
                    "`\(key)`: `\(shown)` says not where to look; write header:NAME or json:$.a.b\(body)")
            }
        }
    }

    private static func compile(_ source: SourceConfiguration, _ lines: Lines, _ reading: ConfigurationReading) {
        guard !source.name.isEmpty, !reading.hasProblem(from: source.line, to: lines.lastLine) else { return }
        do {
            _ = try SourceCompiler.compile(source)
        } catch {
            reading.report(lines.line(of: error.problem), "source `\(lines.text("name"))`: \(error.problem.message)")
        }
    }

    private static func check(
        _ endpoint: EndpointConfiguration, _ lines: Lines, sources: [String], _ reading: ConfigurationReading
    ) {
        if !endpoint.name.isEmpty, !isName(endpoint.name) {
            reading.report(
                lines.line("name"),
                "`\(lines.text("name"))` is no name: 1 to 64 of the characters a-z A-Z 0-9 . _ -, as in `billing`")
        }
        if !endpoint.url.isEmpty, let problem = AddressText.problem(ofURL: endpoint.url, shown: lines.text("url")) {
            reading.report(lines.line("url"), "`url`: \(problem)")
        }
        for (index, name) in endpoint.sources.enumerated() where !sources.contains(name) {
            let advice =
                NearestName.of(name, among: sources).map { "did you mean `\($0)`?" }
                ?? "there is \(sources.joined(separator: ", "))"
            reading.report(
                lines.line("sources", item: index),
                "there is no source `\(lines.text("sources", item: index))`; \(advice)")
        }
        if endpoint.connectMillisMax > endpoint.totalMillisMax || endpoint.headMillisMax > endpoint.totalMillisMax {
            reading.report(
                lines.line("timeouts"),
                "`timeouts`: connect and head are parts of total "
                    + "(\(TimeSpan.text(of: endpoint.totalMillisMax))) and cannot be longer"
            )
        }
    }

    /// What signs deliveries must be a Standard Webhooks secret; the one at fault is named by its place.
    private static func checkSecrets(
        _ endpoints: [EndpointConfiguration], _ lines: [Lines], _ reading: ConfigurationReading
    ) {
        for (endpoint, place) in zip(endpoints, lines) {
            for (index, secret) in endpoint.secrets.enumerated() {
                do {
                    _ = try SecretEncoding.whsec.key(of: secret, index: index)
                } catch {
                    reading.report(place.line("secret", item: index), "`secret`: \(error.message)")
                }
            }
        }
    }

    private static func reportRepeats(
        _ values: [String], _ lines: [Lines], _ key: String, _ what: String, _ reading: ConfigurationReading
    ) {
        var first: [String: Int] = [:]
        for (index, value) in values.enumerated() where !value.isEmpty && index < lines.count {
            if let earlier = first[value] {
                reading.report(
                    lines[index].line(key),
                    "the \(what) `\(lines[index].has(key) ? lines[index].text(key) : value)` is taken already, "
                        + "by line \(lines[earlier].line(key))"
                )
            } else {
                first[value] = index
            }
        }
    }

    static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2E, 0x5F, 0x2D: true
                default: false
                }
            }
    }
    private static func isPath(_ text: String) -> Bool {
        text.hasPrefix("/") && text.utf8.count <= 1024
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x3F && $0 != 0x23 }
    }
    private static func isExtraction(_ text: String, bodyToo: Bool) -> Bool {
        if bodyToo, text == "body" { return true }
        return text.hasPrefix("header:") && text.count > 7 || text.hasPrefix("json:$") && text.count > 6
    }
}

/// Finds the line of a key, or of the nearest thing above it.
private struct Lines {
    let node: Node
    init(_ node: Node) { self.node = node }

    static func items(_ root: Node, _ key: String) -> [Lines] {
        root.mapping?[Node(key)]?.sequence.map { $0.map { Lines($0) } } ?? []
    }
    /// The last line of anything in it.
    var lastLine: Int { Lines.lastLine(node) }
    private static func lastLine(_ node: Node) -> Int {
        let own = node.mark?.line ?? 0
        if let mapping = node.mapping {
            return mapping.reduce(own) { max($0, max(lastLine($1.key), lastLine($1.value))) }
        }
        if let sequence = node.sequence { return sequence.reduce(own) { max($0, lastLine($1)) } }
        return own
    }
    /// Where that problem can be mended.
    func line(of problem: SourceProblem) -> Int {
        switch problem {
        case .unknownProvider: line("provider")
        case .scheme(.emptySecret(let index)), .scheme(.badSecret(let index, _)), .unusableSecret(let index):
            line("secrets", item: index)
        case .scheme, .badSchemeValue: line("scheme")
        case .toleranceWithoutTimestamp, .badTolerance: line("tolerance")
        case .edge(.badPublicURL): line("public_url")
        case .edge: line("allow_addresses")
        case .selector(let key, _): key.hasPrefix("dedup") ? line("dedup", "key") : line("event")
        case .noSecret, .secretsAndUnverified, .noScheme: line()
        }
    }
    func has(_ key: String) -> Bool { node.mapping?[Node(key)] != nil }
    /// The line of the value at the end of `keys` (of its `item`, when it is a list), or of what is there of them.
    func line(_ keys: String..., item: Int? = nil) -> Int {
        place(keys, item).mark?.line ?? 0
    }
    /// The value as it stands in the file, variables not replaced.
    func text(_ keys: String..., item: Int? = nil) -> String { place(keys, item).scalar?.string ?? "" }

    private func place(_ keys: [String], _ item: Int?) -> Node {
        var place = node
        for key in keys {
            guard let next = place.mapping?[Node(key)] else { break }
            place = next
        }
        if let item, let sequence = place.sequence, item < sequence.count { place = sequence[item] }
        return place
    }
}
