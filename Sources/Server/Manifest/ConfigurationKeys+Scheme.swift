// The keys of a source's scheme: the language of SchemeDefinition, as the file spells it.
import Engine
import Yams

enum SchemeKeys {
    static let scheme: [ConfigurationKey<SchemeConfiguration>] = {
        let initial = SchemeConfiguration()
        let algorithms = [
            "hmac-sha256", "hmac-sha1", "hmac-sha512", "token", "basic", "ed25519", "ecdsa-p256", "rsa-sha256",
        ]
        let encodings = ["text", "base64", "hex", "whsec", "ed25519", "spki"]
        return [
            .word("algorithm", \.algorithm, of: initial, words: algorithms),
            header,
            .flag("every_header", \.takesEveryHeader, of: initial),
            .text("prefix", \.prefix, of: initial),
            .flag("prefix_ignores_case", \.prefixIgnoresCase, of: initial),
            .word("encoding", \.encoding, of: initial, words: ["hex", "base64", "base64url"]),
            .text("signed", \.signed, of: initial),
            .flag("signs_part_only", \.signsPartOnly, of: initial),
            .optionalText("body_hash", \.bodyHash),
            .word("url_ports", \.urlPorts, of: initial, words: ["as-received", "both"]),
            .optionalText("url_decodes", \.urlDecodes),
            .word("content_coding", \.contentCodingInForce, of: initial, words: ["as-received", "decoded"]),
            .word("list", \.list, of: initial, words: ["none", "space", "comma", "semicolon"]),
            .text("list_key", \.listKey, of: initial),
            .optionalText("id_header", \.idHeader),
            timestamp,
            .word("secret_encoding", \.secretEncoding, of: initial, words: encodings),
        ]
    }()

    /// One place, or several of which the first that a request has counts.
    private static let header = ConfigurationKey<SchemeConfiguration>(name: "header", form: "list of text") {
        node, scheme, reading in
        let places = readItems(node, reading) { reading.text($0, key: "header") }
        scheme.header = places.first ?? ""
        scheme.otherHeaders = Array(places.dropFirst())
    }.required

    private static let timestamp = ConfigurationKey<SchemeConfiguration>(
        name: "timestamp", form: "mapping", nested: timestampKeys.flatMap { $0.descriptions(prefix: ".") }
    ) { node, scheme, reading in
        var timestamp = TimestampConfiguration()
        readMapping(node, into: &timestamp, keys: timestampKeys, called: "`timestamp`", reading)
        if timestamp.header == nil, timestamp.listKey == nil {
            reading.report(
                node, "`timestamp` needs `header` (or `list_key`, when it stands in the signature's header)")
        }
        scheme.timestamp = timestamp
    }

    private static let timestampKeys: [ConfigurationKey<TimestampConfiguration>] = {
        let initial = TimestampConfiguration()
        return [
            .optionalText("header", \.header),
            .optionalText("list_key", \.listKey),
            .word("unit", \.unit, of: initial, words: ["seconds", "milliseconds", "iso8601"]),
            .time("tolerance", \.toleranceMillis, of: initial, 1000...(7 * 86_400_000)),
            .flag("future", \.checksFuture, of: initial),
            .flag("past", \.checksPast, of: initial),
            .flag("optional", \.isOptional, of: initial),
        ]
    }()
}

// The file speaks of times; where the value is kept in seconds, it is read and written through these.
extension TimestampConfiguration {
    fileprivate var toleranceMillis: Int {
        get { toleranceSeconds * 1000 }
        set { toleranceSeconds = newValue / 1000 }
    }
}
extension SchemeConfiguration {
    fileprivate var contentCodingInForce: String {
        get { contentCoding ?? "as-received" }
        set { contentCoding = newValue }
    }
}
