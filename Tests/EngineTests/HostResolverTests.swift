// Host names with a resolver that the test speaks for: one question at a time, old answers serve, failures are asked
// again.

import Engine
import FastPath
import Foundation
import Synchronization
import Testing

/// Answers when the test says so.
private final class Speaker: @unchecked Sendable {
    private let condition = NSCondition()
    private var answers: [Result<[SocketAddress], ResolveError>] = []
    private var asked = 0

    var askedCount: Int { condition.withLock { asked } }
    func say(_ answer: Result<[SocketAddress], ResolveError>) {
        condition.withLock {
            answers.append(answer)
            condition.broadcast()
        }
    }
    func say(_ texts: String...) { say(.success(texts.map { SocketAddress(address: IPAddress($0)!, port: 80) })) }
    func resolve() throws(ResolveError) -> [SocketAddress] {
        let answer = condition.withLock {
            asked += 1
            while answers.isEmpty { condition.wait() }
            return answers.removeFirst()
        }
        return try answer.get()
    }
}

private final class ResolverBench {
    let speaker = Speaker()
    let wakeup: Wakeup
    let resolver: HostResolver
    var now: UInt64 = 1_000_000_000_000

    init() throws {
        wakeup = try #require(Wakeup())
        let speaker = speaker
        resolver = HostResolver(wakeup: wakeup) { (_, _) throws(ResolveError) in try speaker.resolve() }
    }
    deinit { resolver.stop() }
    func look(_ host: String = "h.example", port: UInt16 = 80) -> HostAnswer {
        resolver.look(host, port: port, now: now)
    }
    func addresses(_ host: String = "h.example") -> [String]? {
        guard case .addresses(let found, _) = look(host) else { return nil }
        return found.map(\.address.text)
    }
    var isPending: Bool { if case .pending = look() { true } else { false } }
    /// The next reply; a lost one would wait half a minute and then fail the test.
    func reply() -> String? {
        for _ in 0..<3000 {
            if let host = resolver.nextReply() { return host }
            _ = wakeup.sleep(timeoutMillis: 10) { resolver.hasReply }
        }
        return nil
    }
    func pass(_ nanos: UInt64) { now += nanos }
}

@Suite struct HostResolverTests {
    @Test func aHostIsAskedForOnceAndItsReplyNamesIt() throws {
        let bench = try ResolverBench()
        for _ in 0..<10 { #expect(bench.isPending) }
        bench.speaker.say("192.0.2.1", "192.0.2.2")
        #expect(bench.reply() == "h.example")
        #expect(bench.addresses() == ["192.0.2.1", "192.0.2.2"])
        #expect(bench.speaker.askedCount == 1)
        #expect(bench.resolver.nextReply() == nil)
    }
    @Test func anOldAnswerServesWhileANewOneIsFetched() throws {
        let bench = try ResolverBench()
        _ = bench.look()
        bench.speaker.say("192.0.2.1")
        _ = bench.reply()
        guard case .addresses(_, let first) = bench.look() else { throw ResolveError.noAddress }
        bench.pass(HostResolver.answerNanos - 1)
        #expect(bench.addresses() == ["192.0.2.1"])
        bench.pass(1)
        for _ in 0..<5 { #expect(bench.addresses() == ["192.0.2.1"]) }
        bench.speaker.say("192.0.2.9")
        _ = bench.reply()
        guard case .addresses(let found, let second) = bench.look() else { throw ResolveError.noAddress }
        #expect(found.map(\.address.text) == ["192.0.2.9"] && second != first)
        #expect(bench.speaker.askedCount == 2)
        // The name server goes away: what served before serves on.
        bench.pass(HostResolver.answerNanos)
        _ = bench.look()
        bench.speaker.say(.failure(.failed("no name server")))
        _ = bench.reply()
        #expect(bench.addresses() == ["192.0.2.9"])
    }
    @Test func aFailureIsToldAndAskedAgainLater() throws {
        let bench = try ResolverBench()
        _ = bench.look()
        bench.speaker.say(.failure(.failed("no such name")))
        #expect(bench.reply() == "h.example")
        for _ in 0..<3 {
            guard case .failed(let why) = bench.look() else { throw ResolveError.noAddress }
            #expect(why == "no such name")
        }
        bench.pass(HostResolver.failureNanos)
        #expect(bench.isPending, "a new question is on its way")
        bench.speaker.say("192.0.2.1")
        #expect(bench.reply() == "h.example")
        #expect(bench.addresses() == ["192.0.2.1"] && bench.speaker.askedCount == 2)
    }
    @Test func aDistrustedAnswerIsAskedForAgainSoon() throws {
        let bench = try ResolverBench()
        _ = bench.look()
        bench.speaker.say("192.0.2.1")
        _ = bench.reply()
        bench.resolver.distrust("h.example", port: 8080)
        bench.pass(HostResolver.failureNanos)
        #expect(bench.addresses() == ["192.0.2.1"])
        bench.resolver.distrust("h.example", port: 80)
        #expect(bench.addresses() == ["192.0.2.1"])
        bench.speaker.say("192.0.2.2")
        #expect(bench.reply() == "h.example")
        #expect(bench.addresses() == ["192.0.2.2"] && bench.speaker.askedCount == 2)
        // Not more often than that, however often it fails.
        bench.resolver.distrust("h.example", port: 80)
        bench.pass(HostResolver.failureNanos / 2)
        _ = bench.look()
        #expect(bench.resolver.nextReply() == nil && bench.speaker.askedCount == 2)
    }
    @Test func familiesTakeTurnsBehindTheFirst() throws {
        let bench = try ResolverBench()
        _ = bench.look()
        bench.speaker.say("2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2", "192.0.2.3")
        _ = bench.reply()
        #expect(bench.addresses() == ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"])
    }
}
