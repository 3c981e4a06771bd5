// Calls with large bodies have a thread of their own; and what is said of a body does not grow with what is wrong with
// it.
import Dispatch
import Engine
import Server
import Synchronization
import Testing

@Suite struct LargeBodyTests {
    private final class Counting: TaskExecutor {
        let count = Atomic(0)
        private let queue = DispatchQueue(label: "test.bodies")

        func enqueue(_ job: consuming ExecutorJob) {
            count.add(1, ordering: .relaxed)
            let job = UnownedJob(job)
            queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        }
        func isOurs() -> Bool {
            dispatchPrecondition(condition: .onQueue(queue))
            return true
        }
    }

    @Test func largeOnesAreReadElsewhere() async throws {
        let executor = Counting()
        let isThere = try await LargeBodies.run(bytes: LargeBodies.bytesMin, isFrequent: false, on: executor) {
            executor.isOurs()
        }
        #expect(isThere && executor.count.load(ordering: .relaxed) > 0)
        let quiet = Counting()
        try await LargeBodies.run(bytes: LargeBodies.bytesMin - 1, isFrequent: false, on: quiet) {}
        try await LargeBodies.run(bytes: 1 << 20, isFrequent: true, on: quiet) {}
        #expect(quiet.count.load(ordering: .relaxed) == 0)
    }
    @Test func aMiBOfEmptyObjectsIsAnsweredLikeAnyOther() async throws {
        try await ControlServer.run { server in
            let many = repeatElement("{},", count: 300_000).joined()
            let answer = try await server.change(
                "POST", "/api/v1/filters/test",
                #"{"filter":{"body":{"$.n":1}},"given":{"type":"t","payload":[\#(many)0]}}"#)
            #expect(answer.status == 200, "\(answer.body.prefix(300))")
        }
    }
    @Test func whatIsSaidOfABodyIsBounded() async throws {
        func unknown(_ count: Int) -> String { (0..<count).map { "\"k\($0)\":0" }.joined(separator: ",") }
        let value = try JSONReading.value(Array("{\(unknown(20_000))}".utf8))
        #expect(SchemaCheck.errors(value, FilterTrial.schema).count == SchemaCheck.errorCountMax)
        #expect(NearestName.of(String(repeating: "a", count: 1 << 20), among: ["aa"]) == nil)
        let tenant = "00000000-0000-0000-0000-000000000000"
        do {
            _ = try ContractIngest(Array("{\(unknown(200))}".utf8), tenant: tenant)
            Issue.record("it has unknown keys")
        } catch let refusal as EdgeRefusal { #expect(refusal.details.count == SchemaCheck.errorCountMax) }
    }
}
