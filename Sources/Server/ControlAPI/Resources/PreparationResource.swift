// The API's form of what is made of an endpoint's events before they are sent: a redaction and a transformation.
import Engine
import FastPath

package struct CustomPatternResource: Codable, Equatable, Sendable {
    package var name: String
    package var pattern: String
    package var replace: String?
    package init(name: String, pattern: String, replace: String? = nil) {
        self.name = name
        self.pattern = pattern
        self.replace = replace
    }
}

extension CustomPatternResource: Described {
    package static let schema = ObjectSchema(
        "CustomPattern", "An expression of your own.",
        [
            .required("name", .text, "1 to 32 of `a-z A-Z 0-9 _`."),
            .required("pattern", .text, "An expression in RE2's syntax; linear in the text."),
            .optional("replace", .text, "What stands in its place; `[REDACTED_NAME]` when absent."),
        ])
}

/// `true`, `false`, or what is to be taken out and how.
package enum RedactResource: Codable, Equatable, Sendable {
    case flag(Bool)
    case settings(Settings)

    package struct Settings: Codable, Equatable, Sendable {
        package var patterns: [String]?
        package var hash: [String]?
        /// Never shown again.
        package var key: String?
        /// A draft may say it, so that what was read may be sent back: the key that there is stays.
        package var hasKey: Bool?
        package var allow: [String]?
        package var custom: [CustomPatternResource]?
        package init() {}
    }
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else {
            self = .settings(try container.decode(Settings.self))
        }
    }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .flag(let flag): try container.encode(flag)
        case .settings(let settings): try container.encode(settings)
        }
    }
    private static let patterns = Schema.word(RedactionKind.builtIn.map(\.name))
    static let schema = ObjectSchema(
        "Redaction", "What is taken out of what is sent.",
        [
            .optional("patterns", .list(patterns), "What is looked for; absent = all of them."),
            .optional(
                "hash", .list(.word(RedactionKind.allCases.map(\.name))),
                "Those of them that become a hash, equal for equal texts."),
            .optional("key", .text, "Keys the hashes, 16 to 256 bytes; never shown again."),
            .optional("has_key", .flag, "There is a key; in a draft without `key`, the one that there is stays."),
            .optional(
                "allow", .list(.text, countMax: RedactionSettings.allowCountMax),
                "Texts that stay; one `*` in each stands for anything."),
            .optional(
                "custom", .list(.object(CustomPatternResource.schema), countMax: RedactionSettings.customCountMax),
                "Expressions of your own."),
        ])
    static let about = "`true`: everything of the patterns is masked; an object says what and how; `false`: nothing."
}

extension RedactResource {
    /// What may be shown: of a key that it is there.
    package init(_ settings: RedactionSettings?) {
        guard let settings else {
            self = .flag(false)
            return
        }
        guard settings != RedactionSettings() else {
            self = .flag(true)
            return
        }
        var shown = Settings()
        shown.patterns = settings.patterns.isEmpty ? nil : settings.patterns
        shown.hash = settings.hash.isEmpty ? nil : settings.hash
        shown.hasKey = settings.key == nil ? nil : true
        shown.allow = settings.allow.isEmpty ? nil : settings.allow
        shown.custom =
            settings.custom.isEmpty
            ? nil
            : settings.custom.map { CustomPatternResource(name: $0.name, pattern: $0.pattern, replace: $0.replace) }
        self = .settings(shown)
    }
    package var settings: RedactionSettings? {
        switch self {
        case .flag(let isOn): return isOn ? RedactionSettings() : nil
        case .settings(let written):
            var settings = RedactionSettings()
            settings.patterns = written.patterns ?? []
            settings.hash = written.hash ?? []
            settings.key = written.key
            settings.allow = written.allow ?? []
            settings.custom = (written.custom ?? []).map { one in
                var custom = RedactionSettings.Custom()
                (custom.name, custom.pattern, custom.replace) = (one.name, one.pattern, one.replace)
                return custom
            }
            return settings
        }
    }
    package var keepsKey: Bool {
        if case .settings(let written) = self { written.key == nil && written.hasKey == true } else { false }
    }
}

/// One step; exactly one of its members is there.
package struct TransformStepResource: Codable, Equatable, Sendable {
    package struct Rename: Codable, Equatable, Sendable {
        package var path: String
        package var to: String
    }
    package struct Constant: Codable, Equatable, Sendable {
        package var path: String
        package var value: JSONValue
    }
    package struct Format: Codable, Equatable, Sendable {
        package var path: String
        package var `as`: String
    }
    package struct Template: Codable, Equatable, Sendable {
        package var path: String
        package var text: String
    }
    package var pick: [String]?
    package var remove: [String]?
    package var rename: Rename?
    package var constant: Constant?
    package var format: Format?
    package var template: Template?
    /// True exactly when its value or text is left out.
    package var hidden: Bool?
    package init() {}
}

