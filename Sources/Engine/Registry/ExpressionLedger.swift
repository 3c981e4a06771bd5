// What the regular expressions of the registry may take, by tenant and together: those of filters, redactions and
// schemas. Each is bounded by itself where it is compiled; here it is what all of them come to. One that stands in many
// places is compiled once (`LinearPattern.shared`) and counts once. A change costs what it changes.
//
// Invariant: an account's uses are those of what it holds, and its bytes those of the expressions that it has. If they
// drifted, changes would be refused that fit, or taken that do not.
import FastPath
import Synchronization

package struct ExpressionBounds: Equatable, Sendable {
    package var tenantBytesMax = 64 << 20
    /// Of all tenants, and of event types, which are no tenant's.
    package var bytesMax = 512 << 20
    package init() {}
}

package final class ExpressionLedger: Sendable {
    package enum Owner: Hashable, Sendable {
        case endpoint(EndpointID)
        case source(SourceID)
        case eventType(EventTypeID)
    }
    /// What one of the registry's resources has.
    struct Holding: Sendable {
        /// Nil: it belongs to none.
        var tenant: TenantID?
        /// Bytes by text.
        var bytes: [String: Int] = [:]

        init(_ patterns: [LinearPattern], of tenant: TenantID?) {
            self.tenant = tenant
            for pattern in patterns { bytes[pattern.text] = pattern.memoryBytes }
        }
    }
    struct Entry: Sendable {
        let owner: Owner
        /// Nil: it is gone, or has none any more.
        let holding: Holding?
        /// Where a mistake of it belongs.
        var path = FieldPath()
    }
    private enum Account: Hashable { case whole, tenant(TenantID) }
    private struct Uses {
        var counts: [String: Int] = [:]
        var bytes = 0

        /// One more use of it, or one less.
        mutating func step(_ change: Int, _ text: String, bytes size: Int) {
            let (before, after) = (counts[text] ?? 0, (counts[text] ?? 0) + change)
            counts[text] = after
            bytes += (after > 0 ? size : 0) - (before > 0 ? size : 0)
        }
    }
    private struct State {
        var holdings: [Owner: Holding] = [:]
        var accounts: [Account: Uses] = [:]
    }
    private let state = Mutex(State())

    package init() {}
    /// Of one tenant, or of all.
    package func bytes(of tenant: TenantID? = nil) -> Int {
        state.withLock { $0.accounts[tenant.map { .tenant($0) } ?? .whole]?.bytes ?? 0 }
    }

    /// What is over a bound once these are in force, and was not, or by less.
    func issues(_ entries: [Entry], _ bounds: ExpressionBounds) -> [ValidationIssue] {
        state.withLock { state in
            var after: [Account: Uses] = [:]
            var growing: [Account: FieldPath] = [:]
            for (account, change, text, bytes, path) in ExpressionLedger.steps(entries, state.holdings) {
                // A copy of those few that the change is about.
                let counts = state.accounts[account]?.counts
                var uses =
                    after.removeValue(forKey: account)
                    ?? Uses(counts: [:], bytes: state.accounts[account]?.bytes ?? 0)
                if uses.counts[text] == nil { uses.counts[text] = counts?[text] ?? 0 }
                uses.step(change, text, bytes: bytes)
                after[account] = uses
                if change > 0, growing[account] == nil, uses.counts[text] == 1 { growing[account] = path }
            }
            return after.compactMap { account, uses -> ValidationIssue? in
                let most = account == .whole ? bounds.bytesMax : bounds.tenantBytesMax
                guard uses.bytes > most, uses.bytes > state.accounts[account]?.bytes ?? 0 else { return nil }
                let (whose, key) =
                    account == .whole ? ("all", "expressions.total") : ("the tenant", "expressions.tenant")
                return ValidationIssue(
                    growing[account] ?? FieldPath(),
                    "takes too much memory for regular expressions: those of \(whose) would come to "
                        + "\(ByteSize.text(of: uses.bytes)), and `\(key)` is \(ByteSize.text(of: most))")
            }.sorted { "\($0.path)" < "\($1.path)" }
        }
    }
    /// They are in force.
    func take(_ entries: [Entry]) {
        state.withLock { state in
            for (account, change, text, bytes, _) in ExpressionLedger.steps(entries, state.holdings) {
                state.accounts[account, default: Uses()].step(change, text, bytes: bytes)
                if state.accounts[account]?.counts[text] == 0 { state.accounts[account]?.counts[text] = nil }
                if state.accounts[account]?.counts.isEmpty == true { state.accounts[account] = nil }
            }
            for entry in entries { state.holdings[entry.owner] = entry.holding }
        }
    }
    /// Tenants, or all, that are over their bound now.
    func overruns(_ bounds: ExpressionBounds, name: (TenantID) -> String) -> [String] {
        state.withLock { state in
            state.accounts.compactMap { account, uses in
                switch account {
                case .whole where uses.bytes > bounds.bytesMax:
                    "all regular expressions may take \(ByteSize.text(of: uses.bytes)), and `expressions.total` is "
                        + ByteSize.text(of: bounds.bytesMax)
                case .tenant(let tenant) where uses.bytes > bounds.tenantBytesMax:
                    "the regular expressions of tenant \"\(name(tenant))\" may take \(ByteSize.text(of: uses.bytes)), "
                        + "and `expressions.tenant` is \(ByteSize.text(of: bounds.tenantBytesMax))"
                case .whole, .tenant: nil
                }
            }.sorted()
        }
    }
    /// Each use that comes or goes, at the accounts that it counts in; what goes comes first.
    private static func steps(
        _ entries: [Entry], _ holdings: [Owner: Holding]
    ) -> [(Account, Int, String, Int, FieldPath)] {
        func steps(
            _ holding: Holding?, without other: Holding?, _ change: Int, _ path: FieldPath
        ) -> [(Account, Int, String, Int, FieldPath)] {
            guard let holding else { return [] }
            let accounts = [Account.whole] + (holding.tenant.map { [Account.tenant($0)] } ?? [])
            let stays = other?.tenant == holding.tenant ? other?.bytes ?? [:] : [:]
            return holding.bytes.filter { stays[$0.key] == nil }.flatMap { text, bytes in
                accounts.map { ($0, change, text, bytes, path) }
            }
        }
        return entries.flatMap { steps(holdings[$0.owner], without: $0.holding, -1, $0.path) }
            + entries.flatMap { steps($0.holding, without: holdings[$0.owner], 1, $0.path) }
    }
}

