// Rejected requests of the running gateway: listed, shown, verified again.
import Engine
import FastPath
import Foundation

final class LiveRejected: RejectedQueries {
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    private func worker() throws -> (RejectedWorker, GatewayAccess) {
        let access = try gateway.accessNow()
        guard let worker = access.rejected else {
            throw ControlError(
                .notKept, "refused requests are not kept: `rejected.keep` is 0")
        }
        return (worker, access)
    }
    private func number(_ id: String) throws -> Int64 {
        guard let number = RejectedRow.number(of: id) else {
            throw ControlError(
                .badValue, "`\(id)` is not the id of a refused request, such as rej_17")
        }
        return number
    }
    /// The sources that the caller sees; nil = all.
    private func sources(_ lookup: RegistryLookup) throws -> Set<UInt32>? {
        try lookup.scope.map { Set(lookup.state.sources.numbers(of: $0)) }
    }
    private func known(_ source: String?, _ lookup: RegistryLookup) throws {
        guard let source else { return }
        let scope = try lookup.scope
        let names = scope.map { lookup.state.sources.all(of: $0).map(\.name) } ?? lookup.state.sources.all.map(\.name)
        guard !names.contains(source) else { return }
        let advice =
            NearestName.of(source, among: names).map { "did you mean `\($0)`?" }
            ?? "there is \(names.joined(separator: ", "))"
        throw ControlError(
            .noSuchSource, "there is no source `\(source)`; \(advice)")
    }

    func rejected(_ filter: RejectedFilter, _ caller: Caller) throws -> RejectedPage {
        let (worker, _) = try worker()
        var query = RejectedQuery()
        query.source = filter.source
        query.sourceNumbers = try sources(RegistryLookup(gateway, caller))
        query.before = try filter.before.map(number)
        query.limit = filter.limit
        if let text = filter.reason {
            guard let reason = SignatureRejection(rawValue: text) else {
                let names = SignatureRejection.allCases.map(\.rawValue)
                let advice =
                    NearestName.of(text, among: names).map { "did you mean `\($0)`?" }
                    ?? "it takes \(names.joined(separator: ", "))"
                throw ControlError(.badParameter, "`reason`: \(advice)")
            }
            query.reason = reason
        }
        let rows = try worker.store.list(query)
        return RejectedPage(
            rejected: rows.map { RejectedItem($0) }, next: rows.count == filter.limit ? rows.last?.id : nil)
    }
    func rejected(id: String, reveal: Bool, _ caller: Caller) throws -> RejectedDetail? {
        let (worker, _) = try worker()
        guard let row = try worker.store.row(try number(id)) else { return nil }
        let own = try sources(RegistryLookup(gateway, caller))
        if let own, !own.contains(row.request.sourceNumber) { return nil }
        if reveal {
            let tenant = try RegistryLookup(gateway, caller).state.sources[SourceID(row.request.sourceNumber)]?.tenant
            let what = [FieldChange(field: "rejected", before: "", after: id)]
            try gateway.note(.reveal, on: nil, of: tenant, what, caller)
        }
        return RejectedDetail(row, mask: reveal ? nil : CredentialMask(sources: gateway.currentConfiguration.sources))
    }
    func reverify(_ request: ReverifyRequest, _ caller: Caller) throws -> ReverifyResponse {
        let (worker, access) = try worker()
        let lookup = try RegistryLookup(gateway, caller)
        try known(request.source, lookup)
        var query = ReverifyQuery()
        query.source = request.source
        query.numbers = try (request.ids ?? []).map(number)
        query.isDry = request.dryRun ?? true
        query.sourceNumbers = try sources(lookup)
        let state = lookup.state
        if !query.isDry {
            let source = request.source.map { FieldChange(field: "source", before: "", after: $0) }
            let ids = request.ids.map {
                FieldChange(field: "ids", before: "", after: $0.count > 10 ? "\($0.count)" : $0.joined(separator: ", "))
            }
            try gateway.note(.reverify, on: nil, of: try lookup.scope, [source, ids].compactMap(\.self), caller)
        }
        let reverification = Reverification(
            store: worker.store, configuration: gateway.currentConfiguration, identify: { state.sources[$0] },
            tenantUUID: { state.tenant($0)?.publicID.uuid }
        ) { access.injector.offer(contentsOf: $0) }
        return ReverifyResponse(try reverification.run(query), dryRun: query.isDry)
    }
}
