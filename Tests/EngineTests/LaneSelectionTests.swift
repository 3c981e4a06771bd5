// The busiest endpoints in the metrics: whoever comes and goes, no counter ever goes back.

import Engine
import FastPath
import Testing

@Suite struct LaneSelectionTests {
    private func record(_ lane: Lane, _ count: Int, _ totals: inout LaneCounters) {
        for _ in 0..<count {
            var outcome = DeliveryOutcome(token: 0, result: .answered)
            outcome.status = 200
            lane.tally?.counters.record(outcome)
            totals.record(outcome)
        }
    }
    private func offer(_ lane: Lane, _ selection: inout LaneSelection) {
        lane.tally = LaneTally()
        selection.offer(lane)
    }

    @Test func theBusiestComeIn() throws {
        var selection = LaneSelection()
        var totals = LaneCounters()
        let lanes = try (1...60).map { try lane($0) }
        for lane in lanes { offer(lane, &selection) }
        #expect(selection.selected.count == LaneSelection.countMax)
        for _ in 0..<1000 {
            for lane in lanes[50...] { record(lane, 2, &totals) }
            selection.refresh()
        }
        let numbers = Set(selection.selected.map(\.lane.id.number))
        #expect(numbers.isSuperset(of: 51...60) && numbers.count == LaneSelection.countMax)
    }
    @Test(arguments: 1...20) func noCounterGoesBack(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        var selection = LaneSelection()
        var totals = LaneCounters()
        var lanes: [Lane] = []
        var nextNumber: UInt32 = 1
        var others: UInt64 = 0
        var own: [UInt32: UInt64] = [:]
        for round in 0..<3000 {
            if lanes.count < 80 {
                lanes.append(try lane(nextNumber))
                nextNumber += 1
                offer(lanes[lanes.count - 1], &selection)
            }
            if Int.random(in: 0..<200, using: &generator) == 0 {
                selection.remove(lanes.remove(at: Int.random(in: 0..<lanes.count, using: &generator)))
            }
            // Others are busy for a while, then others again.
            let busy = round / 500 * 13 % lanes.count
            record(lanes[busy], 5, &totals)
            record(lanes[Int.random(in: 0..<lanes.count, using: &generator)], 1, &totals)
            selection.refresh()
            var sum: UInt64 = 0
            var now: [UInt32: UInt64] = [:]
            for (lane, base) in selection.selected {
                let counters = try #require(lane.counters).less(base)
                sum += counters.attemptCount
                now[lane.id.number] = counters.attemptCount
            }
            for (number, count) in now { if let before = own[number] { #expect(count >= before) } }
            #expect(selection.selected.count <= LaneSelection.countMax)
            #expect(Set(selection.selected.map { ObjectIdentifier($0.lane) }).count == selection.selected.count)
            #expect(totals.attemptCount - sum >= others)
            others = totals.attemptCount - sum
            own = now
        }
    }
}
