// What one key of the configuration is: its name, what it takes, its default and range, and where its value goes. The
// same table reads the file, finds the nearest name of an unknown key, and is compared with docs/configuration.md by a
// test.
//
// Invariant: defaults are those of `GatewayConfiguration`; none is written down here a second time.
import Engine
import Yams

/// A key as the documentation lists it.
package struct KeyDescription: Equatable, Sendable {
    /// From the top of the file: `limits.body`, `sources[].name`.
    package let path: String
    /// What it takes: `size`, `time`, `list of text`, …
    package let form: String
    /// As one would write it in the file; `required` or `none` where there is no default.
    package let initial: String
    /// Empty when any value of the form will do.
    package let range: String
}

struct ConfigurationKey<Root>: Sendable {
    let name: String
    var form: String
    var initial = "none"
    var range = ""
    var isRequired = false
    var nested: [KeyDescription] = []
    /// Takes the value's node; reports what is wrong and leaves the root as it was.
    let read: @Sendable (Node, inout Root, ConfigurationReading) -> Void

    func descriptions(prefix: String) -> [KeyDescription] {
        if nested.isEmpty {
            return [KeyDescription(path: prefix + name, form: form, initial: initial, range: range)]
        }
        return nested.map {
            KeyDescription(path: prefix + name + $0.path, form: $0.form, initial: $0.initial, range: $0.range)
        }
    }
    /// Marks the key as one without which its mapping is wrong.
    var required: ConfigurationKey {
        var copy = self
        copy.isRequired = true
        copy.initial = "required"
        return copy
    }
}

typealias SettingKeyPath<Root, Value> = any WritableKeyPath<Root, Value> & Sendable

/// Reads a mapping by its table of keys: unknown keys and missing required ones are reported, each at its line.
func readMapping<Root>(
    _ node: Node, into root: inout Root, keys: [ConfigurationKey<Root>], called what: String,
    _ reading: ConfigurationReading
) {
    guard let mapping = node.mapping else {
        if node.scalar?.string.isEmpty == true { return }
        return reading.report(node, "\(what) takes keys, as in `\(keys.first?.name ?? "key"): …`")
    }
    // Not looked up in the mapping: comparing nodes resolves their tags, which is slow for large manifests.
    var seen: Set<String> = []
    for (keyNode, value) in mapping {
        let name = keyNode.scalar?.string ?? ""
        seen.insert(name)
        guard let key = keys.first(where: { $0.name == name }) else {
            let names = keys.map(\.name)
            let advice =
                NearestName.of(name, among: names).map { "did you mean `\($0)`?" }
                ?? "known keys: \(names.joined(separator: ", "))"
            reading.at(.key(name)) { reading.report(keyNode, "unknown key `\(name)` in \(what); \(advice)") }
            continue
        }
        reading.at(.key(name)) { key.read(value, &root, reading) }
    }
    for key in keys where key.isRequired && !seen.contains(key.name) {
        reading.at(.key(key.name)) { reading.report(node, "\(what) needs `\(key.name)`") }
    }
}

