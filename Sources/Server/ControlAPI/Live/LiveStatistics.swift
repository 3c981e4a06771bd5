// Usage of applications, counted from the delivery store and the registry of the running gateway by background tasks.
import Engine
import Foundation

final class LiveStatistics: SvixStatistics {
    private let gateway: Gateway
    private let tasks: BackgroundTasks
    private static let pageCount = 500

    init(gateway: Gateway, tasks: BackgroundTasks) {
        self.gateway = gateway
        self.tasks = tasks
    }

    func usage(_ order: SvixUsageOrder, _ caller: Caller) throws -> (task: BackgroundTask, unresolved: [String]) {
        guard let registry = gateway.registry else { throw ControlError.notRunning }
        let lookup = OutboundLookup(state: registry.state, caller: caller)
        let named = order.applications.map { refs in refs.map { ($0, try? lookup.application($0)) } }
        let unresolved = named?.filter { $0.1 == nil }.map(\.0) ?? []
        if let named, unresolved.count == named.count {
            throw SvixError.invalid(["body", "appIds"], "none of these is an application")
        }
        var seen: Set<TenantID> = []
        let wanted = named?.compactMap(\.1).filter { seen.insert($0.id).inserted }.map(\.id)
        let (gateway, times) = (gateway, order.times)
        let task = try tasks.begin(.applicationStats, tenant: nil) { progress in
            try LiveStatistics.usage(of: wanted, times, gateway, progress)
        }
        return (task, unresolved)
    }
    /// Of all applications (`wanted` nil): those that had any.
    private static func usage(
        of wanted: [TenantID]?, _ times: Range<Int64>, _ gateway: Gateway, _ progress: BackgroundProgress
    ) throws -> [String: JSONValue] {
        guard let state = gateway.registry?.state else { throw ControlError.notRunning }
        var owners: [EndpointID: TenantID] = [:]
        try each(wanted, state, progress) { tenant in
            for endpoint in state.endpoints.all(of: tenant.id) where endpoint.settings.extras.family == .registry {
                owners[endpoint.id] = tenant.id
            }
        }
        var sent: [TenantID: Int] = [:]
        if !times.isEmpty {
            let store = try gateway.accessNow().delivery.store
            let found = try store.summaries(of: Set(owners.keys), updated: times) { try progress.say([:]) }
            for (endpoint, summary) in found {
                guard let owner = owners[endpoint] else { continue }
                sent[owner, default: 0] += summary.delivered + summary.pending + summary.dead
            }
        }
        var rows: [JSONValue] = []
        for id in wanted ?? sent.keys.sorted(by: { $0.number < $1.number }) {
            guard let tenant = state.tenant(id), wanted != nil || sent[id] ?? 0 > 0 else { continue }
            rows.append([
                "appId": .text(SvixID.text(tenant.publicID, number: id.number)),
                "appUid": tenant.uid.map { .text($0) } ?? .null,
                "messageDestinations": .integer(Int64(sent[id] ?? 0)),
            ])
        }
        return ["appStats": .list(rows)]
    }

    func subscribedTypes(_ caller: Caller) throws -> BackgroundTask {
        let gateway = gateway
        return try tasks.begin(.eventTypes, tenant: nil) { progress in
            guard let state = gateway.registry?.state else { throw ControlError.notRunning }
            var rows: [JSONValue] = []
            try LiveStatistics.each(nil, state, progress) { tenant in
                let own = Array(state.endpoints.all(of: tenant.id)).filter { $0.settings.extras.family == .registry }
                guard !own.isEmpty else { return }
                let types = Set(own.flatMap(\.settings.types)).sorted()
                rows.append([
                    "appId": .text(SvixID.text(tenant.publicID, number: tenant.id.number)),
                    "explicitlySubscribedEventTypes": .list(types.map { .text($0) }),
                    "hasCatchAllEndpoint": .bool(own.contains { $0.settings.types.isEmpty }),
                ])
            }
            return ["event_types": .list(rows)]
        }
    }
    private static func each(
        _ wanted: [TenantID]?, _ state: RegistryState, _ progress: BackgroundProgress, _ visit: (TenantSpec) -> Void
    ) throws {
        if let wanted {
            wanted.compactMap { state.tenant($0) }.forEach(visit)
            return
        }
        var after: UInt32 = 0
        while true {
            let page = state.tenants(after: after, limit: pageCount)
            page.forEach(visit)
            guard let last = page.last else { return }
            after = last.id.number
            try progress.say([:])
        }
    }
}
