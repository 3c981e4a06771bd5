// A file of lines as it is read: a piece at a time, whatever its length; and opened again to write behind it.
// Safety: the C string of `open` lives through the call.
import Foundation

enum LineFile {
    struct End: Equatable, Sendable {
        var byteCount = 0
        /// True exactly when the last line has its line feed.
        var isWhole = true
    }
    static let pieceBytes = 1 << 20

    /// Each line without its line feed; empty ones not at all. Nil when it cannot be read; one that is not there is
    /// empty.
    static func read(_ path: String, _ take: ([UInt8]) -> Void) -> End? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return errno == ENOENT ? End() : nil }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var end = End()
        // Of a line that has not ended yet.
        var begun: [UInt8] = []
        do {
            while let piece = try handle.read(upToCount: pieceBytes), !piece.isEmpty {
                end.byteCount += piece.count
                var parts = piece.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)[...]
                begun += parts.removeFirst()
                for part in parts {
                    if !begun.isEmpty { take(begun) }
                    begun = Array(part)
                }
            }
        } catch { return nil }
        end.isWhole = begun.isEmpty
        if !begun.isEmpty { take(begun) }
        return end
    }
    /// What was cut off stays a line of its own. Nil when it cannot be written.
    static func append(_ path: String, after end: End) -> FileHandle? {
        let descriptor = unsafe open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        guard !end.isWhole else { return handle }
        do { try handle.write(contentsOf: Data("\n".utf8)) } catch { return nil }
        return handle
    }
}
