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
    /// Nobody counts further back.
    private static let countedMax: UInt64 = 1_000_000
    private static let sayEvery = 4096

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

    /// The endpoint is gone or disabled: what is left of the task has nobody to go to.
    private struct HasNoTarget: Error {}

    private static func send(
        _ order: SvixReplayOrder, to endpoint: EndpointID, _ gateway: Gateway, _ progress: BackgroundProgress
    ) throws -> Int {
        guard let target = gateway.target(endpoint), !order.times.isEmpty else { return 0 }
        let access = try gateway.accessNow()
        var filter = order.filter(of: target)
        filter.expunged = access.expunged
        filter.places = try MessageBrowser(access, tenant: target.tenant).places(of: order.times)
        var sent = 0
        do {
            return try access.delivery.replay(filter) { count in
                guard gateway.target(endpoint) != nil else { throw HasNoTarget() }
                sent = count.accepted
                try progress.say(data(sent))
            }.accepted
        } catch is HasNoTarget { return sent }
    }

    func expungeAll(application: String, _ caller: Caller) throws -> BackgroundTask {
        let tenant = try lookup(caller).application(application)
        let what = [FieldChange(field: "messages", before: "", after: "expunged")]
        try gateway.note(.delete, on: nil, of: tenant.id, what, caller)
        let (gateway, id) = (gateway, tenant.id)
        return try tasks.begin(.purge, tenant: tenant.publicID.text) { progress in
            try LiveReplayTasks.expunge(id, gateway, progress)
        }
    }
    private static func purged(_ count: Int) -> [String: JSONValue] { ["messagesPurged": .integer(Int64(count))] }

    private static func expunge(
        _ tenant: TenantID, _ gateway: Gateway, _ progress: BackgroundProgress
    ) throws -> [String: JSONValue] {
        let access = try gateway.accessNow()
        let last = access.tail.snapshot.sequence
        let before = try access.expunged.add(messagesOf: tenant, through: last)
        // They are gone; what is left is to say how many.
        let browser = MessageBrowser(access, tenant: tenant)
        let oldest = max(try browser.oldest(), before + 1)
        let first = last > countedMax ? max(oldest, last - countedMax + 1) : oldest
        let count = try browser.count(in: min(first, last + 1)..<last + 1) { count in
            if count.isMultiple(of: sayEvery) { try progress.say(purged(count)) }
        }
        var data = purged(count)
        if first > oldest { data["note"] = .text("only the newest \(countedMax) events of the log were counted") }
        return data
    }
}

extension Gateway {
    /// Nil when it is gone, or takes nothing.
    fileprivate func target(_ id: EndpointID) -> EndpointSpec? {
        registry?.state.endpoints[id].flatMap { $0.settings.disabled ? nil : $0 }
    }
}

extension SvixReplayOrder {
    fileprivate func filter(of target: EndpointSpec) -> ReplayFilter {
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
