// Who wants an event: by tenant, source and type, from the cache as without it.

import Engine
import FastPath
import Testing

private final class Subscriber {
    let number: UInt32
    init(_ number: UInt32) { self.number = number }
}

@Suite struct MatcherTests {
    private let github = SourceID(1)
    private let stripe = SourceID(2)

    private func find(
        _ matcher: inout Matcher<Subscriber>, _ type: String, source: SourceID, tenant: TenantID = .main,
        channels: String = ""
    ) -> [UInt32] {
        let bytes = Array(type.utf8)
        let list = Array(channels.utf8)
        return bytes.withUnsafeBufferPointer { bytes in
            list.withUnsafeBufferPointer { list in
                matcher.subscribers(
                    tenant: tenant, source: source, type: ByteView(bytes), channels: ByteView(list)
                ).map(\.number)
            }
        }
    }
    private func set(
        _ matcher: inout Matcher<Subscriber>, _ number: UInt32, sources: [SourceID] = [], types: [String] = [],
        channels: [String] = [], tenant: TenantID = .main
    ) {
        matcher.set(
            Subscription(sources: sources, types: types, channels: channels), of: EndpointID(number), tenant: tenant,
            subscriber: Subscriber(number))
    }

    @Test func whatCameInTheEnvelopeIsItsSourcesAndTheContracts() {
        var matcher = Matcher<Subscriber>()
        set(&matcher, 1, sources: [.contract], types: ["a.*"])
        set(&matcher, 2, sources: [github])
        set(&matcher, 3, sources: [.contract, github])
        set(&matcher, 4)
        set(&matcher, 5, sources: [stripe])
        func find(_ type: String, isEnveloped: Bool) -> [UInt32] {
            Array(type.utf8).withView { type in
                matcher.subscribers(tenant: .main, source: github, isEnveloped: isEnveloped, type: type).map(\.number)
            }
        }
        // Twice, so that the second comes from the cache; turn about, as a source has both that observes.
        for _ in 0..<2 {
            #expect(find("a.b", isEnveloped: true) == [1, 2, 3, 4])
            #expect(find("a.b", isEnveloped: false) == [2, 3, 4])
            #expect(find("b", isEnveloped: true) == [2, 3, 4])
        }
        #expect(matcher.cachedCount(of: .main) == 3)
    }
    @Test func subscriptionsAnswerTheSameFromTheCache() {
        var matcher = Matcher<Subscriber>()
        set(&matcher, 3, types: ["push", "invoice.*"])
        set(&matcher, 1, sources: [github])
        for _ in 0..<2 {
            #expect(find(&matcher, "push", source: github) == [1, 3])
            #expect(find(&matcher, "star", source: github) == [1])
            #expect(find(&matcher, "invoice.paid", source: stripe) == [3])
            #expect(find(&matcher, "charge", source: stripe) == [])
        }
        // More types than the cache holds.
        for index in 0..<3 * Matcher<Subscriber>.entryCountMax {
            #expect(find(&matcher, "type\(index)", source: github) == [1])
        }
        let long = String(repeating: "x", count: 5000)
        for _ in 0..<2 { #expect(find(&matcher, long, source: github) == [1]) }
        matcher.remove(EndpointID(1), tenant: .main)
        #expect(find(&matcher, "push", source: github) == [3])
    }
    @Test func channelsAreAskedForByThoseWhoHaveSome() {
        var matcher = Matcher<Subscriber>()
        set(&matcher, 4, channels: ["eu"])
        set(&matcher, 2, types: ["push"])
        set(&matcher, 1, types: ["push"], channels: ["us", "eu"])
        set(&matcher, 3)
        for _ in 0..<2 {
            #expect(find(&matcher, "push", source: github) == [2, 3], "without channels, those that ask for none")
            #expect(find(&matcher, "push", source: github, channels: "eu") == [1, 2, 3, 4])
            #expect(find(&matcher, "push", source: github, channels: "x,us") == [1, 2, 3])
            #expect(find(&matcher, "star", source: github, channels: "us,eu") == [3, 4])
            #expect(find(&matcher, "push", source: github, channels: "e,u,eu1") == [2, 3])
        }
        #expect(matcher.cachedCount(of: .main) == 2, "channels take no room in the cache")
        set(&matcher, 1, types: ["push"], channels: ["asia"])
        #expect(find(&matcher, "push", source: github, channels: "eu") == [2, 3, 4])
        matcher.remove(EndpointID(2), tenant: .main)
        #expect(find(&matcher, "push", source: github, channels: "asia,eu") == [1, 3, 4])
    }
    @Test func noTenantSeesAnothersEvents() {
        var matcher = Matcher<Subscriber>()
        let other = TenantID(2)
        set(&matcher, 1)
        set(&matcher, 2, tenant: other)
        #expect(find(&matcher, "push", source: github) == [1])
        #expect(find(&matcher, "push", source: github, tenant: other) == [2])
        #expect(find(&matcher, "push", source: github, tenant: TenantID(3)) == [])
        matcher.remove(EndpointID(2), tenant: .main)
        #expect(find(&matcher, "push", source: github, tenant: other) == [2], "it is not the other tenant's")
        matcher.remove(EndpointID(2), tenant: other)
        #expect(find(&matcher, "push", source: github, tenant: other) == [])
    }
    @Test func aChangeIsSeenAtOnceAndByItsTenantAlone() {
        var matcher = Matcher<Subscriber>()
        let other = TenantID(2)
        set(&matcher, 1, types: ["push"])
        set(&matcher, 2, types: ["push"], tenant: other)
        for tenant in [TenantID.main, other] { _ = find(&matcher, "push", source: github, tenant: tenant) }
        #expect(matcher.cachedCount(of: .main) == 1 && matcher.cachedCount(of: other) == 1)
        set(&matcher, 1, types: ["star"])
        #expect(matcher.cachedCount(of: .main) == 0 && matcher.cachedCount(of: other) == 1)
        #expect(find(&matcher, "push", source: github) == [])
        #expect(find(&matcher, "star", source: github) == [1])
        // The same subscription again changes nothing.
        set(&matcher, 1, types: ["star"])
        #expect(matcher.cachedCount(of: .main) == 2)
        set(&matcher, 7, types: ["star"])
        #expect(find(&matcher, "star", source: github) == [1, 7])
    }
    @Test func typesWithTheSameHashAreTwo() {
        // Every hash falls into the same slot.
        var matcher = Matcher<Subscriber>(hash: { _, _ in 7 })
        set(&matcher, 1, types: ["push"])
        set(&matcher, 2, types: ["star"])
        set(&matcher, 3, sources: [stripe])
        for _ in 0..<2 {
            #expect(find(&matcher, "push", source: github) == [1])
            #expect(find(&matcher, "star", source: github) == [2])
            #expect(find(&matcher, "push", source: stripe) == [1, 3])
        }
    }
    @Test func endpointsComeInTheOrderOfTheirNumbers() {
        var matcher = Matcher<Subscriber>()
        var generator = SeededGenerator(seed: 2)
        let numbers = (1...300).map { UInt32($0) }.shuffled(using: &generator)
        for number in numbers { set(&matcher, number) }
        for number in numbers.prefix(100) { matcher.remove(EndpointID(number), tenant: .main) }
        #expect(find(&matcher, "push", source: github) == numbers.dropFirst(100).sorted())
    }
}
