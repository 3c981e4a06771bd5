// Ops-Center's webhooks in the running gateway: endpoints of a family of their own, made and changed through the
// registry; their counts out of the delivery store.
//
// Invariant: what belongs to another tenant than the caller's is `no_such_webhook`, as what there never was.
import Engine
import FastPath
import Foundation

final class LiveOpsCenter: OpsCenterWebhooks {
    private let gateway: Gateway
    private let publishing: LivePublishing
    /// What publishing asks of delivery.
    private let worker = ControlWorker()
    /// A test waits for a commit of its own.
    private let testWorker = ControlWorker()

    init(gateway: Gateway, publishing: LivePublishing) {
        self.gateway = gateway
        self.publishing = publishing
    }

    /// What a call is about.
    private struct Subject {
        let state: RegistryState
        let tenant: TenantSpec

        func webhook(_ id: String) throws -> EndpointSpec {
            if let found = state.webhook(id, of: tenant.id, .opsCenter) { return found }
            throw ControlError(.noSuchWebhook, "there is no webhook `\(id.prefix(64))`")
        }
        /// How many webhooks ask for such an event.
        func count(of event: String) -> Int {
            webhooks.filter { one in
                !one.settings.disabled && (one.settings.types.contains(event) || one.settings.types.contains("*"))
            }.count
        }
        /// The newest first.
        var webhooks: [EndpointSpec] {
            state.endpoints.numbers(of: tenant.id).reversed().compactMap { state.endpoints[EndpointID($0)] }
                .filter { $0.settings.extras.family == .opsCenter }
        }
    }
    private func subject(_ caller: Caller) throws -> Subject {
        let lookup = try RegistryLookup(gateway, caller)
        guard let tenant = lookup.state.tenant(try lookup.scope ?? .main) else {
            throw ControlError(.noSuchTenant, "the caller's tenant no longer exists")
        }
        return Subject(state: lookup.state, tenant: tenant)
    }

    // MARK: shown

    func webhooks(enabledOnly: Bool, _ caller: Caller) throws -> [OpsCenterWebhook] {
        let subject = try subject(caller)
        return try shown(subject.webhooks, of: subject.tenant).filter { !enabledOnly || $0.isEnabled }
    }
    func webhook(_ id: String, _ caller: Caller) throws -> OpsCenterWebhook {
        let subject = try subject(caller)
        return try shown(try subject.webhook(id), of: subject.tenant)
    }
    private func shown(_ webhook: EndpointSpec, of tenant: TenantSpec) throws -> OpsCenterWebhook {
        try shown([webhook], of: tenant)[0]
    }
    private func shown(_ webhooks: [EndpointSpec], of tenant: TenantSpec) throws -> [OpsCenterWebhook] {
        let delivery = try gateway.accessNow().delivery
        let ids = webhooks.map(\.id)
        let lanes = Dictionary(try delivery.statuses(ids).map { ($0.endpoint, $0) }) { first, _ in first }
        let tallies = Dictionary(try delivery.store.tallies(ids).map { ($0.endpoint, $0) }) { first, _ in first }
        return webhooks.map { webhook in
            var shown = OpsCenterWebhook(id: webhook.publicID.uuid, organization: tenant.publicID.uuid)
            shown.url = webhook.settings.url
            shown.events = webhook.settings.types
            shown.about = webhook.settings.extras.about.isEmpty ? nil : webhook.settings.extras.about
            shown.isEnabled = !webhook.settings.disabled && lanes[webhook.id]?.state.condition != .disabled
            shown.createdMillis = webhook.createdMillis
            shown.updatedMillis = max(webhook.updatedMillis, webhook.createdMillis)
            guard let tally = tallies[webhook.id] else { return shown }
            (shown.successCount, shown.failureCount) = (tally.delivered, tally.givenUp)
            shown.triggeredMillis = tally.triggeredMillis
            return shown
        }
    }

    // MARK: made and changed

