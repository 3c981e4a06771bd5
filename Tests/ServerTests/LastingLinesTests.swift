// Lines that last: read a piece at a time with nothing held, and gone on with where they end.
import Foundation
import Server
import Synchronization
import TestSupport
import Testing

@Suite struct LastingLinesTests {
    /// Who is told of each line that is read.
    private final class Listener: Sendable {
        let hear = Mutex<(@Sendable () -> Void)?>(nil)
        func heard() { hear.withLock { $0 }?() }
    }
    private struct Lines: LastingContents {
        var all: [String] = []
        let listener: Listener
        mutating func read(_ line: [UInt8], nowMillis: Int64) {
            all.append(String(decoding: line, as: UTF8.self))
            listener.heard()
        }
        func lines(nowMillis: Int64) -> [String] { all }
    }
    private func open(
        _ folder: String, _ listener: Listener = Listener(), bytesMax: Int = 1 << 20
    ) -> LastingLines<Lines> {
        LastingLines(
            Lines(listener: listener), folder: folder, fileName: "lines", bytesMax: bytesMax, syncs: false,
            nowMillis: { 1_000_000 })
    }

    /// All other calls waited for as long as the first one decoded what the file had.
    @Test func nothingIsHeldWhileLinesAreRead() async throws {
        let folder = TemporaryFolder()
        try Data("a\nb\n".utf8).write(to: URL(fileURLWithPath: folder.path + "/lines"))
        let listener = Listener()
        let seen = Mutex<[Int]>([])
        let lines = open(folder.path, listener)
        // Would not come back if it were held.
        listener.hear.withLock { $0 = { seen.withLock { $0.append(lines.with { $0.all.count }) } } }
        #expect(await lines.load())
        #expect(seen.withLock { $0 } == [0, 0], "and what is half read is seen by nobody")
        #expect(lines.with { $0.all } == ["a", "b"])
        listener.hear.withLock { $0 = nil }
    }
    @Test func linesAreWholeWhereverAPieceOfTheFileEnds() async throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/lines"
        let pieceBytes = 1 << 20
        for short in -1...1 {
            let texts = [String(repeating: "x", count: pieceBytes + short), "b", String(repeating: "y", count: 2 << 20)]
            // An empty line says nothing, and neither does what was cut off.
            try Data((texts.joined(separator: "\n") + "\n\ncut").utf8).write(to: URL(fileURLWithPath: path))
            let lines = open(folder.path, bytesMax: 8 << 20)
            #expect(await lines.load())
            #expect(lines.with { $0.all } == texts + ["cut"], "\(short)")
            await lines.write(["behind"])
            let next = open(folder.path, bytesMax: 8 << 20)
            #expect(await next.load())
            #expect(next.with { $0.all } == texts + ["cut", "behind"], "what was cut off stays a line of its own")
        }
    }
    @Test func oneThatIsLongIsWrittenAnewAndOneThatIsNotStays() async throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/lines"
        let text = (0..<1000).map { "line \($0)\n" }.joined()
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        func inode() throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
        }
        let before = try inode()
        let roomy = open(folder.path)
        #expect(await roomy.load())
        await roomy.write(["more"])
        #expect(try inode() == before && String(contentsOfFile: path, encoding: .utf8) == text + "more\n")
        let narrow = open(folder.path, bytesMax: 100)
        narrow.prepare()
        #expect(await narrow.load())
        // Behind the writing anew, on the one queue.
        await narrow.write(["last"])
        #expect(try inode() != before)
    }
}
