// What part of the gateway each tenant may deliver by, where several want more than there is: who says it, and what a
// change of the registry makes of it for the dispatcher.

import FastPath

package struct TenantWeights: Equatable, Sendable {
    /// Of tenants that have changed; with `isWhole` of all whose weight is not 1.
    package var weights: [TenantID: Int] = [:]
    package var isWhole = false
    package init() {}

    /// Nil when no tenant's weight is another than before. O(tenants) when the manifest's entries for tenants change,
    /// else O(tenants that changed).
    init?(_ plan: RegistryPlan) {
        let (before, after) = (plan.before, plan.after)
        isWhole = !before.hasManifest || before.live.tenants != after.live.tenants
        if isWhole {
            let said = after.saidWeights
            for tenant in after.tenants {
                let weight = after.weight(of: tenant, said)
                if weight != 1 { weights[tenant.id] = weight }
            }
            return
        }
        let said = after.saidWeights
        for tenant in plan.tenants {
            let old = before.tenant(tenant.id).map { before.weight(of: $0, said) } ?? 1
            let weight = after.weight(of: tenant, said)
            if weight != old { weights[tenant.id] = weight }
        }
        for tenant in plan.removedTenants where before.weight(of: tenant, said) != 1 { weights[tenant.id] = 1 }
        if weights.isEmpty { return nil }
    }
    static func issue(_ weight: Int?, at path: FieldPath) -> ValidationIssue? {
        weight.flatMap { PolicyRules.issue($0, TenantShares.weightRange, path["weight"]) }
    }
}

extension RegistryState {
    /// By name, as the manifest has it.
    fileprivate var saidWeights: [String: Int] {
        live.tenants.reduce(into: [:]) { known, tenant in known[tenant.name] = tenant.weight }
    }
    /// As the manifest says of it, else its own, else as the manifest says of everyone.
    fileprivate func weight(of tenant: TenantSpec, _ said: [String: Int]) -> Int {
        said[tenant.name] ?? tenant.profile.weight ?? said[TenantSettings.everyone] ?? 1
    }
    package func weight(of tenant: TenantSpec) -> Int { weight(of: tenant, saidWeights) }
}
