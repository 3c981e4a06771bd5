// The secrets of a source: text alone, or a mapping with the time in which it counts.
//
// Invariant: no message shows a secret; a window that is written wrong is an error, never no window.
import Engine
import FastPath
import Yams

extension ConfigurationKey {
    static func sourceSecrets(_ name: String, _ place: SettingKeyPath<Root, [SourceSecret]>) -> ConfigurationKey {
        ConfigurationKey(
            name: name, form: "list of secrets", range: "each text, or { value, not_before, not_after }"
        ) { node, root, reading in
            root[keyPath: place] = readItems(node, reading) { item in
                guard item.mapping != nil else { return reading.secret(item, key: name).map { SourceSecret($0) } }
                var secret = SourceSecret("")
                readMapping(item, into: &secret, keys: windowKeys, called: "a secret", reading)
                if let first = secret.notBefore, let last = secret.notAfter, first > last {
                    reading.report(item, "`not_before` is later than `not_after`; this secret would never be used")
                }
                return secret
            }
        }
    }
}

private let windowKeys: [ConfigurationKey<SourceSecret>] = [
    ConfigurationKey<SourceSecret>(name: "value", form: "secret") { node, secret, reading in
        if let value = reading.secret(node, key: "value") { secret.value = value }
    }.required,
    instant("not_before", \.notBefore), instant("not_after", \.notAfter),
]

private func instant(_ name: String, _ place: SettingKeyPath<SourceSecret, UInt64?>) -> ConfigurationKey<SourceSecret> {
    ConfigurationKey(name: name, form: "instant") { node, secret, reading in
        guard let text = reading.text(node, key: name) else { return }
        guard let (seconds, isBehind) = Array(text.utf8).withView({ Timestamp.iso8601($0) }), !isBehind else {
            return reading.report(
                node, "`\(name)`: `\(node.scalar?.string ?? "")` is not an instant such as 2026-01-31T00:00:00Z")
        }
        secret[keyPath: place] = seconds
    }
}
