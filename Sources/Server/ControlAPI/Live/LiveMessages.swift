// Messages of applications in the running gateway: events of a source of their own, published like others.
import Engine
import FastPath

final class LiveMessages: SvixMessages {
    private let gateway: Gateway
    private let publishing: LivePublishing
    private let applications: any SvixApplications
    /// For what a publication seldom needs, and the disk has to say.
    private let worker = ControlWorker()

    init(gateway: Gateway, publishing: LivePublishing, applications: any SvixApplications) {
        self.gateway = gateway
        self.publishing = publishing
        self.applications = applications
    }

    func publish(_ draft: SvixMessageDraft, application: String, _ caller: Caller) async throws -> SvixMessage {
        // No application is made for a message that is refused.
        if draft.application != nil {
            try checkType(draft.eventType, caller)
            try await publishing.checkSchemaAside(type: draft.eventType, body: draft.body)
        }
        let tenant = try await tenant(application, making: draft.application, caller)
        try checkType(draft.eventType, caller)
        let event = LiveMessages.event(of: draft, for: tenant, caller)
        let window = try RegistryLookup(gateway, caller).state.live.dedupWindowSeconds
        switch try await publishing.publish(event, windowSeconds: window) {
        case .kept(let id):
            return LiveMessages.answer(to: event, id: MessageID(id).text)
        case .duplicate(let id):
            // One that comes again is a conflict, unless it is the same call that does.
            let repetition = event.repetition
            return try await worker.run { [self] in try first(id, published: repetition, of: tenant) }
        }
    }
    static func event(of draft: SvixMessageDraft, for tenant: TenantID, _ caller: Caller) -> PublishedEvent {
        var event = PublishedEvent(tenant: tenant, type: draft.eventType, body: draft.body)
        event.source = .messages
        event.eventID = draft.eventId
        event.channels = draft.channels
        event.tags = draft.tags
        event.deliverAtMillis = draft.deliverAtMillis
        event.retentionHours = draft.retentionHours
        event.target = target
        event.traceLines = caller.traceLines
        event.repetition = draft.idempotencyKey.map { .init(caller: caller.principal.name, key: $0) }
        event.receivedAt = ProcessResources.wallNanos
        return event
    }
    static func answer(to event: PublishedEvent, id: String) -> SvixMessage {
        var message = SvixMessage(
            id: id, eventId: event.eventID, eventType: event.type, channels: event.channels,
            timestamp: event.receivedAt, payload: .json(event.body))
        message.tags = event.tags
        message.deliverAtMillis = event.deliverAtMillis
        return message
    }
    /// A type that was archived takes no messages; endpoints that ask for it keep asking.
    func checkType(_ type: String, _ caller: Caller) throws {
        guard try lookup(caller).state.eventTypes.named(type)?.settings.isArchived == true else { return }
        throw SvixError.invalid(
            ["body", "eventType"], "`\(type)` is archived; create the event type again, or send another")
    }
    /// Of an application that is there.
    func knownTenant(_ application: String, _ caller: Caller) throws -> TenantID {
        try lookup(caller).application(application).id
    }
    /// The message that was published before, when it was by the same call; else it is a conflict.
    func first(
        _ id: EventID, published repetition: PublishedEvent.Repetition?, of tenant: TenantID
    ) throws -> SvixMessage {
        guard let repetition else { throw SvixError.knownEventID }
        let access = try gateway.accessNow()
        let browser = MessageBrowser(access, tenant: tenant)
        // One read for both, which enters the segment where somebody has been before.
        let reader = access.delivery.makeReader()
        if case .event(let event) = reader.read(at: EventLocation(sequence: id.sequence, position: 0)) {
            return try withExtendedLifetime(reader) {
                guard event.place.sequence == id.sequence, event.tenant == tenant, event.sourceID.isMessage,
                    PublishedFields.idempotencyKey(in: event.fieldLines) == repetition.text
                else { throw SvixError.knownEventID }
                return browser.message(of: event)
            }
        }
        // The disk has no good record there at the moment.
        guard try browser.repetition(at: id.sequence) == repetition.text,
            let first = try browser.message(at: id.sequence)
        else { throw SvixError.knownEventID }
        return first
    }
    func publish(
        _ draft: SvixMessageDraft, to endpoint: String, application: String, _ caller: Caller
    ) async throws -> SvixMessage {
        let lookup = try lookup(caller)
        let target = try lookup.endpoint(application, endpoint)
        try checkType(draft.eventType, caller)
        var event = PublishedEvent(tenant: target.tenant, type: draft.eventType, body: draft.body)
        event.source = .directedMessages
        event.target = LiveMessages.target
        event.traceLines = caller.traceLines
        event.receivedAt = ProcessResources.wallNanos
        switch try await publishing.publish(event, windowSeconds: lookup.state.live.dedupWindowSeconds) {
        case .kept(let id), .duplicate(let id):
            try await worker.run { [self] in try send(id, of: draft.eventType, to: target.id) }
            return LiveMessages.answer(to: event, id: MessageID(id).text)
        }
    }
    /// By the endpoint's schedule, where its filters and its condition let such a message through.
    private func send(_ event: EventID, of type: String, to endpoint: EndpointID) throws {
        let access = try gateway.accessNow()
        guard let target = try gateway.target(endpoint, access), target.settings.takes(type) else { return }
        switch try access.delivery.replay(event: event, endpoints: [endpoint], isDirected: true)[0] {
        case .accepted, .alreadyPending, .unknownEndpoint, .endpointDisabled: return
        case .busy, .notReached, .unknownEvent, .requestOfSeveral:
            throw ControlError(
                .busy, "`\(MessageID(event).text)` is published, and delivery can take no more now: resend it")
        }
    }
    private static let target = "/api/v1/app/msg"

