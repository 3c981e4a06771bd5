// The keys of the running gateway, as the control API signs callers in.
import Engine

final class LiveSignIn: SignInService {
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    func signIn(token: String) throws -> SignInAnswer {
        guard let ring = gateway.keys, let state = gateway.registry?.state else { throw ControlError.notRunning }
        switch ring.verdict(on: token) {
        case .unknown: return .unknown
        case .expired: return .expired
        case .key(let key):
            guard let id = key.tenant else {
                return .caller(Principal(name: key.publicID.text, role: key.role, tenant: nil))
            }
            // A tenant that went between the two takes its keys with it.
            guard let tenant = state.tenant(id) else { return .unknown }
            return .caller(Principal(name: key.publicID.text, role: key.role, tenant: tenant.publicID.text))
        }
    }
    func tenant(_ ref: String) throws -> String? {
        guard let state = gateway.registry?.state else { throw ControlError.notRunning }
        let id = PublicID(ref, prefix: .tenant) ?? PublicID(uuid: ref, prefix: .tenant)
        let found = id.flatMap { state.tenant(publicID: $0) } ?? state.tenant(uid: ref) ?? state.tenant(named: ref)
        return found?.publicID.text
    }
}
