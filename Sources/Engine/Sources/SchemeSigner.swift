// Signs by a scheme that is data: fills its template, computes the signature with each key, puts it where the scheme
// looks for it.

import FastPath
import Foundation

struct SchemeSigner: Sendable {
    private let definition: SchemeDefinition
    private let secrets: [String]
    private let memory = CompiledMemory()
    private let keys: [SigningKey]
    private let privateKeys: [PrivateKey]

    init(_ definition: SchemeDefinition, secrets: [String]) throws(SourceProblemError) {
        self.definition = definition
        self.secrets = secrets
        var keys: [SigningKey] = []
        var privateKeys: [PrivateKey] = []
        do throws(SchemeError) {
            if let algorithm = PublicKeyAlgorithm(definition.algorithm) {
                for (index, secret) in secrets.enumerated() {
                    do throws(PublicKeyError) {
                        privateKeys.append(try PrivateKey(secret, for: algorithm))
                    } catch { throw SchemeError.badSecret(index: index, wanted: error.message) }
                }
            } else {
                // Whatever the verifier would refuse is refused.
                _ = try SignatureScheme([(definition, secrets)], in: memory)
                if case .hmac(let algorithm) = definition.algorithm {
                    for (index, secret) in secrets.enumerated() {
                        let bytes = try definition.secretEncoding.key(of: secret, index: index)
                        keys.append(SigningKey(secret: bytes, algorithm: algorithm, in: memory))
                    }
                }
            }
        } catch { throw SourceProblemError(.scheme(error)) }
        self.keys = keys
        self.privateKeys = privateKeys
    }

    func sign(_ request: UnsignedRequest) -> SignedRequest {
        var result = SignedRequest(headers: [], target: request.target, body: request.body)
        var request = request
        let places = definition.headers[0]
        var time = SchemeSigner.text(of: request.timestamp, form: definition.timestamp?.form ?? .seconds)
        if let place = places.timestamp, let path = SchemeSigner.path(place), definition.timestamp?.listKey == nil {
            time = BodyValue.filled(path, with: time, in: &request.body)
        }
        fillBodyValues(&request)
        if let place = definition.bodyHash, place.hasPrefix("query:"), BodyForm(request.body) == .json,
            !request.body.isEmpty
        {
            let hash = TextEncoding.hex(Digest.sha256(request.body))
            request.target += (request.target.contains("?") ? "&" : "?") + "\(place.dropFirst(6))=\(hash)"
        }
        result.body = request.body
        result.target = request.target
        func put(_ place: String, _ value: String) {
            if let path = SchemeSigner.path(place) {
                BodyValue.set(path, to: value, in: &result.body)
            } else if place.hasPrefix("query:") {
                result.target += (result.target.contains("?") ? "&" : "?") + "\(place.dropFirst(6))=\(value)"
            } else {
                let name = place.hasPrefix("header:") ? String(place.dropFirst(7)) : place
                result.headers.append((name, value))
            }
        }
        if let place = places.id { put(place, request.id) }
        if let rule = definition.timestamp, rule.listKey == nil, let place = places.timestamp,
            SchemeSigner.path(place) == nil
        {
            put(place, time)
        }
        result.headers += signedHeaders(request)
        let signatures = signatures(request, time)
        if definition.takesEverySet {
            for (set, signature) in zip(definition.headers, signatures) {
                put(set.signature, definition.prefix + signature)
            }
        } else {
            put(places.signature, value(of: signatures, time))
        }
        return result
    }

    /// One for each secret, encoded.
    private func signatures(_ request: UnsignedRequest, _ time: String) -> [String] {
        switch definition.algorithm {
        case .token: return secrets
        case .basic: return secrets.map { "Basic " + TextEncoding.base64(Array($0.utf8)) }
        case .hmac, .ed25519, .ecdsaP256, .rsaSHA256: break
        }
        let message = message(request, time)
        let digests = withExtendedLifetime(memory) {
            keys.map { $0.mac(over: message) } + privateKeys.map { $0.signature(of: message) }
        }
        return digests.map(encoded)
    }

