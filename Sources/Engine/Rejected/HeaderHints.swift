// Hints that change a header field or the URL: a signature written in another way, a field under another name, an
// address that the sender saw differently. See `RejectionHints.swift` for what a hint is.

import FastPath

extension RejectionHints {
    // MARK: header fields

    static func header(_ request: PlainRequest, _ trial: inout HintTrial) -> HintFinding? {
        for definition in trial.subject.definitions {
            for set in definition.headers {
                guard let name = SchemePlaces.header(set.signature) else { continue }
                if request.value(of: name) != nil, let finding = signature(request, name, definition, &trial) {
                    return finding
                }
                if let finding = renamed(request, set, &trial) { return finding }
            }
        }
        return nil
    }

    /// The field is there, its text may be written in another way than the scheme's.
    private static func signature(
        _ request: PlainRequest, _ name: String, _ definition: SchemeDefinition, _ trial: inout HintTrial
    ) -> HintFinding? {
        let text = SignatureText(definition)
        let bare = request.value(of: name) ?? ""
        if let whole = text.prefixed(bare), trial.accepts(request.mapping(name) { text.prefixed($0) ?? $0 }) {
            let lost = whole.dropLast(bare.count)
            return HintFinding(.missingPrefix, "\(name) must begin with \"\(lost)\"")
        }
        if let stray = text.strayPrefix(bare) {
            let mended = request.mapping(name) { value in
                definition.prefix + value.dropFirst(text.strayPrefix(value)?.count ?? 0)
            }
            if trial.accepts(mended) {
                return HintFinding(.unexpectedPrefix, "\(name) begins with \"\(stray)\", which the scheme has not")
            }
        }
        for encoding in SignatureEncoding.allCases {
            guard let whole = text.reencoded(bare, from: encoding), whole != bare else { continue }
            if trial.accepts(request.mapping(name) { text.reencoded($0, from: encoding) ?? $0 }) {
                let wanted = definition.encoding.words
                let given = encoding == definition.encoding ? "another spelling of \(wanted)" : encoding.words
                return HintFinding(
                    .wrongEncoding, "\(name) has the signature in \(given); the scheme wants \(wanted)")
            }
        }
        return nil
    }

    /// Fields of the set are missing, others may be them under another name.
    private static func renamed(
        _ request: PlainRequest, _ set: SchemeHeaders, _ trial: inout HintTrial
    ) -> HintFinding? {
        let wanted = [set.signature, set.id, set.timestamp].compactMap { $0 }.compactMap(SchemePlaces.header)
        let missing = wanted.filter { request.value(of: $0) == nil }
        guard !missing.isEmpty else { return nil }
        var mended = request
        var found: [(name: String, as: String)] = []
        var unknown: [String] = []
        for name in missing {
            let key = HeaderNames.key(name)
            if let field = request.fields.first(where: { HeaderNames.key($0.name) == key }) {
                mended = mended.adding(name, field.value)
                found.append((name, field.name))
            } else {
                unknown.append(name)
            }
        }
        func finding(_ found: [(name: String, as: String)]) -> HintFinding {
            let words = found.map { "\($0.name) came as \(HeaderNames.shown($0.as))" }.joined(separator: ", ")
            return HintFinding(.headerRenamedByProxy, words)
        }
        if unknown.isEmpty { return trial.accepts(mended) ? finding(found) : nil }
        // One that resembles nothing may stand under any name that providers sign with.
        guard unknown.count == 1 else { return nil }
        for field in request.fields where HeaderNames.signatures.contains(field.name.lowercased()) {
            if trial.accepts(mended.adding(unknown[0], field.value)) {
                return finding(found + [(unknown[0], field.name)])
            }
        }
        return nil
    }

    // MARK: URL

