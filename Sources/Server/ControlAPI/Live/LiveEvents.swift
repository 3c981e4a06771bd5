// Events of the log as resources.
import Engine
import FastPath

final class LiveEvents: EventQueries {
    private let gateway: Gateway
    private let deliveries: LiveDeliveries
    private let rejected: LiveRejected

    init(gateway: Gateway, deliveries: LiveDeliveries, rejected: LiveRejected) {
        self.gateway = gateway
        self.deliveries = deliveries
        self.rejected = rejected
    }
    func trace(_ id: String, _ paging: Paging, _ caller: Caller) throws -> EventTrace {
        guard !id.hasPrefix(EventTrace.rejectedPrefix) else {
            guard let found = try rejected.rejected(id: id, reveal: false, caller) else {
                throw ControlError(.noSuchRejected, "there is no refused request `\(id.prefix(64))`")
            }
            return EventTrace(found.rejected)
        }
        return try EventTracing(gateway, caller).trace(id, paging)
    }

    func events(_ search: EventSearch, _ caller: Caller) throws -> Found<EventRow, UInt64> {
        let scope = try RegistryLookup(gateway, caller).scope
        let found = try EventBrowser(try gateway.accessNow(), tenant: scope).search(search)
        if found.items.isEmpty, found.next == nil { try checkSource(search.source, caller) }
        return found
    }
    func events(_ query: EventQuery, _ caller: Caller) throws -> EventPage {
        let scope = try RegistryLookup(gateway, caller).scope
        let browser = EventBrowser(try gateway.accessNow(), tenant: scope)
        guard let after = query.after else {
            let page = try browser.latest(query)
            if page.events.isEmpty { try checkSource(query.source, caller) }
            return page
        }
        return try browser.page(query, behind: try browser.sequence(of: after))
    }
    /// A source that was removed still has its events; one of which there are none must be known, or it is a typing
    /// mistake.
    private func checkSource(_ name: String?, _ caller: Caller) throws {
        guard let name, !PublishSource.all.contains(name) else { return }
        _ = try RegistryLookup(gateway, caller).source(name)
    }
    func erase(_ id: String, _ caller: Caller) throws -> ErasureAnswer {
        let access = try gateway.accessNow()
        let scope = try RegistryLookup(gateway, caller).scope
        let (event, tenant) = try access.withEvent(id, of: scope) { ($0, TenantID($1.tenantNumber)) }
        try gateway.erase(event, of: tenant, caller)
        return ErasureAnswer(event: id)
    }
    func event(_ id: String, reveal: Bool, _ caller: Caller) throws -> EventContent {
        let access = try gateway.accessNow()
        return try access.withEvent(id, of: try RegistryLookup(gateway, caller).scope) { event, record in
            if reveal {
                let what = [FieldChange(field: "event", before: "", after: id)]
                try gateway.note(.reveal, on: nil, of: TenantID(record.tenantNumber), what, caller)
            }
            let detail = EventDetail(record, logIdentity: access.identity, deliveries: [])
            let shown =
                reveal ? detail : detail.masked(CredentialMask(sources: gateway.currentConfiguration.sources))
            return EventContent(
                shown, isExpunged: access.isGone(record), deliveries: try deliveries.deliveries(of: event, caller))
        }
    }
}

extension Gateway {
    /// Its content is gone from the log when this returns; the audit log has said so before.
    func erase(_ event: EventID, of tenant: TenantID, _ caller: Caller) throws {
        let access = try accessNow()
        let what = [FieldChange(field: "content of event", before: event.text, after: "erased")]
        try note(.delete, on: nil, of: tenant, what, caller)
        do {
            guard try access.eraser.erase(event.sequence) else { throw ControlError.noSuchEvent(event.text) }
        } catch let failure as PayloadEraser.Failure { throw ControlError.notErased(failure) }
    }
}

extension ControlError {
    static func notErased(_ failure: PayloadEraser.Failure) -> ControlError {
        switch failure {
        case .unwritten(let why):
            ControlError(
                .logUnavailable,
                "the content is shown to nobody from now on, and is not overwritten on the disk yet: \(why); try again")
        case .unannounced(let why):
            ControlError(.logUnavailable, "the content is not erased: \(why); try again")
        case .unreadable, .stopped: ControlError.logUnavailable
        }
    }
}
