// Background tasks over the messages of an application in the running gateway: sent again through the delivery's own
// replay, with its pace; expunged.
//
// Invariant: a task begins where its time does in the log, and reads no more of it than that time has.
import Engine
import FastPath
import Foundation

final class LiveReplayTasks: SvixReplays {
    private let gateway: Gateway
    let tasks: BackgroundTasks
    private static let lookEveryNanos: UInt64 = 250_000_000

    init(gateway: Gateway, tasks: BackgroundTasks) {
        self.gateway = gateway
        self.tasks = tasks
    }
    private func lookup(_ caller: Caller) throws -> OutboundLookup {
        guard let registry = gateway.registry else { throw ControlError.notRunning }
        return OutboundLookup(state: registry.state, caller: caller)
    }

    func replay(
        _ order: SvixReplayOrder, endpoint: String, application: String, _ caller: Caller
    ) throws -> BackgroundTask {
        let lookup = try lookup(caller)
        let tenant = try lookup.application(application)
        let target = try lookup.endpoint(application, endpoint)
        try gateway.note(.replay, on: target, of: tenant.id, order.shownFields, caller)
        return try tasks.begin(order.task, tenant: tenant.publicID.text) { [gateway] progress in
            let sent = try LiveReplayTasks.send(order, to: target.id, gateway, progress)
            return LiveReplayTasks.data(sent)
        }
    }
    private static func data(_ sent: Int) -> [String: JSONValue] { ["messagesSent": .integer(Int64(sent))] }

    /// The endpoint is gone or disabled, by its settings or since: what is left of the task has nobody to go to.
    private struct HasNoTarget: Error {}

    private static func send(
        _ order: SvixReplayOrder, to endpoint: EndpointID, _ gateway: Gateway, _ progress: BackgroundProgress
    ) throws -> Int {
        let access = try gateway.accessNow()
        guard let target = try gateway.target(endpoint, access), !order.times.isEmpty else { return 0 }
        var filter = order.filter(of: target)
        if filter.includesMissed {
            let sources = gateway.registry?.state.sources.all(of: target.tenant).map(\.settings) ?? []
            filter.filter = target.compiledFilter(sources)
        }
        filter.expunged = access.expunged
        filter.places = try MessageBrowser(access, tenant: target.tenant).places(of: order.times)
        var sent = 0
        var looked = ProcessResources.monotonicNanos
        do {
            return try access.delivery.replay(filter) { count in
                let now = ProcessResources.monotonicNanos
                if now - looked >= lookEveryNanos {
                    looked = now
                    guard try gateway.target(endpoint, access) != nil else { throw HasNoTarget() }
                }
                sent = count.accepted
                try progress.say(data(sent))
            }.accepted
        } catch is HasNoTarget { return sent }
    }

    func expungeAll(application: String, _ caller: Caller) throws -> BackgroundTask {
        let tenant = try lookup(caller).application(application)
        let what = [FieldChange(field: "messages", before: "", after: "expunged")]
        let access = try gateway.accessNow()
        let (gateway, id, last) = (gateway, tenant.id, access.tail.snapshot.sequence)
        return try tasks.begin(
            .purge, tenant: tenant.publicID.text,
            after: {
                try gateway.note(.delete, on: nil, of: id, what, caller)
                // They are gone with the answer, and none that comes after it is; what is left is to overwrite them.
                do { return try access.expunged.add(messagesOf: id, through: last) } catch {
                    throw ControlError(
                        .storeUnavailable,
                        "nothing was expunged: the data folder cannot be written at the moment; try again")
                }
            },
            { before in
                { progress in
                    try LiveReplayTasks.erase(of: id, behind: before, through: last, gateway, progress)
                }
            })
    }
    private static func purged(_ count: Int) -> [String: JSONValue] { ["messagesPurged": .integer(Int64(count))] }

    private static func erase(
        of tenant: TenantID, behind before: UInt64, through last: UInt64, _ gateway: Gateway,
        _ progress: BackgroundProgress
    ) throws -> [String: JSONValue] {
        var count = 0
        do {
            try gateway.accessNow().eraser.eraseMessages(of: tenant, through: last, countedBehind: before) { found in
                count = found
                try progress.say(purged(found))
            }
        } catch let failure as PayloadEraser.Failure { throw ControlError.notErased(failure) }
        return purged(count)
    }
}

extension Gateway {
    /// Nil when it is gone, or takes nothing: by its settings, by hand, by an answer of 410.
    func target(_ id: EndpointID, _ access: GatewayAccess) throws -> EndpointSpec? {
        guard let found = registry?.state.endpoints[id], !found.settings.disabled,
            let status = try access.delivery.statuses([id]).first, status.state.condition != .disabled
        else { return nil }
        return found
    }
}

extension SvixReplayOrder {
    package func filter(of target: EndpointSpec) -> ReplayFilter {
        var filter = ReplayFilter()
        filter.endpoints = [target.id]
        filter.isOfMessages = true
        filter.received = times
        switch kind {
        case .recover:
            filter.states = [.pending, .dead]
            filter.isManual = true
        case .missing:
            filter.states = []
            filter.includesMissed = true
            filter.sources = target.settings.sources
            filter.types = target.settings.types
            filter.channels = target.settings.channels
        case .bulk:
            filter.isManual = true
            filter.types = eventTypes
            filter.channels = channel.map { [$0] } ?? []
            filter.tag = tag
            filter.statusClass = statusClass
            filter.states = states
        }
        return filter
    }
    private var states: Set<DeliveryState> {
        switch status.map({ SvixStatus(rawValue: $0) }) {
        case nil: [.delivered, .dead]
        case .success??: [.delivered]
        case .fail??: [.dead]
        case .sending??: [.pending]
        case .pending??, .some(nil): []
        }
    }
    /// For the audit log.
    fileprivate var shownFields: [FieldChange] {
        let fields: [(String, String?)] = [
            ("task", task.rawValue), ("from", TimeText.of(nanoseconds: times.lowerBound)),
            ("until", TimeText.of(nanoseconds: times.upperBound)),
            ("type", eventTypes.isEmpty ? nil : eventTypes.prefix(10).joined(separator: ", ")), ("channel", channel),
            ("tag", tag), ("status", status.map(String.init)), ("status_class", statusClass.map(String.init)),
        ]
        return fields.compactMap { name, value in value.map { FieldChange(field: name, before: "", after: $0) } }
    }
}