    static func url(_ request: PlainRequest, _ trial: inout HintTrial) -> HintFinding? {
        let definitions = trial.subject.definitions
        let pieces = ["{url}", "{path}", "{query"]
        let signsURL = definitions.contains { scheme in pieces.contains { scheme.signed.contains($0) } }
        guard signsURL || definitions.isEmpty else { return nil }
        for origin in URLVariants.origins(request, seen: trial.origin) where trial.accepts(request, origin: origin) {
            let seen = URLVariants.shown(trial.origin ?? "an unknown address")
            return HintFinding(.urlDiffers, "signed for \(URLVariants.shown(origin)), seen as \(seen)")
        }
        for target in URLVariants.targets(request) where trial.accepts(request.with(target: target)) {
            let path = URLVariants.shown(String(target.prefix { $0 != "?" }))
            return HintFinding(.urlDiffers, "signed for the path \(path), which something on the way has changed")
        }
        return nil
    }
}

/// How a scheme writes signatures, and how others do.
struct SignatureText {
    private let definition: SchemeDefinition

    init(_ definition: SchemeDefinition) { self.definition = definition }

    /// With what the scheme wants in front; nil when it wants nothing or it is there.
    func prefixed(_ value: String) -> String? {
        let prefix =
            switch definition.list {
            case .none: definition.prefix
            case .space: definition.listKey + ","
            case .comma, .semicolon: definition.listKey + "="
            }
        guard !prefix.isEmpty, !value.hasPrefix(prefix) else { return nil }
        // Of a list only a bare signature; entries under other keys are another matter.
        if definition.list != .none, value.contains(where: { $0 == " " || $0 == "," || $0 == ";" }) { return nil }
        return prefix + value
    }

    /// A word and `=`, a word and a blank, in front of what else is one signature; nil where there is none or where it
    /// is the scheme's own.
    func strayPrefix(_ value: String) -> String? {
        guard definition.list == .none, definition.prefix.isEmpty || !value.hasPrefix(definition.prefix),
            let match = value.prefixMatch(of: /[A-Za-z][A-Za-z0-9_-]{0,15}[= ]/), match.0.count < value.count,
            // Padding of base 64 is no prefix.
            value.dropFirst(match.0.count).contains(where: { $0 != "=" })
        else { return nil }
        return String(match.0)
    }

    /// Each signature read as `encoding` and written as the scheme's; nil when one cannot be read so.
    func reencoded(_ value: String, from encoding: SignatureEncoding) -> String? {
        func signature(_ text: some StringProtocol) -> String? {
            guard let bytes = SignatureText.decode(String(text), encoding) else { return nil }
            return SignatureText.encode(bytes, definition.encoding)
        }
        let separator: Character
        let joint: Character
        switch definition.list {
        case .none:
            let start = value.hasPrefix(definition.prefix) ? definition.prefix.count : 0
            return signature(value.dropFirst(start)).map { definition.prefix + $0 }
        case .space: (separator, joint) = (" ", ",")
        case .comma: (separator, joint) = (",", "=")
        case .semicolon: (separator, joint) = (";", "=")
        }
        let head = definition.listKey + String(joint)
        var changed = false
        let entries = value.split(separator: separator, omittingEmptySubsequences: false).map { entry -> String in
            guard entry.hasPrefix(head), let text = signature(entry.dropFirst(head.count)) else {
                return String(entry)
            }
            changed = true
            return head + text
        }
        return changed ? entries.joined(separator: String(separator)) : nil
    }

    static func decode(_ text: String, _ encoding: SignatureEncoding) -> [UInt8]? {
        guard text.utf8.count >= 16 else { return nil }
        if encoding == .base64URL {
            return TextEncoding.bytes(of: String(text.prefix { $0 != "=" }), as: .base64URL)
        }
        return TextEncoding.bytes(of: text, as: encoding)
    }
    static func encode(_ bytes: [UInt8], _ encoding: SignatureEncoding) -> String {
        switch encoding {
        case .hex: return TextEncoding.hex(bytes)
        case .base64: return TextEncoding.base64(bytes)
        case .base64URL:
            let text = TextEncoding.base64(bytes).map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }
            return String(text.prefix { $0 != "=" })
        }
    }
}

extension SignatureEncoding {
    var words: String {
        switch self {
        case .hex: "hexadecimal"
        case .base64: "base 64"
        case .base64URL: "base 64 of the URL alphabet"
        }
    }
}

