// The signing secret of a tenant: rotated for whoever made the tenant, noted without the secret.
import Engine
import Testing

@Suite struct TenantSecretTests {
    @Test func aNewSecretTakesTheOldOnesPlace() throws {
        let bench = try RegistryBench()
        try bench.edit(.createTenant(name: "acme", uid: nil))
        let before = try #require(bench.service.state.tenant(named: "acme"))
        try bench.edit(.rotateSigningSecret(before.id))
        let after = try #require(bench.service.state.tenant(named: "acme"))
        let (old, new) = (try #require(before.signingSecret), try #require(after.signingSecret))
        #expect(new != old && new.hasPrefix("whsec_") && new.utf8.count >= 32)
        #expect(after.revision == before.revision + 1 && after.publicID == before.publicID)
        #expect(try bench.restart().service.state.tenant(named: "acme") == after)
        let entry = try #require(try bench.store.inner.entries(AuditQuery()).first)
        #expect(entry.action == .update && entry.resource == after.publicID.text)
        #expect(
            entry.changes == [FieldChange(field: "signing_secret", before: "1 secret", after: "1 secret")])
    }
    @Test func theDefaultTenantAndOneOfTheFileGetTheirFirstToBeKnown() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest([source("github")], [endpointSettings("a") { $0.tenant = "filed" }]))
        #expect(bench.service.state.tenant(.main)?.signingSecret == nil)
        for name in ["default", "filed"] {
            let tenant = try #require(bench.service.state.tenant(named: name))
            try bench.edit(.rotateSigningSecret(tenant.id))
            let rotated = bench.service.state.tenant(named: name)
            #expect(rotated?.signingSecret != nil && rotated?.signingSecret != tenant.signingSecret)
        }
        #expect(try bench.store.inner.entries(AuditQuery()).contains { $0.changes.first?.before == "none" })
    }
    @Test func ofATenantThatThereIsNotNothingIsRotated() throws {
        let bench = try RegistryBench()
        let refusal = bench.refusal { try bench.edit(.rotateSigningSecret(TenantID(77))) }
        #expect(refusal == .notFound(.tenant, number: 77))
    }
}
