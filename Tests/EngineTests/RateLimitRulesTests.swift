// Limits as an operator says them: presets, what is refused and where, whose holds for a tenant, and that one which
// does not change goes on where it stood.
import Engine
import FastPath
import Testing

private typealias Limit = RateLimitConfiguration

private func tenant(_ name: String, _ limit: RateLimitConfiguration?) -> TenantSettings {
    var settings = TenantSettings()
    settings.name = name
    settings.rateLimit = limit
    return settings
}
private func service() -> RegistryService {
    RegistryService(store: MemoryRegistryStore(), process: ProcessSettings(), verifiers: VerifierRegistry())
}
private func refusal(_ body: () throws -> Void) -> String {
    do { try body() } catch { return "\(error)" }
    return "nothing was refused"
}

struct RateLimitRulesTests {
    @Test func presetsAreWhatTheSeedsPromise() {
        #expect(RateLimitPreset.tokenBucket.limit == Limit(capacity: 100, perSecond: 10))
        #expect(RateLimitPreset.slidingWindows.limit == Limit(perMinute: 100, perHour: 1000))
        for preset in RateLimitPreset.allCases { #expect(preset.limit.problems.isEmpty) }
    }
    @Test(arguments: [
        (Limit(), "sources[0].rate_limit: limits nothing by itself"),
        (Limit(capacity: 5), "sources[0].rate_limit.capacity: limits nothing by itself"),
        (Limit(capacity: 5, perMinute: 5), "sources[0].rate_limit.capacity: says how many tokens there are"),
        (Limit(perSecond: 0), "sources[0].rate_limit.per_second: is out of range; it takes 1 to 1000000"),
        (Limit(perMinute: 10, perHour: 9), "sources[0].rate_limit.per_hour: is less than `per_minute`"),
    ])
    func whatIsWrongIsSaidAtItsPlace(_ limit: RateLimitConfiguration, _ words: String) {
        let issues = RegistryValidation.issues(of: manifest([source("a") { $0.rateLimit = limit }]))
        #expect(issues.count == 1 && issues[0].description.contains(words), "\(issues)")
        let tenants = manifest([source("a")]) { $0.live.tenants = [tenant("acme", limit)] }
        let place = words.replacing("sources[0]", with: "tenants[0]")
        #expect(RegistryValidation.issues(of: tenants).contains { $0.description.contains(place) })
    }
    @Test func aTenantIsNamedOnceAndByAName() {
        let twice = manifest { $0.live.tenants = [tenant("a", nil), tenant("a", nil), tenant("a b", nil)] }
        let issues = RegistryValidation.issues(of: twice).map(\.description)
        #expect(issues.contains { $0.contains("tenants[1].name") && $0.contains("tenants[0]") }, "\(issues)")
        #expect(issues.contains { $0.contains("tenants[2].name") && $0.contains("must be 1 to 64") }, "\(issues)")
    }
    @Test func whatTheFileSaysOfATenantComesBeforeItsOwnAndThatBeforeEveryones() throws {
        let registry = service()
        let everyone = Limit(perHour: 7)
        let said = [tenant("*", everyone), tenant("acme", Limit(perHour: 3)), tenant("free", nil)]
        _ = try registry.apply(.manifest(manifest { $0.live.tenants = said }), actor: .start)
        var profile = TenantProfile()
        profile.rateLimit = Limit(perHour: 5)
        _ = try registry.apply(
            .edits([
                .createTenant(name: "own", uid: nil, profile: profile), .createTenant(name: "plain", uid: nil),
            ]), actor: ChangeActor("api"))
        func limit(_ name: String) -> UInt32? {
            let tenant = registry.state.tenant(named: name)
            #expect(tenant != nil)
            return tenant.flatMap { registry.sources?.limiter(of: $0.id)?.settings.perHour }
        }
        // A tenant that the file names is made.
        #expect(limit("acme") == 3)
        #expect(limit("free") == nil)
        #expect(limit("own") == 5)
        #expect(limit("plain") == 7)
        #expect(limit("default") == 7)
        // It can be neither renamed nor removed while the file names it.
        let acme = try #require(registry.state.tenant(named: "acme"))
        for edit in [RegistryEdit.deleteTenant(acme.id), .updateTenant(acme.id, name: "other", uid: nil)] {
            #expect(throws: RegistryRefusal.managedByManifest(.tenant, name: "acme")) {
                try registry.apply(.edits([edit]), actor: ChangeActor("api"))
            }
        }
        _ = try registry.apply(.edits([.updateTenant(acme.id, name: nil, uid: "a-1")]), actor: ChangeActor("api"))
        let own = try #require(registry.state.tenant(named: "own"))
        let wrong = refusal {
            _ = try registry.apply(
                .edits([
                    .updateTenant(own.id, name: nil, uid: nil, profile: { $0.rateLimit = Limit(capacity: 1) })
                ]), actor: ChangeActor("api"))
        }
        #expect(wrong.contains("rate_limit.capacity") && wrong.contains("per_second"), "\(wrong)")
        _ = try registry.apply(
            .edits([.updateTenant(own.id, name: nil, uid: nil, profile: { $0.rateLimit = nil })]),
            actor: ChangeActor("api"))
        #expect(limit("own") == 7)
        _ = try registry.apply(.edits([.deleteTenant(own.id)]), actor: ChangeActor("api"))
        #expect(registry.sources?.limiter(of: own.id) == nil)
    }
    @Test func aLimitThatDoesNotChangeGoesOnWhereItStood() throws {
        let registry = service()
        func apply(_ perHour: Int, _ change: (inout SourceConfiguration) -> Void = { _ in }) throws -> RateLimiter? {
            let said = [tenant("*", Limit(perHour: perHour))]
            let sources = [source("a") { $0.rateLimit = Limit(perHour: perHour) }]
            var fresh = manifest(sources) { $0.live.tenants = said }
            change(&fresh.sources[0])
            _ = try registry.apply(.manifest(fresh), actor: .start)
            return registry.sources?.limiter(of: .main)
        }
        let first = try #require(try apply(10))
        #expect(first.take(1).isOpen)
        // The source is compiled anew, and everything with it.
        let second = try #require(try apply(10) { $0.secrets = ["another"] })
        #expect(first === second && second.look(1).quota.remaining == 9)
        let third = try #require(try apply(11))
        #expect(third !== first && third.look(1).quota.remaining == 11)
    }
    @Test func theAuditSaysWhatALimitWasAndIs() {
        let (old, new) = (source("a"), source("a") { $0.rateLimit = Limit(capacity: 100, perSecond: 10) })
        let changes = new.changes(from: old)
        #expect(
            changes == [FieldChange(field: "rate_limit", before: "none", after: "capacity 100, per_second 10")])
    }
}
