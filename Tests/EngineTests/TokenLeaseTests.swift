// The access token of one client over its states and times, and the table of all clients.
import Engine
import FastPath
import Testing

private let second: UInt64 = 1_000_000_000

private func text(_ answer: TokenLease.Answer) -> String {
    switch answer {
    case .token: "token"
    case .pending: "pending"
    case .failed(let failure): failure.fault.name
    }
}
extension TokenLease {
    /// What a look comes to, in words: `pending asks`.
    fileprivate mutating func said(_ now: UInt64) -> String {
        let look = look(now: now)
        return text(look.answer) + (look.asks ? " asks" : "")
    }
}

@Suite struct TokenLeaseTests {
    @Test func asksOnceAndServesUntilShortlyBeforeTheEnd() {
        var lease = TokenLease()
        #expect(lease.isAtRest(now: 0))
        #expect(lease.said(10 * second) == "pending asks")
        #expect(lease.said(10 * second) == "pending", "one request at a time")
        #expect(!lease.isAtRest(now: 10 * second))
        lease.granted(AccessToken("t"), lifetimeMillis: 100_000, now: 11 * second)
        // 100 s from then: another one is asked for after 75, this one is used for 90.
        #expect(lease.said(11 * second) == "token" && lease.said(85 * second) == "token")
        #expect(lease.said(86 * second) == "token asks")
        #expect(lease.said(100 * second) == "token", "while it is asked for")
        #expect(lease.said(101 * second) == "pending")
        lease.granted(AccessToken("u"), lifetimeMillis: 1000, now: 102 * second)
        #expect(lease.said(102 * second) == "token")
        #expect(lease.said(103 * second) == "pending asks")
    }
    @Test func asksForNothingWhileNobodyLooks() {
        var lease = TokenLease()
        _ = lease.look(now: 0)
        lease.granted(AccessToken("t"), lifetimeMillis: 60_000, now: 0)
        #expect(!lease.isAtRest(now: 50 * second))
        #expect(!lease.isAsked && lease.isAtRest(now: 54 * second))
    }
    @Test func waitsLongerAfterEachFailure() {
        var (lease, now) = (TokenLease(), 0 as UInt64)
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] as [UInt64] {
            #expect(lease.said(now) == "pending asks")
            lease.failed(TokenFailure(.timedOut), now: now)
            #expect(lease.said(now) == "timed_out" && lease.said(now + seconds * second - 1) == "timed_out")
            #expect(!lease.isAtRest(now: now + seconds * second - 1))
            now += seconds * second
        }
        #expect(lease.said(now) == "pending asks")
        lease.granted(AccessToken("t"), lifetimeMillis: 60_000, now: now)
        #expect(lease.failure == nil && lease.failureCount == 0)
    }
    @Test func heedsARetryAfterWithinABound() {
        var failure = TokenFailure(.unavailable, status: 503)
        for (asked, waits) in [(0, 1), (20, 20), (100_000, 300), (-5, 1)] {
            var lease = TokenLease()
            _ = lease.look(now: 0)
            failure.retryAfterSeconds = asked
            lease.failed(failure, now: 0)
            #expect(lease.said(UInt64(waits) * second - 1) == "unavailable", "\(asked)")
            #expect(lease.said(UInt64(waits) * second) == "pending asks", "\(asked)")
        }
    }
    @Test func aTokenThatIsStillGoodServesWhileRenewingFails() {
        var lease = TokenLease()
        _ = lease.look(now: 0)
        lease.granted(AccessToken("t"), lifetimeMillis: 100_000, now: 0)
        #expect(lease.said(80 * second) == "token asks")
        lease.failed(TokenFailure(.refused), now: 80 * second)
        #expect(lease.said(80 * second) == "token", "not asked again before its wait is over")
        #expect(lease.said(81 * second) == "token asks")
        lease.failed(TokenFailure(.refused), now: 89 * second)
        #expect(lease.said(90 * second) == "refused", "its end has come")
    }
    @Test func aRefusalBringsOneRequestAMinute() throws {
        var lease = TokenLease()
        _ = lease.look(now: 0)
        lease.granted(AccessToken("t"), lifetimeMillis: 3_600_000, now: 0)
        let first = try #require(lease.token)
        let refused1 = lease.refused(first, now: second)
        #expect(refused1)
        let refused2 = lease.refused(first, now: second)
        #expect(refused2, "others that were out with it go again too")
        #expect(lease.said(second) == "pending asks")
        let refused3 = lease.refused(first, now: second)
        #expect(refused3)
        lease.granted(AccessToken("u"), lifetimeMillis: 3_600_000, now: 2 * second)
        let next = try #require(lease.token)
        let refused4 = lease.refused(first, now: 3 * second)
        #expect(refused4, "an old one, whose successor is there")
        let refused5 = lease.refused(next, now: 3 * second)
        #expect(!refused5 && lease.said(3 * second) == "token")
        let refused6 = lease.refused(next, now: 60 * second)
        #expect(!refused6)
        let refused7 = lease.refused(next, now: 61 * second)
        #expect(refused7 && lease.said(61 * second) == "pending asks")
    }
    @Test func aChangedSecretGoesOnWithTheOldToken() {
        var old = TokenLease()
        _ = old.look(now: 0)
        old.granted(AccessToken("t"), lifetimeMillis: 100_000, now: 0)
        var new = TokenLease()
        new.succeed(old, now: 10 * second)
        #expect(new.token === old.token)
        #expect(new.said(10 * second) == "token asks")
        new.granted(AccessToken("u"), lifetimeMillis: 100_000, now: 11 * second)
        #expect(new.token !== old.token)
        // One that has ended is worth nothing, and one that is there is not replaced.
        var late = TokenLease()
        late.succeed(old, now: 90 * second)
        #expect(late.token == nil && late.said(90 * second) == "pending asks")
        let kept = new.token
        new.succeed(old, now: 12 * second)
        #expect(new.token === kept)
    }
}

