// What is taken out of an endpoint's deliveries before they are sent, as an operator writes it. Plain values; what they
// mean is compiled by `Redaction`.
import FastPath

package struct RedactionSettings: Equatable, Codable, Sendable {
    package struct Custom: Equatable, Codable, Sendable {
        package var name = ""
        package var pattern = ""
        /// Nil = `[REDACTED_NAME]`.
        package var replace: String?
        package init() {}
    }
    /// Names of `RedactionKind`; empty = all.
    package var patterns: [String] = []
    /// Those of them that become a hash, `custom` among them.
    package var hash: [String] = []
    /// Keys the hashes; nil = plain SHA-256.
    package var key: String?
    /// Texts that stay, each with at most one `*`.
    package var allow: [String] = []
    package var custom: [Custom] = []
    package init() {}
}

extension RedactionSettings {
    package static let allowCountMax = 256
    package static let allowBytesMax = 256
    package static let customCountMax = 16
    package static let patternBytesMax = 1024
    package static let replaceBytesMax = 64
    package static let nameBytesMax = 32
    package static let keyBytesMin = 16
    package static let keyBytesMax = 256

    private static let names = RedactionKind.builtIn.map(\.name)
    static func kinds(_ names: [String]) -> RedactionKinds {
        RedactionKinds(RedactionKind.allCases.filter { names.contains($0.name) })
    }

    package func issues(at path: FieldPath) -> [ValidationIssue] {
        var issues = RedactionSettings.issues(patterns, among: RedactionSettings.names, at: path["patterns"])
        issues += RedactionSettings.issues(
            hash, among: RedactionSettings.names + [RedactionKind.custom.name], at: path["hash"])
        if let key, !(RedactionSettings.keyBytesMin...RedactionSettings.keyBytesMax).contains(key.utf8.count) {
            issues.append(
                ValidationIssue(
                    path["key"],
                    "must have \(RedactionSettings.keyBytesMin) to \(RedactionSettings.keyBytesMax) bytes"))
        }
        if key != nil, hash.isEmpty { issues.append(ValidationIssue(path["key"], "is of no use without `hash`")) }
        if allow.count > RedactionSettings.allowCountMax {
            issues.append(
                ValidationIssue(
                    path["allow"], "has \(allow.count) entries; at most \(RedactionSettings.allowCountMax)"))
        }
        for (index, text) in allow.enumerated() {
            let isLong = !(1...RedactionSettings.allowBytesMax).contains(text.utf8.count)
            if isLong || text.utf8.count(where: { $0 == UInt8(ascii: "*") }) > 1 || text == "*" {
                issues.append(
                    ValidationIssue(
                        path["allow"][index],
                        "must have 1 to \(RedactionSettings.allowBytesMax) bytes, at most one `*` among others",
                        about: .value))
            }
        }
        if custom.count > RedactionSettings.customCountMax {
            issues.append(
                ValidationIssue(
                    path["custom"], "has \(custom.count) entries; at most \(RedactionSettings.customCountMax)"))
        }
        for (index, one) in custom.enumerated() { issues += one.issues(at: path["custom"][index]) }
        if Set(custom.map(\.name)).count != custom.count {
            issues.append(ValidationIssue(path["custom"], "has a name twice"))
        }
        return issues
    }
    private static func issues(_ written: [String], among names: [String], at path: FieldPath) -> [ValidationIssue] {
        written.enumerated().compactMap { index, name in
            guard !names.contains(name) else { return nil }
            let advice =
                NearestName.of(name, among: names).map { "did you mean `\($0)`?" }
                ?? "it takes \(names.joined(separator: ", "))"
            return ValidationIssue(path[index], "is no pattern; \(advice)", about: .value)
        }
    }
    /// What the audit and a difference say: no key, and no expression, which may have been written after a secret, but
    /// the beginning of a digest of them, so that another one is seen.
    package var text: String {
        var parts = [patterns.isEmpty ? "all" : patterns.joined(separator: ", ")]
        if !hash.isEmpty { parts.append("hash \(hash.joined(separator: ", "))\(key == nil ? "" : " with 1 secret")") }
        if !allow.isEmpty { parts.append("allow \(allow.count) (\(RedactionSettings.digest(allow)))") }
        if !custom.isEmpty {
            let digest = RedactionSettings.digest(custom.flatMap { [$0.pattern, $0.replacement] })
            parts.append("custom \(custom.map(\.name).joined(separator: ", ")) (\(digest))")
        }
        return parts.joined(separator: "; ")
    }
    private static func digest(_ texts: [String]) -> Substring {
        TextEncoding.hex(Digest.sha256(Array(texts.joined(separator: "\u{0}").utf8))).prefix(8)
    }
}

extension RedactionSettings.Custom {
    func issues(at path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        let isName =
            (1...RedactionSettings.nameBytesMax).contains(name.utf8.count)
            && name.utf8.allSatisfy { CharacterClasses.isLetter($0) || CharacterClasses.isDigit($0) || $0 == 0x5F }
        if !isName {
            issues.append(
                ValidationIssue(
                    path["name"], "must be 1 to \(RedactionSettings.nameBytesMax) of `a-z A-Z 0-9 _`", about: .value))
        }
        if let replace, replace.utf8.count > RedactionSettings.replaceBytesMax {
            issues.append(
                ValidationIssue(path["replace"], "must have at most \(RedactionSettings.replaceBytesMax) bytes"))
        }
        if let replace, replace.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            issues.append(ValidationIssue(path["replace"], "must be without control characters", about: .nothing))
        }
        guard (1...RedactionSettings.patternBytesMax).contains(pattern.utf8.count) else {
            issues.append(
                ValidationIssue(path["pattern"], "must have 1 to \(RedactionSettings.patternBytesMax) bytes"))
            return issues
        }
        let compiled: LinearPattern
        do throws(LinearPatternError) { compiled = try LinearPattern.shared(pattern) } catch {
            issues.append(ValidationIssue(path["pattern"], "is no expression that can be used: \(error.reason)"))
            return issues
        }
        if [UInt8]().withView({ compiled.matches($0) }) {
            issues.append(ValidationIssue(path["pattern"], "matches an empty text, and so everywhere"))
            return issues
        }
        // Else a second pass would go on over what the first one left.
        let left = RedactionKind.builtIn.map { "[\($0.label)]" } + [replacement, hashSample]
        if let text = left.first(where: { Array($0.utf8).withView { compiled.matches($0) } }) {
            issues.append(
                ValidationIssue(
                    path["pattern"], "matches `\(text)`, which stands where something has been replaced"))
        }
        return issues
    }
    var label: String { "REDACTED_" + name.uppercased() }
    var replacement: String { replace ?? "[\(label)]" }
    private var hashSample: String { "[\(label)_0123456789ab]" }
}
