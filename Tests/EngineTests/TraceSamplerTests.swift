// Which traces are seen, and what ids are made of.

import Engine
import FastPath
import Testing

@Suite struct TraceSamplerTests {
    private let identity = TraceIdentity(log: 0xAB_CDEF_0123)

    private func count(_ ratio: Double, of count: UInt64 = 20_000) -> Int {
        let sampler = TraceSampler(ratio: ratio, heedsParent: true)
        return (1...count).count { sampler.isSampled(TraceContext(trace: identity.trace($0))) }
    }
    @Test func theRatioIsKept() {
        #expect(count(0) == 0 && count(1) == 20_000)
        for ratio in [0.01, 0.1, 0.5, 0.9] {
            let share = Double(count(ratio)) / 20_000
            // Five standard deviations of a fair draw.
            #expect(abs(share - ratio) < 5 * (ratio * (1 - ratio) / 20_000).squareRoot(), "\(ratio): \(share)")
        }
    }
    @Test func whatASmallShareHasALargerOneHasToo() {
        let (small, large) = (TraceSampler(ratio: 0.05, heedsParent: true), TraceSampler(ratio: 0.5, heedsParent: true))
        for sequence in UInt64(1)...5000 {
            let context = TraceContext(trace: identity.trace(sequence))
            #expect(!small.isSampled(context) || large.isSampled(context))
        }
    }
    @Test func theSendersFlagDecidesWhereItIsHeeded() {
        var context = TraceContext(trace: TraceID(high: 1, low: 1), parent: 2, flags: 1)
        #expect(TraceSampler(ratio: 0, heedsParent: true).isSampled(context))
        #expect(!TraceSampler(ratio: 0, heedsParent: false).isSampled(context))
        context.flags = 0
        #expect(!TraceSampler(ratio: 1, heedsParent: true).isSampled(context))
        #expect(TraceSampler(ratio: 1, heedsParent: false).isSampled(context))
    }
    @Test func idsAreTheSameInEveryProcessAndOfEachThingAnother() {
        let again = TraceIdentity(log: 0xAB_CDEF_0123)
        let other = TraceIdentity(log: 0xAB_CDEF_0124)
        var ids: Set<UInt64> = []
        var traces: Set<TraceID> = []
        for sequence in UInt64(1)...300 {
            #expect(identity.trace(sequence) == again.trace(sequence))
            #expect(identity.trace(sequence) != other.trace(sequence))
            traces.insert(identity.trace(sequence))
            ids.insert(identity.ingest(sequence))
            for number in UInt32(0)...3 {
                let endpoint = EndpointID(number)
                #expect(identity.delivery(sequence, endpoint) == again.delivery(sequence, endpoint))
                ids.insert(identity.delivery(sequence, endpoint))
                for nanos in [UInt64(1), 2] {
                    ids.insert(identity.attempt(sequence, endpoint, nanos: nanos))
                    ids.insert(identity.manualDelivery(sequence, endpoint, nanos: nanos))
                }
            }
        }
        #expect(traces.count == 300 && ids.count == 300 * (1 + 4 * 5) && !ids.contains(0))
    }
}