    private func tenant(
        _ ref: String, making draft: SvixApplicationDraft?, _ caller: Caller
    ) async throws -> TenantID {
        do { return try lookup(caller).application(ref).id } catch let error as SvixError {
            guard error.status == 404, let draft else { throw error }
            // Whoever may publish may not make an application by that.
            try caller.principal.require(AccessTable.access(to: "v1.application.create"))
            return try await worker.run { [self] in
                let made = try applications.create(draft, getsExisting: true, caller).application
                return try lookup(caller).application(made.id).id
            }
        }
    }
    private func lookup(_ caller: Caller) throws -> OutboundLookup {
        guard let registry = gateway.registry else { throw ControlError.notRunning }
        return OutboundLookup(state: registry.state, caller: caller)
    }

    func isWanted(
        _ type: String, channels: [String], application: String, _ caller: Caller
    ) throws -> Bool {
        let tenant = try lookup(caller).application(application).id
        return try gateway.accessNow().delivery.isWanted(
            tenant: tenant, source: .messages, type: type, channels: channels)
    }
    func messages(
        _ search: SvixMessageSearch, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixMessage> {
        try browser(application, caller).page(search)
    }
    func message(_ ref: String, application: String, _ caller: Caller) throws -> SvixMessage {
        guard let found = try browser(application, caller).message(ref) else { throw SvixError.noMessage }
        return found.message
    }
    func expunge(_ ref: String, application: String, _ caller: Caller) throws {
        guard let found = try browser(application, caller).message(ref) else { throw SvixError.noMessage }
        try gateway.erase(found.place, of: try lookup(caller).application(application).id, caller)
    }
    private func browser(_ application: String, _ caller: Caller) throws -> MessageBrowser {
        let tenant = try lookup(caller).application(application).id
        return MessageBrowser(try gateway.accessNow(), tenant: tenant)
    }
}

extension EndpointConfiguration {
    /// A message of this type that has no channels.
    fileprivate func takes(_ type: String) -> Bool {
        channels.isEmpty && (sources.isEmpty || sources.contains(PublishSource.name))
            && (types.isEmpty || types.contains { TypePattern($0).matches(type) })
    }
}

extension SvixError {
    static let knownEventID = SvixError.conflict("there is a message with this event id already")
    static let noMessage = SvixError.notFound("there is no such message")
}
