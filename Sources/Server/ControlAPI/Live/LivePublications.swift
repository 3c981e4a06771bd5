// Publications on the ingest port of the running gateway: the calls that `POST /api/v1/events` and
// `POST /api/v1/app/{app}/msg` are on the control API, held to the same rules by the same code, answered in the same
// words. On worker threads; the loop has read the call and offers the event to the log.
//
// Invariants: whoever shows no valid key is told nothing else; a call is refused whole or its event is offered; what
// takes a change of the registry is refused and never half done.
import Engine
import FastPath
import Foundation
import Logging
import Synchronization

final class LivePublications: PublicationDesk {
    private let gateway: Gateway
    private let keys: LiveSignIn
    private let bearers: Bearers
    private let logger: Logger
    private let publishing: LivePublishing
    private let messages: LiveMessages
    /// Whether strangers that the loops have turned away are looked for.
    private let isWatching = Mutex(false)
    private let watchQueue = DispatchQueue(label: "sluice.turned-away", qos: .utility)

    init(gateway: Gateway, keys: LiveSignIn, logger: Logger) {
        self.gateway = gateway
        self.logger = logger
        self.keys = keys
        bearers = Bearers(keys: keys, logger: logger)
        publishing = LivePublishing(gateway: gateway)
        messages = LiveMessages(
            gateway: gateway, publishing: publishing, applications: LiveOutbound(gateway: gateway))
    }

    func start() {
        isWatching.withLock { $0 = true }
        lookInAMoment()
    }
    /// While the audit log can still be written.
    func end() {
        isWatching.withLock { $0 = false }
        keys.noteTurnedAway(gateway.publishers.takeTurnedAway())
    }
    private func lookInAMoment() {
        watchQueue.asyncAfter(deadline: .now() + .seconds(1)) { [weak self] in
            guard let self, isWatching.withLock({ $0 }) else { return }
            keys.noteTurnedAway(gateway.publishers.takeTurnedAway())
            lookInAMoment()
        }
    }

    func decide(_ call: borrowing OffloadedRequest) -> Publication {
        let asked = IngestCall(call)
        do {
            if let application = asked.application { return try message(asked, application, call) }
            guard asked.path == IngestCall.eventsPath else { throw try nothing(asked) }
            return try event(asked, call)
        } catch let error as SvixError {
            return .answered(asked.answer(error))
        } catch let error as ControlError {
            return .answered(asked.answer(error))
        } catch let error as DeliveryError {
            return .answered(asked.answer(ControlError(error)))
        } catch {
            logger.error(
                "publication failed",
                metadata: ["request": "\(asked.requestID)", "path": "\(asked.path)", "error": "\(error)"])
            return .answered(asked.answer(ControlError(.internalFault, "an internal error; the log has more")))
        }
    }
    /// Only for those who may publish: strangers learn nothing of what is here.
    private func nothing(_ asked: IngestCall) throws -> ControlError {
        _ = try caller(asked, "v1.message.create")
        return ControlError(
            .notFound, "the ingest port takes publications alone; \(asked.path) is the control API's to answer")
    }

    // MARK: who calls

    private func caller(_ asked: IngestCall, _ operation: String) throws -> Caller {
        var caller = Caller(principal: .stranger, requestID: asked.requestID)
        let access = AccessTable.access(to: operation)
        do {
            let token = try Bearers.token(asked.authorization)
            guard !IdentityProvider.isToken(token), let answer = try keys.known(token: token) else {
                throw ControlError(
                    .unauthorized, "the ingest port takes the gateway's keys; this is a token of another kind")
            }
            var principal = try bearers.principal(answer, at: asked.address, requestID: asked.requestID)
            if case .tenant = access, let ref = asked.tenant { principal = try bearers.confined(principal, to: ref) }
            caller = Caller(principal: principal, requestID: asked.requestID, traceLines: asked.traceLines)
            try principal.require(access, isForPortals: asked.surface == .svix)
            return caller
        } catch let error as ControlError {
            bearers.note(error, of: caller, at: asked.address, target: "POST " + asked.path)
            throw error
        }
    }

    // MARK: events

