// What is found out before a start is tried.
import Engine
import Server
import Testing

@Suite struct StartCheckTests {
    private func refusal(limit: Int, used: Int = 300 << 20, buffer: Int = 64 << 20) -> StartError? {
        var configuration = GatewayConfiguration()
        configuration.deliveryBufferBytes = buffer
        do {
            try StartChecks.checkAddressSpace(configuration, limit: limit, used: used)
            return nil
        } catch { return error as? StartError }
    }
    @Test func anAddressSpaceWithoutALimitIsEnough() {
        #expect(refusal(limit: .max, used: 1 << 40) == nil)
        #expect(refusal(limit: 4 << 30) == nil)
    }
    @Test func aLimitBelowWhatTheStartTakesIsRefusedWithBothNumbers() throws {
        let found = try #require(refusal(limit: 700 << 20))
        #expect(found.isOfMemory && found.description.contains("the limit is 700 MiB"))
        #expect(found.description.contains("about 1.0 GiB are needed"), "\(found)")
    }
    @Test func whatIsConfiguredCounts() {
        #expect(refusal(limit: 2 << 30, buffer: 1 << 30) == nil)
        #expect(refusal(limit: 2 << 30, buffer: 2 << 30) != nil)
    }
}
