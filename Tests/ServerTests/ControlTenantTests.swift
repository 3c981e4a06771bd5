// Tenants and keys over a real socket: the form of each call, and what is shown once.
import Foundation
import Server
import Synchronization
import Testing

@Suite struct ControlTenantTests {
    @Test func aTenantIsMadeWithASecretThatIsShownOnce() async throws {
        try await ControlServer.run { server in
            let made = try await server.change("POST", "/api/v1/tenants", #"{"name":"acme","uid":"c7"}"#)
            #expect(made.status == 201 && made.text("signing_secret") == "whsec_secret")
            #expect(made.text("tenant_id") == "00000000-0000-4000-8000-000000000009")
            #expect(made.field("Location") == "/api/v1/tenants/app_9")
            let shown = try await server.get("/api/v1/tenants/default")
            #expect(shown.status == 200 && shown.member("signing_secret") == nil)
            #expect(server.gateway.calls == ["create tenant acme c7"])
        }
    }
    @Test func aRotatedSecretIsInTheAnswerThatMadeIt() async throws {
        try await ControlServer.run { server in
            let rotated = try await server.change("POST", "/api/v1/tenants/acme/rotate-secret")
            #expect(rotated.status == 200 && rotated.text("signing_secret") == "whsec_other")
            #expect(try await server.change("POST", "/api/v1/tenants/acme/rotate-secret", "{}").status == 400)
            #expect(server.gateway.calls == ["rotate secret of acme"])
        }
    }
    @Test func aTenantIsNamedByTheBodyAndNothingElse() async throws {
        try await ControlServer.run { server in
            for body in ["", "[]", "{}", #"{"name":7}"#, #"{"name":"a","nam":"b"}"#, #"{"name":"a","uid":[]}"#] {
                let answer = try await server.change("POST", "/api/v1/tenants", body)
                #expect([400, 422].contains(answer.status), "\(body)")
            }
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func aPatchTellsAbsentFromNull() async throws {
        try await ControlServer.run { server in
            _ = try await server.change("PATCH", "/api/v1/tenants/acme", #"{"name":"apex"}"#)
            _ = try await server.change("PATCH", "/api/v1/tenants/acme", #"{"uid":null}"#)
            _ = try await server.change("PATCH", "/api/v1/tenants/acme", #"{"uid":"u"}"#)
            #expect(
                server.gateway.calls == [
                    "update tenant acme apex -", "update tenant acme - none", "update tenant acme - u",
                ])
            #expect(try await server.change("PATCH", "/api/v1/tenants/acme", #"{"id":"x"}"#).status == 422)
        }
    }
    @Test func putMakesOrChangesByUID() async throws {
        try await ControlServer.run { server in
            #expect(try await server.change("PUT", "/api/v1/tenants/new", #"{"name":"a"}"#).status == 201)
            #expect(try await server.change("PUT", "/api/v1/tenants/old", #"{"name":"a","uid":"old"}"#).status == 200)
            let other = try await server.change("PUT", "/api/v1/tenants/old", #"{"name":"a","uid":"x"}"#)
            #expect(other.status == 422 && other.body.contains("\"path\":\"uid\""))
        }
    }
    @Test func aTenantGoesWithItsResourcesOnlyWhenAsked() async throws {
        try await ControlServer.run { server in
            #expect(try await server.change("DELETE", "/api/v1/tenants/acme").status == 204)
            #expect(try await server.change("DELETE", "/api/v1/tenants/acme?with_resources=true").status == 204)
            #expect(server.gateway.calls == ["delete tenant acme false", "delete tenant acme true"])
            server.gateway.refusal.withLock { $0 = ControlError(.tenantInUse, "has 1 sources") }
            let refused = try await server.change("DELETE", "/api/v1/tenants/acme")
            #expect(refused.status == 409 && refused.text("code") == "tenant_in_use")
        }
    }
    @Test func aKeysTokenIsInTheAnswerThatMadeIt() async throws {
        try await ControlServer.run { server in
            let order = #"{"tenant_id":"acme","role":"viewer","name":"ci","expires_at":"2030-01-01T00:00:00Z"}"#
            let made = try await server.change("POST", "/api/v1/keys", order)
            #expect(made.status == 201 && made.text("token") == "sluice_token" && made.text("key_id") == "key_1")
            #expect(made.field("Location") == "/api/v1/keys/key_1" && made.field("Cache-Control") == "no-store")
            #expect(try await server.get("/api/v1/keys/key_1").member("token") == nil)
            #expect(try await server.change("DELETE", "/api/v1/keys/key_1").status == 204)
            #expect(
                server.gateway.calls == [
                    "create key viewer acme 2030-01-01T00:00:00Z", "key key_1", "revoke key_1",
                ])
        }
    }
    @Test func anOddRoleIsRefusedByName() async throws {
        try await ControlServer.run { server in
            let answer = try await server.change("POST", "/api/v1/keys", #"{"tenant_id":"acme","role":"emperor"}"#)
            #expect(answer.status == 422 && answer.body.contains("\"path\":\"role\""))
            #expect(try await server.change("POST", "/api/v1/keys", #"{"tenant_id":"acme"}"#).status == 422)
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func keysArePagedWithACursor() async throws {
        try await ControlServer.run { server in
            var ids: [JSONValue] = []
            var target: String? = "/api/v1/keys?tenant=acme&limit=1"
            while let next = target {
                let page = try await server.get(next)
                ids += page.items()
                target = page.text("next").map { "/api/v1/keys?tenant=acme&limit=1&cursor=\($0)" }
            }
            #expect(ids.count == 3)
            let stranger = try await server.get("/api/v1/tenants").text("next") ?? "dC4x"
            #expect(try await server.get("/api/v1/keys?cursor=\(stranger)").text("code") == "bad_cursor")
        }
    }
}
