// The key of an endpoint's signature: a form by its name, or a mapping that says what of it is otherwise.
import Engine
import FastPath
import Yams

extension ConfigurationKeys {
    /// `signature: stripe`, or `{ form: sha256, header: X-Signature, signed: "{timestamp}.{body}", … }`. What the words
    /// mean is the registry's affair; its answer comes back to the line.
    static let signature = ConfigurationKey<EndpointConfiguration>(
        name: "signature", form: "word or mapping", initial: SignatureFormName.standardWebhooks.rawValue,
        range: forms.joined(separator: ", ") + "; or " + signatureKeys.map(\.name).joined(separator: ", ")
    ) { node, endpoint, reading in
        var signature = SignatureConfiguration()
        if node.mapping == nil {
            let orElse = ", or a mapping such as { form: sha256, header: X-Signature }"
            guard let word = readWord(node, "signature", forms, orElse: orElse, reading) else { return }
            signature.form = SignatureFormName(rawValue: word) ?? signature.form
        } else {
            readMapping(node, into: &signature, keys: signatureKeys, called: "`signature`", reading)
        }
        endpoint.policies.signature = signature
    }
    private static let forms = SignatureFormName.allCases.map(\.rawValue)
    private static let signatureKeys: [ConfigurationKey<SignatureConfiguration>] = [
        .word("form", \.form, of: SignatureConfiguration()), .optionalText("header", \.header),
        .optionalText("signed", \.signed), .optionalText("encoding", \.encoding), .optionalText("prefix", \.prefix),
        .optionalText("list", \.list), .optionalText("timestamp_header", \.timestampHeader),
        .optionalText("secret_encoding", \.secretEncoding),
    ]
}
