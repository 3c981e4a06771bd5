// What must hold for a source before it is compiled, and where in its fields a mistake belongs that the compiler found.
// Pure.

import FastPath

struct SourceRules {
    /// The largest body that the buffers of the running process can hold; nil before there is one.
    let bodyBytesMax: Int?

    func issues(of source: SourceConfiguration, at path: FieldPath) -> [ValidationIssue] {
        var issues = NameRules.issues(of: source, at: path)
        for own in [source.path].compactMap(\.self) + source.otherPaths where !SourceRules.isPathOrPrefix(own) {
            issues.append(
                ValidationIssue(
                    path["path"],
                    "is not a path such as /webhooks/github, or /webhooks/* for all beneath it (at most "
                        + "\(NameRules.pathBytesMax) bytes, no query, no spaces, a * at the end alone)", about: .value))
        }
        if source.secrets.isEmpty, !source.unverified {
            issues.append(
                ValidationIssue(
                    path["secrets"],
                    "is missing: give the source `secrets: [\"${NAME}\"]`, or `unverified: true` to "
                        + "accept requests from anyone"))
        }
        if !source.secrets.isEmpty, source.unverified {
            issues.append(
                ValidationIssue(path["unverified"], "contradicts `secrets`; remove one of the two"))
        }
        issues += selectorIssues("event.id", source.eventID, path)
        issues += selectorIssues("event.type", source.eventType, path)
        issues += OrderKey.issues(of: source.eventGroup, at: path["event"]["group"])
        issues += selectorIssues("dedup.key", source.dedupKey, path, takesBody: true)
        if let own = source.bodyBytesMax, let bodyBytesMax, own > bodyBytesMax {
            issues.append(
                ValidationIssue(
                    path["body"],
                    "a limit above \(ByteSize.text(of: bodyBytesMax)) needs a restart, for the buffers "
                        + "are taken at startup", about: .nothing))
        }
        issues += source.rateLimit?.issues(at: path["rate_limit"]) ?? []
        return issues
    }
    private static func isPathOrPrefix(_ text: String) -> Bool {
        guard text.contains("*") else { return NameRules.isPath(text) }
        return text.hasSuffix("/*") && !text.dropLast().contains("*") && NameRules.isPath(text)
    }
    private func selectorIssues(
        _ key: String, _ items: [String], _ path: FieldPath, takesBody: Bool = false
    ) -> [ValidationIssue] {
        items.enumerated().compactMap { index, item in
            let places = takesBody ? DedupKeySpelling.parts(of: item) : [item]
            if places.allSatisfy({ SourceRules.isPlace($0) || takesBody && $0 == "body" }) { return nil }
            return ValidationIssue(
                path.field(key)[index],
                "does not say where to look; write header:NAME, query:NAME, form:NAME, json:$.a.b, method or target"
                    + (takesBody ? ", or body; several that count together are joined by \" + \"" : ""),
                about: .value)
        }
    }
    private static func isPlace(_ text: String) -> Bool {
        if text == "method" || text == "target" { return true }
        return ["header:", "query:", "form:", "json:$"].contains {
            text.hasPrefix($0) && text.utf8.count > $0.utf8.count
        }
    }

    static func issue(_ problem: SourceProblem, at path: FieldPath) -> ValidationIssue {
        let place: FieldPath
        switch problem {
        case .unknownProvider: place = path["provider"]
        case .scheme(.emptySecret(let index)), .scheme(.badSecret(let index, _)),
            .unusableSecret(let index):
            place = path["secrets"][index]
        case .scheme, .badSchemeValue, .noScheme: place = path["scheme"]
        case .toleranceWithoutTimestamp, .badTolerance: place = path["tolerance"]
        case .badHandshake(let index, _): place = path["handshakes"][index]
        case .badSplit: place = path["split"]
        case .badAnswer(let key, _): place = path["answer"][key]
        case .edge(.badPublicURL): place = path["public_url"]
        case .edge(.clientCertificate(let problem)): place = problem.place(in: path["client_certificate"])
        case .edge: place = path["allow_addresses"]
        case .selector(let key, _): place = key.hasPrefix("dedup") ? path["dedup"]["key"] : path["event"]
        case .noSecret, .secretsAndUnverified: place = path["secrets"]
        case .tooManySchemas: place = path["schemas"]
        case .badSchema(let type, _): place = type.map { path["schemas"][$0] } ?? path["schema"]
        }
        return ValidationIssue(place, problem.message, about: .nothing)
    }
}

extension ClientCertificateProblem {
    fileprivate func place(in path: FieldPath) -> FieldPath {
        switch key {
        case .whole: path
        case .authorities: path["ca"]
        case .name(let index): path["names"][index]
        case .fingerprint(let index): path["fingerprints"][index]
        }
    }
}
