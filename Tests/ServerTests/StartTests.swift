// What a start says, and what a signal that asks for the end means.
import Server
import Testing

@Suite struct StartTests {
    @Test func aSecondSignalWithinAMomentIsTheSameWish() {
        let start: UInt64 = .max - 5
        var drains = DrainSignals()
        #expect(drains.received(at: start) == .drain)
        #expect(drains.received(at: start) == .sameWish)
        #expect(drains.received(at: start &+ DrainSignals.momentNanos - 1) == .sameWish)
        #expect(drains.received(at: start &+ DrainSignals.momentNanos) == .exitAtOnce)
    }
    @Test(arguments: ["0.0.0.0:8081", "[::]:8081", "10.1.2.3:8081", "example.com:80"])
    func anAdminListenerThatOthersReachIsWarnedOf(address: String) throws {
        let warning = try #require(StartChecks.warning(ofAdmin: address))
        #expect(warning.contains("plain HTTP") && warning.contains(address))
        #expect(StartChecks.warning(ofAdmin: address, isSecure: true) == nil)
    }
    @Test(arguments: ["127.0.0.1:8081", "127.9.9.9:1", "[::1]:8081", "localhost:8081"])
    func oneOfThisMachineAloneIsNot(address: String) { #expect(StartChecks.warning(ofAdmin: address) == nil) }
}