    private func value(of signatures: [String], _ time: String) -> String {
        switch definition.list {
        case .none: return definition.prefix + signatures[0]
        case .space: return signatures.map { "\(definition.listKey),\($0)" }.joined(separator: " ")
        case .comma, .semicolon:
            var entries = signatures.map { "\(definition.listKey)=\($0)" }
            if let key = definition.timestamp?.listKey { entries.insert("\(key)=\(time)", at: 0) }
            return entries.joined(separator: definition.list == .comma ? "," : ";")
        }
    }

    private func encoded(_ digest: [UInt8]) -> String {
        switch definition.encoding {
        case .hex: return TextEncoding.hex(digest)
        case .base64: return TextEncoding.base64(digest)
        case .base64URL: return TextEncoding.bareBase64URL(digest)
        }
    }
}

// MARK: what is signed

extension SchemeSigner {
    /// The template's names and the literal text between them, alternating, text first. The template was checked when
    /// the scheme was compiled.
    private var pieces: [(isName: Bool, text: Substring)] {
        var pieces: [(isName: Bool, text: Substring)] = []
        var rest = definition.signed[...]
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            pieces.append((false, rest[..<open]))
            pieces.append((true, rest[rest.index(after: open)..<close]))
            rest = rest[rest.index(after: close)...]
        }
        return pieces + [(false, rest)]
    }

    private func message(_ request: UnsignedRequest, _ time: String) -> [UInt8] {
        let (path, query) = request.parts
        return pieces.flatMap { piece -> [UInt8] in
            guard piece.isName else { return Array(piece.text.utf8) }
            switch piece.text {
            case "body": return request.body
            case "form": return BodyForm(request.body) == .form ? FormText.sorted(request.body) : []
            case "id": return Array(request.id.utf8)
            case "timestamp": return Array(time.utf8)
            case "method": return Array(request.method.utf8)
            case "url": return Array((request.origin + definition.signedTarget(request.target)).utf8)
            case "path": return Array(path.utf8)
            case "query": return Array(query.utf8)
            default: return Array(self.value(at: String(piece.text), request).utf8)
            }
        }
    }

    /// What stands at a place of the template; a header is sent with the event's type.
    private func value(at place: String, _ request: UnsignedRequest) -> String {
        if let path = SchemeSigner.path(place) { return BodyValue.text(path, in: request.body) ?? "" }
        guard place.hasPrefix("query:") else { return request.type }
        let pairs = request.parts.query.split(separator: "&").map { $0.split(separator: "=", maxSplits: 1) }
        let value = pairs.first { $0.first.map(String.init) == String(place.dropFirst(6)) }?.dropFirst().first
        return value.flatMap { String($0).removingPercentEncoding } ?? ""
    }
    /// The template's headers that are not the signature's own, with what `value(at:)` says.
    private func signedHeaders(_ request: UnsignedRequest) -> [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = []
        for piece in pieces where piece.isName && piece.text.hasPrefix("header:") {
            let name = String(piece.text.dropFirst(7))
            if !headers.contains(where: { $0.name.lowercased() == name.lowercased() }) {
                headers.append((name, request.type))
            }
        }
        return headers
    }

    /// What the template takes from the body and the body has not.
    private func fillBodyValues(_ request: inout UnsignedRequest) {
        for piece in pieces where piece.isName {
            guard let path = SchemeSigner.path(String(piece.text)) else { continue }
            _ = BodyValue.filled(path, with: request.id, in: &request.body)
        }
    }

    /// The steps of `json:$.a.b`; nil for any other place.
    private static func path(_ place: String) -> [JSONPathStep]? {
        guard place.hasPrefix("json:") else { return nil }
        return (try? JSONPath(String(place.dropFirst(5))))?.steps
    }

    static func text(of seconds: UInt64, form: TimestampForm) -> String {
        switch form {
        case .seconds: "\(seconds)"
        case .milliseconds: "\(seconds * 1000)"
        case .iso8601: Date(timeIntervalSince1970: TimeInterval(seconds)).ISO8601Format()
        }
    }
}

