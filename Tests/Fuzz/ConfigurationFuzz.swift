// The configuration: any text is a configuration or a list of problems, the same each time, each with a line of the
// file; no message shows what came out of the environment.
import Server

enum ConfigurationFuzz {
    private static let secret = "hunter2-hunter2"
    private static let environment = ["SECRET": secret, "EMPTY": ""]

    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        guard let text = String(validating: input, as: UTF8.self) else { return }
        // A path of the machine is read where a secret may stand in a file: not what is tried here.
        guard !text.contains("file:"), !text.contains("/dev/"), !text.contains("/proc/") else { return }
        let lineCount = input.count { $0 == 0x0A || $0 == 0x0D || $0 >= 0x80 } + 1
        let problems = try problems(of: text, lineCount)
        try hold(try self.problems(of: text, lineCount) == problems, "another answer the second time")
        for problem in problems {
            try hold(!problem.contains(secret), "a message shows a secret: \(problem)")
        }
    }
    private static func problems(of text: String, _ lineCount: Int) throws(FuzzFinding) -> [String] {
        do {
            _ = try ConfigurationFile.parse(text, file: "sluice.yaml", environment: environment)
            return []
        } catch let error as ConfigurationError {
            for problem in error.problems {
                try hold(!problem.message.isEmpty, "a problem that says nothing")
                try hold((0...lineCount + 1).contains(problem.line), "line \(problem.line) of \(lineCount)")
            }
            return error.lines
        } catch { throw FuzzFinding("another error than a configuration's: \(error)") }
    }
}
