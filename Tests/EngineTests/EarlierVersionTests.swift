// What an earlier version wrote: its rows are read at once, and no endpoint of a manifest looks changed after an
// upgrade.
import Engine
import Foundation
import Testing

@Suite struct EarlierVersionTests {
    /// Fields that the first version's endpoints did not have.
    private static let later: Set<String> = [
        "channels", "description", "metadata", "throttle_rate", "version", "headers", "credentials", "old_secrets",
        "signature_names", "family", "redact", "transform", "signature", "filter",
        "breaker", "retry.policy", "errors", "rate", "concurrency.adaptive", "deadline",
        "delay", "shadow", "disable_after", "coalesce", "batch", "authorization", "contract",
    ]
    /// As the first version made it.
    private func earlierDigest(_ settings: EndpointConfiguration) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for field in EndpointConfiguration.fields where !EarlierVersionTests.later.contains(field.key) {
            for byte in Array(field.text(settings).utf8) + [0x1F] { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        }
        return hash
    }
    private func digest(_ settings: EndpointConfiguration) throws -> UInt64 {
        let bench = try RegistryBench()
        try bench.apply(manifest([], [settings]))
        return try #require(try bench.store.load().identities.first { $0.name == settings.name }).digest
    }

    @Test func aRowOfAnEndpointHasTheKeysThatItAlwaysHad() throws {
        let row = try JSONEncoder().encode(EndpointConfiguration())
        let members = try #require(try JSONSerialization.jsonObject(with: row) as? [String: Any])
        #expect(
            Set(members.keys) == [
                "name", "tenant", "url", "sources", "types", "secrets", "concurrency", "connectMillisMax",
                "headMillisMax", "totalMillisMax", "retryDelaysMillis", "retryJitter", "outcomes", "ordered",
                "orderKey", "forwardsHeaders", "disabled",
            ])
        #expect(try JSONDecoder().decode(EndpointConfiguration.self, from: row) == EndpointConfiguration())
        let own = endpointSettings("a") { $0.channels = ["eu"] }
        let read = try JSONDecoder().decode(EndpointConfiguration.self, from: JSONEncoder().encode(own))
        #expect(read == own && read.channels == ["eu"])
        #expect(endpointSettings("a") { $0.channels = [] } == endpointSettings("a"))
    }
    @Test func theDigestOfAnEndpointIsWhatItWasUntilItHasChannels() throws {
        let plain = endpointSettings("a")
        #expect(try digest(plain) == earlierDigest(plain))
        #expect(try digest(endpointSettings("a") { $0.extras.about = "words" }) == earlierDigest(plain))
        let channelled = try digest(endpointSettings("a") { $0.channels = ["eu"] })
        #expect(channelled != earlierDigest(plain))
        #expect(try channelled != digest(endpointSettings("a") { $0.channels = ["us"] }))
        #expect(try digest(endpointSettings("a") { $0.concurrency = 3 }) != earlierDigest(plain))
    }
}