    private func event(_ asked: IngestCall, _ call: borrowing OffloadedRequest) throws -> Publication {
        guard asked.hasMark else {
            throw ControlError(.missingHeader, "a call that changes something needs the header X-Sluice-Request: 1")
        }
        // Before anything of the registry is looked at.
        let version = gateway.publishers.version
        let caller = try caller(asked, "publishEvent")
        let query = try asked.request.map { try QueryValues($0, parameters: PublishOrder.query) } ?? QueryValues()
        let key = try PublishController.idempotencyKey(asked.idempotencyKeys)
        let order = try PublishController.order(query, contentType: asked.contentType, body: call.request.body, key)
        let (event, windowSeconds) = try publishing.event(of: order, caller)
        try check(event)
        return .offered(
            event.injected(windowSeconds: windowSeconds), accepted: answer(asked, "accepted"),
            duplicate: answer(asked, "duplicate"), pass: try pass(asked, of: event.tenant, windowSeconds, version))
    }
    /// For the caller's next events, where nothing but the bearer says whose they are.
    private func pass(
        _ asked: IngestCall, of tenant: TenantID, _ windowSeconds: UInt32, _ version: UInt64
    ) throws -> PublisherPass? {
        // A loop knows no schemas.
        guard !publishing.isEnforcing, asked.tenant == nil, asked.authorization.count == 1,
            let end = keys.goodUntil(try Bearers.token(asked.authorization))
        else { return nil }
        var pass = PublisherPass(
            bearer: Array(asked.authorization[0].utf8), tenant: RecordFormat.tenantBytes(of: tenant.number),
            windowSeconds: windowSeconds, bodyBytesMax: try gateway.accessNow().publisher.bodyBytesMax,
            endsMillis: end)
        pass.version = version
        return pass
    }
    private func answer(_ asked: IngestCall, _ status: String) -> PublicationAnswer {
        let text = PublishAnswer(status: status, id: IngestCall.eventPlace).text
        var answer = PublicationAnswer(status: 202, body: Array(text.utf8) + [UInt8(ascii: "\n")])
        answer.lines = asked.lines
        answer.idForm = .event
        answer.idPlace = PublishAnswer.idPlace
        return answer
    }
    private func check(_ event: PublishedEvent) throws {
        try LivePublishing.check(event, bodyBytesMax: try gateway.accessNow().publisher.bodyBytesMax)
        try publishing.checkSchema(type: event.type, body: event.body)
    }

    // MARK: messages

    private func message(
        _ asked: IngestCall, _ application: String, _ call: borrowing OffloadedRequest
    ) throws -> Publication {
        let caller = try caller(asked, "v1.message.create")
        let query = asked.request.map { SvixQuery($0) } ?? SvixQuery([])
        let withContent = try query.flag("with_content", default: true)
        let key = asked.svixIdempotencyKey
        if let key, !IdempotencyKey.isRight(key) {
            throw SvixError.generic("`idempotency-key` \(IdempotencyKey.form)")
        }
        let draft = try SvixMessageDraft(call.request.body, application: application, idempotencyKey: key)
        let tenant = try tenant(application, draft, caller)
        try messages.checkType(draft.eventType, caller)
        let event = LiveMessages.event(of: draft, for: tenant, caller)
        if let sequence = call.duplicateOf {
            return .answered(try again(asked, event, sequence, withContent: withContent))
        }
        try check(event)
        let windowSeconds = try RegistryLookup(gateway, caller).state.live.dedupWindowSeconds
        let conflict = event.repetition == nil ? asked.conflict : nil
        return .offered(
            event.injected(windowSeconds: windowSeconds), accepted: answer(asked, event, withContent: withContent),
            duplicate: conflict)
    }
    private func tenant(_ application: String, _ draft: SvixMessageDraft, _ caller: Caller) throws -> TenantID {
        do { return try messages.knownTenant(application, caller) } catch let error as SvixError {
            guard error.status == 404, draft.application != nil else { throw error }
            throw SvixError.invalid(
                ["body", "application"],
                "there is no such application yet, and the ingest port makes none: create it through the control API")
        }
    }
    private func answer(_ asked: IngestCall, _ event: PublishedEvent, withContent: Bool) -> PublicationAnswer {
        let parts = LiveMessages.answer(to: event, id: "").parts(withContent: withContent)
        var body = Array(parts.head.utf8)
        let place = body.count
        body.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: EventID.messageByteCount))
        body.append(contentsOf: parts.tail.utf8)
        body.append(UInt8(ascii: "\n"))
        var answer = PublicationAnswer(status: 202, body: body)
        answer.lines = asked.lines
        answer.idForm = .message
        answer.idPlace = place
        return answer
    }
    /// The log knows it: the same call is answered as the first was, another is a conflict.
    private func again(
        _ asked: IngestCall, _ event: PublishedEvent, _ sequence: UInt64, withContent: Bool
    ) throws -> PublicationAnswer {
        let id = EventID(logIdentity: try gateway.accessNow().identity, sequence: sequence)
        let first = try messages.first(id, published: event.repetition, of: event.tenant)
        var answer = PublicationAnswer(status: 202, body: Array((first.text(withContent: withContent) + "\n").utf8))
        answer.lines = asked.lines
        return answer
    }
}
