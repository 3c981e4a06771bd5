// YAML of callers as a value: a refusal says what and where, a value is JSON that is read again the same.
import Engine
import Server

enum YAMLValueFuzz {
    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        guard let text = String(validating: input, as: UTF8.self) else { return }
        let lineCount = input.count { $0 == 0x0A || $0 == 0x0D || $0 >= 0x80 } + 1
        let value: PlainJSON
        do throws(YAMLValue.Problem) { value = try YAMLValue.json(text) } catch {
            try hold(!error.message.isEmpty, "a problem that says nothing")
            try hold((0...lineCount + 1).contains(error.line), "line \(error.line) of \(lineCount)")
            return
        }
        try hold(value.json.utf8.count <= 8 * YAMLValue.bytesMax, "a value larger than its bound")
        try APIJSONFuzz.isReadAgain(value)
    }
}
