// The keys of the secrets of the gateway that only remembers what it was asked.
import Server

extension FakeGateway: SecretControl {
    func secrets(_ caller: Caller) throws -> SecretsResource {
        try note("secrets", caller)
        return SecretsResource(
            masterKey: "00112233aabbccdd", keptIn: .dataFolder, since: "2026-01-01T00:00:00.000Z", dataKeys: 3)
    }
    func rewrap(_ order: RewrapOrder, _ caller: Caller) throws -> RewrapResource {
        try note("rewrap \(order.dataKeys.map { "\($0)" } ?? "-")", caller)
        return RewrapResource(
            previousMasterKey: "00112233aabbccdd", masterKey: "ddccbbaa33221100", dataKeys: 3,
            values: order.dataKeys == true ? 9 : 0, clean: true)
    }
}
