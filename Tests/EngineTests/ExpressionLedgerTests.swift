// What expressions may take together: counted once however often they are used, refused when a change takes more than
// there is, and at a start not refused.
import Engine
import FastPath
import Testing

@Suite struct ExpressionLedgerTests {
    private static let small = LinearPattern.smallMemoryBytesMax

    private func filtered(
        _ name: String, _ expressions: [String], tenant: String = "default"
    ) -> EndpointConfiguration {
        endpointSettings(name) {
            $0.tenant = tenant
            let conditions = expressions.map { text in
                PlainJSON.object(["body": .object(["$.a": .object(["$regex": .text(text)])])])
            }
            $0.policies.filter = .object(["$or": .list(conditions)])
        }
    }
    private func redacting(_ name: String, _ expression: String) -> EndpointConfiguration {
        endpointSettings(name) {
            var custom = RedactionSettings.Custom()
            (custom.name, custom.pattern) = ("own", expression)
            $0.policies.redaction = RedactionSettings()
            $0.policies.redaction?.custom = [custom]
        }
    }
    private func bounded(_ endpoints: [EndpointConfiguration], tenant: Int, all: Int = 99) -> GatewayConfiguration {
        manifest([source("github")], endpoints) {
            $0.live.expressions.tenantBytesMax = tenant * Self.small
            $0.live.expressions.bytesMax = all * Self.small
        }
    }

