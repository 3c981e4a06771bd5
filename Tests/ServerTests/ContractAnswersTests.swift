// The answers of the contract edge to calls that come again: in memory, over a restart, at their bounds.
import Engine
import Foundation
import Server
import Synchronization
import Testing
import TestSupport

@Suite struct ContractAnswersTests {
    private static let day: Int64 = 86_400_000
    private final class Clock: Sendable {
        private let millis = Mutex<Int64>(1_800_000_000_000)
        var now: Int64 { millis.withLock { $0 } }
        func pass(_ span: Int64) { millis.withLock { $0 += span } }
    }
    private func claim(_ key: String, _ digest: UInt8 = 1, tenant: String = "t") -> ContractAnswers.Claim {
        ContractAnswers.Claim(tenant: tenant, key: key, digest: [digest], millis: ContractAnswersTests.day)
    }

    @Test func aRepetitionIsAnsweredAsTheFirstAndAnotherRequestIsAConflict() async throws {
        let answers = ContractAnswers()
        #expect(try await answers.begin(claim("k")) == .first)
        #expect(try await answers.begin(claim("k")) == .running)
        await answers.keep(claim("k"), status: 201, text: "{}")
        #expect(try await answers.begin(claim("k")) == .kept(status: 201, text: "{}"))
        #expect(try await answers.begin(claim("k", 2)) == .conflict)
        #expect(try await answers.begin(claim("k", tenant: "u")) == .first, "keys are each tenant's own")
    }
    @Test func whatWasRefusedLeavesItsKeyFree() async throws {
        let answers = ContractAnswers()
        #expect(try await answers.begin(claim("k")) == .first)
        answers.release(claim("k"))
        #expect(try await answers.begin(claim("k", 2)) == .first)
    }
    @Test func aSignedRequestIsGoodForOneKey() async throws {
        let answers = ContractAnswers()
        var first = claim("k")
        first.requestID = "r"
        #expect(try await answers.begin(first) == .first)
        var captured = claim("another")
        captured.requestID = "r"
        #expect(try await answers.begin(captured) == .running)
        await answers.keep(first, status: 202, text: "{}")
        #expect(try await answers.begin(captured) == .conflict)
        #expect(try await answers.begin(claim("r")) == .conflict, "nor for itself")
        var again = claim("k")
        again.requestID = "s"
        #expect(try await answers.begin(again) == .kept(status: 202, text: "{}"), "a retry with an id of its own")
    }
    @Test func aKeyEndsAfterItsTime() async throws {
        let clock = Clock()
        let answers = ContractAnswers { clock.now }
        _ = try await answers.begin(claim("k"))
        await answers.keep(claim("k"), status: 200, text: nil)
        clock.pass(ContractAnswersTests.day - 1)
        #expect(try await answers.begin(claim("k")) == .kept(status: 200, text: nil))
        clock.pass(1)
        #expect(try await answers.begin(claim("k", 2)) == .first)
    }
    @Test func answersLastOverARestartAndSecretsDoNot() async throws {
        let held = TemporaryFolder()
        let folder = held.path
        do {
            let answers = ContractAnswers(folder: folder)
            for key in ["a", "b"] {
                var one = claim(key)
                one.requestID = "r-\(key)"
                _ = try await answers.begin(one)
                await answers.keep(one, status: 201, text: "{\"secret\":\"s3cret\"}", lasting: "{}")
            }
            let path = folder + "/" + ContractAnswers.fileName
            #expect(try !String(contentsOfFile: path, encoding: .utf8).contains("s3cret"))
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
            #expect(mode?.intValue == 0o600)
            // As a crash in the midst of a line leaves it.
            let handle = try #require(FileHandle(forWritingAtPath: path))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data("{\"scope\":\"ab".utf8))
            try handle.close()
            let next = ContractAnswers(folder: folder)
            #expect(try await next.begin(claim("a")) == .kept(status: 201, text: "{}"))
            #expect(try await next.begin(claim("b", 2)) == .conflict)
            var captured = claim("c")
            captured.requestID = "r-a"
            #expect(try await next.begin(captured) == .conflict)
        }
        withExtendedLifetime(held) {}
    }
    @Test func theOldestGoWhenThereAreTooMany() async throws {
        let answers = ContractAnswers()
        for number in 0...ContractAnswers.countMax {
            _ = try await answers.begin(claim("\(number)"))
            await answers.keep(claim("\(number)"), status: 200, text: nil)
        }
        #expect(try await answers.begin(claim("0", 2)) == .first)
        #expect(try await answers.begin(claim("1")) == .kept(status: 200, text: nil))
    }
}
