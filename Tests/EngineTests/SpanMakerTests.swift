// What spans say of an event, and what they do not; their form in OTLP's JSON.

import Engine
import FastPath
import Foundation
import Testing

@Suite struct SpanMakerTests {
    private static let foreign =
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: a=1\r\n"
    private let tracer = EventTracer(
        identity: TraceIdentity(log: 7), sampler: TraceSampler(ratio: 1, heedsParent: true))
    private var maker: SpanMaker { SpanMaker(tracer: tracer, logIdentity: 7) }
    private let names = SpanNames(RegistryState())

    private func first(_ event: FakeEvent) throws -> (FakeLog, StoredEvent) {
        let log = FakeLog()
        log.append(event)
        guard case .event(let stored) = log.read(at: log.place(1)) else { throw Missing() }
        return (log, stored)
    }
    private struct Missing: Error {}
    private func trace(_ event: StoredEvent) throws -> AttemptTrace {
        AttemptTrace(context: try #require(tracer.context(event)), span: 0xA, delivery: 0xB)
    }

    @Test func anArrivalBeginsItsTraceOrGoesOn() throws {
        var event = FakeEvent()
        let (log, plain) = try first(event)
        let root = try #require(maker.ingest(plain, committedNanos: 1_000_500_000, names))
        #expect(root.trace == tracer.identity.trace(1) && root.parent == 0 && !root.hasRemoteParent)
        #expect(root.name == "POST /in/github" && root.kind == .server)
        #expect(root.startNanos == 1_000_000_000 && root.endNanos == 1_000_500_000)
        #expect(root.text("sluice.event.id") == EventID(logIdentity: 7, sequence: 1).text)
        #expect(root.text("sluice.event.type") == "push" && root.number("http.request.body.size") == 2)
        event.fieldLines = Self.foreign
        let (other, sent) = try first(event)
        let child = try #require(maker.ingest(sent, committedNanos: 1, names))
        #expect(child.trace.hex == "0af7651916cd43dd8448eb211c80319c" && child.parent == 0xB7AD_6B71_6920_3331)
        #expect(child.hasRemoteParent && child.state == "a=1")
        #expect(child.endNanos == child.startNanos, "a clock that was set back makes no span end before it began")
        withExtendedLifetime((log, other)) {}
    }
    @Test func whatIsNotSeenHasNoSpan() throws {
        let quiet = EventTracer(identity: TraceIdentity(log: 7), sampler: TraceSampler(ratio: 0, heedsParent: true))
        let (log, event) = try first(FakeEvent())
        let maker = SpanMaker(tracer: quiet, logIdentity: 7)
        #expect(maker.ingest(event, committedNanos: 1, names) == nil)
        let fact = DeliverySpanFact(
            place: event.place, endpoint: EndpointID(1), end: .dead(.cancelled), attempts: 0, endedNanos: 1)
        #expect(maker.delivery(fact, event, names) == nil)
        withExtendedLifetime(log) {}
    }
    @Test func aDeliveryHangsUnderTheArrivalAndAnAttemptUnderIt() throws {
        let (log, event) = try first(FakeEvent())
        let trace = try trace(event)
        var outcome = DeliveryOutcome(token: 0, result: .answered)
        (outcome.status, outcome.durationMicros, outcome.connectMicros) = (503, 2000, 500)
        let attempt = maker.attempt(
            AttemptSpanFact(
                place: event.place, endpoint: EndpointID(1), trace: trace, number: 3, endedNanos: 2_000_000_000,
                isDelivered: false, outcome: outcome), event, names)
        #expect(attempt.id == 0xA && attempt.parent == 0xB && attempt.kind == .client && attempt.name == "POST")
        #expect(attempt.startNanos == 1_998_000_000 && attempt.endNanos == 2_000_000_000)
        #expect(attempt.text("error.type") == "503" && attempt.number("http.response.status_code") == 503)
        #expect(attempt.number("http.request.resend_count") == 2 && attempt.failure == "answered 503")
        #expect(attempt.events == [.init(name: "connected", nanos: 1_998_500_000)])
        let elsewhere = maker.attempt(
            AttemptSpanFact(
                place: event.place, endpoint: EndpointID(1), trace: trace, number: 4, endedNanos: 2_000_000_000,
                isDelivered: true, outcome: outcome, elsewhere: try EndpointAddress("https://second.test:8443/a?b=c")),
            event, names)
        #expect(elsewhere.text("url.full") == "https://second.test:8443/a")
        #expect(elsewhere.text("server.address") == "second.test" && elsewhere.number("server.port") == 8443)
        let delivery = try #require(
            maker.delivery(
                DeliverySpanFact(
                    place: event.place, endpoint: EndpointID(1), trace: trace, end: .delivered, attempts: 3,
                    endedNanos: 2_000_000_000), event, names))
        #expect(delivery.id == 0xB && delivery.parent == tracer.identity.ingest(1) && delivery.kind == .consumer)
        #expect(delivery.startNanos == 1_000_000_000 && delivery.endNanos == 2_000_000_000)
        #expect(delivery.failure == nil && delivery.text("sluice.delivery.state") == "delivered")
        withExtendedLifetime(log) {}
    }
    @Test func whyADeliveryDiedIsSaid() throws {
        let (log, event) = try first(FakeEvent())
        for reason in DeadLetterReason.allCases {
            let fact = DeliverySpanFact(
                place: event.place, endpoint: EndpointID(1), end: .dead(reason), attempts: 1, endedNanos: 1)
            let span = try #require(maker.delivery(fact, event, names))
            #expect(span.text("error.type") == reason.name && span.failure != nil)
            #expect(span.id == tracer.identity.delivery(1, EndpointID(1)))
        }
        withExtendedLifetime(log) {}
    }
    @Test(arguments: [
        ("https://hooks.example.com/a/b?token=geheim", "https://hooks.example.com/a/b"),
        ("https://hooks.example.com:8443", "https://hooks.example.com:8443/"),
        ("http://[::1]:9000/x/", "http://[::1]:9000/x/"),
        (
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
            "https://hooks.slack.com/services/T00000000/B00000000/REDACTED"
        ),
    ])
    func noCredentialOfAURLIsShown(url: String, shown: String) throws {
        #expect(SpanMaker.shown(try EndpointAddress(url)) == shown)
    }
    @Test func theFormIsThatOfTheMapping() throws {
        var span = TelemetrySpan(
            trace: TraceID(high: 1, low: 2), id: 3, parent: 4, name: "a \"b\"", kind: .client, startNanos: 5,
            endNanos: .max)
        span.add("text", "x\n")
        span.add("number", 7)
        span.add("empty", "")
        span.attributes.append(.init(name: "flag", value: .flag(true)))
        span.events = [.init(name: "e", nanos: 6)]
        span.failure = "why"
        span.hasRemoteParent = true
        let body = TraceExport.body(
            [span], resource: [.init(name: "service.name", value: .text("s"))], version: "1")
        let text = String(decoding: body, as: UTF8.self)
        let wanted = [
            #"{"resourceSpans":[{"resource":{"attributes":"#,
            #"[{"key":"service.name","value":{"stringValue":"s"}}]},"#,
            #""scopeSpans":[{"scope":{"name":"sluice","version":"1"},"spans":[{"#,
            #""traceId":"00000000000000010000000000000002","spanId":"0000000000000003","#,
            #""parentSpanId":"0000000000000004","flags":769,"name":"a \"b\"","kind":3,"startTimeUnixNano":"5","#,
            #""endTimeUnixNano":"18446744073709551615","attributes":[{"key":"text","#,
            #""value":{"stringValue":"x\u000a"}},{"key":"number","value":{"intValue":"7"}},"#,
            #"{"key":"flag","value":{"boolValue":true}}],"events":[{"timeUnixNano":"6","name":"e"}],"#,
            #""status":{"code":2,"message":"why"}}]}]}]}"#,
        ]
        #expect(text == wanted.joined())
        #expect(try JSONSerialization.jsonObject(with: Data(body)) is [String: Any])
    }
}
