// Log lines for operators: one line an entry on standard error, `time level message key=value …`. Values that hold
// spaces or control characters are quoted, so that nothing a sender controls can forge a line.
import Engine
import Foundation
import Logging

package struct LogLines: LogHandler {
    package var logLevel: Logger.Level = .info
    package var metadata: Logger.Metadata = [:]
    private let write: @Sendable (String) -> Void

    package init(write: @escaping @Sendable (String) -> Void = LogLines.standardError) { self.write = write }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let merged = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let fields = merged.sorted { $0.key < $1.key }.map { " \($0.key)=\(LogLines.quoted("\($0.value)"))" }.joined()
        let message = LogLines.visible("\(event.message)")
        write("\(TimeText.now()) \(event.level.rawValue) \(message)\(fields)\n")
    }

    package static let standardError: @Sendable (String) -> Void = { text in
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
    package static func quoted(_ value: String) -> String {
        let isPlain =
            !value.isEmpty
            && value.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0 != "=" && $0.value != 0x7F }
        if isPlain { return value }
        return "\""
            + visible(value.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\""))
            + "\""
    }
    /// Control characters as `\\x0a`; the rest as it is.
    package static func visible(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else { return text }
        return text.unicodeScalars.map {
            $0.value < 0x20 || $0.value == 0x7F ? "\\x" + String($0.value + 0x100, radix: 16).dropFirst() : String($0)
        }.joined()
    }
}
