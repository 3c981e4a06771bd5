// Whom the Svix-shaped API finds under an id or a uid, and whom it does not.
import Engine
import Server
import Testing

@Suite struct OutboundLookupTests {
    /// The tenants `default` and `acme`, which is the application `customer-1`.
    private func state() throws -> RegistryState {
        let service = RegistryService(
            store: MemoryRegistryStore(), process: ProcessSettings(), verifiers: VerifierRegistry())
        try service.open()
        _ = try service.apply(
            .edits([.createTenant(name: "acme", uid: "customer-1")]), actor: ChangeActor("tester"))
        return service.state
    }
    private func lookup(_ state: RegistryState, tenant: String? = nil) -> OutboundLookup {
        let principal = Principal(name: "key_1", role: .admin, tenant: tenant)
        return OutboundLookup(state: state, caller: Caller(principal: principal, requestID: "r"))
    }

    @Test func anApplicationIsFoundByItsIdsAndItsUid() throws {
        let state = try state()
        let acme = try #require(state.tenant(named: "acme"))
        let ids = [SvixID.text(acme.publicID, number: acme.id.number), acme.publicID.text, "customer-1"]
        for id in ids {
            #expect(try lookup(state).application(id).id == acme.id)
            #expect(try lookup(state, tenant: acme.publicID.text).application(id).id == acme.id)
        }
        let main = try #require(state.tenant(named: "default"))
        #expect(throws: SvixError.self) { try lookup(state, tenant: main.publicID.text).application("customer-1") }
    }
    @Test func theNameOfATenantOpensNoApplication() throws {
        let state = try state()
        for name in ["default", "acme"] {
            #expect(throws: SvixError.notFound("there is no application `\(name)`")) {
                try lookup(state).application(name)
            }
        }
    }
    @Test func aUidThatLeadsToAnotherTenantIsRefused() throws {
        let state = try state()
        let acme = try #require(state.tenant(named: "acme"))
        for uid in ["default", "acme", "customer-1"] {
            #expect(throws: SvixError.self, "\(uid)") { try lookup(state).needFree(uid: uid) }
        }
        for uid in ["acme", "customer-1"] { try lookup(state).needFree(uid: uid, except: acme.id) }
        for uid in [nil, "customer-2"] { try lookup(state).needFree(uid: uid) }
    }
}
