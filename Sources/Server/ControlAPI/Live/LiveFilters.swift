// Filters tried on events of the running gateway's log. On the control API's own thread, with a reader of its own; the
// dispatcher has no part in it.
import Engine
import FastPath
import Foundation

final class LiveFilters: FilterTrials {
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    // MARK: one event

    func test(_ trial: FilterTrial, _ caller: Caller) throws -> FilterResult {
        let lookup = try RegistryLookup(gateway, caller)
        let target = try trial.endpoint.map { try lookup.endpoint($0) }
        guard let event = trial.event else {
            let filter = try filter(trial, target, lookup, tenant: target?.tenant)
            return FilterResult(filter.trace(trial.given ?? GivenEvent()))
        }
        return try read(event, lookup, of: target?.tenant) { record in
            let filter = try self.filter(trial, target, lookup, tenant: TenantID(record.tenantNumber))
            return FilterResult(filter.trace(FilterInput(record)))
        }
    }
    private func filter(
        _ trial: FilterTrial, _ target: EndpointSpec?, _ lookup: RegistryLookup, tenant: TenantID?
    ) throws -> CompiledFilter {
        if let target {
            guard let filter = target.compiledFilter(lookup.sources(of: target.tenant)) else {
                throw ControlError.invalid([FieldProblem(path: "endpoint", reason: "has no filter")])
            }
            return filter
        }
        return try LiveFilters.compiled(trial.filter ?? .null, tenant.map { lookup.sources(of: $0) } ?? [])
    }
    private static func compiled(_ value: JSONValue, _ sources: [SourceConfiguration]) throws -> CompiledFilter {
        do throws(ValidationIssue) {
            return try CompiledFilter(value.asStored, withheld: FilterRules.withheld(sources))
        } catch {
            let issue = error.under(FieldPath("filter"))
            throw ControlError.invalid([FieldProblem(path: issue.path.description, reason: issue.reason)])
        }
    }
    /// An event that the caller may see; `tenant` nil = of any.
    private func read<Answer>(
        _ id: String, _ lookup: RegistryLookup, of tenant: TenantID?, _ body: (RecordView) throws -> Answer
    ) throws -> Answer {
        let access = try gateway.accessNow()
        return try access.withEvent(id, of: try lookup.scope ?? tenant) { _, record in
            guard !access.isGone(record) else { throw ControlError.noSuchEvent(id) }
            return try body(record)
        }
    }

    func endpoints(of event: String, _ paging: Paging, _ caller: Caller) throws -> Found<EventEndpoint, UInt64> {
        let lookup = try RegistryLookup(gateway, caller)
        return try read(event, lookup, of: nil) { record in
            let tenant = TenantID(record.tenantNumber)
            let sources = lookup.sources(of: tenant)
            let owner = lookup.state.tenant(tenant)?.publicID.text
            guard let owner else { return Found([]) }
            let found = try lookup.page(lookup.state.endpoints, tenant: owner, paging) { chunk in
                chunk.filter { $0.settings.extras.family != .operational }
            }
            let items = found.items.map { spec in
                let audience = EventAudience(spec, filter: spec.compiledFilter(sources))
                let (reason, trace) = audience.explanation(record)
                return EventEndpoint(
                    endpoint: Reference(id: spec.publicID.text, name: spec.name), reason: reason,
                    disabled: spec.settings.disabled, filter: trace.map { FilterResult($0) })
            }
            return Found(items, next: found.next)
        }
    }

    // MARK: a stretch of the log

    func preview(
        _ order: FilterPreviewOrder, endpoint: String, after: UInt64?, _ caller: Caller
    ) throws -> (page: FilterPreview, next: UInt64?) {
        let lookup = try RegistryLookup(gateway, caller)
        let target = try lookup.endpoint(endpoint)
        let sources = lookup.sources(of: target.tenant)
        var filter: CompiledFilter?
        if let value = order.filter, value != .null { filter = try LiveFilters.compiled(value, sources) }
        let times = try LiveFilters.times(order)
        let access = try gateway.accessNow()
        let places = try MessageBrowser(access, tenant: target.tenant).places(of: times)
        let first = max(places.lowerBound, after.map { $0 &+ 1 } ?? 0)
        guard first < places.upperBound else { return (FilterPreview(), nil) }
        let comparison = FilterComparison(
            target, now: EventAudience(target, filter: target.compiledFilter(sources)),
            then: EventAudience(target, filter: filter), filter, access, times)
        var sums = comparison
        let next = try PreviewWalk.page(first..<places.upperBound, access) { sums.add($0) }
        return (sums.page, next)
    }
    private static func times(_ order: FilterPreviewOrder) throws -> Range<UInt64> {
        let from = TimeText.parse(order.from) ?? 0
        let until = order.until.flatMap { TimeText.parse($0) } ?? ProcessResources.wallNanos
        guard from <= until else {
            throw ControlError.invalid([FieldProblem(path: "until", reason: "is before `from`")])
        }
        return from..<until
    }
}

/// What two filters of one endpoint make of the same events.
private struct FilterComparison {
    private(set) var page = FilterPreview()
    private let target: EndpointSpec
    private let now: EventAudience
    private let then: EventAudience
    private let filter: CompiledFilter?
    private let access: GatewayAccess
    private let times: Range<UInt64>

    init(
        _ target: EndpointSpec, now: EventAudience, then: EventAudience, _ filter: CompiledFilter?,
        _ access: GatewayAccess, _ times: Range<UInt64>
    ) {
        self.target = target
        self.now = now
        self.then = then
        self.filter = filter
        self.access = access
        self.times = times
    }

    mutating func add(_ record: RecordView) {
        guard TenantID(record.tenantNumber) == target.tenant, times.contains(record.receivedAt),
            !access.isGone(record)
        else { return }
        page.read += 1
        guard now.subscription(record) == .matched else { return }
        page.subscribed += 1
        let (was, will) = (now.reason(record) == .matched, then.reason(record) == .matched)
        if was { page.before += 1 }
        if will { page.after += 1 }
        if filter?.verdict(on: FilterInput(record)) == .unreadable { page.notJson += 1 }
        if was, !will {
            page.lost += 1
            if page.lostExamples.count < FilterPreview.exampleCountMax { page.lostExamples.append(row(record)) }
        } else if will, !was {
            page.gained += 1
            if page.gainedExamples.count < FilterPreview.exampleCountMax { page.gainedExamples.append(row(record)) }
        }
    }
    private func row(_ record: RecordView) -> EventRow { EventRow(record, logIdentity: access.identity) }
}

extension RegistryLookup {
    /// O(sources of the tenant).
    func sources(of tenant: TenantID) -> [SourceConfiguration] { state.sources.all(of: tenant).map(\.settings) }
}
