// One event's trace in the running gateway: its record, its rows and attempts in the store, and where it stands at
// lanes that have it not behind them. A page of endpoints a call.
import Engine
import FastPath
import Foundation

struct EventTracing {
    /// Endpoints of one page at most: each is looked at on the dispatcher's thread.
    static let limitMax = 200
    private let gateway: Gateway
    private let access: GatewayAccess
    private let lookup: RegistryLookup

    init(_ gateway: Gateway, _ caller: Caller) throws {
        self.gateway = gateway
        access = try gateway.accessNow()
        lookup = try RegistryLookup(gateway, caller)
    }

    /// What of its record is asked later: the record's views do not last.
    private struct Subject {
        let id: EventID
        let row: EventRow
        let sourceID: SourceID
        let isEnveloped: Bool
        let tenant: TenantID
        let receivedMillis: Int64
        let channels: [String]
        let isRequestOfSeveral: Bool
        let isGone: Bool
        let isErased: Bool
        let dedupSeconds: UInt32
        let keyIsBody: Bool
    }

    func trace(_ id: String, _ paging: Paging) throws -> EventTrace {
        let subject = try subject(id)
        let found = try lookup.page(
            lookup.state.endpoints, tenant: lookup.state.tenant(subject.tenant)?.publicID.text,
            Paging(after: paging.after, limit: min(paging.limit, EventTracing.limitMax))
        ) { chunk in
            chunk.filter { $0.tenant == subject.tenant && $0.settings.extras.family != .operational }
        }
        let rows = Dictionary(
            try access.delivery.deliveries(of: subject.id).map { ($0.row.endpoint, $0) }, uniquingKeysWith: { $1 })
        let attempts = rows.isEmpty ? [] : try access.delivery.store.attempts(sequence: subject.id.sequence)
        let own = Dictionary(grouping: attempts) { $0.endpoint }
        let lanes = try access.delivery.trace(subject.id, at: found.items.map(\.id))
        let endpoints = try found.items.map { spec in
            try endpoint(spec, subject, rows[spec.id], own[spec.id] ?? [], lanes[spec.id])
        }
        return EventTrace(
            event: subject.row, receipt: receipt(subject), endpoints: endpoints,
            next: found.next.map { Cursor(.trace, $0).text })
    }

    // MARK: the receipt

    private func subject(_ text: String) throws -> Subject {
        try access.withEvent(text, of: try lookup.scope) { event, record in
            let tenant = TenantID(record.tenantNumber)
            var sourceID = SourceID(record.sourceNumber)
            if sourceID.number == 0 {
                sourceID = lookup.state.sources.named(record.source.text, tenant: tenant)?.id ?? sourceID
            }
            // Whatever fields a provider's request carries.
            let channels = sourceID.isPublishing ? PublishedFields.channelList(in: record.fieldLines) : []
            return Subject(
                id: event, row: EventRow(record, logIdentity: access.identity), sourceID: sourceID,
                isEnveloped: record.isEnveloped, tenant: tenant,
                receivedMillis: Int64(record.receivedAt / 1_000_000), channels: channels,
                isRequestOfSeveral: record.isRequestOfBatch, isGone: access.isGone(record), isErased: record.isErased,
                dedupSeconds: record.dedupWindowSeconds, keyIsBody: record.keyIsBody)
        }
    }
    private func receipt(_ subject: Subject) -> [TraceStep] {
        let row = subject.row
        let isPublished = PublishSource.all.contains(row.source)
        var steps = [
            isPublished
                ? TraceStep("published", "published through the API at \(row.receivedAt), \(row.bodyBytes) bytes")
                : TraceStep("received", "received at \(row.receivedAt) from `\(row.source)`, \(row.bodyBytes) bytes")
        ]
        if !isPublished { steps.append(EventTracing.verdict(row.verdict)) }
        if subject.isRequestOfSeveral {
            steps.append(TraceStep("split", "it holds several events, which stand before it"))
        } else if row.part == "event" {
            steps.append(TraceStep("split", "it is one of several events of a request, which stands behind them"))
        }
        let span = TimeSpan.text(of: Int(subject.dedupSeconds) * 1000)
        if let key = row.providerId, subject.dedupSeconds > 0 {
            steps.append(
                TraceStep(
                    "dedup_key", "others with the key `\(key)` within \(span) are answered `duplicate` with this id; "
                        + "they are counted for the source, not for the event"))
        } else if subject.dedupSeconds > 0, subject.keyIsBody {
            steps.append(
                TraceStep(
                    "dedup_key", "others with the same body within \(span) are answered `duplicate` with this id"))
        } else if subject.dedupSeconds > 0, subject.isErased {
            steps.append(
                TraceStep(
                    "dedup_key", "others with its key within \(span) are answered `duplicate` with this id; the key "
                        + "itself was erased with the content"))
        } else {
            steps.append(TraceStep("no_dedup", "nothing tells a duplicate of it"))
        }
        if subject.isGone { steps.append(EventTracing.erased) }
        return steps
    }
    private static func verdict(_ verdict: String) -> TraceStep {
        switch verdict {
        case RecordVerification.verified.name: TraceStep("verified", "its signature is right")
        case "unverified": TraceStep("unverified", "its source checks no signature")
        case "skipped": TraceStep("verification_skipped", "its signature was not checked")
        default:
            TraceStep("would_be_refused", "its source observes only; its signature would have been refused: \(verdict)")
        }
    }

