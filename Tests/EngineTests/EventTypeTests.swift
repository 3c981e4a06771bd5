// Event types, profiles of tenants and tenants without a name: made, changed, refused, audited; and the order in
// which event types are walked.
import Engine
import FastPath
import Testing

@Suite struct EventTypeTests {
    private func type(_ about: String) -> EventTypeSettings {
        var settings = EventTypeSettings()
        settings.about = about
        return settings
    }

    @Test func isMadeChangedAndRemovedUnderItsName() throws {
        let bench = try RegistryBench()
        let report = try bench.edit(.createEventType(name: "invoice.paid", type("paid")))
        #expect(report.diff.description == "1 event type added: invoice.paid")
        let made = try #require(bench.service.state.eventTypes.named("invoice.paid"))
        #expect(made.publicID.text.hasPrefix("evtype_") && made.revision == 1 && made.createdMillis == 1000)
        let changed = try bench.edit(.updateEventType(made.id) { $0.isArchived = true })
        #expect(changed.diff.description == "1 event type changed: invoice.paid (archived)")
        #expect(bench.service.state.eventTypes[made.id]?.revision == 2)
        #expect(try bench.edit(.updateEventType(made.id) { $0.isArchived = true }).diff.isEmpty)
        #expect(try bench.edit(.deleteEventType(made.id)).diff.description == "1 event type removed: invoice.paid")
        #expect(bench.service.state.eventTypes.count == 0)
        #expect(bench.refusal { try bench.edit(.deleteEventType(made.id)) } == .notFound(.eventType, number: 1))
    }
    @Test func refusesWhatIsNoNameTakenOrTooLarge() throws {
        let bench = try RegistryBench()
        try bench.edit(.createEventType(name: "a", type("")))
        func paths(_ edit: RegistryEdit) -> [String] { bench.issues { try bench.edit(edit) }.map { "\($0.path)" } }
        #expect(paths(.createEventType(name: "a", type(""))) == ["name"])
        #expect(paths(.createEventType(name: "a b", type(""))) == ["name"])
        let large = type(String(repeating: "x", count: EventTypeBounds.aboutBytesMax + 1))
        #expect(paths(.createEventType(name: "b", large)) == ["description"])
        var bad = type("")
        bad.featureFlag = "has space"
        bad.schemas = String(repeating: "x", count: EventTypeBounds.schemasBytesMax + 1)
        #expect(Set(paths(.createEventType(name: "b", bad))) == ["schemas", "feature_flag"])
        let known = try #require(bench.service.state.eventTypes.named("a"))
        let worse = bad
        #expect(paths(.updateEventType(known.id) { $0 = worse }).count == 2)
        #expect(bench.service.state.eventTypes.all == [known])
    }
    @Test func isWalkedByNameInBothDirections() throws {
        let bench = try RegistryBench()
        for name in ["c", "a", "b.2", "b.10", "B"] { try bench.edit(.createEventType(name: name, type(""))) }
        let types = bench.service.state.eventTypes
        func walk(_ name: String?, _ isBackward: Bool) -> [String] {
            types.walk(from: name, isBackward: isBackward).map(\.name)
        }
        #expect(walk(nil, false) == ["B", "a", "b.10", "b.2", "c"])
        #expect(walk("b.10", false) == ["b.2", "c"] && walk("b.10", true) == ["a", "B"])
        // A name that nobody has, or has no more, is a place all the same.
        #expect(walk("b", false) == ["b.10", "b.2", "c"] && walk("b", true) == ["a", "B"])
        #expect(walk("zz", false).isEmpty && walk(nil, true).count == 5)
    }

    @Test func aTenantWithoutANameIsCalledByItsId() throws {
        let bench = try RegistryBench()
        var profile = TenantProfile()
        profile.title = "Two words"
        try bench.edit(.createTenant(name: nil, uid: nil, profile: profile))
        try bench.edit(.createTenant(name: nil, uid: nil, profile: profile))
        let made = bench.service.state.tenants.dropFirst()
        #expect(made.count == 2 && made.allSatisfy { $0.name == $0.publicID.text && $0.profile.title == "Two words" })
        let id = try #require(made.first?.id)
        let report = try bench.edit(.updateTenant(id, name: nil, uid: nil) { $0.metadata = ["secret": "value"] })
        #expect(report.diff.entries.map(\.fields) == [["metadata"]])
        #expect(bench.service.state.tenant(id)?.revision == 2)
    }
    @Test func theAuditLogNamesWhatChangedAndNoSecret() throws {
        let store = MemoryRegistryStore()
        let service = RegistryService(
            store: store, process: ProcessSettings(), verifiers: VerifierRegistry(), nowMillis: { 1000 })
        try service.open()
        let settings = endpointSettings("a") {
            $0.secrets = ["whsec_Z2VoZWlt"]
            $0.extras.fields = [ConfiguredField(name: "Authorization", value: "geheim")]
            $0.extras.userInformation = "user:geheim"
            $0.extras.metadata = ["k": "geheim"]
            $0.extras.oldSecrets = [EndingSecret("whsec_Z2VoZWlt", endSeconds: 1)]
        }
        _ = try service.apply(
            .edits([.createEndpoint(settings), .createEventType(name: "t", type("x"))]), actor: ChangeActor("k"))
        let entries = try store.entries(AuditQuery())
        #expect(Set(entries.map { $0.kind?.name ?? "" }) == ["endpoint", "event_type"])
        let text = "\(entries)"
        #expect(!text.contains("geheim") && !text.contains("Z2VoZWlt"))
        #expect(text.contains("headers") && text.contains("old_secrets") && text.contains("Authorization"))
    }
}
