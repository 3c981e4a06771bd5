// Answers to calls with an idempotency key: given again, over a restart too, and bounded.
import Engine
import Foundation
import Server
import Synchronization
import TestSupport
import Testing

@Suite struct KeptAnswersTests {
    private final class Clock: Sendable {
        let millis = Mutex<Int64>(1_000_000)
        var read: @Sendable () -> Int64 { { self.millis.withLock { $0 } } }
    }
    private final class Count: Sendable {
        private let value = Mutex(0)
        func next() -> Int {
            value.withLock { value in
                value += 1
                return value
            }
        }
    }
    private func scope(_ key: String) -> AnswerScope { AnswerScope(["key_1", "", "/api/v1/app", key]) }

    @Test func aRepetitionIsAnsweredAsTheFirstCallWasAndDoesNothing() async throws {
        let kept = KeptAnswers()
        for round in 0..<3 {
            let reply = try await kept.once(scope("a")) { SvixReply(201, ["n": .integer(Int64(round))]) }
            #expect(reply == SvixReply(201, ["n": 0]))
        }
        #expect(try await kept.once(scope("b")) { SvixReply(200) } == SvixReply(200))
    }
    @Test func afterAnErrorTheKeyIsFree() async throws {
        let kept = KeptAnswers()
        await #expect(throws: SvixError.self) {
            try await kept.once(scope("a")) { throw SvixError.conflict("taken") }
        }
        #expect(try await kept.once(scope("a")) { SvixReply(404) }.status == 404)
        #expect(try await kept.once(scope("a")) { SvixReply(201) }.status == 201)
        #expect(try await kept.once(scope("a")) { SvixReply(500) }.status == 201)
    }
    @Test func aCallWaitsForTheOneThatRuns() async throws {
        let kept = KeptAnswers()
        let count = Count()
        let replies = try await withThrowingTaskGroup(of: SvixReply.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    try await kept.once(scope("a")) {
                        let number = count.next()
                        try await Task.sleep(for: .milliseconds(20))
                        return SvixReply(201, .integer(Int64(number)))
                    }
                }
            }
            var replies: [SvixReply] = []
            for try await reply in group { replies.append(reply) }
            return replies
        }
        #expect(replies == Array(repeating: SvixReply(201, 1), count: 8))
    }
    @Test func aRestartForgetsNothingButSecretsAndWhatIsOld() async throws {
        let (folder, clock) = (TemporaryFolder(), Clock())
        let first = KeptAnswers(folder: folder.path, nowMillis: clock.read)
        _ = try await first.once(scope("a")) { SvixReply(201, ["id": "x"]) }
        _ = try await first.once(scope("secret")) { SvixReply(200, ["token": "geheim"], isSecret: true) }
        let path = folder.path + "/" + KeptAnswers.fileName
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.contains("201") && !text.contains("geheim"))
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        // As after a power cut in the middle of a line.
        try Data((text + "{\"scope\":\"00").utf8).write(to: URL(fileURLWithPath: path))
        let second = KeptAnswers(folder: folder.path, nowMillis: clock.read)
        #expect(try await second.once(scope("a")) { SvixReply(500) } == SvixReply(201, ["id": "x"]))
        #expect(try await second.once(scope("secret")) { SvixReply(202) }.status == 202)
        clock.millis.withLock { $0 += KeptAnswers.ageMillisMax }
        #expect(try await second.once(scope("a")) { SvixReply(203) }.status == 203)
        let third = KeptAnswers(folder: folder.path, nowMillis: clock.read)
        #expect(try await third.once(scope("a")) { SvixReply(500) }.status == 203)
    }
    @Test func whatIsKeptIsBoundedAndTheOldestGoFirst() async throws {
        let folder = TemporaryFolder()
        let kept = KeptAnswers(folder: folder.path)
        let large = JSONValue.text(String(repeating: "x", count: 1 << 20))
        for number in 0..<40 { _ = try await kept.once(scope("\(number)")) { SvixReply(200, large) } }
        #expect(try await kept.once(scope("39")) { SvixReply(500) }.status == 200)
        #expect(try await kept.once(scope("0")) { SvixReply(404) }.status == 404)
        let path = folder.path + "/" + KeptAnswers.fileName
        let bytes = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? .max
        #expect(bytes < 3 * KeptAnswers.bytesMax)
        #expect(!FileManager.default.fileExists(atPath: path + ".new"), "a draft takes the place of the file")
    }
    @Test func aFileThatCannotBeReadIsNotTakenForNone() async throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/" + KeptAnswers.fileName
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        let kept = KeptAnswers(folder: folder.path)
        for _ in 0..<2 {
            do {
                _ = try await kept.once(scope("a")) { SvixReply(201) }
                Issue.record("it was done")
            } catch let error as SvixError { #expect(error.status == 503) }
        }
        try FileManager.default.removeItem(atPath: path)
        #expect(try await kept.once(scope("a")) { SvixReply(201, 1) }.status == 201)
        let next = KeptAnswers(folder: folder.path)
        #expect(try await next.once(scope("a")) { SvixReply(500) } == SvixReply(201, 1))
    }
    @Test func ofALongFileTheNewestAreRead() async throws {
        let (folder, clock) = (TemporaryFolder(), Clock())
        let first = KeptAnswers(folder: folder.path, nowMillis: clock.read)
        _ = try await first.once(scope("line")) { SvixReply(201, 7) }
        let path = folder.path + "/" + KeptAnswers.fileName
        let line = try String(contentsOfFile: path, encoding: .utf8)
        // More than may be kept, of other calls; the oldest of them is the first line.
        let scopeText = try #require(line.split(separator: "\"").first { $0.count == 64 })
        let body = String(repeating: "x", count: 1 << 20)
        var text = ""
        for number in 0..<40 {
            let digits = String(format: "%02x", number)
            text += line.replacing(scopeText, with: scopeText.dropLast(2) + digits).replacing(
                ":7,", with: ":\"\(body)\",")
        }
        try Data((text + line).utf8).write(to: URL(fileURLWithPath: path))
        let next = KeptAnswers(folder: folder.path, nowMillis: clock.read)
        #expect(try await next.once(scope("line")) { SvixReply(500) } == SvixReply(201, 7))
        // That one did not wait for the file to be written anew; one that writes comes behind it.
        _ = try await next.once(scope("another")) { SvixReply(201, 8) }
        let bytes = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? .max
        #expect(bytes > KeptAnswers.bytesMax / 2 && bytes <= KeptAnswers.bytesMax + (2 << 20))
    }
    @Test func aStartWritesBehindWhatThereIsAndMakesNoFileOfItsOwn() async throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/" + KeptAnswers.fileName
        let quiet = KeptAnswers(folder: folder.path)
        quiet.prepare()
        #expect(try await quiet.once(scope("refused")) { SvixReply(404) }.status == 404)
        #expect(!FileManager.default.fileExists(atPath: path), "there is nothing to keep")
        _ = try await quiet.once(scope("a")) { SvixReply(201, 1) }
        let inode = try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("{\"scope\":\"ab".utf8))
        try handle.close()
        let next = KeptAnswers(folder: folder.path)
        next.prepare()
        _ = try await next.once(scope("b")) { SvixReply(201, 2) }
        let same = try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
        #expect(inode == same && inode != nil, "a start does not write everything anew")
        let last = KeptAnswers(folder: folder.path)
        for (key, value) in [("a", 1), ("b", 2)] as [(String, Int64)] {
            #expect(try await last.once(scope(key)) { SvixReply(500) } == SvixReply(201, .integer(value)))
        }
    }
    @Test func aFileThatCouldNotBeWrittenIsTriedAgainLater() async throws {
        let (parent, clock) = (TemporaryFolder(), Clock())
        let folder = parent.path + "/later"
        let kept = KeptAnswers(folder: folder, nowMillis: clock.read)
        #expect(try await kept.once(scope("a")) { SvixReply(201, 1) }.status == 201)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        #expect(try await kept.once(scope("b")) { SvixReply(201, 2) }.status == 201)
        #expect(!FileManager.default.fileExists(atPath: folder + "/" + KeptAnswers.fileName))
        clock.millis.withLock { $0 += KeptAnswers.retryMillis }
        #expect(try await kept.once(scope("c")) { SvixReply(201, 3) }.status == 201)
        let next = KeptAnswers(folder: folder, nowMillis: clock.read)
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] as [(String, Int64)] {
            #expect(try await next.once(scope(key)) { SvixReply(500) } == SvixReply(201, .integer(value)))
        }
    }
}