extension SchemeDefinition {
    /// A target as `{url}` has it.
    func signedTarget(_ target: String) -> String {
        urlDecodes.unicodeScalars.reduce(target) { text, character in
            let escape = "%" + TextEncoding.hex([UInt8(truncatingIfNeeded: character.value)])
            return text.replacingOccurrences(of: escape, with: String(character), options: .caseInsensitive)
        }
    }
}

/// A form's parameters as Twilio signs them: sorted by name, then by value, each pair once, decoded, joined.
enum FormText {
    static func sorted(_ body: [UInt8]) -> [UInt8] {
        let pairs = body.split(separator: 0x26).map { pair -> [[UInt8]] in
            let halves = pair.split(separator: 0x3D, maxSplits: 1, omittingEmptySubsequences: false)
            return [decoded(halves[0]), halves.count > 1 ? decoded(halves[1]) : []]
        }
        let ordered = Set(pairs).sorted { left, right in
            left[0] == right[0]
                ? left[1].lexicographicallyPrecedes(right[1]) : left[0].lexicographicallyPrecedes(right[0])
        }
        return ordered.flatMap { $0[0] + $0[1] }
    }
    /// The first fields of a form with the values that they spell; none of any other body.
    static func fields(_ request: PlainRequest) -> [(name: String, value: [UInt8])] {
        let type = request.value(of: "Content-Type") ?? ""
        guard type.lowercased().hasPrefix("application/x-www-form-urlencoded") else { return [] }
        return request.body.split(separator: 0x26, maxSplits: 8).prefix(8).compactMap { pair in
            let halves = pair.split(separator: 0x3D, maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, !halves[1].isEmpty else { return nil }
            return (String(decoding: decoded(halves[0]), as: UTF8.self), decoded(halves[1]))
        }
    }
    private static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            if byte == 0x25, digits.utf8.count == 2, let value = UInt8(digits, radix: 16) {
                result.append(value)
                rest = rest.dropFirst(2)
            } else {
                result.append(byte == 0x2B ? 0x20 : byte)
            }
        }
        return result
    }
}

/// Reads and writes one value of a JSON body. A body that is written gets its keys sorted: only for providers that sign
/// values, not bytes.
enum BodyValue {
    static func text(_ path: [JSONPathStep], in body: [UInt8]) -> String? {
        var node = try? JSONSerialization.jsonObject(with: Data(body))
        for step in path {
            switch step {
            case .key(let name): node = (node as? [String: Any])?[name]
            case .index(let index):
                let list = node as? [Any] ?? []
                node = index < list.count ? list[index] : nil
            }
        }
        if let text = node as? String { return text.isEmpty ? nil : text }
        return (node as? NSNumber)?.stringValue
    }

    /// The value at the path, which is put there when there is none.
    static func filled(_ path: [JSONPathStep], with value: String, in body: inout [UInt8]) -> String {
        if let text = text(path, in: body) { return text }
        set(path, to: value, in: &body)
        return value
    }

    static func set(_ path: [JSONPathStep], to value: String, in body: inout [UInt8]) {
        guard let root = try? JSONSerialization.jsonObject(with: Data(body)),
            let data = try? JSONSerialization.data(
                withJSONObject: placed(value, path[...], root), options: [.sortedKeys, .withoutEscapingSlashes])
        else { return }
        body = [UInt8](data)
    }
    private static func placed(_ value: String, _ path: ArraySlice<JSONPathStep>, _ node: Any?) -> Any {
        guard let step = path.first else { return value }
        switch step {
        case .key(let name):
            var object = node as? [String: Any] ?? [:]
            object[name] = placed(value, path.dropFirst(), object[name])
            return object
        case .index(let index):
            var list = node as? [Any] ?? []
            guard index < list.count else { return list }
            list[index] = placed(value, path.dropFirst(), list[index])
            return list
        }
    }
}
