// What must hold for the way in which an endpoint's deliveries are signed, and for secrets under it. Pure.
import FastPath

enum SignatureRules {
    static func issues(of endpoint: EndpointConfiguration, at path: FieldPath) -> [ValidationIssue] {
        guard let signature = endpoint.policies.signature else { return [] }
        let place = path["signature"]
        guard endpoint.extras.family == .registry else {
            return [ValidationIssue(place, "is fixed for webhooks of this kind")]
        }
        let form: SignatureForm?
        do throws(SignatureProblem) { form = try signature.resolved() } catch {
            return [ValidationIssue(place[error.key], error.reason, about: .nothing)]
        }
        if endpoint.secrets.isEmpty {
            return [ValidationIssue(path["secret"], "is missing: `signature` says how it signs")]
        }
        guard let form else { return [] }
        var issues: [ValidationIssue] = []
        let own = [form.header, form.timestampHeader ?? form.header].map { $0.lowercased() }
        if let field = endpoint.extras.fields.first(where: { own.contains($0.name.lowercased()) }) {
            issues.append(
                ValidationIssue(path["headers"], "has `\(field.name)`, which the signature has", about: .nothing))
        }
        for (index, secret) in endpoint.secrets.enumerated() {
            do throws(SchemeError) { _ = try form.secretEncoding.key(of: secret, index: index) } catch {
                issues.append(ValidationIssue(path["secret"][index], error.message, about: .nothing))
            }
        }
        return issues
    }
    /// True exactly when the secrets are keys of Standard Webhooks.
    static func takesStandardSecrets(_ endpoint: EndpointConfiguration) -> Bool {
        switch endpoint.policies.signature?.form {
        case nil, .standardWebhooks, .svix: true
        case .sha256, .github, .stripe: endpoint.extras.family != .registry
        }
    }

    /// Nil by Standard Webhooks, and where the settings are not sound.
    static func form(of endpoint: EndpointConfiguration) -> SignatureForm? {
        if endpoint.extras.family == .contract { return endpoint.extras.contract?.value.signatureForm }
        guard let signature = endpoint.policies.signature, endpoint.extras.family == .registry else { return nil }
        return (try? signature.resolved()) ?? nil
    }
}
