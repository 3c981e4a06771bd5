// Deliveries made again: one, or all that a filter takes.
import Engine
import FastPath
import Foundation

final class LiveReplays: ReplayControl {
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    func retry(event: String, endpoint: String, _ caller: Caller) throws -> RetryAnswer {
        let access = try gateway.accessNow()
        let target = try RegistryLookup(gateway, caller).endpoint(endpoint)
        guard let id = access.eventID(event), let owner = try access.owner(of: id), owner.tenant == target.tenant
        else { throw ControlError.noSuchEvent(event) }
        guard !owner.isExpunged else { throw ControlError.expunged(event) }
        try access.needEnabled(target)
        let what = [FieldChange(field: "event", before: "", after: event)]
        try gateway.note(.replay, on: target, of: target.tenant, what, caller)
        switch try access.delivery.replay(event: id, endpoints: [target.id])[0] {
        case .accepted:
            return RetryAnswer(
                event: event, endpoint: Reference(id: target.publicID.text, name: target.qualifiedName))
        case .alreadyPending, .notReached:
            throw ControlError(.alreadyPending, "the delivery of `\(event)` to `\(endpoint)` is on its way already")
        case .endpointDisabled: throw ControlError.disabled(target)
        case .unknownEvent: throw ControlError.noSuchEvent(event)
        case .requestOfSeveral: throw ControlError.requestOfSeveral(event)
        case .unknownEndpoint: throw ControlError(.noSuchEndpoint, "there is no endpoint `\(endpoint)`")
        case .busy: throw ControlError(.busy, "delivery cannot take more at the moment; try again")
        }
    }

    func replay(_ order: ReplayOrder, _ caller: Caller) throws -> ReplayOutcome {
        let delivery = try gateway.accessNow().delivery
        let lookup = try RegistryLookup(gateway, caller)
        let target = try order.endpoint.map { try lookup.endpoint($0) }
        if let event = order.event {
            return try replay(event: event, order, target, scope: target?.tenant ?? lookup.scope, caller)
        }
        var filter = ReplayFilter()
        let scope = try lookup.scope
        filter.endpoints =
            target.map { [$0.id] }
            ?? lookup.state.endpoints.all.filter {
                (scope == nil || $0.tenant == scope) && $0.settings.extras.family != .operational
            }.map(\.id)
        filter.sources = order.source.map { [$0] } ?? []
        filter.types = order.type.map { [$0] } ?? []
        filter.states = Set(
            order.scopes.compactMap { $0 == .dead ? .dead : $0 == .delivered ? .delivered : nil })
        filter.received = LiveReplays.range(order)
        filter.expunged = try gateway.accessNow().expunged
        if order.scopes.contains(.missing) {
            try includeMissed(&filter, target)
            filter.filter = target.flatMap { $0.compiledFilter(lookup.sources(of: $0.tenant)) }
        }
        if !order.isDry {
            if let target { try gateway.accessNow().needEnabled(target) }
            try gateway.note(.replay, on: target, of: target?.tenant ?? scope, order.shownFields, caller)
        }
        let count = order.isDry ? try delivery.count(filter) : try delivery.replay(filter)
        var outcome = ReplayOutcome(dryRun: order.isDry)
        outcome.matched = count.matched
        outcome.accepted = count.accepted
        outcome.pending = count.alreadyPending
        outcome.missing = count.missed
        outcome.stopped = count.stopped
        outcome.eventsGone = count.eventsGone
        return outcome
    }
    /// Events that the endpoint wants now and never had, of a time that is named: one mistake must not send everything.
    private func includeMissed(_ filter: inout ReplayFilter, _ target: EndpointSpec?) throws {
        var problems: [FieldProblem] = []
        if target == nil { problems.append(FieldProblem(path: "endpoint", reason: "`missing` needs an endpoint")) }
        if filter.received == nil {
            problems.append(FieldProblem(path: "from", reason: "`missing` needs a time to begin with"))
        }
        guard problems.isEmpty, let target else { throw ControlError.invalid(problems) }
        filter.includesMissed = true
        if filter.sources.isEmpty { filter.sources = target.settings.sources }
        if filter.types.isEmpty { filter.types = target.settings.types }
        filter.channels = target.settings.channels
    }

    /// At the endpoint named, or at each that has finished with it.
    private func replay(
        event text: String, _ order: ReplayOrder, _ target: EndpointSpec?, scope: TenantID?, _ caller: Caller
    ) throws -> ReplayOutcome {
        let access = try gateway.accessNow()
        guard let event = access.eventID(text), let owner = try access.owner(of: event),
            scope == nil || scope == owner.tenant
        else { throw ControlError.noSuchEvent(text) }
        guard !owner.isRequestOfSeveral else { throw ControlError.requestOfSeveral(text) }
        guard !owner.isExpunged else { throw ControlError.expunged(text) }
        var outcome = ReplayOutcome(dryRun: order.isDry)
        let known = try access.delivery.deliveries(of: event).filter {
            target == nil || $0.row.endpoint == target?.id
        }
        outcome.pending = known.count { $0.row.state == .pending }
        var endpoints = known.map(\.row).filter {
            ($0.state == .dead && order.scopes.contains(.dead))
                || ($0.state.isFinished && order.scopes.contains(.delivered))
        }.map(\.endpoint)
        if let target, known.isEmpty, order.scopes.contains(.missing) {
            endpoints = [target.id]
            outcome.missing = 1
        }
        outcome.matched = endpoints.count
        guard !order.isDry else { return outcome }
        if let target { try access.needEnabled(target) }
        try gateway.note(.replay, on: target, of: owner.tenant, order.shownFields, caller)
        for result in try access.delivery.replay(event: event, endpoints: endpoints) {
            switch result {
            case .accepted: outcome.accepted += 1
            case .endpointDisabled: outcome.stopped += 1
            case .unknownEvent: throw ControlError.noSuchEvent(text)
            case .requestOfSeveral: throw ControlError.requestOfSeveral(text)
            case .busy: throw ControlError(.busy, "delivery cannot take more at the moment; try again")
            case .alreadyPending, .notReached, .unknownEndpoint: break
            }
        }
        return outcome
    }
    private static func range(_ order: ReplayOrder) -> Range<UInt64>? {
        let from = order.from.flatMap { TimeText.parse($0) }
        let until = order.until.flatMap { TimeText.parse($0) }
        if from == nil, until == nil { return nil }
        let start = from ?? 0
        return start..<max(start, until ?? .max)
    }
}

extension GatewayAccess {
    /// What is sent again to one that is disabled would lie there until somebody enables it, or go with it.
    func needEnabled(_ endpoint: EndpointSpec) throws {
        guard try delivery.statuses([endpoint.id]).first?.state.condition == .disabled else { return }
        throw ControlError.disabled(endpoint)
    }
}

extension ControlError {
    static func disabled(_ endpoint: EndpointSpec) -> ControlError {
        ControlError(.endpointStopped, "`\(endpoint.name)` is disabled and is sent nothing; enable it first")
    }
}

extension ControlError {
    fileprivate static func expunged(_ id: String) -> ControlError {
        ControlError(.noSuchEvent, "the content of `\(id)` was expunged, and is sent to nobody again")
    }
}

extension ReplayOrder {
    /// For the audit log.
    fileprivate var shownFields: [FieldChange] {
        let states = scopes.map(\.rawValue).sorted().joined(separator: ", ")
        return [
            ("event", event), ("source", source), ("type", type), ("from", from), ("until", until), ("states", states),
        ].compactMap { name, value in value.map { FieldChange(field: name, before: "", after: $0) } }
    }
}