    func create(
        _ draft: OpsCenterWebhookDraft, _ caller: Caller
    ) throws -> (webhook: OpsCenterWebhook, secret: String) {
        let subject = try subject(caller)
        let secret = OpsCenterSecret.make()
        var settings = EndpointConfiguration()
        settings.tenant = subject.tenant.name
        settings.url = draft.url
        settings.sources = [PublishSource.opsCenterName]
        settings.types = draft.events
        settings.secrets = [secret]
        settings.forwardsHeaders = false
        settings.disabled = !draft.isEnabled
        settings.extras.family = .opsCenter
        settings.extras.about = draft.about ?? ""
        let report = try apply(.createEndpoint(settings, isNameless: true), caller)
        guard let id = report.diff.entries.first(where: { $0.effect == .added })?.id,
            let made = PublicID(id, prefix: .endpoint).flatMap({ gateway.registry?.state.endpoints.with(publicID: $0) })
        else { throw ControlError(.conflict, "the webhook was made, and has been removed since") }
        return (try shown(made, of: subject.tenant), secret)
    }
    func patch(_ id: String, _ patch: OpsCenterWebhookPatch, _ caller: Caller) throws -> OpsCenterWebhook {
        let known = try subject(caller).webhook(id)
        var wanted = known.settings
        wanted.take(patch)
        if wanted != known.settings { try apply(.updateEndpoint(known.id) { $0.take(patch) }, caller) }
        if patch.isEnabled == true { try lift(known, caller) }
        return try webhook(id, caller)
    }
    /// An answer of 410, or an operator, has disabled it beside its settings.
    private func lift(_ webhook: EndpointSpec, _ caller: Caller) throws {
        let delivery = try gateway.accessNow().delivery
        guard try delivery.statuses([webhook.id]).first?.state.condition == .disabled else { return }
        try gateway.note(
            .update, on: webhook, of: webhook.tenant, [FieldChange(field: "state", before: "", after: "enabled")],
            caller)
        try delivery.perform(.enable, on: webhook.id)
        gateway.tellSwitched(webhook, isEnabled: true, by: ChangeActor(caller))
    }
    func deleteWebhook(_ id: String, _ caller: Caller) throws {
        try apply(.deleteEndpoint(try subject(caller).webhook(id).id), caller)
    }
    @discardableResult private func apply(_ edit: RegistryEdit, _ caller: Caller) throws -> ChangeReport {
        do { return try gateway.apply(.edits([edit]), actor: ChangeActor(caller)) } catch {
            throw ControlError(ofWebhook: error)
        }
    }

    // MARK: events

    private static let target = "/api/v1/webhooks/events"

    func publish(_ order: OpsCenterEventOrder, _ caller: Caller) async throws -> OpsCenterPublished {
        let subject = try subject(caller)
        let (id, time) = try await put(order, from: .opsCenter, subject, caller)
        // The event is on disk: a gateway that stops meanwhile makes no error of it, which would be tried again.
        let matched = try? await worker.run { [gateway] in
            try gateway.accessNow().delivery.subscriberCount(
                tenant: subject.tenant.id, source: .opsCenter, type: order.event)
        }
        return OpsCenterPublished(
            id: OpsCenterID.text(id), event: order.event, time: time,
            matched: matched ?? subject.count(of: order.event))
    }
    /// On disk when this returns.
    private func put(
        _ order: OpsCenterEventOrder, from source: SourceID, _ subject: Subject, _ caller: Caller
    ) async throws -> (id: EventID, time: String) {
        let now = ProcessResources.wallNanos
        let time = TimeText.of(nanoseconds: now)
        var event = PublishedEvent(tenant: subject.tenant.id, type: order.event, body: order.body(at: time))
        event.source = source
        event.target = LiveOpsCenter.target
        event.traceLines = caller.traceLines
        event.receivedAt = now
        switch try await publishing.publish(event, windowSeconds: subject.state.live.dedupWindowSeconds) {
        case .kept(let id), .duplicate(let id): return (id, time)
        }
    }
    func test(_ id: String, _ order: OpsCenterEventOrder, _ caller: Caller) async throws {
        let subject = try subject(caller)
        let webhook = try subject.webhook(id)
        let (event, _) = try await put(order, from: .opsCenterTests, subject, caller)
        try await testWorker.run { [gateway] in
            let delivery = try gateway.accessNow().delivery
            switch try delivery.replay(event: event, endpoints: [webhook.id], isDirected: true)[0] {
            case .accepted, .alreadyPending: return
            case .unknownEndpoint:
                throw ControlError(.noSuchWebhook, "there is no webhook `\(id)`; it was just removed")
            case .busy, .notReached, .endpointDisabled, .unknownEvent, .requestOfSeveral:
                throw ControlError(.busy, "delivery cannot take more at the moment; try again")
            }
        }
    }