/// Where a definition says that a value stands.
enum SchemePlaces {
    /// The header's name; nil when the value is not in a header.
    static func header(_ place: String) -> String? {
        if place.hasPrefix("header:") { return String(place.dropFirst("header:".count)) }
        return ["query:", "form:", "json:"].contains(where: place.hasPrefix) ? nil : place
    }
}

enum HeaderNames {
    /// What is left of a name when what proxies add, drop and change is taken off: case, dashes, a leading X, and the
    /// words that mark a copy.
    static func key(_ name: String) -> String {
        var words = name.lowercased().split(whereSeparator: { $0 == "-" || $0 == "_" || $0 == "." })
        while words.count > 1, marks.contains(String(words[0])) { words.removeFirst() }
        return words.joined()
    }
    private static let marks: Set<String> = ["x", "http", "original", "forwarded", "orig", "amzn", "remapped"]

    /// The names that any provider's signature stands under, in lower case.
    static let signatures: Set<String> = {
        let schemes = ProviderCatalogue.all.flatMap { $0.schemes.compactMap(\.definition) }
        let names = schemes.flatMap(\.headers).compactMap { SchemePlaces.header($0.signature)?.lowercased() }
        return Set(names).union(["x-signature", "signature", "x-hub-signature", "x-hub-signature-256"])
    }()

    /// A sender chose it: bounded, and what could forge a line is not shown.
    static func shown(_ name: String) -> String { String(name.prefix(64)) }
}

enum URLVariants {
    /// The request's own origins that differ from the one seen: the other scheme, with and without the port, the names
    /// that proxies pass on.
    static func origins(_ request: PlainRequest, seen: String?) -> [String] {
        var hosts: [String] = []
        func add(_ text: String?) {
            guard let host = text?.split(separator: ",").first?.trimmed, !host.isEmpty, !hosts.contains(host) else {
                return
            }
            hosts.append(host)
            let bare = withoutPort(host)
            if !hosts.contains(bare) { hosts.append(bare) }
        }
        add(seen.flatMap { seen in seen.firstRange(of: "://").map { String(seen[$0.upperBound...]) } })
        for name in ["Host", "X-Forwarded-Host", "X-Original-Host"] { add(request.value(of: name)) }
        var origins: [String] = []
        for host in hosts.prefix(6) {
            for scheme in ["https", "http"] {
                origins.append("\(scheme)://\(host)")
                if withoutPort(host) == host {
                    origins.append("\(scheme)://\(host):\(scheme == "https" ? 443 : 80)")
                    if let port = request.value(of: "X-Forwarded-Port"), UInt16(port) != nil {
                        origins.append("\(scheme)://\(host):\(port)")
                    }
                }
            }
        }
        return origins.filter { $0 != seen }
    }
    static func withoutPort(_ host: String) -> String {
        guard let colon = host.lastIndex(of: ":"), host[host.index(after: colon)...].allSatisfy(\.isNumber) else {
            return host
        }
        return String(host[..<colon])
    }

    /// The targets that a rewriting proxy may have had in front of it.
    static func targets(_ request: PlainRequest) -> [String] {
        let path = String(request.target.prefix { $0 != "?" })
        let query = String(request.target.dropFirst(path.count))
        var targets: [String] = []
        for name in ["X-Original-URI", "X-Forwarded-Uri", "X-Original-URL", "X-Rewrite-URL"] {
            if let value = request.value(of: name), value.hasPrefix("/") { targets.append(value) }
        }
        if let prefix = request.value(of: "X-Forwarded-Prefix"), prefix.hasPrefix("/") {
            targets.append(prefix + request.target)
        }
        targets.append((path.hasSuffix("/") ? String(path.dropLast()) : path + "/") + query)
        if !query.isEmpty { targets.append(path) }
        return targets.filter { $0 != request.target && !$0.contains(" ") }
    }

    /// Bounded: the host comes from the sender.
    static func shown(_ text: String) -> String { String(text.prefix(200)) }
}
