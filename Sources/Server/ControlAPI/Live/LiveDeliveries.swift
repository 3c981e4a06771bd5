// Deliveries of the store as resources, with what the log knows of their events.
import Engine
import FastPath
import Foundation

final class LiveDeliveries: DeliveryQueries {
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    var deadLetterReasons: [String] { DeadLetterReason.allCases.map(\.name) }

    func deliveries(_ search: DeliverySearch, _ caller: Caller) throws -> Found<DeliveryResource, DeliveryPosition> {
        let delivery = try gateway.accessNow().delivery
        let lookup = try RegistryLookup(gateway, caller)
        var query = DeliveryQuery()
        query.endpoint = try search.endpoint.map { try lookup.endpoint($0).id }
        if !search.states.isEmpty { query.states = Set(search.states.map(\.stored)) }
        query.reason = search.reason.flatMap { name in DeadLetterReason.allCases.first { $0.name == name } }
        query.updated = search.updated.map {
            LiveDeliveries.millis($0.lowerBound)..<LiveDeliveries.millis($0.upperBound)
        }
        query.before = search.before.map {
            DeliveryCursor(sequence: $0.sequence, endpoint: EndpointID(UInt32(clamping: $0.endpoint)))
        }
        query.limit = search.limit
        var events = EventFilterOfDeliveries()
        events.tenant = try lookup.scope
        events.source = search.source
        events.type = search.type
        events.failureClass = search.failureClass.flatMap(DeadLetterClass.init(rawValue:))
        events.statuses = search.statuses
        let found = try delivery.deliveries(query, events: events)
        let isListed = { (record: DeliveryRecord) in
            lookup.state.endpoints[record.row.endpoint]?.settings.extras.family != .operational
        }
        return Found(
            found.records.filter(isListed).map { DeliveryResource($0, lookup.state) },
            next: try found.next.map { try position($0, seenBy: events.tenant) })
    }
    /// Behind all of an event that is another tenant's, so that its endpoints' numbers are not told.
    private func position(_ cursor: DeliveryCursor, seenBy tenant: TenantID?) throws -> DeliveryPosition {
        let access = try gateway.accessNow()
        let event = EventID(logIdentity: access.identity, sequence: cursor.sequence)
        let isShown = try tenant == nil || access.owner(of: event)?.tenant == tenant
        return DeliveryPosition(sequence: cursor.sequence, endpoint: isShown ? UInt64(cursor.endpoint.number) : 0)
    }
    private static func millis(_ nanos: UInt64) -> Int64 { Int64(clamping: nanos / 1_000_000) }

    func delivery(event: String, endpoint: String, _ caller: Caller) throws -> DeliveryDetail {
        let access = try gateway.accessNow()
        let lookup = try RegistryLookup(gateway, caller)
        let target = try lookup.endpoint(endpoint)
        guard let id = access.eventID(event) else { throw ControlError.noSuchEvent(event) }
        guard let record = try access.delivery.deliveries(of: id).first(where: { $0.row.endpoint == target.id }) else {
            throw ControlError(.noSuchDelivery, "`\(endpoint)` has not met the event `\(event)`")
        }
        let attempts = try access.delivery.store.attempts(sequence: id.sequence).filter { $0.endpoint == target.id }
        return DeliveryDetail(
            delivery: DeliveryResource(record, lookup.state), attempts: attempts.map { AttemptResource($0) })
    }
    /// One event at every endpoint that has met it.
    func deliveries(of event: EventID, _ caller: Caller) throws -> [DeliveryResource] {
        let lookup = try RegistryLookup(gateway, caller)
        let scope = try lookup.scope
        return try gateway.accessNow().delivery.deliveries(of: event).filter {
            scope == nil || $0.event?.tenant == scope
        }.map { DeliveryResource($0, lookup.state) }
    }
}

extension DeliveryStateName {
    var stored: DeliveryState {
        switch self {
        case .delivered: .delivered
        case .pending: .pending
        case .dead: .dead
        case .superseded: .superseded
        }
    }
    init(_ state: DeliveryState) {
        switch state {
        case .delivered: self = .delivered
        case .pending: self = .pending
        case .dead: self = .dead
        case .superseded: self = .superseded
        }
    }
}

extension DeliveryResource {
    /// An endpoint that was removed is known by its number only.
    init(_ record: DeliveryRecord, _ registry: RegistryState) {
        let row = record.row
        let spec = registry.endpoints[row.endpoint]
        self.init(
            event: record.eventID,
            endpoint: Reference(
                id: spec?.publicID.text ?? "", name: spec?.qualifiedName ?? "removed endpoint \(row.endpoint)"),
            state: DeliveryStateName(row.state), attempts: AttemptCount.number(of: row.attempts),
            result: row.result.code,
            updatedAt: TimeText.of(nanoseconds: UInt64(max(0, row.updatedMillis)) * 1_000_000))
        status = row.status == 0 ? nil : Int(row.status)
        reason = row.reason?.name
        `class` = row.state == .dead ? DeadLetterClass(row).rawValue : nil
        nextAttemptAt = row.state == .pending ? TimeText.of(millis: row.dueMillis) : nil
        timing = row.timing == AttemptTiming() ? nil : TimingResource(row.timing)
        source = record.event?.source
        type = record.event?.type
        receivedAt = record.event.map { TimeText.of(nanoseconds: $0.receivedAt) }
    }
}

extension TimingResource {
    init(_ timing: AttemptTiming) {
        func millis(_ micros: UInt32) -> Double? { micros == 0 ? nil : Double(micros) / 1000 }
        self.init(
            totalMillis: Double(timing.totalMicros) / 1000, connectMillis: millis(timing.connectMicros),
            firstByteMillis: millis(timing.firstByteMicros))
    }
}

extension AttemptResource {
    init(_ row: AttemptRow) {
        self.init(
            number: AttemptCount.number(of: row.number),
            endedAt: TimeText.of(nanoseconds: UInt64(max(0, row.endedMillis)) * 1_000_000),
            timing: TimingResource(row.timing), result: row.result.code)
        status = row.status == 0 ? nil : Int(row.status)
        failover = AttemptCount.isFailover(row.number) ? true : nil
        host = row.host
        switch row.result {
        case .tlsFailed: tlsError = TLSFailure(row.result, row.systemError).code
        case .proxyRefused: proxyStatus = row.systemError == 0 ? nil : Int(row.systemError)
        case .notPrepared: preparationError = PreparationFailure(rawValue: row.systemError)?.name
        case .authorizationFailed:
            authorizationError = AccessTokenFault(row.result, row.systemError)?.name
            tokenStatus = row.systemError >> 8 == 0 ? nil : Int(row.systemError >> 8)
        default: systemError = row.systemError == 0 ? nil : systemText(row.systemError)
        }
        guard !row.answer.isEmpty else { return }
        answer = String(validating: row.answer, as: UTF8.self)
        if answer == nil { answerBase64 = Data(row.answer).base64EncodedString() }
    }
}
