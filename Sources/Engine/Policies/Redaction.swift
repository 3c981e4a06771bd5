// A redaction as it runs, of settings that have been checked.
import FastPath

enum Redaction {
    static func compiled(_ settings: RedactionSettings) -> Redactor {
        let names = settings.patterns.isEmpty ? RedactionKind.builtIn.map(\.name) : settings.patterns
        let hashed = RedactionSettings.kinds(settings.hash)
        // Those that are malformed are refused before.
        let custom = settings.custom.compactMap { one -> CustomRedaction? in
            guard let pattern = try? LinearPattern.shared(one.pattern) else { return nil }
            return CustomRedaction(
                pattern, replacement: Array(one.replacement.utf8),
                hashLabel: hashed.contains(.custom) ? one.label : nil)
        }
        return Redactor(
            RedactionSettings.kinds(names), hashed: hashed, key: Array((settings.key ?? "").utf8),
            allowed: settings.allow.map { AllowedText($0) }, custom: custom)
    }
}
