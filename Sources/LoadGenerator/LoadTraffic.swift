// Traffic as a mix describes it, made ready for the loop: per entry the provider's head with its places for id, time
// and signature, a pool of bodies, the key. Worker thread, before the run.
//
// Invariants: what the loop sends of an entry is what `RequestSigner` would send for the same body, id and time (a test
// compares them); bodies are JSON with the event's text where the provider's id is, so that each event is its own. If
// they fail, the server refuses everything, or keeps one event of a million.

import Engine
import FastPath
import Foundation

/// Sizes of bodies in bytes.
package enum LoadSizes: Equatable, Sendable {
    case fixed(Int)
    case uniform(Int, Int)
    /// Log-normal around the geometric middle, cut at both ends: most are small, a few are long.
    case lognormal(Int, Int)
}

/// A request that is no provider's event, such as a call of an API: said whole, and signed by nothing.
package struct LoadCall: Equatable, Sendable {
    /// Where it stands in a body, each request has a text of its own.
    package static let place = "{id}"
    package var method: String
    /// With the query.
    package var path: String
    package var body: String

    package init(method: String, path: String, body: String = "") {
        self.method = method
        self.path = path
        self.body = body
    }
    /// `METHOD /PATH`; nil when it is something else.
    package init?(_ text: String) {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, (1...16).contains(parts[0].utf8.count),
            parts[0].utf8.allSatisfy({ (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }),
            parts[1].hasPrefix("/"), parts[1].utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { return nil }
        self.init(method: parts[0], path: parts[1])
    }
}

package struct LoadTrafficEntry: Equatable, Sendable {
    package var name = ""
    package var provider = ""
    package var type = "test"
    package var secrets: [String] = []
    /// Nil: the target's own, or `/in/NAME`.
    package var path: String?
    package var weight = 1.0
    package var sizes = LoadSizes.uniform(512, 2048)
    package var shares = LoadShares()
    /// Shares from the mix's head do not apply where they have no meaning; those of the entry itself must.
    package var hasOwnStale = false
    package var hasOwnBadSignatures = false
    /// The line a retry of the provider has more, without its end.
    package var retryLine: String?
    /// A source of a configuration: its scheme signs, its selectors say where id and type are.
    package var source: SourceConfiguration?
    /// `NAME: VALUE`, in every request; one of a name that is there already takes its place.
    package var headerLines: [String] = []
    /// In place of a provider's event.
    package var call: LoadCall?
    package var line = 0

    package init() {}
}

package enum LoadTrafficError: Error, Equatable, Sendable, CustomStringConvertible {
    case source(entry: String, String)
    case notSignedLive(entry: String, provider: String, why: String)
    case meaningless(entry: String, share: String, why: String)
    case shares(entry: String)

    package var description: String {
        switch self {
        case .source(let entry, let why): "\(entry): \(why)"
        case .notSignedLive(let entry, let provider, let why):
            "\(entry): \(provider) cannot be signed under load: \(why)"
        case .meaningless(let entry, let share, let why): "\(entry): \(share) must be 0: \(why)"
        case .shares(let entry): "\(entry): the shares must be 0 to 1 each, and 1 together at most"
        }
    }
}

package struct LoadTarget: Equatable, Sendable {
    /// The value of the Host field.
    package var hostField: String
    /// Path and query of the URL; `/` when it has none.
    package var target: String

    package init(hostField: String, target: String) {
        self.hostField = hostField
        self.target = target
    }
}

package enum LoadTraffic {
    private static let poolBytesMax = 8 << 20
    private static let poolCountMax = 64

    package static func definition(
        of entry: LoadTrafficEntry, target: LoadTarget, seed: UInt64
    ) throws(LoadTrafficError) -> LoadEntryDefinition {
        if let call = entry.call { return try definition(of: call, entry, target) }
        func fail(_ why: String) -> LoadTrafficError { .source(entry: entry.name, why) }
        guard var provider = ProviderCatalogue.provider(named: entry.provider) else {
            let problem = SourceProblem.unknownProvider(
                entry.provider, nearest: ProviderCatalogue.nearestNames(to: entry.provider))
            throw fail(problem.message)
        }
        if let source = entry.source {
            if !source.eventID.isEmpty { provider.eventID = source.eventID }
            if !source.eventType.isEmpty { provider.eventType = source.eventType }
        }
        let path = entry.path ?? (target.target == "/" ? "/in/\(entry.name)" : target.target)
        var signing = LoadSigning()
        if !entry.secrets.isEmpty {
            signing = try LoadSigning(entry, provider, path: path, hostField: target.hostField)
        }
        let own = Set(entry.headerLines.map { LoadTraffic.name(of: $0) })
        if let taken = own.first(where: signing.headerNames.contains) {
            throw fail("--header \(taken): that field carries the signature")
        }
        let bodies = bodies(of: entry, provider, seed: seed)
        var definition = LoadEntryDefinition(
            head: head(of: entry, provider, signing, path: path, hostField: target.hostField),
            signed: signing.signed, credential: signing.credential, bodies: bodies)
        definition.timestampUnitsPerSecond = signing.timestampUnitsPerSecond
        definition.staleBySeconds = signing.toleranceSeconds.map { $0 + 3600 } ?? 0
        definition.weight = entry.weight
        definition.shares = try shares(of: entry, signing)
        return definition
    }

    private static func definition(
        of call: LoadCall, _ entry: LoadTrafficEntry, _ target: LoadTarget
    ) throws(LoadTrafficError) -> LoadEntryDefinition {
        var pieces: [LoadHeadPiece] = [
            .literal("\(call.method) \(call.path) HTTP/1.1\r\nHost: \(target.hostField)\r\n"), .malformedLine,
        ]
        let own = Set(entry.headerLines.map { LoadTraffic.name(of: $0) })
        let usual = ["User-Agent: sluice-load"] + (call.body.isEmpty ? [] : ["Content-Type: application/json"])
        let lines = usual.filter { !own.contains(LoadTraffic.name(of: $0)) } + entry.headerLines
        pieces += lines.map { .literal($0 + "\r\n") }
        if let line = entry.retryLine { pieces.append(.retryLine(line + "\r\n")) }
        if !call.body.isEmpty || call.method != "GET" {
            pieces += [.literal("Content-Length: "), .bodyLength, .literal("\r\n")]
        }
        let parts = call.body.components(separatedBy: LoadCall.place)
        guard parts.count <= 2 else {
            throw .source(entry: entry.name, "`\(LoadCall.place)` stands once in a body at most")
        }
        let text = parts.joined(separator: String(repeating: "#", count: LoadEventText.byteCount))
        let body = LoadBody(bytes: Array(text.utf8), idOffset: parts.count == 2 ? parts[0].utf8.count : nil)
        var definition = LoadEntryDefinition(
            head: pieces + [.literal("\r\n")], signed: [], credential: .none, bodies: [body])
        definition.weight = entry.weight
        definition.shares = try shares(of: entry, LoadSigning())
        return definition
    }

    private static func shares(
        of entry: LoadTrafficEntry, _ signing: LoadSigning
    ) throws(LoadTrafficError) -> LoadShares {
        var shares = entry.shares
        let list = [shares.duplicates, shares.retries, shares.badSignatures, shares.stale, shares.malformed]
        guard list.allSatisfy({ $0 >= 0 && $0 <= 1 }), shares.sum <= 1 else { throw .shares(entry: entry.name) }
        if signing.toleranceSeconds == nil, shares.stale > 0 {
            let why = "\(entry.provider) signs no time"
            if entry.hasOwnStale { throw .meaningless(entry: entry.name, share: "stale", why: why) }
            shares.stale = 0
        }
        if case .none = signing.credential, shares.badSignatures > 0 {
            let why = "it has no secret to sign with"
            if entry.hasOwnBadSignatures { throw .meaningless(entry: entry.name, share: "bad_signatures", why: why) }
            shares.badSignatures = 0
        }
        return shares
    }

    private static func head(
        of entry: LoadTrafficEntry, _ provider: Provider, _ signing: LoadSigning, path: String, hostField: String
    ) -> [LoadHeadPiece] {
        let own = Set(entry.headerLines.map { LoadTraffic.name(of: $0) })
        var pieces: [LoadHeadPiece] = [
            .literal("POST \(path) HTTP/1.1\r\nHost: \(hostField)\r\n"), .malformedLine,
        ]
        let usual =
            ["User-Agent: sluice-load", "Content-Type: application/json"]
            + provider.constantHeaders.map { "\($0.name): \($0.value)" }
        let lines = usual.filter { !own.contains(LoadTraffic.name(of: $0)) } + entry.headerLines
        pieces += lines.map { .literal($0 + "\r\n") }
        for (selectors, value) in [(provider.eventID, LoadHeadPiece.id), (provider.eventType, .literal(entry.type))] {
            guard let selector = selectors.first(where: { $0.hasPrefix("header:") }) else { continue }
            let name = String(selector.dropFirst("header:".count))
            if signing.headerNames.contains(name.lowercased()) || own.contains(name.lowercased()) { continue }
            pieces += [.literal("\(name): "), value, .literal("\r\n")]
        }
        pieces += signing.headers
        if let line = entry.retryLine { pieces.append(.retryLine(line + "\r\n")) }
        return pieces + [.literal("Content-Length: "), .bodyLength, .literal("\r\n\r\n")]
    }

    private static func name(of line: String) -> String { line.prefix { $0 != ":" }.lowercased() }

    // MARK: bodies

    private static func bodies(of entry: LoadTrafficEntry, _ provider: Provider, seed: UInt64) -> [LoadBody] {
        var random = LoadRandom(state: seed)
        var bodies: [LoadBody] = []
        var total = 0
        while bodies.count < poolCountMax, total < poolBytesMax || bodies.isEmpty {
            let body = body(of: entry, provider, byteCount: size(entry.sizes, &random), &random)
            total += body.bytes.count
            bodies.append(body)
        }
        return bodies
    }
    private static func size(_ sizes: LoadSizes, _ random: inout LoadRandom) -> Int {
        switch sizes {
        case .fixed(let count): return count
        case .uniform(let low, let high): return Int.random(in: low...high, using: &random)
        case .lognormal(let low, let high):
            let (bottom, top) = (log(Double(low)), log(Double(high)))
            // Ends at two deviations; the few beyond are drawn again.
            for _ in 0..<64 {
                let (first, second) = (
                    Double.random(in: 1e-12..<1, using: &random), Double.random(in: 0..<1, using: &random)
                )
                let normal = (-2 * log(first)).squareRoot() * cos(2 * .pi * second)
                let value = exp((bottom + top) / 2 + normal * (top - bottom) / 4)
                if value >= Double(low), value <= Double(high) { return Int(value) }
            }
            return Int(exp((bottom + top) / 2))
        }
    }
    /// About `byteCount` bytes of JSON: the event's text at the provider's id, its type, and words as filling.
    private static func body(
        of entry: LoadTrafficEntry, _ provider: Provider, byteCount: Int, _ random: inout LoadRandom
    ) -> LoadBody {
        let placeholder = String(repeating: "#", count: LoadEventText.byteCount)
        var root: [String: Any] = [:]
        for path in provider.eventType.compactMap(LoadTraffic.path) { set(entry.type, at: path[...], in: &root) }
        // One place only, so that one patch makes the body another event's.
        let idPath = provider.eventID.compactMap(LoadTraffic.path).first ?? ["id"]
        set(placeholder, at: idPath[...], in: &root)
        let frame = (try? JSONSerialization.data(withJSONObject: root, options: [.sortedKeys])) ?? Data("{}".utf8)
        var bytes = [UInt8](frame)
        let missing = byteCount - bytes.count - 16
        if missing > 0 {
            bytes.removeLast()
            bytes += Array(",\"transcript\":\"".utf8)
            let end = bytes.count + missing
            while bytes.count < end {
                bytes += Array((LoadTraffic.words.randomElement(using: &random) ?? "meeting").utf8)
                bytes.append(0x20)
            }
            bytes.removeLast(bytes.count - end)
            bytes += Array("\"}".utf8)
        }
        let offset = bytes.firstRange(of: Array(placeholder.utf8))?.lowerBound
        return LoadBody(bytes: bytes, idOffset: offset)
    }
    private static let words = [
        "meeting", "agenda", "notes", "speaker", "minutes", "recording", "participant", "summary", "invoice", "ready",
        "action", "item", "deadline", "thanks", "everyone", "question", "decision", "project", "update", "review",
    ]
    private static func path(_ selector: String) -> [String]? {
        guard selector.hasPrefix("json:$.") else { return nil }
        let names = selector.dropFirst("json:$.".count).split(separator: ".").map(String.init)
        return names.isEmpty || names.contains { $0.contains("[") } ? nil : names
    }
    private static func set(_ value: String, at path: ArraySlice<String>, in object: inout [String: Any]) {
        guard let name = path.first else { return }
        if path.count == 1 {
            // An object that another selector put there stays.
            if object[name] == nil || object[name] is String { object[name] = value }
        } else {
            var inner = object[name] as? [String: Any] ?? [:]
            set(value, at: path.dropFirst(), in: &inner)
            object[name] = inner
        }
    }
}

/// The same sequence for the same seed, on every machine.
package struct LoadRandom: RandomNumberGenerator {
    var state: UInt64
    package init(state: UInt64) { self.state = state }
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return LoadMix.scramble(state)
    }
}
