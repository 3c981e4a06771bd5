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
    private func signed(_ request: String, _ key: String, isLogged: Bool = false) -> ContractAnswers.Claim {
        var one = claim(key)
        one.requestID = request
        one.isLogged = isLogged
        return one
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
        #expect(try await answers.begin(signed("r", "k")) == .first)
        #expect(try await answers.begin(signed("r", "another")) == .running)
        await answers.keep(signed("r", "k"), status: 202, text: "{}")
        #expect(try await answers.begin(signed("r", "another")) == .conflict)
        #expect(try await answers.begin(signed("r", "r")) == .conflict, "nor for itself")
        #expect(try await answers.begin(signed("s", "k")) == .kept(status: 202, text: "{}"), "a retry, newly signed")
        #expect(try await answers.begin(signed("s", "another")) == .conflict, "which is as good as used")
    }
    @Test func oneWithoutAKeyIsGoodForItself() async throws {
        let answers = ContractAnswers()
        #expect(try await answers.begin(signed("r", "r")) == .first)
        await answers.keep(signed("r", "r"), status: 202, text: "{}")
        #expect(try await answers.begin(signed("r", "k")) == .conflict)
    }
    @Test func oneWhoseAnswerIsNotKeptIsDoneOnceAllTheSame() async throws {
        let answers = ContractAnswers()
        var test = ContractAnswers.Claim(tenant: "t", key: "r", digest: [1], millis: 0)
        test.requestID = "r"
        #expect(try await answers.begin(test) == .first)
        await answers.keep(test, status: 200, text: "{}")
        #expect(try await answers.begin(test) == .conflict)
    }
    @Test func theBindingOutlivesTheAnswersThatMakeRoomForOthers() async throws {
        let answers = ContractAnswers()
        for logged in [true, false] {
            let one = signed("r \(logged)", "k \(logged)", isLogged: logged)
            _ = try await answers.begin(one)
            await answers.keep(one, status: 202, text: "{}")
        }
        for number in 0..<ContractAnswers.countMax {
            _ = try await answers.begin(claim("\(number)"))
            await answers.keep(claim("\(number)"), status: 200, text: nil)
        }
        #expect(try await answers.begin(signed("r true", "another", isLogged: true)) == .conflict)
        #expect(try await answers.begin(signed("r false", "another")) == .conflict)
        #expect(try await answers.begin(signed("r false", "k false")) == .conflict, "nobody else knows of it")
        #expect(try await answers.begin(signed("r true", "k true", isLogged: true)) == .first, "the log knows")
    }
    @Test func aRefusedOneIsFreeAndAFailedOneKeepsItsKey() async throws {
        let answers = ContractAnswers()
        for isOpen in [false, true] {
            let one = signed("r \(isOpen)", "k \(isOpen)")
            _ = try await answers.begin(one)
            answers.release(one, isOpen: isOpen)
            let other = try await answers.begin(signed("r \(isOpen)", "another \(isOpen)"))
            #expect(other == (isOpen ? .conflict : .first))
        }
        #expect(try await answers.begin(signed("r true", "k true")) == .first)
    }
    @Test func whenTooManyAreKnownTheNextIsRefusedAndNoneForgotten() async throws {
        let clock = Clock()
        let answers = ContractAnswers(signedCountMax: 2) { clock.now }
        for number in 0..<2 {
            _ = try await answers.begin(signed("r\(number)", "k\(number)"))
            await answers.keep(signed("r\(number)", "k\(number)"), status: 202, text: nil)
        }
        let refusal = await #expect(throws: EdgeRefusal.self) { try await answers.begin(signed("r2", "k2")) }
        #expect(refusal?.code == .unavailable && refusal?.retryAfterSeconds == 602)
        #expect(try await answers.begin(signed("r0", "another")) == .conflict)
        #expect(try await answers.begin(claim("unsigned")) == .first)
        clock.pass(SignedRequests.lifeMillis)
        #expect(try await answers.begin(signed("r2", "k2")) == .first)
    }
    @Test func whatWasDoneStaysDoneOnDiskWhenItIsTriedElsewhere() async throws {
        let held = TemporaryFolder()
        let answers = ContractAnswers(folder: held.path)
        var test = ContractAnswers.Claim(tenant: "t", key: "r", digest: [1], millis: 0)
        test.requestID = "r"
        _ = try await answers.begin(test)
        await answers.keep(test, status: 200, text: "{}")
        // The same bytes on a route whose repetitions the log tells.
        var elsewhere = test
        elsewhere.isLogged = true
        #expect(try await answers.begin(elsewhere) == .conflict)
        #expect(try await ContractAnswers(folder: held.path).begin(test) == .conflict)
        withExtendedLifetime(held) {}
    }
    @Test func aCrashWhileItIsWorkedOnLeavesItItsKey() async throws {
        let held = TemporaryFolder()
        for isLogged in [true, false] {
            let one = signed("r \(isLogged)", "k \(isLogged)", isLogged: isLogged)
            #expect(try await ContractAnswers(folder: held.path).begin(one) == .first)
            // Another process: nothing of the first one's memory is there.
            let next = ContractAnswers(folder: held.path)
            #expect(try await next.begin(signed("r \(isLogged)", "another")) == .conflict)
            #expect(try await next.begin(one) == .first)
        }
        withExtendedLifetime(held) {}
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
    @Test func aKeyThatIsUsedAgainAfterItsTimeIsNotTheOldest() async throws {
        let clock = Clock()
        let answers = ContractAnswers { clock.now }
        for key in ["k", "older", "k"] {
            #expect(try await answers.begin(claim(key)) == .first)
            await answers.keep(claim(key), status: 200, text: nil)
            clock.pass(ContractAnswersTests.day / 2)
        }
        clock.pass(-ContractAnswersTests.day / 2)
        for number in 0..<ContractAnswers.countMax - 1 {
            _ = try await answers.begin(claim("\(number)"))
            await answers.keep(claim("\(number)"), status: 200, text: nil)
        }
        #expect(try await answers.begin(claim("k")) == .kept(status: 200, text: nil))
        #expect(try await answers.begin(claim("older", 2)) == .first)
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