    // MARK: one endpoint

    private func endpoint(
        _ spec: EndpointSpec, _ subject: Subject, _ record: DeliveryRecord?, _ attempts: [AttemptRow],
        _ lane: LaneTrace?
    ) throws -> EndpointTrace {
        let name = Reference(id: spec.publicID.text, name: spec.qualifiedName)
        var trace = EndpointTrace(endpoint: name, outcome: .notMatched, why: [])
        if let record {
            trace.delivery = DeliveryResource(record, lookup.state)
            trace.attempts = attempts.map { AttemptResource($0) }
            (trace.outcome, trace.why) = met(record.row, lane)
            return trace
        }
        var refusals = MatchRefusal.all(
            spec, sourceID: subject.sourceID, isEnveloped: subject.isEnveloped, type: subject.row.type,
            channels: subject.channels, isRequestOfSeveral: subject.isRequestOfSeveral)
        if refusals.isEmpty, try isFilteredOut(spec, subject) { refusals = [.filter] }
        trace.why = refusals.map { TraceStep("not_matched_\($0.rawValue)", $0.text(spec)) }
        let standing = lane?.standing ?? .behind
        guard refusals.isEmpty || standing == .attempting || standing == .queued else { return trace }
        switch standing {
        case .attempting: (trace.outcome, trace.why) = (.attempting, [EventTracing.attempting])
        case _ where subject.isErased: (trace.outcome, trace.why) = (.notSent, [EventTracing.erased])
        case .queued, .heldByOrder, .scheduled, .notReached:
            (trace.outcome, trace.why) = (.waiting, holds(lane, spec))
        case .behind: (trace.outcome, trace.why) = (.notSent, [missing(spec, subject)])
        }
        return trace
    }
    /// The filter asks what is read anew: views of a record do not last.
    private func isFilteredOut(_ spec: EndpointSpec, _ subject: Subject) throws -> Bool {
        guard !subject.isGone, let filter = spec.compiledFilter(lookup.sources(of: spec.tenant)) else { return false }
        return try access.withRecord(at: subject.id.sequence) { !filter.matches(FilterInput($0)) } ?? false
    }
    private static let erased = TraceStep("erased", "its content was erased, or was not to be kept any longer")
    private static let attempting = TraceStep("attempting", "an attempt is being made at this moment")