    // MARK: the log and its sums

    func deliveries(
        ofWebhook id: String, _ search: OpsCenterDeliverySearch, _ caller: Caller
    ) throws -> [OpsCenterDelivery] {
        let subject = try subject(caller)
        let webhook = try subject.webhook(id)
        return try OpsCenterBrowser(try gateway.accessNow(), webhook, gateway.schedules.opsCenter).rows(search)
    }
    func stats(webhook id: String?, _ caller: Caller) throws -> OpsCenterStats {
        let subject = try subject(caller)
        let webhooks = try id.map { [try subject.webhook($0)] } ?? subject.webhooks
        let access = try gateway.accessNow()
        let ids = webhooks.map(\.id)
        let names = Dictionary(uniqueKeysWithValues: webhooks.map { ($0.id, $0.publicID.uuid) })
        var stats = OpsCenterStats()
        for tally in try access.delivery.store.tallies(ids) {
            stats.successCount += tally.delivered
            stats.failureCount += tally.givenUp
        }
        for tally in try access.delivery.store.attemptTallies(ids) where tally.count > 0 {
            var row = OpsCenterStats.Row(
                webhook: names[tally.endpoint] ?? "", eventType: tally.type,
                status: tally.isSuccess ? .success : .failed, count: tally.count)
            row.averageMillis = Double(tally.micros) / Double(tally.count) / 1000
            row.lastMillis = tally.lastMillis
            stats.rows.append(row)
            stats.attemptCount += tally.count
            stats.retryCount += tally.retries
        }
        var left = OpsCenterBrowser.pendingLookedAtMax
        for webhook in webhooks {
            let browser = OpsCenterBrowser(access, webhook, gateway.schedules.opsCenter)
            for (type, count) in try browser.pendingCounts(&left) {
                stats.rows.append(
                    OpsCenterStats.Row(
                        webhook: webhook.publicID.uuid, eventType: type, status: .pending, count: count))
            }
        }
        return stats
    }
}

extension EndpointConfiguration {
    fileprivate mutating func take(_ patch: OpsCenterWebhookPatch) {
        url = patch.url ?? url
        types = patch.events ?? types
        extras.about = patch.about.over(extras.about) ?? ""
        if let isEnabled = patch.isEnabled { disabled = !isEnabled }
    }
}

/// What a webhook is signed with: 64 hexadecimal digits, which are the key as they stand.
package enum OpsCenterSecret {
    package static func make() -> String { TextEncoding.hex(RandomBytes.make(32)) }
}

extension ControlError {
    /// As these routes spell what the registry spells in another way.
    fileprivate init(ofWebhook refusal: RegistryRefusal) {
        guard case .invalid(let issues) = refusal else {
            if case .notFound(.endpoint, _) = refusal {
                self.init(.noSuchWebhook, refusal.description)
            } else {
                self.init(refusal)
            }
            return
        }
        self = .invalid(
            issues.issues.map { issue in
                let path = "\(issue.path)"
                return FieldProblem(
                    path: path.hasPrefix("types") ? "events" + path.dropFirst("types".count) : path,
                    reason: issue.reason)
            })
    }
}
