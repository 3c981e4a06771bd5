// What is wrong with a transformation, said when it is saved: the step, its field and what would be right.
import FastPath

enum TransformRules {
    static func issues(_ steps: [TransformStep], at path: FieldPath) -> [ValidationIssue] {
        if steps.count > Transformation.stepCountMax {
            return [ValidationIssue(path, "has \(steps.count) steps; at most \(Transformation.stepCountMax)")]
        }
        return steps.enumerated().flatMap { issues($0.element, at: path[$0.offset]) }
    }
    private static func issues(_ step: TransformStep, at path: FieldPath) -> [ValidationIssue] {
        switch step {
        case .pick(let paths): return issues(paths, at: path["pick"])
        case .remove(let paths): return issues(paths, at: path["remove"])
        case .rename(let place, let to):
            var issues = issues(place, at: path["rename"]["path"])
            if case .index? = (try? JSONPath(place))?.steps.last {
                issues.append(ValidationIssue(path["rename"]["path"], "must end in a name", about: .value))
            }
            if !(1...Transformation.nameBytesMax).contains(to.utf8.count) {
                issues.append(
                    ValidationIssue(
                        path["rename"]["to"], "must have 1 to \(Transformation.nameBytesMax) bytes", about: .value))
            }
            return issues
        case .constant(let place, let json):
            var issues = issues(place, at: path["constant"]["path"])
            let bytes = Array(json.utf8)
            if bytes.count > Transformation.jsonBytesMax {
                issues.append(
                    ValidationIssue(
                        path["constant"]["value"], "must have at most \(Transformation.jsonBytesMax) bytes as JSON"))
            } else if JSONEdit(bytes) == nil {
                issues.append(ValidationIssue(path["constant"]["value"], "is no JSON", about: .value))
            }
            return issues
        case .format(let place, let form):
            var issues = issues(place, at: path["format"]["path"])
            if TransformFormat(rawValue: form) == nil {
                let words = TransformFormat.allCases.map(\.rawValue)
                let advice =
                    NearestName.of(form, among: words).map { "did you mean `\($0)`?" }
                    ?? "it takes \(words.joined(separator: ", "))"
                issues.append(
                    ValidationIssue(path["format"]["as"], "is no known form; \(advice)", about: .value))
            }
            return issues
        case .template(let place, let text):
            var issues = issues(place, at: path["template"]["path"])
            if text.utf8.count > Transformation.textBytesMax {
                issues.append(
                    ValidationIssue(
                        path["template"]["text"], "must have at most \(Transformation.textBytesMax) bytes"))
            } else {
                do throws(JSONPathError) { _ = try Transformation.pieces(text) } catch {
                    issues.append(ValidationIssue(path["template"]["text"], error.message, about: .nothing))
                }
            }
            return issues
        }
    }
    private static func issues(_ paths: [String], at path: FieldPath) -> [ValidationIssue] {
        guard (1...Transformation.pathCountMax).contains(paths.count) else {
            return [ValidationIssue(path, "must have 1 to \(Transformation.pathCountMax) paths, such as $.data.id")]
        }
        return paths.enumerated().flatMap { issues($0.element, at: path[$0.offset]) }
    }
    private static func issues(_ text: String, at path: FieldPath) -> [ValidationIssue] {
        do throws(JSONPathError) { _ = try JSONPath(text) } catch {
            return [ValidationIssue(path, error.message, about: .nothing)]
        }
        return []
    }
}

extension EndpointPolicies {
    /// What is wrong with what an endpoint's events are made into.
    package func preparationIssues(at path: FieldPath) -> [ValidationIssue] {
        (redaction?.issues(at: path["redact"]) ?? [])
            + (transform.map { TransformRules.issues($0, at: path["transform"]) } ?? [])
    }
}