    private func met(_ row: DeliveryRow, _ lane: LaneTrace?) -> (TraceOutcome, [TraceStep]) {
        let count = AttemptCount.number(of: row.attempts)
        let tries = count == 1 ? "1 attempt" : "\(count) attempts"
        switch row.state {
        case .delivered: return (.delivered, [TraceStep("delivered", "delivered after \(tries)")])
        case .superseded:
            let text = "a newer event of its key is delivered in its place; it had \(tries)"
            return (.superseded, [TraceStep("superseded", text)])
        case .dead:
            let reason = row.reason?.name ?? "unknown"
            let kind = DeadLetterClass(row).rawValue
            return (.dead, [TraceStep(reason, "a dead letter after \(tries): \(reason), class \(kind)")])
        case .pending:
            if lane?.standing == .attempting { return (.attempting, [EventTracing.attempting]) }
            var why: [TraceStep] = []
            if lane?.standing == .heldByOrder {
                why.append(TraceStep("order", "it waits for those before it in the endpoint's order"))
            } else if count == 0 {
                why.append(
                    TraceStep(
                        "queued", "it waits for its time, or for room at the endpoint",
                        until: TimeText.of(millis: row.dueMillis)))
            } else {
                why.append(
                    TraceStep(
                        "retry", "\(tries) failed; it waits for the next", until: TimeText.of(millis: row.dueMillis)))
            }
            return (.pending, why + EventTracing.steps(lane, hasFailed: count > 0))
        }
    }
    private func holds(_ lane: LaneTrace?, _ spec: EndpointSpec) -> [TraceStep] {
        var why = EventTracing.steps(lane, hasFailed: false)
        switch lane?.standing {
        case .notReached: why.append(TraceStep("not_reached", "the endpoint has not come to it yet"))
        case .heldByOrder: why.append(TraceStep("order", "it waits for those before it in the endpoint's order"))
        default: why.append(TraceStep("queued", "it waits for room at the endpoint"))
        }
        return why
    }
    /// A budget of retries holds back only what has failed.
    private static func steps(_ lane: LaneTrace?, hasFailed: Bool) -> [TraceStep] {
        (lane?.holds ?? []).filter { hold in
            if case .budget = hold { hasFailed } else { true }
        }.map(step)
    }
    private static func step(_ hold: LaneHold) -> TraceStep {
        switch hold {
        case .disabled: TraceStep("disabled", "the endpoint is disabled until somebody enables it")
        case .paused(let until):
            TraceStep(
                "paused", until == 0 ? "the endpoint is paused until somebody enables it" : "the endpoint is paused",
                until: TimeText.of(millis: until))
        case .pace(let until):
            TraceStep("pace", "the endpoint has asked for less, or fails", until: TimeText.of(millis: until))
        case .rate(let until):
            TraceStep("rate", "the endpoint takes so many a second", until: TimeText.of(millis: until))
        case .budget(let until):
            TraceStep(
                "budget", "retries wait: the endpoint's budget has no more of them",
                until: TimeText.of(millis: until))
        case .concurrency: TraceStep("concurrency", "as many requests are out as the endpoint takes at once")
        case .address: TraceStep("address", "its host name is being looked up")
        case .authorization: TraceStep("authorization", "an access token is being asked for")
        }
    }
    /// It wants it, has it behind itself, and there is no row.
    private func missing(_ spec: EndpointSpec, _ subject: Subject) -> TraceStep {
        if spec.createdMillis > subject.receivedMillis {
            return TraceStep(
                "made_later", "the endpoint was made after the event had come; a replay of `missing` sends it")
        }
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        let kept = Int64(lookup.state.live.historyMillis)
        if now - subject.receivedMillis > kept {
            return TraceStep(
                "history_gone",
                "it is older than `delivery.history` (\(TimeSpan.text(of: Int(kept)))): what became of it is not kept")
        }
        if subject.isGone { return EventTracing.erased }
        if spec.settings.extras.family.dropsWhileDisabled {
            return TraceStep("was_disabled", "it came while the endpoint was disabled, or did not want it")
        }
        return TraceStep(
            "did_not_want", "the endpoint did not want it when it came to it; a replay of `missing` sends it")
    }
}
