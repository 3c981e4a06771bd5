// Whether an endpoint, as it is configured, takes an event of its tenant, and what keeps it from it: asked for one
// event and one endpoint at a time, with the same parts as delivery, and not by it.

import FastPath

extension FilterInput {
    package init(_ record: RecordView) {
        let isPublished = SourceID(record.sourceNumber).isPublishing
        self.init(
            type: record.eventType, source: record.source,
            channels: isPublished ? PublishedFields.channels(in: record.fieldLines) : .empty,
            fieldLines: record.fieldLines, body: record.body)
    }
}

package struct EventAudience {
    /// The first of these that keeps it away, in this order.
    package enum Reason: String, CaseIterable, Sendable {
        case matched
        /// It is another tenant's.
        case tenant
        /// It is a request that holds several events, which are records of their own.
        case request
        /// It was published for one endpoint alone.
        case directed
        case source, type, channels, filter
    }
    private let spec: EndpointSpec
    /// Nil = it has none.
    private let filter: CompiledFilter?

    /// `filter`: another one than the endpoint has, or none, which is asked in its place.
    package init(_ spec: EndpointSpec, filter: CompiledFilter?) {
        self.spec = spec
        self.filter = filter
    }

    /// Whatever its filter says. O(types of the endpoint).
    package func subscription(_ record: RecordView) -> Reason {
        let source = SourceID(record.sourceNumber)
        if TenantID(record.tenantNumber) != spec.tenant { return .tenant }
        if record.isRequestOfBatch { return .request }
        if source.isDirected { return .directed }
        let wanted = spec.subscription
        if !wanted.takes(source: source, isEnveloped: record.isEnveloped) { return .source }
        if !wanted.takes(type: record.eventType.array) { return .type }
        return wanted.takes(channels: FilterInput(record).channels) ? .matched : .channels
    }
    package func reason(_ record: RecordView) -> Reason {
        let reason = subscription(record)
        guard reason == .matched, let filter else { return reason }
        return filter.matches(FilterInput(record)) ? .matched : .filter
    }
    /// The same, and what its filter says, whatever keeps the event away; nil where there is none.
    package func explanation(_ record: RecordView) -> (reason: Reason, trace: FilterTrace?) {
        let reason = subscription(record)
        guard let trace = filter?.trace(FilterInput(record)) else { return (reason, nil) }
        return (reason == .matched && trace.verdict != .matches ? .filter : reason, trace)
    }
}

extension EndpointSpec {
    var subscription: Subscription {
        Subscription(sources: sourceIDs, types: settings.types, channels: settings.channels)
    }
    /// `sources`: of its tenant, whose secrets no filter reads.
    package func compiledFilter(_ sources: [SourceConfiguration]) -> CompiledFilter? {
        settings.policies.filter.flatMap { filter in
            // It compiled when it was saved.
            try? CompiledFilter(filter, withheld: FilterRules.withheld(sources))
        }
    }
}
