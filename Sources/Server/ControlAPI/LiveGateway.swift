// Engine's gateway behind the seams of the command line and the control API: its status as metrics and readiness, its
// log and its deliveries as listings.
import Engine
import FastPath
import Foundation
import Logging

package final class LiveGateway: RunningGateway {
    private let gateway: Gateway
    /// What the program and its libraries take before the gateway takes anything.
    private let baseBytes: Int

    package init(_ configuration: GatewayConfiguration, logger: Logger) {
        baseBytes = ProcessFamilies.residentBytes ?? 0
        gateway = Gateway(configuration, logger: logger)
    }

    // MARK: life

    package func start() throws { try gateway.start() }
    package func reload(_ configuration: GatewayConfiguration) throws {
        do {
            try gateway.reload(configuration)
        } catch let error as GatewayError {
            throw ControlError(status: 422, code: "bad_configuration", message: "\(error); nothing was changed")
        }
    }
    package func drain(withinMillis: Int) -> Bool { gateway.drain(withinMillis: withinMillis) }
    package var ingestAddresses: [String] { gateway.ingestAddresses }
    package var memoryBudgetBytes: Int { baseBytes + gateway.memoryBudgetBytes }

    package func metrics() -> [MetricFamily] { metrics(gateway.status) }
    private func metrics(_ status: GatewayStatus) -> [MetricFamily] {
        var status = status
        status.memoryBudgetBytes += baseBytes
        return GatewayFamilies.of(status) + ProcessFamilies.now()
    }
    package func readiness() -> [ReadinessProblem] {
        gateway.status.problems.map { ReadinessProblem(code: $0.code, message: $0.message) }
    }

    var configuration: GatewayConfiguration { gateway.currentConfiguration }

    /// 503 before the start and after the drain.
    func access() throws -> GatewayAccess {
        guard let access = gateway.access else {
            throw ControlError(status: 503, code: "not_running", message: "the gateway is not running, or is stopping")
        }
        return access
    }

    // MARK: events

    package func events(_ query: EventQuery) throws -> EventPage {
        let browser = EventBrowser(try access())
        guard let after = query.after else { return try browser.latest(query) }
        return try browser.page(query, from: try browser.sequence(of: after) + 1)
    }
    package func event(id: String, reveal: Bool) throws -> EventDetail? {
        let access = try access()
        guard let event = EventID(id), event == EventID(logIdentity: access.identity, sequence: event.sequence) else {
            return nil
        }
        var reader = access.makeReader(from: event.sequence)
        let record: RecordView
        switch reader.read(event.sequence, through: access.tail.snapshot) {
        case .record(let found, _): record = found
        case .failed: throw ControlError.logUnavailable
        case .damaged(let damage) where damage.isUnreadable: throw ControlError.logUnavailable
        case .damaged, .missing, .caughtUp: return nil
        }
        guard record.sequence == event.sequence else { return nil }
        let deliveries = try access.delivery.deliveries(of: event).map { DeliveryItem($0) }
        let detail = EventDetail(record, logIdentity: access.identity, deliveries: deliveries)
        return reveal ? detail : detail.masked(CredentialMask(sources: configuration.sources))
    }

    // MARK: deliveries

    package func deliveries(_ filter: DeliveryFilter) throws -> [DeliveryItem] {
        let delivery = try access().delivery
        let states = filter.state.map { [$0.stored] } ?? DeliveryState.allCases
        var items: [DeliveryItem] = []
        for name in try names(filter.endpoint, delivery) where items.count < filter.limit {
            let records = try delivery.deliveries(endpoint: name, states: states, limit: filter.limit - items.count)
            items += records.map { DeliveryItem($0) }
        }
        return items
    }
    package func endpoints() throws -> [EndpointStatus] {
        let delivery = try access().delivery
        let lanes = Dictionary(delivery.metrics.lanes.map { ($0.name, $0) }) { first, _ in first }
        return try gateway.currentConfiguration.endpoints.map { endpoint in
            let counts = try delivery.counts(endpoint: endpoint.name)
            let lane = lanes[endpoint.name]
            let isStopped = endpoint.disabled || lane?.isDisabled == true || lane?.stop != nil
            let state = isStopped ? "disabled" : lane?.isPaused == true ? "slowed" : "active"
            return EndpointStatus(
                name: endpoint.name, url: endpoint.url, state: state, waiting: counts.pending, dead: counts.dead,
                lag: lane?.lagEvents ?? 0)
        }
    }
    private func names(_ wanted: String?, _ delivery: DeliveryService<LogReaders>) throws -> [String] {
        guard let wanted else { return delivery.endpointNumbers.keys.sorted() }
        guard delivery.endpointNumbers[wanted] != nil else { throw LiveGateway.noEndpoint(wanted, delivery) }
        return [wanted]
    }
    private static func noEndpoint(_ name: String, _ delivery: DeliveryService<LogReaders>) -> ControlError {
        let known = delivery.endpointNumbers.keys.sorted()
        let advice =
            NearestName.of(name, among: known).map { "did you mean `\($0)`?" }
            ?? "there is \(known.isEmpty ? "none" : known.joined(separator: ", "))"
        return ControlError(status: 404, code: "no_such_endpoint", message: "there is no endpoint `\(name)`; \(advice)")
    }

    // MARK: replay

    package func replay(_ request: ReplayRequest) throws -> ReplayAnswer {
        let delivery = try access().delivery
        let isDry = request.dryRun ?? true
        if let event = request.event { return try replay(event: event, request, isDry, delivery) }
        var filter = ReplayFilter()
        filter.endpoint = try request.endpoint.map { try names($0, delivery)[0] }
        filter.sources = request.source.map { [$0] } ?? []
        filter.types = request.type.map { [$0] } ?? []
        filter.states = request.dead == true ? [.dead] : [.dead, .delivered]
        filter.received = try LiveGateway.range(request)
        let count = isDry ? try delivery.count(filter) : try delivery.replay(filter)
        return ReplayAnswer(count: isDry ? count.matched : count.accepted, dryRun: isDry)
    }
    /// One event: at the endpoint named, or at each that has finished with it.
    private func replay(
        event text: String, _ request: ReplayRequest, _ isDry: Bool, _ delivery: DeliveryService<LogReaders>
    ) throws -> ReplayAnswer {
        let gone = ControlError(status: 404, code: "no_such_event", message: "there is no event `\(text)` in the log")
        guard let event = EventID(text), try self.event(id: text, reveal: false) != nil else { throw gone }
        var targets = try delivery.deliveries(of: event).filter { $0.state != .pending }
        if request.dead == true { targets.removeAll { $0.state != .dead } }
        var names = targets.map(\.endpoint)
        if let endpoint = request.endpoint { names = try self.names(endpoint, delivery) }
        guard !isDry else { return ReplayAnswer(count: names.count, dryRun: true) }
        var count = 0
        for name in names {
            switch try delivery.replay(event: event, endpoint: name) {
            case .accepted: count += 1
            case .unknownEvent: throw gone
            case .busy: throw ControlError(status: 503, code: "busy", message: "delivery takes no more now; try again")
            default: break
            }
        }
        return ReplayAnswer(count: count, dryRun: false)
    }
    private static func range(_ request: ReplayRequest) throws -> Range<UInt64>? {
        func time(_ text: String?, _ name: String) throws -> UInt64? {
            guard let text else { return nil }
            guard let time = TimeText.parse(text) else {
                throw ControlError(
                    status: 400, code: "bad_value", message: "`\(name)` takes a time such as 2026-01-31T00:00:00Z")
            }
            return time
        }
        let from = try time(request.from, "from")
        let until = try time(request.until, "until")
        if from == nil, until == nil { return nil }
        let start = from ?? 0
        return start..<max(start, until ?? .max)
    }
}

extension GatewayAccess {
    var identity: UInt64 { folder.identity.identity }
}

extension DeliveryStateFilter {
    var stored: DeliveryState {
        switch self {
        case .delivered: .delivered
        case .pending: .pending
        case .dead: .dead
        }
    }
}

extension DeliveryItem {
    init(_ record: DeliveryRecord) {
        let failure = record.result == .answered ? nil : record.result.code
        self.init(
            event: record.eventID, endpoint: record.endpoint, state: record.state.name, attempts: record.attempts,
            status: record.status, reason: record.reason?.name ?? failure,
            nextAttemptAt: record.dueMillis.map { TimeText.of(nanoseconds: UInt64(max(0, $0)) * 1_000_000) },
            source: record.event?.source, type: record.event?.type)
    }
}