@Suite struct TokenCacheTests {
    private func credentials(
        tenant: TenantID = .main, _ change: (inout ClientCredentialsSettings) -> Void = { _ in }
    ) throws -> ClientCredentials {
        try EngineTests.credentials(of: asking("a", change), tenant: tenant)
    }

    @Test func oneClientOfATenantHasOneTokenHoweverManyEndpointsAskWithIt() throws {
        var cache = TokenCache()
        let (one, same) = (try credentials(), try credentials())
        #expect(one !== same && one == same)
        #expect(cache.look(one, now: 0).asks && !cache.look(same, now: 0).asks)
        cache.took(.success(GrantedToken(text: "t", lifetimeMillis: 60_000)), for: one, now: 0)
        #expect(cache.token(of: same) != nil && cache.askedCount == 0)
        let others = [
            try credentials(tenant: TenantID(7)), try credentials { $0.scopes = ["b"] },
            try credentials { $0.clientID = "other" }, try credentials { $0.clientSecret = "other" },
            try credentials { $0.audience = "x" }, try credentials { $0.authStyle = .body },
        ]
        for other in others { #expect(cache.token(of: other) == nil && cache.look(other, now: 0).asks) }
        #expect(cache.askedCount == others.count)
    }
    @Test func onlyAChangeOfTheSecretGoesOn() throws {
        let old = try credentials()
        for (change, goesOn) in [
            ({ $0.clientSecret = "new" }, true), ({ $0.authStyle = .body }, true), ({ $0.scopes = ["b"] }, false),
            ({ $0.tokenURL = "https://other.example/t" }, false), ({ _ in }, false),
        ] as [((inout ClientCredentialsSettings) -> Void, Bool)] {
            var cache = TokenCache()
            _ = cache.look(old, now: 0)
            cache.took(.success(GrantedToken(text: "t", lifetimeMillis: 60_000)), for: old, now: 0)
            let new = try credentials(change)
            #expect(new.succeeds(old) == goesOn)
            guard new != old else { continue }
            cache.succeed(old, by: new, now: 1)
            #expect((cache.token(of: new) != nil) == goesOn)
        }
        let foreign = try credentials(tenant: TenantID(7)) { $0.clientSecret = "new" }
        #expect(!foreign.succeeds(old))
    }
    @Test func whatEndedIsForgotten() throws {
        var cache = TokenCache()
        for index in 0..<1000 {
            let now = UInt64(index) * 100 * second
            let one = try credentials { $0.clientID = "c\(index)" }
            _ = cache.look(one, now: now)
            cache.took(.success(GrantedToken(text: "t", lifetimeMillis: 1000)), for: one, now: now)
        }
        #expect(cache.count <= 130, "\(cache.count)")
    }
    @Test func saysWhenRequestsBeginToFailAndWhenTheySucceedAgain() throws {
        var cache = TokenCache()
        let one = try credentials()
        for index in 0..<3 {
            _ = cache.look(one, now: UInt64(index) * 100 * second)
            cache.took(.failure(TokenFailure(.timedOut)), for: one, now: UInt64(index) * 100 * second)
        }
        _ = cache.look(one, now: 900 * second)
        cache.took(.success(GrantedToken(text: "t", lifetimeMillis: 1000)), for: one, now: 900 * second)
        #expect(cache.notices.map(\.failure?.fault) == [.timedOut, nil])
        #expect(cache.figures.granted == 1)
        #expect(cache.figures.failures[Int(AccessTokenFault.timedOut.rawValue)] == 3)
    }
}
