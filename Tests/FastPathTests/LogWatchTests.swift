// Whether a log that is deleted, moved or replaced under a running gateway is seen, and nothing else is taken for that.

import FastPath
import Foundation
import TestSupport
import Testing

@Suite struct LogWatchTests {
    private final class Place {
        let folder = TemporaryFolder()
        let log: LogFolder
        var watch: LogWatch
        var path: String { folder.path + "/data/log" }

        init() throws {
            log = try LogFolder(path: folder.path + "/data", access: .exclusive)
            watch = LogWatch(log)
        }
        func segment(_ first: UInt64) -> String { path + "/" + SegmentName.segment(first) }
        func make(_ first: UInt64) throws { try Data("x".utf8).write(to: URL(fileURLWithPath: segment(first))) }
    }

    @Test func seesWhichSegmentIsGone() throws {
        let place = try Place()
        #expect(place.watch.loss(segment: 0) == nil)
        try place.make(1)
        #expect(place.watch.loss(segment: 1) == nil)
        try place.make(7)
        #expect(place.watch.loss(segment: 7) == nil)
        try FileManager.default.removeItem(atPath: place.segment(1))
        #expect(place.watch.loss(segment: 7) == nil, "retention removes what is written no more")
        try place.make(9)
        #expect(place.watch.loss(segment: 1) == nil, "also before its successor's first commit is told")
        try FileManager.default.removeItem(atPath: place.segment(9))
        try FileManager.default.removeItem(atPath: place.segment(7))
        #expect(place.watch.loss(segment: 7) == .segment(7))
        #expect(LogLoss.segment(7).firstSequence == 7)
    }
    @Test func anotherFileUnderTheNameIsALossToo() throws {
        let place = try Place()
        try place.make(1)
        #expect(place.watch.loss(segment: 1) == nil)
        try FileManager.default.moveItem(atPath: place.segment(1), toPath: place.path + "/copy")
        try place.make(1)
        #expect(place.watch.loss(segment: 1) == .segment(1))
        try FileManager.default.removeItem(atPath: place.segment(1))
        try FileManager.default.moveItem(atPath: place.path + "/copy", toPath: place.segment(1))
        #expect(place.watch.loss(segment: 1) == nil)
    }
    @Test func seesAFolderThatIsGoneReplacedOrBack() throws {
        let place = try Place()
        try place.make(1)
        let away = place.folder.path + "/away"
        try FileManager.default.moveItem(atPath: place.path, toPath: away)
        #expect(place.watch.loss(segment: 1) == .folder)
        try FileManager.default.createDirectory(atPath: place.path, withIntermediateDirectories: false)
        try place.make(1)
        #expect(place.watch.loss(segment: 1) == .folder, "another folder under the name")
        try FileManager.default.removeItem(atPath: place.path)
        try FileManager.default.moveItem(atPath: away, toPath: place.path)
        #expect(place.watch.loss(segment: 1) == nil)
    }
}
