// What a reader of the stream asks for, and what of it a fact of the gateway answers to. Pure.
//
// Invariant: an item that has not got what a filter names is left out.
import Engine
import FastPath

package enum StreamKind: String, CaseIterable, Sendable {
    case event, delivery, endpoint
}

/// As a caller says it.
package struct StreamOrder: Sendable {
    package var kinds = Set(StreamKind.allCases)
    /// Patterns with `*`; empty = all.
    package var types: [String] = []
    package var source: String?
    package var endpoint: String?
    /// What was told up to this event, or this place.
    package var after: String?
    /// The key that opened it, which is looked at again while it lasts.
    package var token = ""
    /// Ends the connection, whatever waits to be sent.
    package var hangUp: @Sendable () -> Void = {}
    package init() {}
}

/// Streams of one gateway.
package protocol EventStreaming: AnyObject, Sendable {
    /// Refuses where there are as many readers as may be: `too_many_readers`, `busy`.
    func open(_ order: StreamOrder, _ caller: Caller) throws -> StreamPlace
}

package struct StreamFilter: Sendable {
    package var kinds = Set(StreamKind.allCases)
    package var types: [TypePattern] = []
    package var source: [UInt8]?
    /// Events of the contract edge and their deliveries to its entries, whichever port they came to.
    package var isOfContract = false
    /// Whose the source is, where one tenant's was named.
    package var tenant: TenantID?
    package var endpoint: EndpointID?
    package init() {}

    package var wantsEvents: Bool { kinds.contains(.event) && endpoint == nil }
    package var wantsDeliveries: Bool { kinds.contains(.delivery) }

    /// Deliveries, or changes of endpoints.
    package var wantsOutcomes: Bool { kinds != [.event] }
    /// A delivery is looked at with its event.
    package var needsEvent: Bool { source != nil || !types.isEmpty || isOfContract }

    package func takes(_ record: RecordView) -> Bool {
        guard wantsEvents else { return false }
        if let wanted = source, !wanted.withView({ record.source.equals($0) }) { return false }
        if isOfContract, !record.isEnveloped, record.sourceNumber != SourceID.contract.number { return false }
        return types.isEmpty || matches(record.eventType.array)
    }
    /// Whatever its event is.
    package func mayTake(_ row: DeliveryRow) -> Bool {
        wantsDeliveries && (endpoint == nil || endpoint == row.endpoint)
    }
    package func mayTake(_ fact: StreamFact) -> Bool {
        switch fact {
        case .delivery(_, let row): mayTake(row)
        case .endpoint(_, let notice): takes(notice)
        }
    }
    /// `event` is nil when it has left the log. `isEntry`: the endpoint is an entry of the contract.
    package func takes(_ row: DeliveryRow, _ event: StreamedEvent?, isEntry: Bool = false) -> Bool {
        guard mayTake(row) else { return false }
        if isOfContract {
            guard let event, event.stamp != nil, isEntry || event.isOfControlListener else { return false }
        }
        if let source, event?.source != source { return false }
        guard !types.isEmpty else { return true }
        return event.map { matches($0.type) } ?? false
    }
    package func takes(_ notice: EndpointNotice) -> Bool {
        kinds.contains(.endpoint) && source == nil && types.isEmpty
            && (endpoint == nil || endpoint == notice.endpoint)
    }
    private func matches(_ type: [UInt8]) -> Bool { types.contains { $0.matches(type) } }
}

/// What of an event is said with its deliveries.
package struct StreamedEvent: Equatable, Sendable {
    package var sequence: UInt64
    package var source: [UInt8]
    package var type: [UInt8]
    package var receivedAt: UInt64
    /// Of one of the contract edge.
    package var stamp: ContractStamp?
    /// Of those, of one that the control listener took: no other endpoint has it.
    package var isOfControlListener = false

    package init(sequence: UInt64, source: [UInt8], type: [UInt8], receivedAt: UInt64) {
        self.sequence = sequence
        self.source = source
        self.type = type
        self.receivedAt = receivedAt
    }
}
