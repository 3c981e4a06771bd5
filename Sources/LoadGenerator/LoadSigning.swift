// A provider's signature as the loop's pieces: the headers it takes, what is signed, the key. From the same scheme data
// as the verifier's.
//
// Invariant: whatever a scheme signs that is not the same for every request must be id, time or body; a scheme that
// signs more is refused here, with words, rather than signed wrong.

import Engine
import FastPath

struct LoadSigning {
    /// Lines with their ends.
    var headers: [LoadHeadPiece] = []
    /// Lower case.
    var headerNames: Set<String> = []
    var signed: [LoadSignedPiece] = []
    var credential = LoadCredential.none
    var timestampUnitsPerSecond: UInt64 = 1
    /// Nil when no time is signed.
    var toleranceSeconds: UInt64?

    /// Its ids are UUIDs of version 4, of the same numbers.
    private var hasUUIDs = false
    private static let uuidMiddle = "-0000-4000-8000-"
    private static let signedUUID: [LoadSignedPiece] = [.run, .literal(uuidMiddle), .event]

    init() {}

    init(
        _ entry: LoadTrafficEntry, _ provider: Provider, path: String, hostField: String
    ) throws(LoadTrafficError) {
        var source = entry.source ?? SourceConfiguration()
        source.name = entry.name
        source.provider = entry.provider
        source.secrets = entry.secrets.map { SourceSecret($0) }
        let known: (definition: SchemeDefinition, secret: String)?
        do throws(SourceError) {
            known = try SourceCompiler.plainScheme(of: source, provider)
        } catch { throw .source(entry: entry.name, error.problem.message) }
        func refuse(_ why: String) -> LoadTrafficError {
            .notSignedLive(entry: entry.name, provider: entry.provider, why: why)
        }
        guard let (definition, secret) = known else { throw refuse("its scheme is code, not data") }
        let places = definition.headers[0]
        for place in [places.signature, places.id, places.timestamp].compactMap({ $0 }) where place.contains(":") {
            throw refuse("its signature has a part at \(place), which is no header")
        }
        guard definition.timestamp?.form != .iso8601 else { throw refuse("it writes its time as a date") }
        if case .hmac(let algorithm) = definition.algorithm {
            let key: [UInt8]
            do throws(SchemeError) { key = try definition.secretEncoding.key(of: secret, index: 0) } catch {
                throw .source(entry: entry.name, error.message)
            }
            credential = .hmac(secret: key, algorithm, definition.encoding)
        } else if case .token = definition.algorithm {
            credential = .fixed(secret)
        } else {
            throw refuse("its scheme is neither an HMAC nor a token")
        }
        let constants = [
            "method": "POST", "path": String(path.prefix { $0 != "?" }), "url": "http://\(hostField)\(path)",
            "query": path.contains("?") ? String(path.drop { $0 != "?" }.dropFirst()) : "",
        ]
        guard let pieces = LoadSigning.pieces(of: definition.signed, constants) else {
            throw refuse("it signs \(definition.signed), of which more than id, time and body changes")
        }
        hasUUIDs = provider.takesEnvelope
        signed = hasUUIDs ? pieces.flatMap { $0 == .id ? LoadSigning.signedUUID : [$0] } : pieces
        timestampUnitsPerSecond = definition.timestamp?.unitsPerSecond ?? 1
        toleranceSeconds = definition.timestamp?.toleranceSeconds
        addHeaders(definition)
    }

    private mutating func addHeaders(_ definition: SchemeDefinition) {
        let names = definition.headers[0]
        func line(_ name: String, _ value: [LoadHeadPiece]) -> [LoadHeadPiece] {
            [.literal("\(name): ")] + value + [.literal("\r\n")]
        }
        if let name = names.id {
            headers += line(name, hasUUIDs ? [.run, .literal(LoadSigning.uuidMiddle), .event] : [.id])
            headerNames.insert(name.lowercased())
        }
        if let rule = definition.timestamp, rule.listKey == nil, let name = names.timestamp {
            headers += line(name, [.timestamp])
            headerNames.insert(name.lowercased())
        }
        var value: [LoadHeadPiece]
        switch definition.list {
        case .none: value = [.literal(definition.prefix), .signature]
        case .space: value = [.literal("\(definition.listKey),"), .signature]
        case .comma, .semicolon:
            value = [.literal("\(definition.listKey)="), .signature]
            let separator = definition.list == .comma ? "," : ";"
            if let key = definition.timestamp?.listKey {
                value = [.literal("\(key)="), .timestamp, .literal(separator)] + value
            }
        }
        headers += line(names.signature, value)
        headerNames.insert(names.signature.lowercased())
    }

    /// Nil when the template has a place that differs from request to request and is none of ours.
    private static func pieces(of template: String, _ constants: [String: String]) -> [LoadSignedPiece]? {
        var pieces: [LoadSignedPiece] = []
        var rest = Substring(template)
        while let open = rest.firstIndex(of: "{") {
            if open > rest.startIndex { pieces.append(.literal(String(rest[..<open]))) }
            guard let close = rest[open...].firstIndex(of: "}") else { return nil }
            let name = String(rest[rest.index(after: open)..<close])
            switch name {
            case "id": pieces.append(.id)
            case "timestamp": pieces.append(.timestamp)
            case "body": pieces.append(.body)
            default:
                guard let text = constants[name] else { return nil }
                pieces.append(.literal(text))
            }
            rest = rest[rest.index(after: close)...]
        }
        if !rest.isEmpty { pieces.append(.literal(String(rest))) }
        return pieces
    }
}
