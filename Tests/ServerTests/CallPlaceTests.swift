// Where calls run: brief ones on the event loop of the control API, what may take long on Swift's own threads.
import Server
import Synchronization
import Testing

@Suite struct CallPlaceTests {
    private func publish(_ payloadBytes: Int, _ server: ControlServer) async throws {
        let payload = "\"" + String(repeating: "a", count: payloadBytes) + "\""
        let answer = try await server.change("POST", "/api/v1/events", #"{"type":"t","payload":\#(payload)}"#)
        #expect(answer.status == 202)
    }

    @Test func aLongBodyLeavesTheEventLoop() async throws {
        try await ControlServer.run { server in
            try await publish(10, server)
            try await publish(CallPlace.bodyBytesMax, server)
            try await publish(10, server)
            #expect(server.gateway.asked.withLock { $0.publishedOnLoop } == [true, false, true])
        }
    }
    @Test func tasksRunOnTheLoopThatIsPreferredAndOffItWhereTheySay() async {
        await withTaskExecutorPreference(ControlExecutor.shared) {
            #expect(ControlExecutor.shared.isHere)
            await CallPlace.elsewhere { #expect(!ControlExecutor.shared.isHere) }
            #expect(ControlExecutor.shared.isHere)
            async let child = ControlExecutor.shared.isHere
            #expect(await child)
        }
    }
    @Test func everyBriefOperationIsARoute() {
        let known = Set(AccessTable.rows.keys)
        #expect(CallPlace.operations.union(CallPlace.lists).subtracting(known).isEmpty)
    }
}
