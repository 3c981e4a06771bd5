// The limits in force: one limiter a source or tenant that has one, kept from version to version while its settings
// stay, so that a reload which does not change a limit does not fill it up again.
//
// Invariant: an immutable value; a limiter is shared with the version before exactly when id and settings are the same.
import FastPath

extension RegistryState {
    /// What a tenant may send: as the manifest says of it, else its own, else as the manifest says of everyone.
    package func rateLimit(of tenant: TenantSpec) -> RateLimitConfiguration? {
        let said = live.tenants.first { $0.name == tenant.name }
        if let said { return said.rateLimit }
        return tenant.profile.rateLimit ?? live.tenants.first { $0.name == TenantSettings.everyone }?.rateLimit
    }
}

extension RegistryPlan {
    /// True exactly when some tenant's limit, or which tenants have one, is not as before. O(tenants that changed).
    var changesTenantLimits: Bool {
        if tenants.contains(where: { after.rateLimit(of: $0) != before.tenant($0.id).flatMap(before.rateLimit) }) {
            return true
        }
        return removedTenants.contains { before.rateLimit(of: $0) != nil }
    }
}

struct TenantLimits: Sendable {
    private var limiters: [TenantID: RateLimiter] = [:]

    /// O(tenants).
    init(_ state: RegistryState, before: TenantLimits?) {
        var said: [String: RateLimitConfiguration?] = [:]
        for tenant in state.live.tenants { said[tenant.name] = .some(tenant.rateLimit) }
        let everyone = said[TenantSettings.everyone] ?? nil
        for tenant in state.tenants {
            let own = tenant.profile.rateLimit ?? everyone
            guard let settings = (said[tenant.name] ?? own)?.settings else { continue }
            limiters[tenant.id] = RateLimiter.keeping(before?.limiters[tenant.id], settings)
        }
    }
    subscript(tenant: TenantID) -> RateLimiter? { limiters[tenant] }
    var all: [(number: UInt32, limiter: RateLimiter)] {
        limiters.map { ($0.key.number, $0.value) }.sorted { $0.0 < $1.0 }
    }
}

extension RateLimiter {
    static func keeping(_ old: RateLimiter?, _ settings: Settings) -> RateLimiter {
        if let old, old.settings == settings { return old }
        return RateLimiter(settings)
    }
}
