// Sizes and times as the configuration spells them.
import Engine
import Server
import Testing

@Suite struct QuantityTests {
    @Test(arguments: [
        ("0", 0), ("17", 17), ("1KiB", 1024), ("1MiB", 1 << 20), ("3GiB", 3 << 30), ("2TiB", 2 << 40), ("5B", 5),
    ])
    func readsASize(_ text: String, _ bytes: Int) {
        #expect(ByteSize.parse(text) == bytes)
    }
    @Test(arguments: [
        "", "MiB", "1M", "1mb", "1 MiB", "-1", "1.5MiB", "9223372036854775807KiB", "99999999999999999999", "１",
    ])
    func refusesWhatIsNoSize(_ text: String) {
        #expect(ByteSize.parse(text) == nil)
    }
    @Test(arguments: [
        ("5ms", 5), ("30s", 30_000), ("5m", 300_000), ("24h", 86_400_000), ("7d", 604_800_000), ("1h30m", 5_400_000),
    ])
    func readsATime(_ text: String, _ millis: Int) {
        #expect(TimeSpan.parse(text) == millis)
    }
    @Test(arguments: [
        "", "5", "m", "5 m", "5min", "30m1h", "1h1h", "-5s", "1.5h", "99999999999999999999s", "9223372036854775807d",
    ])
    func refusesWhatIsNoTime(_ text: String) {
        #expect(TimeSpan.parse(text) == nil)
    }
    @Test(arguments: [0, 1, 999, 1000, 90_000, 3_600_000, 5_400_000, 86_400_000, 90_061_001, 129_600_000])
    func aTimeReadsBackAsItself(_ millis: Int) {
        #expect(TimeSpan.parse(TimeSpan.text(of: millis)) == millis)
    }
    @Test(arguments: [0, 1, 1023, 1024, 1 << 20, (1 << 20) + 1, 3 << 30])
    func aSizeReadsBackAsItself(_ bytes: Int) {
        #expect(ByteSize.parse(ByteSize.text(of: bytes)) == bytes)
    }
}