extension ConfigurationKey {
    /// Any one value.
    static func text(_ name: String, _ place: SettingKeyPath<Root, String>, of root: Root) -> ConfigurationKey {
        let initial = root[keyPath: place]
        return ConfigurationKey(name: name, form: "text", initial: initial.isEmpty ? "none" : initial) {
            node, root, reading in
            if let value = reading.text(node, key: name) { root[keyPath: place] = value }
        }
    }
    static func optionalText(_ name: String, _ place: SettingKeyPath<Root, String?>) -> ConfigurationKey {
        ConfigurationKey(name: name, form: "text") { node, root, reading in
            if let value = reading.text(node, key: name) { root[keyPath: place] = value }
        }
    }
    /// A path of the file system, relative to the file's folder.
    static func path(_ name: String, _ place: SettingKeyPath<Root, String>, of root: Root) -> ConfigurationKey {
        ConfigurationKey(name: name, form: "path", initial: root[keyPath: place]) { node, root, reading in
            if let value = reading.text(node, key: name) { root[keyPath: place] = reading.resolve(path: value) }
        }
    }
    /// One of some words.
    static func word(
        _ name: String, _ place: SettingKeyPath<Root, String>, of root: Root, words: [String]
    ) -> ConfigurationKey {
        ConfigurationKey(
            name: name, form: "word", initial: root[keyPath: place], range: words.joined(separator: ", ")
        ) { node, root, reading in
            if let value = readWord(node, name, words, reading) { root[keyPath: place] = value }
        }
    }
    static func word<Word: RawRepresentable<String> & CaseIterable & Sendable>(
        _ name: String, _ place: SettingKeyPath<Root, Word>, of root: Root
    ) -> ConfigurationKey {
        let words = Word.allCases.map(\.rawValue)
        return ConfigurationKey(
            name: name, form: "word", initial: root[keyPath: place].rawValue, range: words.joined(separator: ", ")
        ) { node, root, reading in
            guard let text = readWord(node, name, words, reading), let word = Word(rawValue: text) else { return }
            root[keyPath: place] = word
        }
    }
    static func flag(_ name: String, _ place: SettingKeyPath<Root, Bool>, of root: Root) -> ConfigurationKey {
        ConfigurationKey(
            name: name, form: "flag", initial: "\(root[keyPath: place])", range: "true, false"
        ) { node, root, reading in
            guard let text = readWord(node, name, ["true", "false"], reading) else { return }
            root[keyPath: place] = text == "true"
        }
    }
    static func count(
        _ name: String, _ place: SettingKeyPath<Root, Int>, of root: Root, _ range: ClosedRange<Int>
    ) -> ConfigurationKey {
        number(
            name, place, "number", "\(root[keyPath: place])", range, { Int($0) }, { "\($0)" },
            "a whole number such as 100")
    }
    static func size(
        _ name: String, _ place: SettingKeyPath<Root, Int>, of root: Root, _ range: ClosedRange<Int>
    ) -> ConfigurationKey {
        let initial = ByteSize.text(of: root[keyPath: place])
        return number(
            name, place, "size", initial, range, ByteSize.parse, ByteSize.text, "a size such as 64KiB or 1MiB")
    }
    static func time(
        _ name: String, _ place: SettingKeyPath<Root, Int>, of root: Root, _ range: ClosedRange<Int>
    ) -> ConfigurationKey {
        let initial = TimeSpan.text(of: root[keyPath: place])
        return number(
            name, place, "time", initial, range, TimeSpan.parse, TimeSpan.text, "a time such as 30s, 5m or 24h")
    }
    private static func number(
        _ name: String, _ place: SettingKeyPath<Root, Int>, _ form: String, _ initial: String,
        _ range: ClosedRange<Int>,
        _ parse: @escaping @Sendable (String) -> Int?, _ spell: @escaping @Sendable (Int) -> String, _ example: String
    ) -> ConfigurationKey {
        let bounds = "\(spell(range.lowerBound)) to \(spell(range.upperBound))"
        return ConfigurationKey(name: name, form: form, initial: initial, range: bounds) { node, root, reading in
            guard let text = reading.text(node, key: name) else { return }
            let raw = node.scalar?.string ?? ""
            guard let value = parse(text) else {
                return reading.report(node, "`\(name)`: `\(raw)` is not \(example)")
            }
            guard range.contains(value) else {
                return reading.report(node, "`\(name)`: `\(raw)` is out of range; it takes \(bounds)")
            }
            root[keyPath: place] = value
        }
    }
    /// A size or a time that may also be `never`, or (without a default) absent.
    static func optional(
        _ key: ConfigurationKey<OptionalNumber>, _ place: SettingKeyPath<Root, Int?>, never: Bool
    ) -> ConfigurationKey {
        ConfigurationKey(
            name: key.name, form: key.form, initial: key.initial, range: key.range + (never ? ", or never" : "")
        ) { node, root, reading in
            if never, node.scalar?.string == "never" {
                root[keyPath: place] = nil
                return
            }
            var box = OptionalNumber()
            key.read(node, &box, reading)
            if box.wasRead { root[keyPath: place] = box.value }
        }
    }
    /// A list of texts; one text alone is a list of one.
    static func texts(_ name: String, _ place: SettingKeyPath<Root, [String]>, of root: Root) -> ConfigurationKey {
        let initial = root[keyPath: place]
        return ConfigurationKey(
            name: name, form: "list of text", initial: initial.isEmpty ? "none" : initial.joined(separator: ", ")
        ) { node, root, reading in
            root[keyPath: place] = readItems(node, reading) { reading.text($0, key: name) }
        }
    }
    static func secrets(_ name: String, _ place: SettingKeyPath<Root, [String]>) -> ConfigurationKey {
        ConfigurationKey(name: name, form: "list of secrets") { node, root, reading in
            root[keyPath: place] = readItems(node, reading) { reading.secret($0, key: name) }
        }
    }
    /// A mapping of its own.
    static func section<Value>(
        _ name: String, _ place: SettingKeyPath<Root, Value>, keys: [ConfigurationKey<Value>]
    ) -> ConfigurationKey {
        ConfigurationKey(
            name: name, form: "mapping", nested: keys.flatMap { $0.descriptions(prefix: ".") }
        ) { node, root, reading in
            readMapping(node, into: &root[keyPath: place], keys: keys, called: "`\(name)`", reading)
        }
    }
    /// A list of mappings.
    static func items<Value: ResourceSettings>(
        _ name: String, called what: String, _ place: SettingKeyPath<Root, [Value]>, keys: [ConfigurationKey<Value>]
    ) -> ConfigurationKey {
        ConfigurationKey(
            name: name, form: "list", nested: keys.flatMap { $0.descriptions(prefix: "[].") }
        ) { node, root, reading in
            if node.scalar?.string.isEmpty == true { return }
            guard let sequence = node.sequence else {
                return reading.report(node, "`\(name)` takes a list: each \(what) begins with `- name: …`")
            }
            for (index, item) in sequence.enumerated() {
                var value = Value()
                reading.at(.index(index)) {
                    readMapping(item, into: &value, keys: keys, called: what, reading)
                }
                root[keyPath: place].append(value)
            }
        }
    }
}

/// A number that may be missing, on its way into an optional place.
struct OptionalNumber: Sendable {
    var value = 0 { didSet { wasRead = true } }
    var wasRead = false
}

func readItems<Value>(_ node: Node, _ reading: ConfigurationReading, _ read: (Node) -> Value?) -> [Value] {
    guard let sequence = node.sequence else { return read(node).map { [$0] } ?? [] }
    var values: [Value] = []
    for (index, item) in sequence.enumerated() {
        reading.at(.index(index)) { if let value = read(item) { values.append(value) } }
    }
    return values
}

/// One of some words; nil, and reported, for any other. `orElse`: what the key takes beside them.
func readWord(
    _ node: Node, _ name: String, _ words: [String], orElse: String = "", _ reading: ConfigurationReading
) -> String? {
    guard let text = reading.text(node, key: name) else { return nil }
    guard !words.contains(text) else { return text }
    let advice =
        NearestName.of(text, among: words).map { "did you mean `\($0)`?" }
        ?? "it takes \(words.joined(separator: ", "))\(orElse)"
    reading.report(node, "`\(name)`: `\(node.scalar?.string ?? "")` is not a known value; \(advice)")
    return nil
}
