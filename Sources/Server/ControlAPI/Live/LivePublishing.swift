// Events of the API on their way into the log of the running gateway.
import Engine
import FastPath

final class LivePublishing: EventPublishing {
    private let gateway: Gateway
    private let schemas = EventTypeSchemas()
    /// A large body may take a tenth of a second to check.
    private let worker = ControlWorker()

    init(gateway: Gateway) { self.gateway = gateway }

    func publish(_ order: PublishOrder, _ caller: Caller) async throws -> PublishAnswer {
        let (event, windowSeconds) = try event(of: order, caller)
        switch try await publish(event, windowSeconds: windowSeconds) {
        case .kept(let id): return PublishAnswer(status: "accepted", id: id.text)
        case .duplicate(let id): return PublishAnswer(status: "duplicate", id: id.text)
        }
    }
    /// The event, and how long a second one is a duplicate of it.
    func event(of order: PublishOrder, _ caller: Caller) throws -> (event: PublishedEvent, windowSeconds: UInt32) {
        let lookup = try RegistryLookup(gateway, caller)
        var event = PublishedEvent(tenant: try lookup.scope ?? .main, type: order.type, body: order.body)
        event.contentType = order.contentType
        event.eventID = order.eventId
        event.channels = order.channels
        event.tags = order.tags
        event.group = order.group
        event.deliverAtMillis = order.deliverAtMillis
        event.retentionHours = order.retentionHours
        event.traceLines = caller.traceLines
        event.repetition = order.idempotencyKey.map { .init(caller: caller.principal.name, key: $0) }
        return (event, lookup.state.live.dedupWindowSeconds)
    }

    /// From what the tenant may send, on the ingest port and here together.
    private func take(_ tenant: TenantID) throws {
        guard let limiter = gateway.registry?.sources?.limiter(of: tenant) else { return }
        let decision = limiter.take(ProcessResources.monotonicNanos)
        guard !decision.isOpen else { return }
        var error = ControlError(
            .rateLimited,
            "the tenant may publish \(decision.quota.limit) and has; one more may come in \(decision.waitSeconds) s")
        error.retryAfterSeconds = decision.waitSeconds
        throw error
    }

    enum Kept { case kept(EventID), duplicate(EventID) }

    static func check(_ event: PublishedEvent, bodyBytesMax: Int) throws {
        guard event.body.count > bodyBytesMax else { return }
        throw ControlError(.tooLarge, "the payload has \(event.body.count) bytes; `limits.body` is \(bodyBytesMax)")
    }
    /// Whether an event of this type is what the type's schema asks for, where that is enforced.
    func checkSchema(type: String, body: [UInt8]) throws {
        guard let registry = gateway.registry else { throw ControlError.notRunning }
        guard let schema = schemas.schema(of: type, in: registry.state.eventTypes),
            let refusal = schema.refusal(of: body)
        else { return }
        throw ControlError(refusal)
    }
    /// True exactly when an event of any type may have to be checked.
    var isEnforcing: Bool { (gateway.registry?.state.eventTypes.enforcedCount ?? 0) > 0 }
    /// As `checkSchema`, for callers that are not to wait.
    func checkSchemaAside(type: String, body: [UInt8]) async throws {
        // Whose type is not checked does not wait behind those that are.
        guard let types = gateway.registry?.state.eventTypes, types.enforcedCount > 0,
            types.named(type)?.settings.enforcesSchema == true
        else { return }
        try await worker.run { [self] in try checkSchema(type: type, body: body) }
    }
    /// On disk when this returns.
    func publish(_ event: PublishedEvent, windowSeconds: UInt32) async throws -> Kept {
        let publisher = try gateway.accessNow().publisher
        try LivePublishing.check(event, bodyBytesMax: publisher.bodyBytesMax)
        if event.source.isHeldAgainstSchemas { try await checkSchemaAside(type: event.type, body: event.body) }
        try take(event.tenant)
        guard let fate = await publisher.offer(event.injected(windowSeconds: windowSeconds)) else {
            throw ControlError(.busy, "too many events are on their way into the log; try again")
        }
        switch fate {
        case .kept(let id): return .kept(id)
        case .duplicate(let id): return .duplicate(id)
        case .tooLarge: throw ControlError(.tooLarge, "no commit of the log takes so large an event (`log.group`)")
        case .closed: throw ControlError.notRunning
        case .failed:
            throw ControlError(.logUnavailable, "the log did not take the event, nothing is kept of it; try again")
        case .unknown:
            throw ControlError(
                .logUnavailable,
                "the disk has not answered in time, and the event may be kept yet; with an `event_id` or an "
                    + "`Idempotency-Key` trying again makes no second one")
        }
    }
}

extension SourceID {
    /// What platforms publish. What the gateway sends of its own accord, such as a test, says what its surface says.
    fileprivate var isHeldAgainstSchemas: Bool { [.publishing, .messages, .directedMessages].contains(self) }
}

extension ControlError {
    package init(_ refusal: SchemaRefusal) {
        let message =
            refusal == .notJSON
            ? "the event's type has a schema that is enforced, and the payload is not JSON"
            : "the payload is not what the schema of the event's type asks for"
        let errors = refusal.violations.map { violation in
            FieldProblem(
                path: "payload" + violation.instancePath,
                reason: "\(violation.message) (`\(violation.schemaPath)`)")
        }
        self.init(
            .schemaViolation, message,
            errors: errors.isEmpty ? [FieldProblem(path: "payload", reason: "must be JSON")] : errors)
    }
}
