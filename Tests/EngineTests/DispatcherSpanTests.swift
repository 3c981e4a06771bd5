// What the dispatcher tells of deliveries whose traces are seen, and what the endpoints are told.

import Engine
import FastPath
import Testing

@Suite struct DispatcherSpanTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let received = "traceparent: 00-\(trace)-b7ad6b7169203331-01\r\ntracestate: a=1\r\n"
    private static let unsampled = "traceparent: 00-\(trace)-b7ad6b7169203331-00\r\n"

    /// A dispatcher with one endpoint `a`, and where it tells.
    private func bench(
        ratio: Double = 0, after previous: Bench? = nil, _ change: (inout EndpointConfiguration) -> Void = { _ in }
    ) throws -> (Bench, SpanFeed, EventTracer) {
        let bench = try Bench(after: previous)
        let feed = SpanFeed()
        let tracer = EventTracer(
            identity: TraceIdentity(log: bench.log.identity), sampler: TraceSampler(ratio: ratio, heedsParent: true))
        bench.dispatcher.spans = SpanRecorder(tracer: tracer, feed: feed)
        try bench.apply([endpoint("a", change: change)])
        return (bench, feed, tracer)
    }
    private func event(_ lines: String) -> FakeEvent {
        var event = FakeEvent()
        event.fieldLines = lines + event.fieldLines
        return event
    }
    private func told(_ feed: SpanFeed) -> (attempts: [AttemptSpanFact], deliveries: [DeliverySpanFact]) {
        var (attempts, deliveries): ([AttemptSpanFact], [DeliverySpanFact]) = ([], [])
        for fact in feed.take().facts {
            switch fact {
            case .attempt(let fact): attempts.append(fact)
            case .delivery(let fact): deliveries.append(fact)
            }
        }
        return (attempts, deliveries)
    }
    private func parents(_ bench: Bench) -> [String] {
        bench.egress.out.map { sent in
            sent.fieldLines.split(separator: "\r\n").filter { $0.lowercased().hasPrefix("traceparent:") }
                .joined(separator: "|")
        }
    }

    @Test func anAttemptAndItsDeliveryAreTold() throws {
        let (bench, feed, tracer) = try bench()
        bench.log.append(event(Self.received))
        bench.advance(millis: 1)
        let line = try #require(parents(bench).first)
        #expect(line.hasPrefix("traceparent: 00-\(Self.trace)-") && line.hasSuffix("-01"), "one line, ours")
        #expect(bench.egress.out[0].fieldLines.contains("tracestate: a=1\r\n"))
        bench.egress.answerAll { $0.durationMicros = 500 }
        bench.advance(millis: 30)
        let (attempts, deliveries) = told(feed)
        let attempt = try #require(attempts.first)
        #expect(attempts.count == 1 && deliveries.count == 1)
        #expect(line == "traceparent: 00-\(Self.trace)-\(TraceID.hex(attempt.trace.span))-01")
        #expect(attempt.isDelivered && attempt.number == 1 && attempt.outcome.status == 200)
        #expect(attempt.trace.delivery == tracer.identity.delivery(1, bench.id("a")))
        #expect(deliveries[0].end == .delivered && deliveries[0].attempts == 1)
        #expect(deliveries[0].trace == attempt.trace && deliveries[0].endedNanos == attempt.endedNanos)
        #expect(attempt.endedNanos / 1_000_000_000 == 1_700_000_000)
    }
    /// What is told of an event that is not seen has to be read from the log to be thrown away.
    @Test func ofABatchOnlyTheMembersThatAreSeenAreTold() throws {
        let (bench, feed, _) = try self.bench {
            var batch = BatchSettings()
            (batch.events, batch.withinMillis) = (3, 1000)
            $0.policies.batch = batch
        }
        for lines in ["", Self.received, ""] {
            var member = event(lines)
            member.body = "{\"n\":1}"
            bench.log.append(member)
        }
        bench.settle()
        #expect(bench.egress.out.count == 1 && parents(bench) == [""])
        bench.egress.answerAll()
        bench.advance(millis: 30)
        let (attempts, deliveries) = told(feed)
        #expect(attempts.map(\.place.sequence) == [2] && deliveries.map(\.place.sequence) == [2])
        #expect(deliveries.first?.trace == attempts.first?.trace)
    }
    @Test func whatANewerEventStandsForIsNoDeadLetter() throws {
        let (bench, feed, tracer) = try self.bench(ratio: 1) {
            $0.policies.coalesce = CoalesceSettings()
            $0.policies.coalesce?.key = ["header:X-Key"]
        }
        for _ in 0..<2 { bench.log.append(FakeEvent(fieldLines: "X-Key: x\r\n")) }
        bench.settle()
        bench.egress.answerAll()
        bench.advance(millis: 30)
        bench.advance(millis: 30)
        let deliveries = told(feed).deliveries.sorted { $0.place.sequence < $1.place.sequence }
        #expect(deliveries.map(\.end) == [.superseded, .delivered])
        let maker = SpanMaker(tracer: tracer, logIdentity: bench.log.identity)
        guard case .event(let event) = bench.log.read(at: bench.log.place(1)) else {
            Issue.record("the first event is gone")
            return
        }
        let span = maker.delivery(try #require(deliveries.first), event, SpanNames(RegistryState()))
        #expect(span?.text("sluice.delivery.state") == "superseded" && span?.failure == nil)
    }
    @Test func aRetryIsOfTheSameDeliveryAlsoAfterARestart() throws {
        let (bench, feed, tracer) = try bench(ratio: 1) { $0.retryDelaysMillis = [1000, 1000] }
        bench.log.append(FakeEvent())
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 503)
        bench.advance(millis: 30)
        let first = told(feed)
        #expect(first.attempts.count == 1 && first.deliveries.isEmpty, "it has not ended")
        let (second, again, _) = try self.bench(ratio: 1, after: bench) { $0.retryDelaysMillis = [1000, 1000] }
        second.now += 3_000_000_000
        for _ in 0..<50 where second.egress.out.isEmpty { second.advance(millis: 100) }
        second.egress.answerAll()
        second.advance(millis: 30)
        let last = told(again)
        let (before, after) = (try #require(first.attempts.first), try #require(last.attempts.first))
        #expect(before.trace.context == after.trace.context && before.trace.delivery == after.trace.delivery)
        #expect(before.trace.context.trace == tracer.identity.trace(1) && before.trace.span != after.trace.span)
        #expect(!before.isDelivered && after.isDelivered && after.number == 2)
        #expect(last.deliveries.map(\.end) == [.delivered] && last.deliveries[0].attempts == 2)
    }
    @Test func whatIsNotSeenIsNotTouched() throws {
        let (bench, feed, _) = try bench()
        bench.log.append(event(Self.unsampled))
        bench.log.append(FakeEvent())
        bench.advance(millis: 1)
        #expect(parents(bench) == [String(Self.unsampled.prefix { $0 != "\r\n" }), ""])
        bench.egress.answer(0, status: 400)
        bench.egress.answerAll()
        bench.advance(millis: 30)
        let (attempts, deliveries) = told(feed)
        #expect(attempts.isEmpty && deliveries.isEmpty)
    }
    @Test func withoutTracesFieldsPassAsTheyCame() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a")])
        bench.log.append(event(Self.received))
        bench.advance(millis: 1)
        #expect(parents(bench) == [String(Self.received.prefix { $0 != "\r\n" })])
    }
    @Test func theEndpointsOwnLineWins() throws {
        let (bench, feed, _) = try bench { $0.extras.fields = [ConfiguredField(name: "TraceParent", value: "mine")] }
        bench.log.append(event(Self.received))
        bench.advance(millis: 1)
        #expect(parents(bench) == ["TraceParent: mine"])
        bench.egress.answerAll()
        bench.advance(millis: 30)
        #expect(told(feed).attempts.count == 1, "it is seen all the same")
    }
    @Test func withoutForwardingOursGoesAlone() throws {
        let (bench, _, _) = try bench { $0.forwardsHeaders = false }
        bench.log.append(event(Self.received))
        bench.advance(millis: 1)
        #expect(parents(bench)[0].hasPrefix("traceparent: 00-\(Self.trace)-"))
        #expect(!bench.egress.out[0].fieldLines.contains("tracestate"))
    }
    @Test func oneThatIsSentByHandIsADeliveryOfItsOwn() throws {
        let (bench, feed, tracer) = try bench(ratio: 1)
        bench.log.append(FakeEvent())
        bench.advance(millis: 1)
        bench.egress.answerAll()
        bench.advance(millis: 30)
        _ = told(feed)
        var ids: Set<UInt64> = [tracer.identity.delivery(1, bench.id("a"))]
        for _ in 0..<2 {
            #expect(try bench.sendByHand("a", 1) == .accepted)
            bench.advance(millis: 10)
            bench.egress.answerAll()
            bench.advance(millis: 30)
            let (attempts, deliveries) = told(feed)
            #expect(attempts.count == 1 && deliveries.count == 1)
            #expect(deliveries[0].trace?.manualNanos ?? 0 > 0)
            ids.insert(attempts[0].trace.delivery)
        }
        #expect(ids.count == 3)
    }
    @Test func deadLettersAreTold() throws {
        let (bench, feed, _) = try bench(ratio: 1) { $0.retryDelaysMillis = [] }
        bench.log.append(count: 2)
        bench.advance(millis: 1)
        bench.egress.answer(0, status: 400)
        bench.egress.answer(0, change: failing(.connectTimedOut))
        bench.advance(millis: 30)
        let (attempts, deliveries) = told(feed)
        #expect(deliveries.map(\.end) == [.dead(.permanentAnswer), .dead(.retriesExhausted)])
        #expect(attempts.map(\.isDelivered) == [false, false] && attempts.allSatisfy { $0.number == 1 })
    }
    @Test func whatIsSupersededIsNoDeadLetter() throws {
        let (bench, feed, _) = try bench(ratio: 1) {
            var coalesce = CoalesceSettings()
            coalesce.key = ["header:X-Key"]
            coalesce.withinMillis = 1000
            $0.policies.coalesce = coalesce
        }
        for _ in 0..<2 { bench.log.append(event("X-Key: 1\r\n")) }
        bench.advance(millis: 1)
        bench.advance(millis: 30)
        let first = told(feed)
        #expect(first.deliveries.map(\.end) == [.superseded] && first.deliveries[0].place.sequence == 1)
        bench.advance(millis: 2000)
        bench.egress.answerAll()
        bench.advance(millis: 30)
        #expect(told(feed).deliveries.map(\.end) == [.delivered])
    }
    @Test func oneWithoutAnAttemptIsLeftToTheLog() throws {
        let (bench, feed, _) = try bench(ratio: 1) {
            $0.retryDelaysMillis = [60_000]
            $0.policies.deadlineMillis = 30_000
        }
        var old = FakeEvent()
        old.receivedAt = 1_600_000_000_000_000_000
        bench.log.append(old)
        bench.advance(millis: 1)
        bench.advance(millis: 30)
        let (attempts, deliveries) = told(feed)
        #expect(attempts.isEmpty && deliveries.map(\.end) == [.dead(.expired)] && deliveries.first?.trace == nil)
    }
    @Test func aTryAtAnotherAddressIsTheSameAttempt() throws {
        let (bench, feed, _) = try bench(ratio: 1)
        bench.log.append(FakeEvent())
        bench.advance(millis: 1)
        let first = parents(bench)
        bench.egress.answer(0, change: lostReused)
        bench.advance(millis: 1)
        #expect(parents(bench) == first)
        bench.egress.answerAll()
        bench.advance(millis: 30)
        #expect(told(feed).attempts.count == 1)
    }
    @Test func theMembersOfABatchAreToldEachWithItsOwnTrace() throws {
        let (bench, feed, _) = try bench {
            var batch = BatchSettings()
            (batch.events, batch.withinMillis) = (3, 1000)
            $0.policies.batch = batch
            $0.retryDelaysMillis = [1000]
        }
        for lines in [Self.received, Self.unsampled, Self.received] { bench.log.append(event(lines)) }
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 30)
        let failed = told(feed)
        #expect(failed.attempts.map(\.place.sequence) == [1, 3] && failed.deliveries.isEmpty)
        bench.advance(millis: 3000)
        bench.egress.answerAll()
        bench.advance(millis: 30)
        let (attempts, deliveries) = told(feed)
        #expect(attempts.map(\.place.sequence) == [1, 3], "nothing of the one that is not seen")
        #expect(deliveries.map(\.place.sequence) == [1, 3] && deliveries.compactMap(\.trace) == attempts.map(\.trace))
    }
    @Test func commitsAreNotedAsTheyAreSeen() throws {
        let (bench, feed, _) = try bench()
        bench.log.append(count: 2)
        bench.advance(millis: 1)
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        let notes = feed.take().notes
        #expect(notes.map(\.end).suffix(2) == [3, 4] && notes.map(\.nanos) == notes.map(\.nanos).sorted())
    }
}
