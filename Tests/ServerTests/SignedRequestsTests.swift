// Signed requests of the contract edge: one key each, while they could be sent again, within a bound.
import Server
import Testing

@Suite struct SignedRequestsTests {
    private func name(_ number: Int) throws -> SignedRequests.Name {
        let digest = SignedRequests.bytes(of: UInt64(number)) + [UInt8](repeating: 7, count: 24)
        return try #require(SignedRequests.Name(digest: digest))
    }

    @Test func aRequestIsGoodForItsOwnKey() throws {
        var signed = SignedRequests()
        let one = try name(1)
        #expect(signed.verdict(on: one, key: 5, nowMillis: 0) == .first)
        signed.set(one, .running, key: 5, endMillis: 100)
        #expect(signed.verdict(on: one, key: 5, nowMillis: 1) == .running)
        signed.set(one, .done, key: 5, endMillis: 100)
        #expect(signed.verdict(on: one, key: 5, nowMillis: 1) == .again(isDone: true))
        #expect(signed.verdict(on: one, key: 6, nowMillis: 1) == .otherKey)
        #expect(signed.verdict(on: try name(2), key: 6, nowMillis: 1) == .first)
    }
    @Test func oneThatWasRefusedIsFreeAndOneThatFailedIsNot() throws {
        var signed = SignedRequests()
        let one = try name(1)
        signed.begin(one, key: 5, endMillis: 100)
        #expect(signed.verdict(on: one, key: 5, nowMillis: 1) == .running)
        signed.release(one, isOpen: false)
        #expect(signed.verdict(on: one, key: 6, nowMillis: 1) == .first)
        signed.begin(one, key: 5, endMillis: 100)
        signed.release(one, isOpen: true)
        #expect(signed.verdict(on: one, key: 6, nowMillis: 1) == .otherKey)
        #expect(signed.verdict(on: one, key: 5, nowMillis: 1) == .again(isDone: false))
    }
    @Test(arguments: [false, true]) func whatWasDoneStaysDoneWhenItIsRefusedLater(isOpen: Bool) throws {
        var signed = SignedRequests()
        let one = try name(1)
        signed.set(one, .done, key: 5, endMillis: 100)
        signed.begin(one, key: 5, endMillis: 200)
        signed.release(one, isOpen: isOpen)
        #expect(signed.verdict(on: one, key: 5, nowMillis: 150) == .again(isDone: true))
        #expect(signed.verdict(on: one, key: 6, nowMillis: 150) == .otherKey)
    }
    @Test func whatIsFullRefusesUntilTheOldestIsOver() throws {
        var signed = SignedRequests(countMax: 3)
        for number in 0..<3 { signed.set(try name(number), .done, key: 1, endMillis: 100 + Int64(number)) }
        #expect(signed.verdict(on: try name(3), key: 1, nowMillis: 40) == .full(millis: 60))
        #expect(signed.verdict(on: try name(0), key: 2, nowMillis: 40) == .otherKey, "none is forgotten for it")
        #expect(signed.verdict(on: try name(3), key: 1, nowMillis: 100) == .first)
        #expect(signed.entries.count == 2)
    }
    @Test func oneThatComesAgainIsKnownForAsLongAgain() throws {
        var signed = SignedRequests(countMax: 3)
        let one = try name(1)
        signed.set(one, .done, key: 1, endMillis: 100)
        signed.set(one, .done, key: 1, endMillis: 300)
        #expect(signed.verdict(on: one, key: 2, nowMillis: 200) == .otherKey)
        #expect(signed.verdict(on: one, key: 2, nowMillis: 300) == .first)
        #expect(signed.entries.isEmpty)
    }
    @Test func manyComeAndGoInTheMemoryOfThoseThatAreKnown() throws {
        var signed = SignedRequests(countMax: 1000)
        for number in 0..<20_000 {
            #expect(signed.verdict(on: try name(number), key: 1, nowMillis: Int64(number)) == .first)
            signed.set(try name(number), .done, key: 1, endMillis: Int64(number) + 500)
            #expect(signed.entries.count <= 501)
        }
        #expect(signed.verdict(on: try name(19_999), key: 2, nowMillis: 20_000) == .otherKey)
    }
}
