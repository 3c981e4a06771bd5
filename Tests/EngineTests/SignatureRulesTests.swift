// How an endpoint's signature may be said: forms, what is refused and where, secrets under each form.
import Engine
import FastPath
import Testing

private func signature(
    _ form: SignatureFormName, _ change: (inout SignatureConfiguration) -> Void = { _ in }
) -> SignatureConfiguration {
    var signature = SignatureConfiguration()
    signature.form = form
    change(&signature)
    return signature
}
private func issues(
    _ signature: SignatureConfiguration, secrets: [String] = ["plain text"],
    _ change: (inout EndpointConfiguration) -> Void = { _ in }
) -> [String] {
    let endpoint = endpointSettings("a") {
        $0.policies.signature = signature
        $0.secrets = secrets
        change(&$0)
    }
    return RegistryValidation.issues(of: manifest([source("github")], [endpoint])).map(\.description)
}

/// One thing done wrong, and what is to be said.
struct SignatureMistake: Sendable {
    let words: String
    let change: @Sendable (inout SignatureConfiguration) -> Void
    init(_ words: String, _ change: @escaping @Sendable (inout SignatureConfiguration) -> Void) {
        self.words = words
        self.change = change
    }
}

struct SignatureRulesTests {
    @Test func everyFormIsSoundByItself() {
        for form in [SignatureFormName.sha256, .github, .stripe] { #expect(issues(signature(form)) == []) }
        for form in [SignatureFormName.standardWebhooks, .svix] {
            #expect(issues(signature(form), secrets: ["whsec_c2VjcmV0"]) == [])
            // Their secrets are base 64.
            #expect(issues(signature(form)).contains { $0.contains("endpoints[0].secret[0]") })
        }
        #expect(
            issues(
                signature(.sha256) {
                    $0.header = "X-Signature"
                    $0.signed = "v0:{timestamp}:{id}:{body}"
                    $0.encoding = "base64"
                    $0.prefix = "v0="
                    $0.list = "comma"
                    $0.timestampHeader = "X-Timestamp"
                    $0.secretEncoding = "hex"
                }, secrets: ["00ff", "abcd"]) == [])
    }
    @Test(arguments: [
        SignatureMistake("signature.header: is not the name") { $0.header = "X Signature" },
        SignatureMistake("signature.header: is not the name") { $0.header = "X\r\nHost" },
        SignatureMistake("signature.header: is a field that the gateway writes") { $0.header = "Content-Length" },
        SignatureMistake("signature.signed: must have {body} once") { $0.signed = "{id}" },
        SignatureMistake("signature.signed: must have {body} once") { $0.signed = "{body}{body}" },
        SignatureMistake("signature.signed: has {url}, which is none of") { $0.signed = "{url}{body}" },
        SignatureMistake("signature.signed: has a { without its }") { $0.signed = "{body" },
        SignatureMistake("signature.timestamp_header: is missing") { $0.signed = "{timestamp}.{body}" },
        SignatureMistake("signature.timestamp_header: is the name of the signature") {
            $0.timestampHeader = "x-webhook-signature"
        },
        SignatureMistake("signature.encoding: takes hex or base64") { $0.encoding = "base32" },
        SignatureMistake("signature.prefix: takes at most") { $0.prefix = "a b" },
        SignatureMistake("signature.list: takes none, comma or space") { $0.list = "semicolon" },
        SignatureMistake("signature.secret_encoding: takes text") { $0.secretEncoding = "spki" },
        SignatureMistake("secret[0]") { $0.secretEncoding = "hex" },
    ])
    func whatIsWrongIsSaidAtItsPlace(_ mistake: SignatureMistake) {
        let found = issues(signature(.sha256, mistake.change))
        #expect(found.count == 1 && found[0].contains("endpoints[0].\(mistake.words)"), "\(found)")
        #expect(!found.joined().contains("plain text"))
    }
    @Test func theFixedFormsTakeNothingElseAndNoneIsWithoutASecret() {
        let fixed = issues(signature(.svix) { $0.prefix = "v1=" }, secrets: ["whsec_c2VjcmV0"])
        #expect(fixed.count == 1 && fixed[0].contains("signature.prefix: is fixed by `svix`"), "\(fixed)")
        let bare = issues(signature(.stripe), secrets: [])
        #expect(bare.count == 1 && bare[0].contains("endpoints[0].secret: is missing"), "\(bare)")
        let twice = issues(signature(.github)) {
            $0.extras.fields = [ConfiguredField(name: "x-hub-signature-256", value: "mine")]
        }
        #expect(twice.count == 1 && twice[0].contains("endpoints[0].headers: has `x-hub-signature-256`"), "\(twice)")
    }
    @Test func theAuditSaysTheFormAndAnEndpointWithoutOneKeepsItsDigest() {
        let (old, new) = (endpointSettings("a"), endpointSettings("a") { $0.policies.signature = signature(.github) })
        #expect(new.changes(from: old) == [FieldChange(field: "signature", before: "none", after: "github")])
        #expect(signature(.sha256) { $0.header = "X-S" }.text == "sha256, header X-S")
    }
}
