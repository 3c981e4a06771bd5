// Which events a shadow gets.

import Engine
import FastPath
import Testing

@Test(arguments: [0.01, 0.1, 0.5, 0.9])
func aShadowGetsItsShare(share: Double) {
    var shadow = ShadowSettings()
    shadow.share = share
    let count = (0..<100_000 as Range<UInt64>).count { shadow.wants($0, endpoint: EndpointID(7)) }
    #expect(abs(Double(count) - share * 100_000) < 1000, "\(count)")
}
@Test func aShadowOfEverythingGetsEverything() {
    #expect((0..<1000 as Range<UInt64>).allSatisfy { ShadowSettings().wants($0, endpoint: EndpointID(1)) })
}
@Test func twoShadowsChooseApart() {
    var shadow = ShadowSettings()
    shadow.share = 0.5
    let both = (0..<10_000 as Range<UInt64>).count {
        shadow.wants($0, endpoint: EndpointID(1)) && shadow.wants($0, endpoint: EndpointID(2))
    }
    #expect(abs(both - 2500) < 300, "\(both)")
    let again = (0..<10_000 as Range<UInt64>).map { shadow.wants($0, endpoint: EndpointID(1)) }
    #expect(again == (0..<10_000 as Range<UInt64>).map { shadow.wants($0, endpoint: EndpointID(1)) })
}
