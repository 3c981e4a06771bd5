// Who is told what: facts from the dispatcher and from the registry, in their order, within the bound, and none that
// is about those who listen.

import Engine
import FastPath
import Synchronization
import Testing

private func operationalEndpoint(_ name: String, _ change: (inout EndpointConfiguration) -> Void = { _ in })
    -> EndpointConfiguration
{
    endpointSettings(name) {
        $0.extras.family = .operational
        $0.sources = [PublishSource.operationalName]
        $0.secrets = ["whsec_" + String(repeating: "QUFB", count: 8)]
        change(&$0)
    }
}
private func spec(_ settings: EndpointConfiguration, _ number: UInt32, tenant: TenantID = .main) -> EndpointSpec {
    EndpointSpec(
        id: EndpointID(number), publicID: .make(.endpoint), tenant: tenant, origin: .api, revision: 1, createdMillis: 0,
        settings: settings)
}

extension OperationalFeed {
    /// All that wait, in few words; does not wait for any.
    func words() async -> [String] {
        close()
        return await next().map { fact in
            switch fact {
            case .endpoint(let fact):
                switch fact.change {
                case .created: "created \(fact.spec.name) by \(fact.actor)"
                case .updated(let old):
                    "updated \(fact.spec.name) "
                        + EndpointChanges(from: old, to: fact.spec.settings).members.map(\.name).joined(separator: ",")
                case .switched(let isEnabled): "switched \(fact.spec.name) \(isEnabled)"
                case .deleted: "deleted \(fact.spec.name)"
                }
            case .condition(let fact): "\(fact.change.condition)"
            case .attempt(let fact): "\(fact.kind) \(fact.endpoint) \(fact.delivery.place.sequence)"
            }
        }
    }
}

@Suite struct OperationalFeedTests {
    private func fact(_ sequence: UInt64, tenant: TenantID = .main) -> OperationalFact {
        let delivery = TriedDelivery(place: EventLocation(sequence: sequence, position: 0), attempts: 1)
        return .attempt(
            AttemptFact(
                .failing, tenant: tenant, endpoint: EndpointID(1), delivery: delivery,
                outcome: DeliveryOutcome(token: 0, result: .answered), atMillis: 1))
    }

    // MARK: the queue

    @Test func factsLeaveInTheirOrderAndNoMoreThanItHolds() async {
        let feed = OperationalFeed(factCountMax: 3)
        for sequence in 1...5 { feed.add(fact(UInt64(sequence))) }
        #expect(feed.takeLostCount() == 2 && feed.takeLostCount() == 0)
        #expect(await feed.words() == ["failing 1 1", "failing 1 2", "failing 1 3"])
        feed.add(fact(6))
        #expect(await feed.next().isEmpty && feed.takeLostCount() == 1, "it is closed")
    }
    @Test func whoeverWaitsIsWokenByAFactAndByTheEnd() async {
        let feed = OperationalFeed()
        let first = Task { await feed.next().count }
        try? await Task.sleep(nanoseconds: 20_000_000)
        feed.add(fact(1))
        #expect(await first.value == 1)
        let second = Task { await feed.next().count }
        try? await Task.sleep(nanoseconds: 20_000_000)
        feed.close()
        #expect(await second.value == 0)
    }
    @Test func aTenantIsWatchedExactlyWhileItHasAnEnabledOne() {
        let feed = OperationalFeed()
        let (one, two) = (spec(operationalEndpoint("a"), 1), spec(operationalEndpoint("b"), 2))
        feed.set([one, two, spec(endpointSettings("c"), 3, tenant: TenantID(2))])
        #expect(feed.isWatched(.main) && !feed.isWatched(TenantID(2)))
        feed.remove([one])
        #expect(feed.isWatched(.main))
        feed.set([spec(operationalEndpoint("b") { $0.disabled = true }, 2)])
        #expect(!feed.isWatched(.main))
    }

    // MARK: the registry

