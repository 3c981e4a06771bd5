// A load's command line as its report shows it: what to type to measure again, without secrets. Pure.

package enum LoadCommandLine {
    /// What the shell would not leave as it is.
    private static let special = Set("'\"$`\\*?;&|<>(){}#~!".utf8)

    /// `arguments` with the program's path first.
    package static func shown(_ arguments: [String]) -> String {
        var words = ["sluice"]
        var before = ""
        for word in arguments.dropFirst() {
            var shown = word
            if let option = hiding.first(where: { word.hasPrefix($0 + "=") }) {
                shown = option + "=" + masked(String(word.dropFirst(option.count + 1)), of: option)
            } else if hiding.contains(before) {
                shown = masked(word, of: before)
            }
            before = word
            words.append(quoted(shown))
        }
        return words.joined(separator: " ")
    }

    /// Options whose values may be secrets.
    private static let hiding = ["--secret", "--header"]
    /// The names of a file and of a header field stay.
    private static func masked(_ value: String, of option: String) -> String {
        if option == "--header" { return value.prefix { $0 != ":" } + ": …" }
        return value.hasPrefix("file:") || value.contains("=file:") ? value : "…"
    }
    private static func quoted(_ word: String) -> String {
        if !word.isEmpty, word.utf8.allSatisfy({ $0 > 0x20 && !special.contains($0) }) { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
