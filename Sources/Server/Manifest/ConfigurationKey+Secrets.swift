// The secrets of a source: text alone, or a mapping with the time in which it counts. And where the key is that stored
// secrets are encrypted under.
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

extension ConfigurationKey where Root == GatewayConfiguration {
    /// A place, never the key itself: what stands in the file is on its way into backups and repositories.
    static var masterKey: ConfigurationKey {
        ConfigurationKey(
            name: "master_key", form: "place", initial: "in the data folder", range: "file:PATH or env:NAME"
        ) { node, root, reading in
            guard let text = reading.text(node, key: "master_key") else { return }
            if text.hasPrefix("file:"), text.utf8.count > 5 {
                root.process.masterKey = .file(reading.resolve(path: String(text.dropFirst(5))))
            } else if text.hasPrefix("env:"), text.utf8.count > 4 {
                root.process.masterKey = .environment(String(text.dropFirst(4)))
            } else {
                reading.report(
                    node, "`master_key` takes the place of the key, `file:PATH` or `env:NAME`, never the key itself")
            }
        }
    }
}
