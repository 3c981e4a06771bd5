// Streams of the running gateway's log and deliveries: who may open one, where it begins, and how long its key lasts.
import Engine
import FastPath

final class LiveStreams: EventStreaming {
    private let gateway: Gateway
    private let signIn: LiveSignIn
    private let hub = StreamHub()

    init(gateway: Gateway, signIn: LiveSignIn) {
        self.gateway = gateway
        self.signIn = signIn
    }

    func open(_ order: StreamOrder, _ caller: Caller) throws -> StreamPlace {
        let access = try gateway.accessNow()
        guard gateway.isServing else { throw ControlError.notRunning }
        let lookup = try RegistryLookup(gateway, caller)
        let scope = try lookup.scope
        var filter = StreamFilter()
        filter.kinds = order.kinds
        filter.types = order.types.map { TypePattern($0) }
        if let source = order.source { try ask(for: source, &filter, lookup, access) }
        filter.endpoint = try order.endpoint.map { try lookup.endpoint($0).id }
        let end = access.tail.snapshot.sequence
        let after = try order.after.map { try EventBrowser(access, tenant: scope).sequence(of: $0) } ?? end
        let token = order.token
        let seat = StreamSeat(
            reader: StreamReader(), filter: filter, tenant: scope, after: after,
            isAllowed: { [self] in isAllowed(token, in: scope) }, hangUp: order.hangUp)
        return try hub.open(seat, in: world(access))
    }
    /// Of what came over the contract edge, in its words.
    func openContract(
        _ tenant: TenantSpec, after: UInt64, heartbeatNanos: UInt64, isAllowed: @escaping @Sendable () -> Bool,
        hangUp: @escaping @Sendable () -> Void
    ) throws -> StreamPlace {
        let access = try gateway.accessNow()
        guard gateway.isServing else { throw ControlError.notRunning }
        var filter = StreamFilter()
        filter.kinds = [.event, .delivery]
        filter.isOfContract = true
        var seat = StreamSeat(
            reader: StreamReader(), filter: filter, tenant: tenant.id, after: after, isAllowed: isAllowed,
            hangUp: hangUp)
        seat.form = .contract(tenant: tenant.publicID.uuid, heartbeatNanos: heartbeatNanos)
        return try hub.open(seat, in: world(access))
    }
    /// By id, uid or name. Events have the name, and it is compared; with its tenant, where one tenant's was named.
    private func ask(
        for ref: String, _ filter: inout StreamFilter, _ lookup: RegistryLookup, _ access: GatewayAccess
    ) throws {
        filter.source = Array(ref.utf8)
        guard !PublishSource.all.contains(ref) else { return }
        do {
            let source = try lookup.source(ref)
            filter.source = Array(source.name.utf8)
            if ref != source.name { filter.tenant = source.tenant }
        } catch {
            // One that was removed still has its events, as in their listing; else it is a typing mistake.
            var (tenant, name) = (try lookup.scope, ref)
            if let slash = ref.firstIndex(of: "/"), let owner = lookup.state.tenant(named: String(ref[..<slash])),
                tenant == nil || tenant == owner.id
            {
                (tenant, name) = (owner.id, String(ref[ref.index(after: slash)...]))
                filter.tenant = owner.id
            }
            var search = EventSearch()
            (search.source, search.limit) = (name, 1)
            let found = try EventBrowser(access, tenant: tenant).search(search)
            if found.items.isEmpty, found.next == nil { throw error }
            filter.source = Array(name.utf8)
        }
    }
    /// The key may still read what the stream shows.
    private func isAllowed(_ token: String, in scope: TenantID?) -> Bool {
        guard let state = gateway.registry?.state, case .caller(let principal)? = try? signIn.current(token: token),
            (try? principal.require(AccessTable.access(to: "streamEvents"))) != nil
        else { return false }
        guard let scope else { return principal.tenant == nil }
        guard let tenant = state.tenant(scope) else { return false }
        return principal.tenant == nil || principal.tenant == tenant.publicID.text
    }
    private func world(_ access: GatewayAccess) -> StreamWorld {
        StreamWorld(
            folder: access.folder, tail: access.tail, feed: access.stream, makeReaders: access.delivery.makeReader,
            endpoint: { [gateway] id in
                let spec = gateway.registry?.state.endpoints[id]
                return Reference(id: spec?.publicID.text ?? "", name: spec?.qualifiedName ?? "removed endpoint \(id)")
            },
            isContractEntry: { [gateway] id in
                gateway.registry?.state.endpoints[id]?.settings.extras.family == .contract
            },
            isServing: { [gateway] in gateway.isServing },
            stored: { [store = access.delivery.store] key in
                (try? store.rows(sequence: key.sequence))?.first { $0.endpoint == key.endpoint }
            })
    }
    /// Of a gateway that stops.
    func awaitEnd() { hub.awaitEnd(withinMillis: 500) }

    var families: [MetricFamily] {
        let figures = hub.figures
        var dropped = MetricFamily(
            "sluice_stream_dropped_total", .counter, help: "Streams of events that the gateway has ended, by reason.")
        for reason in StreamEnd.allCases {
            dropped.add([MetricLabel("reason", reason.rawValue)], Double(figures.ended[reason] ?? 0))
        }
        return [
            MetricFamily(
                "sluice_stream_readers", .gauge, help: "Streams of events that are open.",
                value: Double(figures.readerCount)),
            dropped,
            MetricFamily(
                "sluice_stream_lost_outcomes_total", .counter,
                help: "Outcomes that no stream was told: more happened at once than is kept.",
                value: Double(figures.lostOutcomes)),
        ]
    }
}
