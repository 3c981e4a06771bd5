// From what is told to what the collector gets, over both threads; each test ends with the service's drain, which sends
// what is there.

import Engine
import FastPath
import Foundation
import Logging
import Synchronization
import Testing

/// Answers as the test says; after the last, with 200.
private final class FakeCollector: Sendable {
    private struct State {
        var answers: [Result<ExchangeAnswer, PostFailure>] = []
        var bodies: [String] = []
        var hasFailedForever = false
    }
    private let state = Mutex(State())

    init(_ answers: [Result<ExchangeAnswer, PostFailure>] = [], failsForever: Bool = false) {
        state.withLock {
            $0.answers = answers
            $0.hasFailedForever = failsForever
        }
    }
    func take(_ request: PostRequest) -> Result<ExchangeAnswer, PostFailure> {
        state.withLock { state in
            state.bodies.append(String(decoding: request.body, as: UTF8.self))
            if state.hasFailedForever { return .failure(.notConnected) }
            return state.answers.isEmpty ? .success(ExchangeAnswer(status: 200)) : state.answers.removeFirst()
        }
    }
    var bodies: [String] { state.withLock { $0.bodies } }
    /// Of all bodies.
    func count(_ text: String) -> Int { bodies.reduce(0) { $0 + $1.components(separatedBy: text).count - 1 } }
}

@Suite struct TraceServiceTests {
    private func service(_ log: FakeLog, _ collector: FakeCollector, ratio: Double = 1) throws -> TraceService {
        var settings = TraceSettings()
        settings.endpoint = "http://127.0.0.1:4318"
        settings.ratio = ratio
        let made = TraceService(
            settings, makeReader: { log }, state: { RegistryState() }, logger: Logger(label: "test"),
            send: { collector.take($0) })
        let service = try #require(made)
        service.start()
        return service
    }
    private func attempt(_ service: TraceService, _ log: FakeLog, _ sequence: UInt64) -> SpanFact {
        let trace = AttemptTrace(
            context: TraceContext(trace: service.tracer.identity.trace(sequence)), span: sequence, delivery: 1)
        return .attempt(
            AttemptSpanFact(
                place: log.place(sequence), endpoint: EndpointID(1), trace: trace, number: 1, endedNanos: 9,
                isDelivered: true, outcome: DeliveryOutcome(token: 0, result: .answered)))
    }
    private func end(_ log: FakeLog, _ sequence: UInt64) -> SpanFact {
        .delivery(
            DeliverySpanFact(
                place: log.place(sequence), endpoint: EndpointID(1), end: .dead(.cancelled), attempts: 0,
                endedNanos: 9))
    }

    @Test func whatIsToldIsSentBeforeTheEnd() throws {
        let (log, collector) = (FakeLog(), FakeCollector())
        let service = try service(log, collector)
        log.append(count: 3)
        service.feed.note(CommitNote(end: 4, nanos: 5_000_000_000))
        service.feed.add(attempt(service, log, 1))
        service.feed.add(end(log, 1))
        #expect(service.drain(withinMillis: 20_000))
        #expect(collector.count(#""name":"POST /in/github""#) == 3)
        #expect(collector.count(#""name":"POST""#) == 1 && collector.count(#""name":"deliver github""#) == 1)
        var wanted = TraceMetrics()
        wanted.exported = 5
        #expect(service.metrics == wanted)
    }
    @Test func whatIsNotSeenIsNotMade() throws {
        let (log, collector) = (FakeLog(), FakeCollector())
        let service = try service(log, collector, ratio: 0)
        log.append(count: 3)
        service.feed.note(CommitNote(end: 4, nanos: 1))
        service.feed.add(end(log, 1))
        #expect(service.drain(withinMillis: 20_000))
        #expect(collector.bodies.isEmpty && service.metrics == TraceMetrics())
    }
    @Test func aBusyCollectorGetsTheSameBatchAgain() throws {
        let log = FakeLog()
        let collector = FakeCollector([.success(ExchangeAnswer(status: 503)), .failure(.lost)])
        let service = try service(log, collector)
        log.append(count: 1)
        service.feed.note(CommitNote(end: 2, nanos: 1))
        while collector.bodies.isEmpty { Thread.sleep(forTimeInterval: 0.01) }
        while collector.bodies.count < 3 { Thread.sleep(forTimeInterval: 0.01) }
        #expect(service.drain(withinMillis: 20_000))
        #expect(Set(collector.bodies).count == 1 && collector.bodies.count == 3)
        #expect(service.metrics.exported == 1 && service.metrics.failed == 0)
    }
    @Test func withoutACollectorTheEndComesAndAllIsCounted() throws {
        let (log, collector) = (FakeLog(), FakeCollector(failsForever: true))
        let service = try service(log, collector)
        log.append(count: 2000)
        service.feed.note(CommitNote(end: 2001, nanos: 1))
        #expect(service.drain(withinMillis: 20_000))
        let metrics = service.metrics
        #expect(metrics.exported == 0 && metrics.failed > 0 && metrics.queued == 0)
        #expect(metrics.failed + metrics.dropped == 2000)
    }
    @Test func whatIsNotKeptIsCounted() throws {
        let log = FakeLog()
        let partial = ExchangeAnswer(status: 200, body: Array(#"{"partialSuccess":{"rejectedSpans":"2"}}"#.utf8))
        let service = try service(log, FakeCollector([.success(partial)]))
        log.append(count: 3)
        service.feed.note(CommitNote(end: 4, nanos: 1))
        #expect(service.drain(withinMillis: 20_000))
        #expect(service.metrics.rejected == 2 && service.metrics.exported == 1)
    }
    @Test func oneWhoseEventIsGoneIsCounted() throws {
        let (log, collector) = (FakeLog(), FakeCollector())
        let service = try service(log, collector)
        log.append(count: 2)
        log.oldestSequence = 2
        service.feed.add(end(log, 1))
        #expect(service.drain(withinMillis: 20_000))
        #expect(service.metrics.dropped == 1 && collector.bodies.isEmpty)
    }
}
