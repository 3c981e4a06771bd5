// The spans of an event: its arrival, each delivery, each attempt, by OpenTelemetry's conventions for HTTP and
// messaging. Pure: what the log has, what the dispatcher told, names of the registry.
//
// Invariants: no span has a header's value, a body, a query, user information or a part of a URL's path that may be a
// credential; names of spans are few: of methods, sources and paths as operators wrote them.
import FastPath

/// Names as the registry has them now.
package struct SpanNames: Sendable {
    private let state: RegistryState

    package init(_ state: RegistryState) { self.state = state }
    func source(_ event: StoredEvent) -> SourceSpec? {
        guard event.sourceID.number == 0 else { return state.sources[event.sourceID] }
        return state.sources.named(event.source.text, tenant: event.tenant)
    }
    func endpoint(_ id: EndpointID) -> EndpointSpec? { state.endpoints[id] }
    func tenant(_ id: TenantID) -> String { state.tenant(id)?.name ?? "" }
}

package struct SpanMaker: Sendable {
    /// A part of a path that is so long may be a credential (Slack's, Discord's): it is not shown.
    private static let partBytesMax = 20
    private let tracer: EventTracer
    private let logIdentity: UInt64

    package init(tracer: EventTracer, logIdentity: UInt64) {
        self.tracer = tracer
        self.logIdentity = logIdentity
    }

    // MARK: the arrival

    /// Nil when the event is not seen.
    package func ingest(_ event: StoredEvent, committedNanos: UInt64, _ names: SpanNames) -> TelemetrySpan? {
        guard let context = tracer.context(event) else { return nil }
        let isPublished = event.sourceID.isPublishing
        let source = event.source.text
        let method = event.method.count > 0 ? event.method.text : "POST"
        let route = isPublished ? nil : names.source(event)?.settings.pathsInForce.first ?? "/in/\(source)"
        var span = TelemetrySpan(
            trace: context.trace, id: tracer.identity.ingest(event.place.sequence), parent: context.parent,
            name: route.map { "\(method) \($0)" } ?? "publish \(source)", kind: .server, startNanos: event.receivedAt,
            endNanos: committedNanos)
        span.hasRemoteParent = context.parent != 0
        span.state = TraceContext.state(in: event.fieldLines)
        span.add("http.request.method", method)
        if let route { span.add("http.route", route) }
        span.add("http.request.body.size", event.body.count)
        describe(event, in: &span, names)
        span.add("sluice.verdict", event.verdict.name)
        if event.isRequestOfBatch { span.attributes.append(.init(name: "sluice.split", value: .flag(true))) }
        return span
    }
    private func describe(_ event: StoredEvent, in span: inout TelemetrySpan, _ names: SpanNames) {
        span.add("sluice.tenant", names.tenant(event.tenant))
        span.add("sluice.source", event.source.text)
        span.add("sluice.event.id", EventID(logIdentity: logIdentity, sequence: event.place.sequence).text)
        span.add("sluice.event.type", String(event.eventType.text.prefix(256)))
    }

    // MARK: a delivery

    /// Nil when the event is not seen.
    package func delivery(_ fact: DeliverySpanFact, _ event: StoredEvent, _ names: SpanNames) -> TelemetrySpan? {
        guard let context = fact.trace?.context ?? tracer.context(event) else { return nil }
        let sequence = event.place.sequence
        let manual = fact.trace?.manualNanos ?? 0
        var span = TelemetrySpan(
            trace: context.trace, id: fact.trace?.delivery ?? tracer.identity.delivery(sequence, fact.endpoint),
            parent: tracer.identity.ingest(sequence), name: "deliver \(event.source.text)", kind: .consumer,
            startNanos: manual > 0 ? manual : event.bornNanos, endNanos: fact.endedNanos)
        span.state = TraceContext.state(in: event.fieldLines)
        let endpoint = names.endpoint(fact.endpoint)
        span.add("messaging.system", "sluice")
        span.add("messaging.operation.type", "process")
        span.add("messaging.operation.name", "deliver")
        span.add("messaging.destination.name", event.source.text)
        span.add("messaging.consumer.group.name", endpoint?.qualifiedName ?? "")
        span.add("messaging.message.id", EventID(logIdentity: logIdentity, sequence: sequence).text)
        span.add("messaging.message.body.size", event.body.count)
        describe(event, in: &span, names)
        name(endpoint, in: &span)
        span.add("sluice.delivery.attempts", fact.attempts)
        switch fact.end {
        case .delivered: span.add("sluice.delivery.state", "delivered")
        case .superseded: span.add("sluice.delivery.state", "superseded")
        case .lostToShadow:
            span.add("sluice.delivery.state", "lost_to_shadow")
            fail(&span, "shadow_failed", "a shadow's delivery failed, and is not tried again")
        case .dead(let reason):
            span.add("sluice.delivery.state", "dead")
            let name = reason?.name ?? "unknown"
            fail(&span, name, "a dead letter: \(name)")
        }
        return span
    }
    private func name(_ endpoint: EndpointSpec?, in span: inout TelemetrySpan) {
        guard let endpoint else { return }
        span.add("sluice.endpoint", endpoint.qualifiedName)
        span.add("sluice.endpoint.id", endpoint.outsideID)
    }
    private func fail(_ span: inout TelemetrySpan, _ type: String, _ message: String) {
        span.add("error.type", type)
        span.failure = message
    }

    // MARK: an attempt

    package func attempt(_ fact: AttemptSpanFact, _ event: StoredEvent, _ names: SpanNames) -> TelemetrySpan {
        let outcome = fact.outcome
        let duration = UInt64(outcome.durationMicros) * 1000
        // The two clocks differ by less than a millisecond, which must not make a child older than its parent.
        let start = max(fact.endedNanos > duration ? fact.endedNanos - duration : 0, event.receivedAt)
        var span = TelemetrySpan(
            trace: fact.trace.context.trace, id: fact.trace.span, parent: fact.trace.delivery, name: "POST",
            kind: .client, startNanos: start, endNanos: fact.endedNanos)
        span.state = TraceContext.state(in: event.fieldLines)
        let endpoint = names.endpoint(fact.endpoint)
        span.add("http.request.method", "POST")
        if let address = fact.elsewhere ?? endpoint.flatMap({ try? EndpointAddress($0.settings.url) }) {
            span.add("url.full", SpanMaker.shown(address))
            span.add("server.address", address.host)
            span.add("server.port", Int(address.port))
        }
        span.add("network.protocol.version", "1.1")
        if outcome.status > 0 { span.add("http.response.status_code", Int(outcome.status)) }
        if fact.number > 1 { span.add("http.request.resend_count", fact.number - 1) }
        span.add("sluice.event.id", EventID(logIdentity: logIdentity, sequence: event.place.sequence).text)
        name(endpoint, in: &span)
        span.add("sluice.attempt", fact.number)
        if outcome.connectMicros > 0 { span.note("connected", afterMicros: outcome.connectMicros) }
        if outcome.firstByteMicros > 0 { span.note("first_byte", afterMicros: outcome.firstByteMicros) }
        if !fact.isDelivered {
            fail(&span, outcome.result == .answered ? "\(outcome.status)" : outcome.result.code, outcome.text)
        }
        return span
    }
    /// Scheme, host, port and path.
    package static func shown(_ address: EndpointAddress) -> String {
        let path = address.target.prefix { $0 != "?" }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).map {
            $0.utf8.count < partBytesMax ? String($0) : "REDACTED"
        }
        return (address.isSecure ? "https://" : "http://") + address.hostField + parts.joined(separator: "/")
    }
}

extension TelemetrySpan {
    fileprivate mutating func note(_ name: String, afterMicros micros: UInt32) {
        events.append(Event(name: name, nanos: startNanos + UInt64(micros) * 1000))
    }
}

extension StoredEvent {
    /// From when on its age is counted: it came, or it was to be delivered.
    fileprivate var bornNanos: UInt64 { max(receivedAt, UInt64(clamping: deliverAtMillis ?? 0) * 1_000_000) }
}
