// What every part of a simulated world shares: the time, the agenda, chance, the story. One thread.

package final class Clockwork {
    /// Nanoseconds that never fall; and what the wall clock is ahead of them, which jumps.
    package private(set) var now: UInt64 = 1_000_000_000_000
    package var wallOffset: UInt64 = 1_700_000_000_000_000_000
    package var chance: Chance
    package var story = Story()
    private var agenda = Agenda()
    /// The first thing that was wrong; the run ends with it.
    package private(set) var finding: String?

    package init(seed: UInt64) { chance = Chance(seed) }
    package var wall: UInt64 { now &+ wallOffset }
    package var nextDue: UInt64? { agenda.nextDue }
    package func pass(_ nanos: UInt64) { now += nanos }
    package func pass(until time: UInt64) { now = max(now, time) }
    package func after(_ nanos: UInt64, _ run: @escaping () -> Void) { agenda.add(now + nanos, run) }
    package func at(_ time: UInt64, _ run: @escaping () -> Void) { agenda.add(max(time, now), run) }
    package func takeDue() -> (() -> Void)? { agenda.take(now) }
    package func note(_ what: StaticString, _ first: Int = 0, _ second: Int = 0) {
        story.note(what, first, second, at: now)
    }
    package func find(_ what: @autoclosure () -> String) { if finding == nil { finding = what() } }
    package func expect(_ holds: Bool, _ what: @autoclosure () -> String) { if !holds { find(what()) } }
}
