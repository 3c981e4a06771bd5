// Reads a mix from YAML: what traffic a load has. Every problem is named with its line; unknown keys are problems.
//
//     shares: {duplicates: 0.01, retries: 0.01, bad_signatures: 0.001, stale: 0.001, malformed: 0.001}
//     traffic:
//       - {name: zoom, provider: zoom, type: meeting.ended, secret: s, weight: 2, size: 5KiB-50KiB, spread: lognormal}
//       - {name: list, call: GET /api/v1/endpoints, weight: 5}
import Engine
import FastPath
import LoadGenerator
import Yams

package struct LoadMixProblem: Error, CustomStringConvertible {
    package let description: String
}

package struct LoadMixFile: Sendable {
    package let entries: [LoadTrafficEntry]

    /// `name` is how the file is called in messages.
    package init(text: String, name: String) throws(LoadMixProblem) {
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch {
            throw LoadMixProblem(description: "\(name): \(error)")
        }
        guard let mapping = root?.mapping else {
            throw LoadMixProblem(description: "\(name): a mix has the keys `traffic` and, if wanted, `shares`")
        }
        let reader = Reader(name: name)
        try reader.check(mapping, ["traffic", "shares"])
        var shares = LoadShares()
        if let node = mapping["shares"] { shares = try reader.shares(node) }
        guard let list = mapping["traffic"]?.sequence, !list.isEmpty else {
            throw LoadMixProblem(description: "\(name): `traffic` must be a list with at least one entry")
        }
        var entries: [LoadTrafficEntry] = []
        for node in list { entries.append(try reader.entry(node, shares)) }
        for (index, entry) in entries.enumerated() {
            if entries[..<index].contains(where: { $0.name == entry.name }) {
                throw LoadMixProblem(
                    description: "\(name) line \(entry.line): the name `\(entry.name)` is taken; give one with `name`"
                )
            }
        }
        guard entries.contains(where: { $0.weight > 0 }), entries.count <= 256 else {
            throw LoadMixProblem(
                description: "\(name): wanted are 1 to 256 entries, one at least with a weight above 0")
        }
        self.entries = entries
    }

    private struct Reader {
        let name: String

        func problem(_ node: Node?, _ text: String) -> LoadMixProblem {
            let place = (node?.mark?.line).map { " line \($0)" } ?? ""
            return LoadMixProblem(description: "\(name)\(place): \(text)")
        }
        func check(_ mapping: Node.Mapping, _ known: [String]) throws(LoadMixProblem) {
            for (key, _) in mapping where !known.contains(key.string ?? "") {
                throw problem(key, "unknown key `\(key.string ?? "?")`; known are \(known.joined(separator: ", "))")
            }
        }
        func number(_ node: Node, _ key: String) throws(LoadMixProblem) -> Double {
            guard let value = node.float ?? node.int.map(Double.init), value >= 0, value.isFinite else {
                throw problem(node, "`\(key)` takes a number from 0")
            }
            return value
        }
        func text(_ node: Node, _ key: String) throws(LoadMixProblem) -> String {
            guard let text = node.string, !text.isEmpty, !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
            else {
                throw problem(node, "`\(key)` takes one line of text")
            }
            return text
        }
        func shares(_ node: Node, over start: LoadShares = LoadShares()) throws(LoadMixProblem) -> LoadShares {
            let known = ["duplicates", "retries", "bad_signatures", "stale", "malformed"]
            guard let mapping = node.mapping else {
                throw problem(node, "`shares` has the keys \(known.joined(separator: ", "))")
            }
            try check(mapping, known)
            var shares = start
            for (key, value) in mapping {
                let number = try number(value, key.string ?? "")
                switch key.string {
                case "duplicates": shares.duplicates = number
                case "retries": shares.retries = number
                case "bad_signatures": shares.badSignatures = number
                case "stale": shares.stale = number
                default: shares.malformed = number
                }
            }
            guard shares.sum <= 1 else { throw problem(node, "the shares are more than 1 together") }
            return shares
        }
        func call(_ node: Node, _ mapping: Node.Mapping) throws(LoadMixProblem) -> LoadCall {
            for key in ["provider", "type", "secret", "path", "size", "spread"] where mapping[key] != nil {
                throw problem(node, "`\(key)` goes together with `provider`, and `call` takes its place")
            }
            guard var call = LoadCall(try text(node, "call")) else {
                throw problem(node, "`call` is METHOD /PATH, such as GET /api/v1/endpoints")
            }
            if let body = mapping["body"] { call.body = try text(body, "body") }
            return call
        }
        func entry(_ node: Node, _ shares: LoadShares) throws(LoadMixProblem) -> LoadTrafficEntry {
            guard let mapping = node.mapping else {
                throw problem(node, "an entry of `traffic` has keys such as `provider`")
            }
            try check(
                mapping,
                [
                    "name", "provider", "type", "secret", "path", "weight", "size", "spread", "shares", "retry_line",
                    "call", "body",
                ])
            var entry = LoadTrafficEntry()
            entry.line = node.mark?.line ?? 0
            if let call = mapping["call"] {
                entry.call = try self.call(call, mapping)
                entry.name = try text(call, "call")
            } else {
                guard let provider = mapping["provider"] else {
                    throw problem(node, "`provider` is missing, or `call` in its place")
                }
                if let body = mapping["body"] { throw problem(body, "`body` goes together with `call`") }
                entry.provider = try text(provider, "provider")
                entry.name = entry.provider
            }
            if let name = mapping["name"] { entry.name = try text(name, "name") }
            if let type = mapping["type"] { entry.type = try text(type, "type") }
            if let secret = mapping["secret"] {
                do { entry.secrets = [try SecretText.resolve(try text(secret, "secret"))] } catch {
                    throw problem(secret, "\(error)")
                }
            }
            if let path = mapping["path"] {
                let path = try text(path, "path")
                guard path.hasPrefix("/"), !path.contains(" ") else { throw problem(node, "`path` begins with /") }
                entry.path = path
            }
            if let weight = mapping["weight"] { entry.weight = try number(weight, "weight") }
            if let size = mapping["size"] {
                var spread = "uniform"
                if let node = mapping["spread"] { spread = try text(node, "spread") }
                guard let sizes = LoadMixFile.sizes(try text(size, "size"), spread: spread) else {
                    throw problem(
                        size, "`size` takes a size or a range such as 5KiB-50KiB, `spread` uniform or lognormal")
                }
                entry.sizes = sizes
            }
            entry.shares = shares
            if let own = mapping["shares"] {
                entry.shares = try self.shares(own, over: shares)
                entry.hasOwnStale = own.mapping?["stale"] != nil
                entry.hasOwnBadSignatures = own.mapping?["bad_signatures"] != nil
            }
            if let line = mapping["retry_line"] {
                entry.retryLine = try text(line, "retry_line")
                guard line.string?.contains(": ") == true else { throw problem(line, "`retry_line` is NAME: VALUE") }
            }
            return entry
        }
    }

    /// `4KiB` or `5KiB-50KiB`; nil when it is neither, or longer than 8 MiB.
    package static func sizes(_ text: String, spread: String) -> LoadSizes? {
        let parts = text.split(separator: "-", maxSplits: 1).map { ByteSize.parse(String($0)) }
        guard let first = parts.first, let low = first, low > 0, low <= 8 << 20 else { return nil }
        if parts.count == 1 { return .fixed(low) }
        guard let high = parts[1], high >= low, high <= 8 << 20 else { return nil }
        switch spread {
        case "uniform": return .uniform(low, high)
        case "lognormal": return .lognormal(low, high)
        default: return nil
        }
    }
}