extension TransformStepResource: Described {
    private static func object(_ name: String, _ about: String, _ other: ObjectSchema.Field) -> ObjectSchema {
        ObjectSchema(name, about, [.required("path", .text, "Such as `$.data.id`."), other])
    }
    private static let paths = Schema.list(.text, countMax: Transformation.pathCountMax)
    package static let schema = ObjectSchema(
        "TransformStep", "One step of a transformation; exactly one of these.",
        [
            .optional("pick", paths, "Nothing stays but what stands at these paths."),
            .optional("remove", paths, "What stands at these paths goes."),
            .optional(
                "rename",
                .object(
                    object("TransformRename", "A member gets another name.", .required("to", .text, "Its new name."))),
                "A member gets another name."),
            .optional(
                "constant",
                .object(
                    object("TransformConstant", "A value is set.", .required("value", .anything, "Any JSON value."))),
                "A value is set; what is missing on the way is made."),
            .optional(
                "format",
                .object(
                    object(
                        "TransformFormat", "A value is written in another form.",
                        .required("as", .word(TransformFormat.allCases.map(\.rawValue)), "The form."))),
                "A value is written in another form."),
            .optional(
                "template",
                .object(
                    object(
                        "TransformTemplate", "A text is made of values.",
                        .required("text", .text, "`{{$.PATH}}` stands for what stands there."))),
                "A text is made of values."),
            .optional(
                "hidden", .flag,
                "`true`: its `value` or `text` is not shown to a viewer, and is `null` or empty here."),
        ])
}

extension TransformStepResource {
    package init(_ step: TransformStep) {
        self.init()
        switch step {
        case .pick(let paths): pick = paths
        case .remove(let paths): remove = paths
        case .rename(let path, let to): rename = Rename(path: path, to: to)
        case .constant(let path, let json):
            constant = Constant(path: path, value: (try? JSONReading.value(Array(json.utf8))) ?? .text(json))
        case .format(let path, let form): format = Format(path: path, as: form)
        case .template(let path, let text): template = Template(path: path, text: text)
        }
    }
    static func errors(_ steps: [TransformStepResource], at prefix: String) -> [FieldProblem] {
        steps.enumerated().compactMap { index, step in
            guard step.hidden != true else {
                return FieldProblem(
                    path: "\(prefix)transform[\(index)].hidden",
                    reason: "is what a viewer is shown; say the value or text itself, and leave this out")
            }
            guard step.step == nil else { return nil }
            return FieldProblem(
                path: "\(prefix)transform[\(index)]",
                reason: "must have exactly one of \(TransformStep.names.joined(separator: ", "))")
        }
    }
    /// As a viewer is shown it: what is set may be a secret of the receiver's.
    package var withoutTexts: TransformStepResource {
        var copy = self
        copy.constant?.value = .null
        copy.template?.text = ""
        if constant != nil || template != nil { copy.hidden = true }
        return copy
    }
    /// Nil unless exactly one member is there.
    package var step: TransformStep? {
        let steps: [TransformStep?] = [
            pick.map { .pick(paths: $0) }, remove.map { .remove(paths: $0) },
            rename.map { .rename(path: $0.path, to: $0.to) },
            constant.map { .constant(path: $0.path, json: APIText.of($0.value)) },
            format.map { .format(path: $0.path, form: $0.as) },
            template.map { .template(path: $0.path, text: $0.text) },
        ]
        let written = steps.compactMap(\.self)
        return written.count == 1 ? written[0] : nil
    }
}

extension EndpointConfiguration {
    /// A step with no member or two is refused by its path, before the registry sees it.
    mutating func take(_ redact: RedactResource?, _ transform: [TransformStepResource]?) {
        policies.redaction = redact?.settings
        let steps = (transform ?? []).compactMap(\.step)
        policies.transform = steps.isEmpty ? nil : steps
    }
}

extension EndpointDraft {
    /// What a schema cannot say. `isNew`: there is no key that could stay.
    package func preparationErrors(at prefix: String = "", isNew: Bool) -> [FieldProblem] {
        var errors = TransformStepResource.errors(transform ?? [], at: prefix)
        if isNew, redact?.keepsKey == true {
            errors.append(FieldProblem(path: prefix + "redact.has_key", reason: "is true, and there is no key; say it"))
        }
        return errors
    }
}
