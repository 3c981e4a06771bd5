// How an endpoint's deliveries are signed, as an operator says it: a form that is known by name, and what of it is
// otherwise. What they come to is `SignatureForm`.
import FastPath

package enum SignatureFormName: String, CaseIterable, Codable, Sendable {
    case standardWebhooks = "standard-webhooks"
    case svix
    /// `X-Webhook-Signature: sha256=` and hexadecimal over the body.
    case sha256
    /// The same under `X-Hub-Signature-256`.
    case github
    /// `Stripe-Signature: t=…,v1=…` over time, a dot and the body.
    case stripe

    /// Nil = by Standard Webhooks, whose form is fixed.
    fileprivate var form: SignatureForm? {
        switch self {
        case .standardWebhooks, .svix: return nil
        case .sha256, .github:
            var form = SignatureForm(
                header: self == .github ? "X-Hub-Signature-256" : "X-Webhook-Signature", signed: [.body])
            form.prefix = "sha256="
            return form
        case .stripe:
            var form = SignatureForm(header: "Stripe-Signature", signed: [.timestamp, .text("."), .body])
            form.prefix = "v1="
            form.separator = ","
            form.beginsWithTime = true
            return form
        }
    }
}

package struct SignatureConfiguration: Equatable, Codable, Sendable {
    package var form = SignatureFormName.sha256
    // Nil = as the form has it.
    package var header: String?
    /// Text with `{id}`, `{timestamp}` and `{body}`.
    package var signed: String?
    package var encoding: String?
    package var prefix: String?
    /// `none`, `comma` or `space`: what stands between the signatures of several secrets.
    package var list: String?
    package var timestampHeader: String?
    /// How a secret's text becomes a key.
    package var secretEncoding: String?
    package init() {}
}

/// A mistake in one key.
struct SignatureProblem: Error, Equatable {
    let key: String
    let reason: String
    init(_ key: String, _ reason: String) {
        self.key = key
        self.reason = reason
    }
}

extension SignatureConfiguration {
    package static let encodings = SignatureForm.Encoding.allCases.map(\.rawValue)
    package static let lists = ["none", "comma", "space"]
    package static let secretEncodings: [SecretEncoding] = [.text, .base64, .hex, .whsec]
    package static let nameBytesMax = 128
    package static let textBytesMax = 256
    /// Fields that the gateway or HTTP writes.
    private static let taken: Set<String> = [
        "host", "content-length", "content-type", "content-encoding", "connection", "transfer-encoding", "trailer",
        "te", "upgrade", "expect", "keep-alive", "user-agent", "date", "cookie", "authorization", "webhook-id",
        "proxy-authorization", "sluice-source", "sluice-event-type", "sluice-verdict", "sluice-client-subject",
        "sluice-attempt",
    ]

    package var text: String {
        let parts: [(String, String?)] = [
            ("header", header), ("signed", signed), ("encoding", encoding), ("prefix", prefix), ("list", list),
            ("timestamp_header", timestampHeader), ("secret_encoding", secretEncoding),
        ]
        return ([form.rawValue] + parts.compactMap { key, value in value.map { "\(key) \($0)" } })
            .joined(separator: ", ")
    }

