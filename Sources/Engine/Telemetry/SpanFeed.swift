// Facts on their way from the dispatcher to the worker that makes spans of them. Whoever adds never waits: both queues
// are bounded. Facts without room are counted and lost; notes of commits without room become one with the last, so that
// no event is passed over.
import Synchronization

package final class SpanFeed: Sendable {
    /// Some megabytes; who takes comes by twenty times a second.
    package static let factCountMax = 16_384
    package static let noteCountMax = 4096
    private struct State {
        var facts: [SpanFact] = []
        var notes: [CommitNote] = []
        var lost: UInt64 = 0
    }
    private let state = Mutex(State())
    private let factCountMax: Int
    private let noteCountMax: Int

    package init(factCountMax: Int = SpanFeed.factCountMax, noteCountMax: Int = SpanFeed.noteCountMax) {
        self.factCountMax = factCountMax
        self.noteCountMax = noteCountMax
    }
    package func add(_ fact: SpanFact) {
        state.withLock { state in
            guard state.facts.count < factCountMax else {
                state.lost += 1
                return
            }
            state.facts.append(fact)
        }
    }
    package func note(_ note: CommitNote) {
        state.withLock { state in
            if state.notes.count < noteCountMax {
                state.notes.append(note)
            } else {
                state.notes[state.notes.count - 1] = note
            }
        }
    }
    /// All that wait, and how many facts found no room since the last call.
    package func take() -> (facts: [SpanFact], notes: [CommitNote], lost: UInt64) {
        state.withLock { state in
            defer { state = State() }
            return (state.facts, state.notes, state.lost)
        }
    }
}
