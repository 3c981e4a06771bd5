// Lanes for tests of the parts that hold them; nothing is ever sent.

import Engine
import FastPath

/// As the topology compiles it; endpoints on loopback are allowed.
func compiled(
    _ configuration: EndpointConfiguration, id: EndpointID, tenant: TenantID = .main, sources: [SourceID] = [],
    proxy: ProxySettings? = nil
) throws -> CompiledEndpoint {
    let spec = EndpointSpec(
        id: id, publicID: PublicID.make(.endpoint), tenant: tenant, origin: .manifest,
        revision: 1, createdMillis: 0, settings: configuration, sourceIDs: sources)
    return try CompiledEndpoint(spec, proxy == nil ? try testEnvironment.get() : try environment(proxy))
}
private let testEnvironment = Result { try environment(nil) }
private func environment(_ proxy: ProxySettings?) throws -> EndpointEnvironment {
    try EndpointEnvironment(
        EndpointCompilation(allow: ["127.0.0.0/8"], withheldHeaders: [], proxy: proxy), version: "test")
}

func lane(
    _ number: UInt32, tenant: TenantID = .main, change: (inout EndpointConfiguration) -> Void = { _ in }
) throws -> Lane {
    var configuration = EndpointConfiguration()
    configuration.name = "e\(number)"
    configuration.url = "http://127.0.0.1:9000/\(number)"
    change(&configuration)
    let endpoint = try compiled(configuration, id: EndpointID(number), tenant: tenant)
    return Lane(endpoint, state: EndpointState(endpoint: endpoint.id), mark: nil)
}
