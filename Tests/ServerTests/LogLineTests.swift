// What an operator reads: one line an entry, whatever the values hold.
import Engine
import Foundation
import Logging
import Server
import Synchronization
import Testing

@Suite struct LogLineTests {
    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
    }
    @Test func writesOneLineWithSortedFields() throws {
        let lines = Lines()
        let logger = Logger(label: "t") { _ in LogLines { line in lines.all.withLock { $0.append(line) } } }
        logger.warning("disk full", metadata: ["source": "github", "free": "1 MiB", "path": "/a\nb\u{1B}[2J"])
        let line = try #require(lines.all.withLock { $0.first })
        #expect(line.hasSuffix(" warning disk full free=\"1 MiB\" path=\"/a\\x0ab\\x1b[2J\" source=github\n"))
        #expect(line.filter { $0 == "\n" }.count == 1)
    }
    @Test func timesReadBack() {
        #expect(TimeText.of(nanoseconds: 1_700_000_000_123_000_000) == "2023-11-14T22:13:20.123Z")
        for days in stride(from: UInt64(0), to: 200_000, by: 37) {
            let seconds = days * 86_400 + days * 7919 % 86_400
            let date = Date(timeIntervalSince1970: Double(seconds)).formatted(Date.ISO8601FormatStyle())
            #expect(TimeText.of(nanoseconds: seconds * 1_000_000_000 + 7_999_999) == date.dropLast() + ".007Z")
        }
        #expect(TimeText.parse("2023-11-14T22:13:20.123Z") == 1_700_000_000_123_000_000)
        #expect(TimeText.parse("2023-11-14T22:13:20Z") == 1_700_000_000_000_000_000)
        #expect(TimeText.parse("yesterday") == nil)
    }
}
