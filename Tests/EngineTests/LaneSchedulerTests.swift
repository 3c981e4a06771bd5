// Ready, starved, timers: each lane is where its flags say, once, and none is forgotten.

import Engine
import FastPath
import Testing

private func ready(_ scheduler: inout LaneScheduler) -> [UInt32] {
    var numbers: [UInt32] = []
    while let lane = scheduler.popReady() {
        numbers.append(lane.id.number)
        scheduler.served(lacks: false)
    }
    return numbers
}

private func tried(_ scheduler: inout LaneScheduler) -> [UInt32] {
    var numbers: [UInt32] = []
    while let lane = scheduler.popStarved() {
        numbers.append(lane.id.number)
        scheduler.served(lacks: false)
    }
    return numbers
}

@Suite struct LaneSchedulerTests {
    @Test func readyLanesComeInTheirTurnAndOnce() throws {
        var scheduler = LaneScheduler()
        let lanes = try (1...3).map { try lane($0) }
        for lane in lanes + lanes { scheduler.makeReady(lane) }
        #expect(scheduler.readyCount == 3)
        #expect(ready(&scheduler) == [1, 2, 3])
        scheduler.makeReady(lanes[1])
        #expect(ready(&scheduler) == [2])
    }
    @Test func starvedLanesWaitForWhatComesFree() throws {
        var scheduler = LaneScheduler()
        let lanes = try (1...3).map { try lane($0) }
        for lane in lanes {
            scheduler.starve(lane)
            scheduler.starve(lane)
            // Ready for another reason: it still lacks the resource.
            scheduler.makeReady(lane)
        }
        #expect(scheduler.readyCount == 0 && scheduler.starvedCount == 3)
        scheduler.wakeStarved(2)
        #expect(scheduler.tryCount == 2)
        #expect(tried(&scheduler) == [1, 2])
        scheduler.starve(lanes[0])
        scheduler.wakeStarved(100)
        #expect(tried(&scheduler) == [3, 1])
        #expect(scheduler.starvedCount == 0 && scheduler.tryCount == 0)
    }
    @Test func aReadyLaneDoesNotStarve() throws {
        var scheduler = LaneScheduler()
        let lane = try lane(1)
        scheduler.makeReady(lane)
        scheduler.starve(lane)
        #expect(scheduler.starvedCount == 0)
        #expect(ready(&scheduler) == [1])
    }
    @Test func theEarliestTimerCountsAndOvertakenOnesAreSkipped() throws {
        var scheduler = LaneScheduler()
        let (late, early) = (try lane(1), try lane(2))
        scheduler.wake(late, at: 100)
        scheduler.wake(late, at: 200)
        scheduler.wake(late, at: 50)
        scheduler.wake(early, at: 60)
        #expect(scheduler.nextTimer == 50)
        scheduler.fireTimers(now: 49)
        #expect(ready(&scheduler).isEmpty)
        scheduler.fireTimers(now: 55)
        #expect(ready(&scheduler) == [1])
        scheduler.fireTimers(now: 150)
        #expect(ready(&scheduler) == [2], "the timer at 100 was overtaken")
        scheduler.wake(late, at: 160)
        scheduler.fireTimers(now: 1000)
        #expect(ready(&scheduler) == [1] && scheduler.nextTimer == nil)
    }
    @Test func timersFireInTheOrderOfTime() throws {
        var scheduler = LaneScheduler()
        var generator = SeededGenerator(seed: 3)
        let times = (1...500).map { _ in UInt64.random(in: 1...10_000, using: &generator) }
        for (index, time) in times.enumerated() { scheduler.wake(try lane(UInt32(index)), at: time) }
        var fired = 0
        for now in stride(from: UInt64(0), through: 10_000, by: 100) {
            scheduler.fireTimers(now: now)
            fired += ready(&scheduler).count
            #expect(fired == times.count { $0 <= now })
        }
    }
    @Test func overtakenTimersDoNotPileUp() throws {
        var scheduler = LaneScheduler()
        let lane = try lane(1)
        // A dead letter's last retry is a day away; a failure now and then sets an earlier timer.
        for second in 0..<10_000 {
            let now = UInt64(second) * 10
            scheduler.wake(lane, at: 1_000_000_000)
            scheduler.wake(lane, at: now + 5)
            scheduler.fireTimers(now: now + 5)
            #expect(ready(&scheduler) == [1])
        }
        #expect(scheduler.timerCount < 100)
        scheduler.wake(lane, at: 1_000_000_000)
        scheduler.fireTimers(now: 1_000_000_000)
        #expect(ready(&scheduler) == [1])
    }
}