    @Test func equalExpressionsAreCompiledOnceAndCountOnce() throws {
        let one = try LinearPattern.shared("^shared-[0-9]+$")
        #expect(try LinearPattern.shared("^shared-[0-9]+$") === one)
        let bench = try RegistryBench()
        try bench.apply(bounded([], tenant: 3))
        let three = [filtered("a", ["x+", "y+"]), filtered("b", ["x+", "y+"]), redacting("c", "y+")]
        try bench.apply(bounded(three, tenant: 3))
        #expect(bench.service.expressions.bytes() == 2 * Self.small)
        // What one has no more another has yet.
        try bench.apply(bounded([filtered("b", ["x+"]), redacting("c", "z+")], tenant: 3))
        #expect(bench.service.expressions.bytes(of: .main) == 2 * Self.small)
        try bench.apply(bounded([endpointSettings("b")], tenant: 3))
        #expect(bench.service.expressions.bytes() == 0 && bench.service.expressions.bytes(of: .main) == 0)
    }
    /// Endpoints as somebody has compiled them.
    private final class Compiling: TopologyParticipant {
        private struct Prepared: PreparedTopology {
            let expressions: [ExpressionLedger.Owner: [LinearPattern]]
            func publish() {}
        }
        func prepare(_ change: TopologyChange) throws(ValidationIssues) -> any PreparedTopology {
            guard let own = try? LinearPattern.shared("compiled by whoever runs it") else { throw ValidationIssues([]) }
            return Prepared(
                expressions: Dictionary(uniqueKeysWithValues: change.endpoints.map { (.endpoint($0.id), [own]) }))
        }
    }
    /// A start compiled each filter, redaction and schema once more, only to count them.
    @Test func whatRunsIsCountedAsItWasCompiled() throws {
        let bench = try RegistryBench()
        bench.service.add(Compiling())
        try bench.apply(bounded([filtered("a", ["x+", "y+"]), filtered("b", ["z+"]), endpointSettings("c")], tenant: 9))
        // Not the three of the filters, which were not compiled for it.
        #expect(bench.service.expressions.bytes() == Self.small)
        // What may have none is not asked for.
        try bench.apply(bounded([endpointSettings("c")], tenant: 9))
        #expect(bench.service.expressions.bytes() == 0)
    }
    @Test func theSchemaOfAnEventTypeCountsHoweverItsKeywordIsSpelt() throws {
        let bench = try RegistryBench()
        var settings = EventTypeSettings()
        (settings.enforcesSchema, settings.schemas) = (true, #"{"1":{"properties":{"a":{"p\u0061ttern":"^d+$"}}}}"#)
        try bench.edit(.createEventType(name: "a.b", settings))
        #expect(bench.service.expressions.bytes() == Self.small)
    }
    @Test func whatIsTooMuchIsRefusedWithBothFigures() throws {
        let bench = try RegistryBench()
        try bench.apply(bounded([filtered("a", ["x+", "y+"])], tenant: 2))
        let more = bounded([filtered("a", ["x+", "y+"]), filtered("b", ["z+"])], tenant: 2)
        let issues = bench.issues { try bench.apply(more, dryRun: true) }
        #expect(issues.map(\.path.description) == ["endpoints[1].filter"])
        let reason = try #require(issues.first?.reason)
        #expect(reason.contains("384KiB") && reason.contains("256KiB") && reason.contains("expressions.tenant"))
        #expect(bench.issues { try bench.apply(more) }.count == 1)
        #expect(bench.service.expressions.bytes() == 2 * Self.small, "what is refused has changed nothing")
        // As much as before, or less, is taken though it is over the bound.
        try bench.apply(bounded([filtered("a", ["x+", "y+"])], tenant: 1))
        try bench.apply(bounded([filtered("a", ["x+", "z+"])], tenant: 1))
        #expect(bench.issues { try bench.apply(bounded([filtered("a", ["x+", "y+", "z+"])], tenant: 1)) }.count == 1)
        try bench.apply(bounded([filtered("a", ["x+"])], tenant: 1))
    }
    @Test func eachTenantHasItsOwnAndAllTogetherOne() throws {
        let bench = try RegistryBench()
        try bench.apply(bounded([], tenant: 2, all: 3))
        try bench.apply(bounded([filtered("a", ["1", "2"]), filtered("b", ["3"], tenant: "acme")], tenant: 2, all: 3))
        let acme = try #require(bench.service.state.tenant(named: "acme")).id
        #expect(bench.service.expressions.bytes(of: acme) == Self.small)
        let more = bounded([filtered("a", ["1", "2"]), filtered("b", ["3", "4"], tenant: "acme")], tenant: 2, all: 3)
        let issues = bench.issues { try bench.apply(more) }
        #expect(issues.count == 1 && issues.first?.reason.contains("expressions.total") == true)
        // Of another tenant it is the same memory.
        try bench.apply(
            bounded([filtered("a", ["1", "2"]), filtered("b", ["3", "1"], tenant: "acme")], tenant: 2, all: 3))
    }
    @Test func schemasCountToo() throws {
        let bench = try RegistryBench()
        let schema = #"{"type":"object","properties":{"a":{"pattern":"^a+$"},"b":{"pattern":"^b+$"}}}"#
        let strict = source("github") { $0.schemas.all = schema }
        try bench.apply(manifest([source("github")]) { $0.live.expressions.tenantBytesMax = Self.small })
        let issues = bench.issues {
            try bench.apply(manifest([strict]) { $0.live.expressions.tenantBytesMax = Self.small })
        }
        #expect(issues.map(\.path.description) == ["sources[0].schema"])
        try bench.apply(manifest([strict]))
        #expect(bench.service.expressions.bytes(of: .main) == 2 * Self.small)
        try bench.apply(manifest([]))
        #expect(bench.service.expressions.bytes() == 0)
    }
    /// Keywords are read with their escapes resolved.
    @Test func aSchemaThatSpellsItsKeywordOtherwiseCountsToo() throws {
        let bench = try RegistryBench()
        let schema = #"{"properties":{"a":{"p\u0061ttern":"^c+$"}}}"#
        try bench.apply(manifest([source("github") { $0.schemas.all = schema }]))
        #expect(bench.service.expressions.bytes(of: .main) == Self.small)
    }
    @Test func aStartRefusesNothingAndSaysIt() throws {
        let first = try RegistryBench()
        try first.apply(bounded([], tenant: 3))
        try first.edit(.createEndpoint(filtered("a", ["x+", "y+", "z+"])))
        let second = try first.restart()
        let report = try second.apply(bounded([], tenant: 2, all: 1))
        let warnings = report.warnings
        #expect(warnings.count == 2 && warnings.allSatisfy { $0.contains("384KiB") }, "\(warnings)")
        #expect(second.service.expressions.bytes(of: .main) == 3 * Self.small)
        #expect(try second.apply(bounded([], tenant: 2, all: 1)).warnings.isEmpty, "it was said")
        #expect(try !second.apply(bounded([], tenant: 1, all: 1)).warnings.isEmpty, "the bound is another")
    }
    @Test func whatIsInUseIsWhatThereIs() throws {
        let before = LinearPattern.bytesInUse
        var patterns = try (0..<500).map { try LinearPattern("in-use-\($0)[a-z]+") }
        let withThem = LinearPattern.bytesInUse
        // An optimised build frees them behind their last use.
        withExtendedLifetime(patterns) { #expect(withThem >= before + 400 * Self.small, "\(before)") }
        patterns.removeAll()
        #expect(LinearPattern.bytesInUse <= withThem - 400 * Self.small, "others run meanwhile")
    }
}
