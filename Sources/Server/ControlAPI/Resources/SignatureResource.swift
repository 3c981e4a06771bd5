// How an endpoint's deliveries are signed, as the API shows and takes it. Secrets are no part of it.
import Engine
import FastPath

package struct SignatureResource: Codable, Equatable, Sendable {
    /// Nil in a draft: the first that is not fixed.
    package var form: SignatureFormName?
    package var header: String?
    package var signed: String?
    package var encoding: String?
    package var prefix: String?
    package var list: String?
    package var timestampHeader: String?
    package var secretEncoding: String?

    package init(_ signature: SignatureConfiguration) {
        form = signature.form
        header = signature.header
        signed = signature.signed
        encoding = signature.encoding
        prefix = signature.prefix
        list = signature.list
        timestampHeader = signature.timestampHeader
        secretEncoding = signature.secretEncoding
    }
    var configuration: SignatureConfiguration {
        var signature = SignatureConfiguration()
        signature.form = form ?? signature.form
        signature.header = header
        signature.signed = signed
        signature.encoding = encoding
        signature.prefix = prefix
        signature.list = list
        signature.timestampHeader = timestampHeader
        signature.secretEncoding = secretEncoding
        return signature
    }
}

extension SignatureResource: Described {
    package static let schema = ObjectSchema(
        "Signature", "How deliveries are signed; what is absent is as the form has it.",
        [
            .optional(
                "form", .word(SignatureFormName.allCases.map(\.rawValue)),
                "Whose form, `sha256` when a draft has none; the first two are fixed."),
            .optional("header", .text, "The field that has the signature."),
            .optional("signed", .text, "Over what: text with `{id}`, `{timestamp}` and `{body}`."),
            .optional("encoding", .word(SignatureConfiguration.encodings), "How a signature is spelled."),
            .optional("prefix", .text, "Before each signature, such as `sha256=`."),
            .optional(
                "list", .word(SignatureConfiguration.lists),
                "Between the signatures of several secrets; `none`: the first secret signs alone."),
            .optional("timestamp_header", .text, "The field that has the time, Unix seconds."),
            .optional(
                "secret_encoding", .word(SignatureConfiguration.secretEncodings.map(\.rawValue)),
                "How a secret's text becomes a key."),
        ])
}