    @Test func changesOfTheRegistryAreToldWithWhoMadeThem() async throws {
        let bench = try RegistryBench()
        let feed = OperationalFeed()
        bench.service.watch(feed)
        try bench.apply(manifest([source("github")], [endpointSettings("before")]))
        try bench.edit(.createEndpoint(endpointSettings("unheard")))
        try bench.edit(.createEndpoint(operationalEndpoint("ears")))
        try bench.edit(.createEndpoint(endpointSettings("made")))
        let made = try bench.endpoint("made").id
        try bench.edit(
            .updateEndpoint(made) {
                $0.disabled = true
                $0.types = ["a.b"]
            })
        try bench.edit(.updateEndpoint(try bench.endpoint("ears").id) { $0.extras.about = "words" })
        try bench.edit(.createEndpoint(operationalEndpoint("more")))
        try bench.edit(.deleteEndpoint(try bench.endpoint("more").id))
        try bench.edit(.deleteEndpoint(made))
        try bench.apply(manifest([source("github")], [endpointSettings("before") { $0.concurrency = 3 }]))
        try bench.edit(.deleteEndpoint(try bench.endpoint("ears").id))
        try bench.edit(.deleteEndpoint(try bench.endpoint("unheard").id))
        #expect(
            await feed.words() == [
                "created made by tester", "updated made types,disabled", "deleted made", "updated before concurrency",
            ])
    }
    @Test func otherTenantsHearNothingOfIt() async throws {
        let bench = try RegistryBench()
        let feed = OperationalFeed()
        bench.service.watch(feed)
        try bench.apply(manifest())
        try bench.edit(.createTenant(name: "other", uid: nil))
        try bench.edit(.createEndpoint(operationalEndpoint("ears") { $0.tenant = "other" }))
        try bench.edit(.createEndpoint(endpointSettings("mine")))
        try bench.edit(.createEndpoint(endpointSettings("theirs") { $0.tenant = "other" }))
        #expect(await feed.words() == ["created theirs by tester"])
    }
    @Test func whatIsThereAtAStartIsKnownAndNotTold() async throws {
        let first = try RegistryBench()
        try first.apply(manifest([source("github")], [endpointSettings("a")]))
        try first.edit(.createEndpoint(operationalEndpoint("ears")))
        let second = try first.restart()
        let feed = OperationalFeed()
        second.service.watch(feed)
        try second.apply(manifest([source("github")], [endpointSettings("a") { $0.concurrency = 2 }]))
        #expect(feed.isWatched(.main))
        #expect(await feed.words().isEmpty)
    }
    @Test func aChangeThatIsRefusedIsNotTold() async throws {
        let bench = try RegistryBench()
        let feed = OperationalFeed()
        bench.service.watch(feed)
        try bench.apply(manifest())
        try bench.edit(.createEndpoint(operationalEndpoint("ears")))
        bench.store.fails.withLock { $0 = true }
        #expect(bench.refusal { try bench.edit(.createEndpoint(endpointSettings("a"))) } != nil)
        #expect(await feed.words().isEmpty)
    }
    @Test func noOtherEndpointMayHearAndNoneMayHearOfMoreThanThereIs() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest())
        for settings in [
            endpointSettings("a") { $0.sources = [PublishSource.operationalName] },
            operationalEndpoint("b") { $0.sources = [] },
            operationalEndpoint("c") { $0.types = ["user.created"] },
            operationalEndpoint("d") { $0.secrets = [] },
        ] {
            let issues = bench.issues { try bench.edit(.createEndpoint(settings)) }
            #expect(issues.count == 1, "\(settings.name): \(issues)")
        }
        let all = OperationalEventType.allCases.map(\.rawValue)
        try bench.edit(.createEndpoint(operationalEndpoint("e") { $0.types = all }))
    }

    // MARK: the dispatcher

    /// Endpoint `a` and somebody who listens to its tenant.
    private func watched(
        _ change: (inout EndpointConfiguration) -> Void = { _ in }
    ) throws -> (Bench, OperationalFeed) {
        let bench = try Bench()
        let feed = OperationalFeed()
        feed.set([spec(operationalEndpoint("ears"), 99)])
        bench.dispatcher.feed = feed
        try bench.apply([endpoint("a", change: change)])
        bench.advance(millis: 1)
        return (bench, feed)
    }
    private func fail(_ bench: Bench, status: UInt16 = 500) {
        bench.egress.answerAll(status: status)
        bench.advance(millis: 30)
    }

    @Test func aMessageIsFailingOnceThenExhaustedThenTheEndpointRecovers() async throws {
        let (bench, feed) = try watched { $0.retryDelaysMillis = [100, 100] }
        bench.log.append(FakeEvent())
        bench.advance(millis: 1)
        for _ in 0..<3 {
            fail(bench)
            bench.advance(millis: 100)
        }
        bench.log.append(count: 2)
        bench.advance(millis: 1)
        fail(bench, status: 200)
        #expect(await feed.words() == ["failing 1 1", "exhausted 1 1", "recovered 1 2"], "once each")
    }
    @Test func aFinalAnswerIsExhaustedAtOnce() async throws {
        let (bench, feed) = try watched()
        bench.log.append(FakeEvent())
        bench.advance(millis: 1)
        fail(bench, status: 400)
        #expect(await feed.words() == ["exhausted 1 1"])
    }
    @Test func whatAFactSaysIsWhatTheAttemptWas() async throws {
        let (bench, feed) = try watched { $0.retryDelaysMillis = [60_000] }
        bench.log.append(FakeEvent())
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 503) { $0.durationMicros = 12_345 }
        bench.advance(millis: 30)
        feed.close()
        guard case .attempt(let fact)? = await feed.next().first else {
            Issue.record("nothing was told")
            return
        }
        #expect(fact.outcome.status == 503 && fact.outcome.durationMicros == 12_345 && fact.delivery.attempts == 1)
        #expect(fact.nextMillis - fact.atMillis == 60_000)
    }
    @Test func aGoneEndpointIsToldOnce() async throws {
        let (bench, feed) = try watched()
        bench.log.append(count: 2)
        bench.advance(millis: 1)
        fail(bench, status: 410)
        #expect(await feed.words() == ["gone 1 1", "exhausted 1 1", "exhausted 1 2"])
    }
    @Test func fiveDaysOfFailuresDisableAWebhookOfOpsCenterAndNoOther() async throws {
        for (family, isEnd) in [(EndpointFamily.opsCenter, true), (.registry, false)] {
            let (bench, feed) = try watched {
                $0.extras.family = family
                $0.sources = family.source.map { [$0] } ?? []
                $0.secrets = []
                $0.retryDelaysMillis = []
            }
            var event = FakeEvent()
            if family == .opsCenter { event.sourceID = .opsCenter }
            for hours in 0...125 {
                bench.log.append(event)
                bench.advance(millis: 1)
                fail(bench)
                if hours < 121 { #expect(try bench.state("a")?.condition != .disabled) }
                bench.advance(millis: 3_600_000)
            }
            let words = await feed.words()
            #expect(words.contains { $0.hasPrefix("failedForDays") } == isEnd, "\(family)")
            #expect(try bench.state("a")?.condition == (isEnd ? .disabled : .failing))
            if isEnd { #expect(try bench.state("a")?.reason.name == "failed_for_days") }
        }
    }
    @Test func nothingIsToldOfThoseWhoListenNorWhereNobodyDoes() async throws {
        let (bench, feed) = try watched {
            $0.extras.family = .operational
            $0.sources = [PublishSource.operationalName]
        }
        var event = FakeEvent()
        event.sourceID = .operational
        event.type = OperationalEventType.endpointCreated.rawValue
        bench.log.append(event)
        bench.advance(millis: 1)
        #expect(bench.egress.out.count == 1)
        fail(bench, status: 410)
        #expect(try bench.rows("a").map(\.state) == [.pending], "its 410 may pass")
        #expect(try bench.state("a")?.condition != .disabled)
        let (alone, silent) = try watched()
        silent.remove([spec(operationalEndpoint("ears"), 99)])
        alone.log.append(FakeEvent())
        alone.advance(millis: 1)
        fail(alone, status: 400)
        let all = await (feed.words(), silent.words())
        #expect(all.0.isEmpty && all.1.isEmpty)
    }
    @Test func aRecoveryIsToldAfterARestartToo() async throws {
        let (before, _) = try watched { $0.retryDelaysMillis = [60_000] }
        before.log.append(FakeEvent())
        before.advance(millis: 1)
        fail(before)
        before.advance(millis: 2000)
        let bench = try Bench(after: before)
        let feed = OperationalFeed()
        feed.set([spec(operationalEndpoint("ears"), 99)])
        bench.dispatcher.feed = feed
        try bench.apply([endpoint("a")])
        bench.log.append(count: 2)
        bench.advance(millis: 1)
        fail(bench, status: 200)
        #expect(await feed.words().count { $0.hasPrefix("recovered") } == 1)
    }
}
