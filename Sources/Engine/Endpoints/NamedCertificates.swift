// The contexts of the configuration's named certificates, made at a start and a reload; what is wrong with the list.
//
// Invariant: one whose files cannot be read stops the change, whether somebody names it or not.
import FastPath

/// Ready to be shown.
struct NamedContexts: Sendable {
    private let certificates: [NamedCertificate]
    private let contexts: [String: TLSContext]

    init(_ certificates: [NamedCertificate]) throws(ValidationIssue) {
        self.certificates = certificates
        var contexts: [String: TLSContext] = [:]
        for (index, one) in certificates.enumerated() {
            do throws(EndpointTLSError) { contexts[one.name] = try ClientContexts.context(for: one.tls) } catch {
                let file = error.file ?? .certificate
                throw ValidationIssue(
                    FieldPath(NamedCertificate.listKey)[index][file.rawValue], error.message, about: .nothing)
            }
        }
        self.contexts = contexts
    }
    func context(of name: String, for tenant: String) throws(EndpointError) -> TLSContext {
        if let problem = certificates.problem(ofName: name, for: tenant) { throw .certificate(problem) }
        guard let context = contexts[name] else { throw .certificate("`\(name)` has no files") }
        return context
    }
}

extension NamedCertificate {
    static func issues(of certificates: [NamedCertificate]) -> [ValidationIssue] {
        let list = FieldPath(listKey)
        var issues: [ValidationIssue] = []
        for (index, one) in certificates.enumerated() {
            issues += NameRules.issues(name: one.name, uid: nil, at: list[index])
            if certificates[..<index].contains(where: { $0.name == one.name }) {
                issues.append(ValidationIssue(list[index]["name"], "is the name of another one too", about: .value))
            }
        }
        return issues
    }
}