extension ExpressionLedger.Holding {
    /// Nil where there are none.
    init?(some patterns: [LinearPattern], of tenant: TenantID?) {
        guard !patterns.isEmpty else { return nil }
        self.init(patterns, of: tenant)
    }
    /// `compiled`: those of whoever runs it. Where nobody does they are compiled to be counted.
    init?(_ spec: EndpointSpec, _ compiled: [LinearPattern]?) {
        let policies = spec.settings.policies
        guard policies.filter != nil || policies.redaction?.custom.isEmpty == false else { return nil }
        self.init(some: compiled ?? ExpressionLedger.Holding.patterns(of: policies), of: spec.tenant)
    }
    private static func patterns(of policies: EndpointPolicies) -> [LinearPattern] {
        let filter = policies.filter.flatMap { try? CompiledFilter($0) }
        let custom = policies.redaction?.custom.compactMap { try? LinearPattern.shared($0.pattern) } ?? []
        return (filter?.patterns ?? []) + custom
    }
    /// Nobody runs it before an event asks for it. `pattern`, `patternProperties`: without one of those words, or an
    /// escape to spell it with, it need not be compiled.
    init?(_ spec: EventTypeSpec) {
        guard spec.settings.enforcesSchema, let schemas = spec.settings.schemas,
            schemas.contains("attern") || schemas.contains("\\"), let text = spec.settings.newestSchema
        else { return nil }
        self.init(some: (try? EventSchema(text))?.patterns ?? [], of: nil)
    }
}
