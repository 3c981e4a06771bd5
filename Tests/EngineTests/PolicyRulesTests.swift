// What of a lane's policies is refused when it is saved, and where.

import Engine
import FastPath
import Testing

@Suite struct PolicyRulesTests {
    private func issues(_ change: (inout EndpointConfiguration) -> Void) -> [String] {
        var configuration = GatewayConfiguration()
        configuration.live.allow = ["127.0.0.0/8"]
        var endpoint = EndpointConfiguration()
        endpoint.name = "a"
        endpoint.url = "http://127.0.0.1/"
        change(&endpoint)
        configuration.endpoints = [endpoint]
        return RegistryValidation.issues(of: configuration).map(\.description)
    }
    @Test func anEntryOfTheContractNeitherBatchesNorCoalesces() {
        func isRefused(_ change: (inout EndpointConfiguration) -> Void) -> Bool {
            let found = issues {
                $0.sources = [PublishSource.contractName]
                $0.types = ["a"]
                $0.secrets = ["0123456789abcdef"]
                $0.extras.family = .contract
                ContractEntry().apply(to: &$0)
                change(&$0)
            }
            return found.contains { $0.contains("is fixed by the family `contract`") }
        }
        #expect(!isRefused { _ in })
        #expect(isRefused { $0.policies.batch = BatchSettings() })
        #expect(isRefused { $0.policies.coalesce = CoalesceSettings() })
    }
    @Test func soundOnesPass() {
        let found = issues {
            $0.policies.breaker = BreakerSettings()
            $0.policies.breaker?.rate = BreakerSettings.Rate()
            $0.policies.retry = RetrySettings()
            $0.policies.retry?.backoff = BackoffSettings()
            $0.policies.retry?.budget = 0.1
            $0.policies.rate = RateSettings()
            $0.policies.rate?.perSecond = 10
            $0.policies.concurrency = AdaptiveSettings()
            $0.policies.deadlineMillis = 86_400_000
            $0.policies.disableAfterMillis = 5 * 86_400_000
            $0.policies.coalesce = CoalesceSettings()
            $0.policies.coalesce?.key = ["group", "header:X-A", "json:$.a"]
            $0.policies.coalesce?.withinMillis = 5000
        }
        #expect(found == [])
    }
    private static let wrong: [(String, @Sendable (inout EndpointConfiguration) -> Void)] = [
        (
            "breaker.failures",
            {
                $0.policies.breaker = BreakerSettings(); $0.policies.breaker?.failures = 0
            }
        ),
        (
            "breaker.cooldown",
            {
                $0.policies.breaker = BreakerSettings(); $0.policies.breaker?.cooldownMillis = 1
            }
        ),
        (
            "breaker.probes",
            {
                $0.policies.breaker = BreakerSettings(); $0.policies.breaker?.probes = 101
            }
        ),
        (
            "breaker.on",
            {
                $0.policies.breaker = BreakerSettings(); $0.policies.breaker?.on = []
            }
        ),
        (
            "breaker.on[1]",
            {
                $0.policies.breaker = BreakerSettings(); $0.policies.breaker?.on = ["429", "slow"]
            }
        ),
        (
            "breaker.rate.share",
            {
                $0.policies.breaker = BreakerSettings()
                $0.policies.breaker?.rate = BreakerSettings.Rate()
                $0.policies.breaker?.rate?.share = 1.5
            }
        ),
        ("errors", { $0.policies.errors = ErrorSettings() }),
        (
            "batch.events",
            {
                $0.policies.batch = BatchSettings(); $0.policies.batch?.events = 1
            }
        ),
        (
            "batch.bytes",
            {
                $0.policies.batch = BatchSettings(); $0.policies.batch?.bytes = 100
            }
        ),
        (
            "batch.within",
            {
                $0.policies.batch = BatchSettings(); $0.policies.batch?.withinMillis = 1
            }
        ),
        (
            "batch",
            {
                $0.policies.batch = BatchSettings(); $0.ordered = true; $0.orderKey = ["group"]
            }
        ),
        (
            "batch",
            {
                $0.policies.batch = BatchSettings(); $0.policies.delayMillis = 1000
            }
        ),
        ("coalesce.key", { $0.policies.coalesce = CoalesceSettings() }),
        (
            "coalesce.key[1]",
            {
                $0.policies.coalesce = CoalesceSettings(); $0.policies.coalesce?.key = ["group", "query:a"]
            }
        ),
        (
            "coalesce.within",
            {
                $0.policies.coalesce = CoalesceSettings()
                $0.policies.coalesce?.key = ["group"]
                $0.policies.coalesce?.withinMillis = 1
            }
        ),
        (
            "coalesce",
            {
                $0.policies.coalesce = CoalesceSettings()
                $0.policies.coalesce?.key = ["group"]
                $0.ordered = true
            }
        ),
        (
            "coalesce",
            {
                $0.policies.coalesce = CoalesceSettings()
                $0.policies.coalesce?.key = ["group"]
                $0.policies.delayMillis = 1000
            }
        ),
        (
            "errors.limit.retries",
            {
                $0.policies.errors = ErrorSettings()
                $0.policies.errors?[.limit] = ErrorRule()
                $0.policies.errors?[.limit]?.retries = 65
            }
        ),
        ("rate", { $0.policies.rate = RateSettings() }),
        (
            "rate.per_second",
            {
                $0.policies.rate = RateSettings(); $0.policies.rate?.perSecond = 0
            }
        ),
        (
            "rate.burst",
            {
                $0.policies.rate = RateSettings(); $0.policies.rate?.perSecond = 1; $0.policies.rate?.burst = 0
            }
        ),
        (
            "retry.backoff",
            {
                $0.policies.retry = RetrySettings()
                $0.policies.retry?.preset = .svix
                $0.policies.retry?.backoff = BackoffSettings()
            }
        ),
        (
            "retry.delays",
            {
                $0.policies.retry = RetrySettings()
                $0.policies.retry?.preset = .svix
                $0.retryDelaysMillis = [1]
            }
        ),
        (
            "retry.backoff.max",
            {
                $0.policies.retry = RetrySettings()
                $0.policies.retry?.backoff = BackoffSettings(firstMillis: 5000, maxMillis: 1000)
            }
        ),
        (
            "retry.budget",
            {
                $0.policies.retry = RetrySettings(); $0.policies.retry?.budget = 2
            }
        ),
        (
            "retry.budget",
            {
                $0.policies.retry = RetrySettings(); $0.policies.retry?.budget = 0.5; $0.policies.delayMillis = 1000
            }
        ),
        (
            "concurrency.min",
            {
                $0.policies.concurrency = AdaptiveSettings(); $0.policies.concurrency?.min = 17
            }
        ),
        ("deadline", { $0.policies.deadlineMillis = 10 }),
        (
            "deadline",
            {
                $0.policies.deadlineMillis = 5000; $0.policies.delayMillis = 5000
            }
        ),
        ("delay", { $0.policies.delayMillis = 0 }),
        ("disable_after", { $0.policies.disableAfterMillis = 1000 }),
        (
            "shadow.share",
            {
                $0.policies.shadow = ShadowSettings(); $0.policies.shadow?.share = 0
            }
        ),
        (
            "shadow",
            {
                $0.policies.shadow = ShadowSettings(); $0.ordered = true
            }
        ),
    ]
    @Test(arguments: wrong.indices)
    func wrongOnesAreRefusedWithTheirPlace(_ index: Int) {
        let (path, change) = Self.wrong[index]
        let found = issues(change)
        #expect(found.count == 1 && found.first?.hasPrefix("endpoints[0].\(path): ") == true, "\(path): \(found)")
    }
    @Test func anEndpointOfAnEarlierVersionHasNone() {
        let endpoint = EndpointConfiguration()
        #expect(endpoint.policies == EndpointPolicies() && LanePolicies(endpoint.policies) == nil)
        var changed = endpoint
        changed.policies.rate = RateSettings()
        changed.policies.rate?.perSecond = 5
        #expect(changed.changes(from: endpoint).map(\.field) == ["rate"])
        #expect(changed.changes(from: endpoint).first?.after == "5 a second")
    }
}
