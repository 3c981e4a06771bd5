// What names, uids and paths may look like. Pure.

package enum NameRules {
    static let nameBytesMax = 64
    static let uidBytesMax = 256
    static let pathBytesMax = 1024

    /// 1 to 64 of a-z A-Z 0-9 . _ -
    package static func isName(_ text: String) -> Bool { isLabel(text, bytesMax: nameBytesMax) }
    package static func isUID(_ text: String) -> Bool { isLabel(text, bytesMax: uidBytesMax) }
    package static func isPath(_ text: String) -> Bool {
        text.hasPrefix("/") && text.utf8.count <= pathBytesMax
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x3F && $0 != 0x23 }
    }
    package static func isLabel(_ text: String, bytesMax: Int) -> Bool {
        (1...bytesMax).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2E, 0x5F, 0x2D: true
                default: false
                }
            }
    }

    static func issues(name: String, uid: String?, at path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        if !isName(name) { issues.append(badName(path["name"])) }
        if let uid, !isUID(uid) {
            issues.append(
                ValidationIssue(
                    path["uid"], "is not a valid uid: 1 to \(uidBytesMax) of the characters a-z A-Z 0-9 . _ -",
                    about: .value))
        }
        return issues
    }
    static func issues(of settings: some ResourceSettings, at path: FieldPath) -> [ValidationIssue] {
        var issues = issues(name: settings.name, uid: settings.uid, at: path)
        if !isName(settings.tenant) { issues.append(badName(path["tenant"])) }
        return issues
    }
    private static func badName(_ path: FieldPath) -> ValidationIssue {
        ValidationIssue(
            path, "is not a valid name: 1 to \(nameBytesMax) of the characters a-z A-Z 0-9 . _ -", about: .value)
    }
}
