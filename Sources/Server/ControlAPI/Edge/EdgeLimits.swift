// How many requests of a tenant the contract edge takes: a token bucket for each, and one of their own for those that
// have not proven to be a tenant's, so that nobody can empty a tenant's from outside. Passive; the time comes in.
//
// Invariant: bounded: when as many buckets are in use as there may be, all newcomers share one.
import Engine
import HTTPTypes
import Hummingbird
import Synchronization

package struct BucketTable: Sendable {
    package static let bucketCountMax = 16_384
    private static let sweepNanos: UInt64 = 1_000_000_000
    private static let shared = "shared"
    private let intervalNanos: UInt64
    private let capacity: Int
    private var buckets: [String: TokenBucket] = [:]
    private var sweptAt: UInt64 = 0

    package init(capacity: Int, perSecond: Double) {
        self.capacity = capacity
        intervalNanos = UInt64(max(1, 1e9 / perSecond))
    }
    package var count: Int { buckets.count }

    /// Takes a token; nil, or how long it is until there is one.
    package mutating func take(_ key: String, now: UInt64) -> UInt64? {
        var name = key
        if buckets[name] == nil, buckets.count >= BucketTable.bucketCountMax {
            // O(buckets), once a second at most.
            if now >= sweptAt + BucketTable.sweepNanos {
                sweptAt = now
                buckets = buckets.filter { !$0.value.isFull(now: now) }
            }
            if buckets.count >= BucketTable.bucketCountMax { name = BucketTable.shared }
        }
        var bucket = buckets[name] ?? TokenBucket()
        if let end = bucket.end(now: now, intervalNanos: intervalNanos, burst: capacity) {
            return max(1, end - min(end, now))
        }
        bucket.took(now: now, intervalNanos: intervalNanos)
        buckets[name] = bucket
        return nil
    }
}

extension Edge {
    package final class RateLimiter: EdgeMiddleware {
        private let keeper: any EdgeGuard
        private let tenants: Mutex<BucketTable>
        private let strangers: Mutex<BucketTable>

        package init(_ settings: ContractSettings, keeper: any EdgeGuard) {
            self.keeper = keeper
            let table = BucketTable(capacity: settings.rateCapacity, perSecond: Double(settings.rateRefill))
            tenants = Mutex(table)
            strangers = Mutex(table)
        }
        package func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply? {
            let session = try await RateLimiter.session(of: exchange, keeper)
            exchange.session = session
            let tenant = try proven(exchange, session)
            let now = exchange.time.monotonicNanos
            let wait =
                if let tenant {
                    tenants.withLock { $0.take(tenant, now: now) }
                } else {
                    strangers.withLock { $0.take("\(exchange.address) \(exchange.tenant)", now: now) }
                }
            guard let wait else { return nil }
            let seconds = Int(wait / 1_000_000_000) + 1
            var refusal = EdgeRefusal(
                .rateLimited,
                tenant == nil
                    ? "too many requests without a signature or a session; try again in \(seconds) s"
                    : "the tenant's requests are used up; try again in \(seconds) s")
            refusal.retryAfterSeconds = seconds
            throw refusal
        }
        /// The tenant that signature or session have proven; nil for whoever only claims one.
        private func proven(_ exchange: EdgeExchange, _ session: EdgeSession) throws -> String? {
            let claimed = try exchange.needsEnvelope ? keeper.tenant(uuid: exchange.tenant) : nil
            guard let principal = session.principal else { return exchange.isProven ? claimed : nil }
            guard exchange.needsEnvelope else { return principal.tenant ?? "platform" }
            return principal.tenant == nil || principal.tenant == claimed || exchange.isProven ? claimed : nil
        }
        static func session(of exchange: EdgeExchange, _ keeper: any EdgeGuard) async throws -> EdgeSession {
            let given = exchange.fields[values: .authorization]
            guard !given.isEmpty else { return .missing }
            guard given.count == 1, let token = Bearers.token(given[0]) else {
                return .refused("`Authorization` must be one field: `Bearer TOKEN`")
            }
            return try await keeper.session(token)
        }
    }
}
