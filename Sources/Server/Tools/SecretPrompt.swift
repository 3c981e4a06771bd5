// One line of standard input, which is not shown where a person types it.
//
// Invariant: the terminal shows what is typed again however the line ends, by an interruption too.
// Safety: the terminal's settings and the byte read are values of these functions' own.
import Foundation

enum SecretPrompt {
    static var isTerminal: Bool { isatty(STDIN_FILENO) == 1 }
    /// Ctrl-C.
    private static let interrupt: UInt8 = 0x03

    /// Nil at the end of the input.
    static func line(_ prompt: String) -> String? {
        guard isTerminal else { return readLine() }
        Output.raw(prompt, isFailure: true, endsLine: false)
        var settings = termios()
        guard unsafe tcgetattr(STDIN_FILENO, &settings) == 0 else { return readLine() }
        var before = settings
        // Ctrl-C is no signal while nothing is shown, but ends the line.
        settings.c_lflag &= ~tcflag_t(ECHO | ISIG)
        precondition(VEOL == 11)
        settings.c_cc.11 = interrupt
        _ = unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
        let (line, isInterrupted) = typed()
        _ = unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
        Output.note("")
        if isInterrupted { interruptProcess() }
        return line
    }
    /// As the terminal would have: to the process, for this thread may be one that takes no signals. Where it is
    /// ignored the line has ended all the same.
    private static func interruptProcess() {
        kill(getpid(), SIGINT)
        Thread.sleep(forTimeInterval: 1)
    }
    private static func typed() -> (line: String?, isInterrupted: Bool) {
        var line: [UInt8] = []
        while true {
            var byte: UInt8 = 0
            let count = unsafe read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1 else { return (line.isEmpty ? nil : String(decoding: line, as: UTF8.self), false) }
            if byte == interrupt { return (nil, true) }
            if byte == UInt8(ascii: "\n") { return (String(decoding: line, as: UTF8.self), false) }
            line.append(byte)
        }
    }
}
