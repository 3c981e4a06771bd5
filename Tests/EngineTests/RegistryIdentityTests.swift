// Which resource of a manifest is which of the registry: over reloads, renames, restarts, removals and what the API
// does beside it.
import Engine
import FastPath
import Synchronization
import Testing

@Suite struct RegistryIdentityTests {
    @Test func numbersArePublicAndNeverGivenTwice() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest([source("github")], [endpointSettings("a"), endpointSettings("b")]))
        let (a, b) = (try bench.endpoint("a"), try bench.endpoint("b"))
        #expect(a.id == EndpointID(1) && b.id == EndpointID(2) && a.publicID != b.publicID)
        #expect(PublicID(a.publicID.text, prefix: .endpoint) != nil)
        try bench.edit(.createEndpoint(endpointSettings("c")))
        try bench.edit(.deleteEndpoint(try bench.endpoint("c").id))
        try bench.edit(.createEndpoint(endpointSettings("c")))
        #expect(try bench.endpoint("c").id == EndpointID(4))
        let next = try bench.restart()
        try next.edit(.createEndpoint(endpointSettings("d")))
        #expect(try next.endpoint("d").id == EndpointID(5))
    }

    @Test func aChangeKeepsTheIdentityAndRaisesTheRevision() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest([source("github")], [endpointSettings("a")]))
        let before = try bench.endpoint("a")
        try bench.apply(manifest([source("github")], [endpointSettings("a") { $0.types = ["push"] }]))
        let after = try bench.endpoint("a")
        #expect(after.id == before.id && after.publicID == before.publicID && after.revision == before.revision + 1)
    }

    @Test func aUIDCarriesTheIdentityOverARename() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest([source("github")], [endpointSettings("a") { $0.uid = "u" }, endpointSettings("b")]))
        let (a, b) = (try bench.endpoint("a"), try bench.endpoint("b"))
        // The two exchange their names as well.
        try bench.apply(manifest([source("github")], [endpointSettings("b") { $0.uid = "u" }, endpointSettings("a")]))
        #expect(try bench.endpoint("b").id == a.id)
        #expect(try bench.endpoint("a").id != a.id)
        #expect(try bench.endpoint("a").id != b.id, "a name without a uid is another endpoint")
    }

    @Test func aUIDMayBeAddedToAnEndpointThatHasNone() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest([source("github")], [endpointSettings("a")]))
        let before = try bench.endpoint("a")
        try bench.apply(manifest([source("github")], [endpointSettings("a") { $0.uid = "u" }]))
        #expect(try bench.endpoint("a").id == before.id)
        try bench.apply(manifest([source("github")], [endpointSettings("a") { $0.uid = "other" }]))
        #expect(try bench.endpoint("a").id != before.id)
    }

    @Test func whatTheManifestDropsComesBackAsItself() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest([source("github")], [endpointSettings("a"), endpointSettings("b")]))
        let a = try bench.endpoint("a")
        try bench.apply(manifest([source("github")], [endpointSettings("b")]))
        #expect(bench.service.state.endpoints[a.id] == nil)
        try bench.apply(manifest([source("github")], [endpointSettings("a"), endpointSettings("b")]))
        let back = try bench.endpoint("a")
        #expect(back.id == a.id && back.publicID == a.publicID && back.revision > a.revision)
        try bench.apply(manifest([source("github")], [endpointSettings("b")]))
        let next = try bench.restart()
        try next.apply(manifest([source("github")], [endpointSettings("a"), endpointSettings("b")]))
        #expect(try next.endpoint("a").id == a.id)
    }

    @Test func whatWasDeletedThroughTheAPIComesBackAsAnother() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest())
        try bench.edit(.createEndpoint(endpointSettings("a")))
        let first = try bench.endpoint("a")
        try bench.edit(.deleteEndpoint(first.id))
        try bench.apply(manifest([source("github")], [endpointSettings("a")]))
        let second = try bench.endpoint("a")
        #expect(second.id != first.id && second.publicID != first.publicID && second.origin == .manifest)
    }

    @Test func theAPITakesADroppedNameForAnotherEndpoint() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest([source("github")], [endpointSettings("a")]))
        let old = try bench.endpoint("a")
        try bench.apply(manifest())
        try bench.edit(.createEndpoint(endpointSettings("a")))
        #expect(try bench.endpoint("a").id != old.id)
        try bench.edit(.deleteEndpoint(try bench.endpoint("a").id))
        try bench.apply(manifest([source("github")], [endpointSettings("a")]))
        #expect(try bench.endpoint("a").id != old.id, "its identity was given up")
    }

    @Test func aRestartKeepsIdentityAndRevisionOfWhatDidNotChange() throws {
        let bench = try RegistryBench()
        let file = manifest([source("github")], [endpointSettings("a"), endpointSettings("b")])
        try bench.apply(file)
        try bench.edit(.createEndpoint(endpointSettings("made") { $0.secrets = ["c2VjcmV0"] }))
        let before = try ["a", "b", "made"].map { try bench.endpoint($0) }
        let next = try bench.restart()
        let report = try next.apply(file)
        #expect(report.diff.isEmpty, "\(report.diff)")
        #expect(try ["a", "b", "made"].map { try next.endpoint($0) } == before)
        #expect(next.participant.notes.withLock { $0.endpoints } == [["a", "b", "made"]])
    }

    @Test func aRestartSeesWhatTheFileChangedMeanwhile() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest([source("github")], [endpointSettings("a"), endpointSettings("b")]))
        let a = try bench.endpoint("a")
        let next = try bench.restart()
        let report = try next.apply(
            manifest([source("github")], [endpointSettings("a") { $0.concurrency = 3 }, endpointSettings("c")]))
        #expect(
            report.diff.description
                == "1 endpoint added: c; 1 endpoint changed: a; 1 endpoint removed: b")
        #expect(try next.endpoint("a").id == a.id && next.endpoint("a").revision == a.revision + 1)
    }

    @Test func deliveryIsToldWhatIsNewWhatRestsAndWhatIsGone() throws {
        let bench = try RegistryBench()
        let one = [source("github")]
        try bench.apply(manifest(one, [endpointSettings("a"), endpointSettings("b")]))
        try bench.apply(manifest(one, [endpointSettings("a")]))
        try bench.apply(manifest(one, [endpointSettings("a"), endpointSettings("b"), endpointSettings("c")]))
        let notes = bench.participant.notes.withLock { $0 }
        #expect(notes.added == [[EndpointID(1), EndpointID(2)], [], [EndpointID(3)]])
        #expect(notes.removed == [[], [EndpointID(2)], []] && notes.deleted == [[], [], []])
        let next = try bench.restart()
        try next.apply(manifest(one, [endpointSettings("a"), endpointSettings("c")]))
        try next.edit(.createEndpoint(endpointSettings("b")))
        try next.edit(.deleteEndpoint(try next.endpoint("b").id))
        let later = next.participant.notes.withLock { $0 }
        #expect(later.added == [[], [EndpointID(4)], []])
        #expect(later.removed == [[EndpointID(2)], [], [EndpointID(4)]])
        #expect(later.deleted == [[], [EndpointID(2)], [EndpointID(4)]])
    }

    @Test func tenantsAreMadeWhenTheyAreNamedAndNamesAreTheirOwn() throws {
        let bench = try RegistryBench()
        #expect(bench.service.state.tenants.map(\.name) == ["default"])
        #expect(bench.service.state.tenants.map(\.id) == [.main])
        try bench.apply(
            manifest(
                [source("github"), source("github") { $0.tenant = "acme" }],
                [
                    endpointSettings("a") { $0.sources = ["github"] },
                    endpointSettings("a") {
                        $0.tenant = "acme"
                        $0.sources = ["github"]
                    },
                ]))
        let own = try bench.sourceSpec("github")
        let theirs = try bench.sourceSpec("github", tenant: "acme")
        #expect(own.settings.pathInForce == "/in/github" && theirs.settings.pathInForce == "/in/acme/github")
        #expect(try bench.endpoint("a").sourceIDs == [own.id])
        #expect(try bench.endpoint("a", tenant: "acme").sourceIDs == [theirs.id])
    }

    @Test func aRenamedTenantKeepsThePathsOfItsSources() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest())
        try bench.edit(
            .createTenant(name: "acme", uid: nil), .createSource(source("hooks") { $0.tenant = "acme" }),
            .createEndpoint(endpointSettings("a") { $0.tenant = "acme" }))
        let tenant = try #require(bench.service.state.tenant(named: "acme"))
        try bench.edit(.updateTenant(tenant.id, name: "apex", uid: nil))
        let hooks = try bench.sourceSpec("hooks", tenant: "apex")
        #expect(hooks.settings.pathInForce == "/in/acme/hooks" && hooks.settings.tenant == "apex")
        #expect(bench.service.state.source(path: "/in/acme/hooks")?.id == hooks.id)
        #expect(try bench.endpoint("a", tenant: "apex").tenant == tenant.id)
        try bench.edit(.deleteTenant(tenant.id))
        #expect(bench.service.state.endpoints.count == 0 && bench.service.state.sources.count == 1)
    }

    @Test func aRenamedSourceIsRenamedWhereItIsNamed() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest())
        try bench.edit(
            .createSource(source("hooks")), .createEndpoint(endpointSettings("a") { $0.sources = ["hooks"] }))
        let hooks = try bench.sourceSpec("hooks")
        try bench.edit(.updateSource(hooks.id) { $0.name = "events" })
        #expect(try bench.endpoint("a").settings.sources == ["events"])
        #expect(try bench.endpoint("a").sourceIDs == [hooks.id])
        let issues = bench.issues { try bench.edit(.deleteSource(hooks.id)) }
        #expect(issues.first?.reason.contains("is named by endpoint \"a\"") == true)
    }
}
