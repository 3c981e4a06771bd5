// One line of standard input, which is not shown where a person types it.
// Safety: the terminal's settings are a value of this function's own.
import Foundation

enum SecretPrompt {
    /// Nil at the end of the input.
    static func line(_ prompt: String) -> String? {
        guard isatty(STDIN_FILENO) == 1 else { return readLine() }
        Output.raw(prompt, isFailure: true, endsLine: false)
        var settings = termios()
        guard unsafe tcgetattr(STDIN_FILENO, &settings) == 0 else { return readLine() }
        let before = settings
        settings.c_lflag &= ~tcflag_t(ECHO)
        _ = unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
        defer {
            var shown = before
            _ = unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown)
            Output.note("")
        }
        return readLine()
    }
}
