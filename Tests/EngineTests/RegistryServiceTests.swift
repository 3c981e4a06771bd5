// The one way for every change: refused whole or made whole, durable before it is published, and as dear as what
// changes.
import Engine
import FastPath
import Synchronization
import Testing

@Suite struct RegistryServiceTests {
    @Test func everyMistakeIsReportedAndNothingChanges() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest([source("github")], [endpointSettings("a")]))
        bench.participant.clear()
        let issues = bench.issues {
            try bench.apply(
                manifest(
                    [source("git hub"), source("b") { $0.secrets = [] }],
                    [
                        endpointSettings("a") { $0.url = "ftp://h/" },
                        endpointSettings("a") { $0.sources = ["nobody"] },
                    ]))
        }
        let paths = Set(issues.map(\.path.description))
        #expect(
            paths == [
                "sources[0].name", "sources[1].secrets", "endpoints[0].url", "endpoints[1].name",
                "endpoints[1].sources[0]",
            ])
        #expect(bench.participant.notes.withLock { $0.steps.isEmpty })
        #expect(try bench.endpoint("a").revision == 1 && bench.service.state.sources.count == 1)
        #expect(bench.store.commits.withLock { $0 } == 1)
    }

    @Test func preparesThenCommitsThenPublishes() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest())
        #expect(bench.participant.notes.withLock { $0.steps } == ["prepare", "secure", "publish"])
        bench.participant.clear()
        try bench.apply(manifest([source("github"), source("b")]), dryRun: true)
        #expect(bench.participant.notes.withLock { $0.steps } == ["prepare"])
        #expect(bench.service.state.sources.count == 1)
    }

    @Test func aPartThatRefusesLeavesEverythingAsItWas() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest())
        let other = RecordingParticipant()
        bench.service.add(other)
        bench.participant.clear()
        other.notes.withLock { $0.refusal = ValidationIssues(FieldPath("endpoints"), "no room") }
        let change = manifest([source("github")], [endpointSettings("a")])
        #expect(bench.issues { try bench.apply(change) }.map(\.description) == ["endpoints: no room"])
        other.notes.withLock {
            $0.refusal = nil
            $0.failsToSecure = true
        }
        #expect(bench.refusal { try bench.apply(change) }?.code == "store_failed")
        other.notes.withLock { $0.failsToSecure = false }
        bench.store.fails.withLock { $0 = true }
        #expect(bench.refusal { try bench.apply(change) }?.code == "store_failed")
        #expect(!bench.participant.notes.withLock { $0.steps.contains("publish") })
        #expect(bench.service.state.endpoints.count == 0)
        bench.store.fails.withLock { $0 = false }
        try bench.apply(change)
        #expect(try bench.endpoint("a").id == EndpointID(1), "what was refused has used no number")
    }

    @Test func aSourceThatDoesNotCompileIsRefusedAtItsField() throws {
        let bench = try RegistryBench()
        let bad = manifest([source("a"), source("b") { $0.provider = "githb" }])
        #expect(bench.issues { try bench.apply(bad) }.map(\.path.description) == ["sources[1].provider"])
        #expect(RegistryValidation.issues(of: bad) == bench.issues { try bench.apply(bad) })
    }

    @Test func sourcesThatDidNotChangeAreNotCompiledAgain() throws {
        let bench = try RegistryBench()
        let sources = (0..<20).map { source("s\($0)") }
        try bench.apply(manifest(sources))
        try bench.apply(manifest(sources + [source("new")]))
        try bench.apply(manifest(sources + [source("new")], [endpointSettings("a")]))
        try bench.apply(manifest(sources) { $0.live.dedupWindowSeconds = 60 })
        #expect(bench.participant.notes.withLock { $0.compiledSources } == [20, 1, nil, 20])
    }

    @Test func headersThatCarryASecretAreWithheldFromAllEndpoints() throws {
        let bench = try RegistryBench()
        let endpoints = [endpointSettings("a"), endpointSettings("b")]
        try bench.apply(manifest([source("github")], endpoints))
        try bench.apply(manifest([source("github"), source("gitlab") { $0.provider = "gitlab" }], endpoints))
        let notes = bench.participant.notes.withLock { $0 }
        #expect(notes.withheld == [[], ["x-gitlab-token"]])
        #expect(notes.endpoints == [["a", "b"], ["a", "b"]], "what they are compiled with has changed")
    }

    @Test func whatTheManifestMadeIsTheManifestsToChange() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest([source("github")], [endpointSettings("a")]))
        let a = try bench.endpoint("a")
        #expect(
            bench.refusal { try bench.edit(.updateEndpoint(a.id) { $0.disabled = true }) }?.code
                == "managed_by_manifest")
        #expect(bench.refusal { try bench.edit(.deleteEndpoint(a.id)) }?.code == "managed_by_manifest")
        let github = try bench.sourceSpec("github")
        #expect(bench.refusal { try bench.edit(.deleteSource(github.id)) }?.code == "managed_by_manifest")
        #expect(bench.refusal { try bench.edit(.deleteEndpoint(EndpointID(99))) } == .notFound(.endpoint, number: 99))
        #expect(
            bench.issues { try bench.edit(.createEndpoint(endpointSettings("a"))) }.map(\.path)
                == [FieldPath("name")])
    }

    @Test func whatTheAPIMadeIsTheAPIsToChange() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest())
        try bench.edit(.createEndpoint(endpointSettings("made") { $0.uid = "u" }), .createSource(source("hooks")))
        let issues = bench.issues {
            try bench.apply(
                manifest(
                    [source("github"), source("hooks"), source("x") { $0.path = "/in/hooks" }],
                    [endpointSettings("made"), endpointSettings("other") { $0.uid = "u" }]))
        }
        #expect(
            Set(issues.map(\.path.description)) == [
                "sources[1].name", "sources[2].path", "endpoints[0].name", "endpoints[1].uid",
            ])
        try bench.apply(manifest([source("github"), source("second")]))
        #expect(try bench.endpoint("made").origin == .api, "a manifest leaves it alone")
    }

    @Test func publicationsAndSourcesOfTheAPIShareNoPath() throws {
        let bench = try RegistryBench()
        func takingPublications() -> GatewayConfiguration {
            manifest([source("github")]) { $0.live.takesPublications = true }
        }
        try bench.apply(manifest())
        try bench.edit(.createSource(source("hooks") { $0.path = "/api/v1/events" }))
        let before = bench.issues { try bench.apply(takingPublications()) }
        #expect(before.map(\.path) == [FieldPath("publish")] && before.first?.reason.contains("hooks") == true)
        try bench.edit(.deleteSource(bench.sourceSpec("hooks").id))
        try bench.apply(takingPublications())
        let after = bench.issues {
            try bench.edit(.createSource(source("more") { $0.path = "/api/v1/app/a/msg" }))
        }
        #expect(after.map(\.path) == [FieldPath("path")])
    }

    @Test func anEndpointWhoseSourceIsGoneNeverWantsAllOfThem() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest([source("github"), source("other")]))
        try bench.edit(.createEndpoint(endpointSettings("made") { $0.sources = ["other"] }))
        let other = try bench.sourceSpec("other")
        let report = try bench.apply(manifest([source("github")]))
        #expect(report.warnings.count == 1 && report.warnings[0].contains("\"made\" names source \"other\""))
        #expect(try bench.endpoint("made").sourceIDs == [other.id])
        let next = try bench.restart()
        try next.apply(manifest([source("github")]))
        #expect(try !next.endpoint("made").sourceIDs.isEmpty)
        try next.apply(manifest([source("github"), source("other")]))
        #expect(try next.endpoint("made").sourceIDs == [next.sourceSpec("other").id])
    }

    @Test func aStaleRevisionIsRefused() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest())
        try bench.edit(.createEndpoint(endpointSettings("a")))
        let read = try bench.endpoint("a")
        try bench.edit(.updateEndpoint(read.id, ifRevision: read.revision) { $0.concurrency = 2 })
        let refusal = bench.refusal {
            try bench.edit(.updateEndpoint(read.id, ifRevision: read.revision) { $0.concurrency = 3 })
        }
        #expect(refusal == .changedMeanwhile(.endpoint, name: "a", revision: read.revision + 1))
    }

    @Test func editsAreOneChange() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest())
        let issues = bench.issues {
            try bench.edit(
                .createEndpoint(endpointSettings("a")), .createEndpoint(endpointSettings("b") { $0.concurrency = 0 }))
        }
        #expect(issues.map(\.path.description) == ["changes[1].concurrency"])
        #expect(bench.service.state.endpoints.count == 0)
    }

    @Test func aChangedProcessSettingWaitsForARestartAndTheRestIsApplied() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest())
        let report = try bench.apply(
            manifest([source("github"), source("b")]) {
                $0.process.limits.bodyBytesMax = 2 << 20
                $0.process.listen = ["127.0.0.1:1"]
            })
        #expect(report.warnings.count == 2 && report.warnings[0].contains("`listen`"))
        #expect(report.warnings[1].contains("`limits.body`"))
        #expect(bench.service.state.sources.count == 2)
    }

    @Test func aBodyLimitBeyondTheBuffersNeedsARestart() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest())
        bench.service.bound(bodyBytesMax: 2 << 20)
        let issues = bench.issues { try bench.apply(manifest([source("github") { $0.bodyBytesMax = 4 << 20 }])) }
        #expect(issues.map(\.path.description) == ["sources[0].body"])
    }

    @Test func theReportSaysWhatChangedAndNoValue() throws {
        let bench = try RegistryBench()
        try bench.apply(
            manifest([source("github")], [endpointSettings("billing"), endpointSettings("crm"), endpointSettings("x")]))
        let report = try bench.apply(
            manifest(
                [source("github")],
                [
                    endpointSettings("billing") {
                        $0.url = "http://hidden.example.com/token"
                        $0.types = ["push"]
                    },
                    endpointSettings("crm") { $0.secrets = ["c2VjcmV0"] },
                ]
            ) { $0.live.historyMillis = 1000 })
        #expect(
            report.diff.description
                == "settings changed: delivery.history; 2 endpoints changed: billing (url, types), crm (secret); "
                + "1 endpoint removed: x")
        #expect(report.diff.unchangedSources == 1 && report.diff.unchangedEndpoints == 0)
        #expect(try bench.apply(manifest([source("github")], [])).diff.entries.count == 3)
    }

    @Test func theAuditLogKnowsWhoAndWhatAndNoSecret() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest())
        try bench.edit(.createEndpoint(endpointSettings("a") { $0.secrets = ["c2VjcmV0c2VjcmV0"] }))
        try bench.edit(.updateEndpoint(try bench.endpoint("a").id) { $0.secrets = ["b3RoZXJvdGhlcg=="] })
        let newest = try #require(try bench.store.inner.entries(AuditQuery()).first)
        #expect(newest.actor == "tester" && newest.requestID == "req_1" && newest.action == .update)
        #expect(newest.name == "a" && newest.kind == .endpoint && newest.tenant == .main)
        #expect(newest.changes == [FieldChange(field: "secret", before: "1 secret", after: "1 secret")])
        let all = try bench.store.inner.entries(AuditQuery())
        #expect(!all.contains { $0.changes.contains { "\($0)".contains("c2VjcmV0") } })
    }

    @Test func aChangeOfOneOfManyCostsOnlyItself() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest())
        let names = (0..<100_000).map { "e\($0)" }
        _ = try bench.service.apply(
            .edits(names.map { .createEndpoint(endpointSettings($0)) }), actor: ChangeActor("tester"))
        #expect(bench.service.state.endpoints.count == 100_000)
        bench.participant.clear()
        let one = try bench.endpoint("e50000")
        let kept = bench.service.state
        for concurrency in 1...100 { try bench.edit(.updateEndpoint(one.id) { $0.concurrency = concurrency }) }
        let notes = bench.participant.notes.withLock { $0 }
        #expect(notes.endpoints.allSatisfy { $0 == ["e50000"] } && notes.endpoints.count >= 99)
        #expect(notes.compiledSources.allSatisfy { $0 == nil })
        #expect(kept.endpoints[one.id]?.settings.concurrency == 16, "a reader keeps the version it took")
        #expect(try bench.endpoint("e50000").settings.concurrency == 100)
    }
}