    /// Nil for the two forms of Standard Webhooks.
    func resolved() throws(SignatureProblem) -> SignatureForm? {
        guard var made = form.form else {
            let own: [(String, String?)] = [
                ("header", header), ("signed", signed), ("encoding", encoding), ("prefix", prefix), ("list", list),
                ("timestamp_header", timestampHeader), ("secret_encoding", secretEncoding),
            ]
            if let (key, _) = own.first(where: { $0.1 != nil }) {
                throw SignatureProblem(key, "is fixed by `\(form.rawValue)`; use the form `sha256` or `stripe`")
            }
            return nil
        }
        if let header { made.header = try SignatureConfiguration.name(header, "header") }
        if let timestampHeader {
            made.timestampHeader = try SignatureConfiguration.name(timestampHeader, "timestamp_header")
            guard timestampHeader.lowercased() != made.header.lowercased() else {
                throw SignatureProblem("timestamp_header", "is the name of the signature's header")
            }
        }
        if let signed { made.signed = try SignatureConfiguration.parts(of: signed) }
        if let encoding {
            guard let word = SignatureForm.Encoding(rawValue: encoding) else {
                throw SignatureProblem("encoding", "takes hex or base64")
            }
            made.encoding = word
        }
        if let prefix { made.prefix = try SignatureConfiguration.visible(prefix, "prefix") }
        if let list {
            guard SignatureConfiguration.lists.contains(list) else {
                throw SignatureProblem("list", "takes none, comma or space")
            }
            made.separator = list == "none" ? nil : list == "comma" ? "," : " "
        }
        if let secretEncoding {
            guard let word = SignatureConfiguration.secretEncodings.first(where: { $0.rawValue == secretEncoding })
            else { throw SignatureProblem("secret_encoding", "takes text, base64, hex or whsec") }
            made.secretEncoding = word
        }
        if made.signed.contains(.timestamp), !made.beginsWithTime, made.timestampHeader == nil {
            throw SignatureProblem(
                "timestamp_header", "is missing: {timestamp} is signed, and the receiver has to be told the time")
        }
        return made
    }
    private static func name(_ text: String, _ key: String) throws(SignatureProblem) -> String {
        guard (1...nameBytesMax).contains(text.utf8.count), Array(text.utf8).withView({ FieldRules.isToken($0) }) else {
            throw SignatureProblem(key, "is not the name of a header field, such as X-Signature")
        }
        guard !taken.contains(text.lowercased()) else {
            throw SignatureProblem(key, "is a field that the gateway writes itself; choose another name")
        }
        return text
    }
    private static func visible(_ text: String, _ key: String) throws(SignatureProblem) -> String {
        guard text.utf8.count <= textBytesMax, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw SignatureProblem(key, "takes at most \(textBytesMax) visible ASCII characters")
        }
        return text
    }
    /// `{timestamp}.{body}` taken apart. What is signed has the body: else a signature would fit every delivery.
    private static func parts(of template: String) throws(SignatureProblem) -> [SignatureForm.Part] {
        guard template.utf8.count <= textBytesMax else {
            throw SignatureProblem("signed", "has more than \(textBytesMax) bytes")
        }
        var (parts, literal, rest) = ([SignatureForm.Part](), "", template[...])
        while let open = rest.firstIndex(of: "{") {
            literal += rest[..<open]
            guard let close = rest[open...].firstIndex(of: "}") else {
                throw SignatureProblem("signed", "has a { without its }")
            }
            if !literal.isEmpty { parts.append(.text(literal)) }
            literal = ""
            switch rest[rest.index(after: open)..<close] {
            case "id": parts.append(.id)
            case "timestamp": parts.append(.timestamp)
            case "body": parts.append(.body)
            case let name:
                throw SignatureProblem("signed", "has {\(name)}, which is none of {id}, {timestamp} and {body}")
            }
            rest = rest[rest.index(after: close)...]
        }
        literal += rest
        if !literal.isEmpty { parts.append(.text(literal)) }
        guard parts.filter({ $0 == .body }).count == 1 else {
            throw SignatureProblem("signed", "must have {body} once")
        }
        return parts
    }
}

/// Compiled with its endpoint; behind one pointer, which most endpoints do not have.
final class EndpointSignature: Sendable {
    let form: SignatureForm
    /// Lines with the names of its fields: what a provider sent under them does not go on, for the receiver would take
    /// it for ours.
    let barred: [UInt8]

    init(_ form: SignatureForm) {
        self.form = form
        let names = [form.header] + [form.timestampHeader].compactMap(\.self)
        barred = names.flatMap { Array("\($0):\r\n".utf8) }
    }
}
