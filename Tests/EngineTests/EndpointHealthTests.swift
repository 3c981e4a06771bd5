// How an endpoint does: every condition × every event, and what an operator's word outranks.

import Engine
import FastPath
import Testing

private enum HealthEvent: CaseIterable {
    case succeeded, failed, failedThrice, unresolved, askedForLess, pausedByOperator, disabledByOperator, gone, removed
    case enabled, pauseEnded

    func apply(_ health: inout EndpointHealth, now: Int64 = 1000) -> Bool {
        switch self {
        case .succeeded: return health.succeeded(nowMillis: now)
        case .failed: return health.failed("e", nowMillis: now)
        case .failedThrice:
            return (0..<EndpointHealth.failureCountMin).reduce(false) { changed, _ in
                health.failed("e", nowMillis: now) || changed
            }
        case .unresolved: return health.failed("e", reason: .unresolved, nowMillis: now)
        case .askedForLess: return health.paused(.askedForLess, untilMillis: now + 60_000, nowMillis: now)
        case .pausedByOperator: return health.paused(.operatorRequest, untilMillis: 0, nowMillis: now)
        case .disabledByOperator: return health.disabled(.operatorRequest, nowMillis: now)
        case .gone: return health.disabled(.gone, nowMillis: now)
        case .removed: return health.removed(nowMillis: now)
        case .enabled: return health.enabled(nowMillis: now)
        case .pauseEnded: return health.pauseEnded(nowMillis: now)
        }
    }
}

@Suite struct EndpointHealthTests {
    private typealias Place = (condition: EndpointCondition, reason: EndpointReason, until: Int64)
    private static let starts: [Place] = [
        (.active, .none, 0), (.failing, .attemptsFailed, 0), (.paused, .askedForLess, 5000),
        (.paused, .operatorRequest, 0), (.disabled, .gone, 0),
    ]
    /// For each event what follows each of `starts`.
    private static let table: [(HealthEvent, [(EndpointCondition, EndpointReason)])] = {
        let less = (EndpointCondition.paused, EndpointReason.askedForLess)
        let held = (EndpointCondition.paused, EndpointReason.operatorRequest)
        let gone = (EndpointCondition.disabled, EndpointReason.gone)
        let active = (EndpointCondition.active, EndpointReason.none)
        let failing = (EndpointCondition.failing, EndpointReason.attemptsFailed)
        return [
            (.succeeded, [active, active, less, held, gone]),
            (.failed, [active, failing, less, held, gone]),
            (.failedThrice, [failing, failing, less, held, gone]),
            (.unresolved, [(.failing, .unresolved), failing, less, held, gone]),
            (.askedForLess, [less, less, less, held, gone]),
            (.pausedByOperator, [held, held, held, held, gone]),
            (
                .disabledByOperator,
                [
                    (.disabled, .operatorRequest), (.disabled, .operatorRequest),
                    (.disabled, .operatorRequest), (.disabled, .operatorRequest), gone,
                ]
            ),
            (.gone, [gone, gone, gone, gone, gone]),
            (
                .removed,
                [
                    (.disabled, .removed), (.disabled, .removed), (.disabled, .removed),
                    (.disabled, .removedWhilePaused), gone,
                ]
            ),
            (.enabled, [active, active, active, active, active]),
            // Not yet, or not by itself.
            (.pauseEnded, [active, failing, less, held, gone]),
        ]
    }()
    private func health(_ place: Place) -> EndpointHealth {
        var state = EndpointState(endpoint: EndpointID(1))
        state.condition = place.condition
        state.reason = place.reason
        state.untilMillis = place.until
        return EndpointHealth(state)
    }

    @Test func everyConditionAndEventGoesWhereTheTableSays() {
        #expect(Self.table.map(\.0) == HealthEvent.allCases)
        for (event, expected) in Self.table {
            for (start, next) in zip(Self.starts, expected) {
                var health = health(start)
                let before = health.state
                let hasChanged = event.apply(&health)
                let state = health.state
                #expect((state.condition, state.reason) == next, "\(event) in \(start)")
                let isNew =
                    (before.condition, before.reason, before.untilMillis)
                    != (state.condition, state.reason, state.untilMillis)
                #expect(hasChanged == isNew || event == .pausedByOperator, "\(event) in \(start)")
                #expect(!isNew || state.sinceMillis == 1000)
            }
        }
    }
    /// As a start reads it from the store: a removed endpoint is not in memory.
    private func returned(_ health: EndpointHealth, nowMillis: Int64) -> EndpointState {
        var health = EndpointHealth(health.state)
        #expect(health.returned(nowMillis: nowMillis) == true)
        return health.state
    }
    @Test func whatAnOperatorAskedForHoldsAgainWhenTheEndpointComesBack() {
        var paused = health((.active, .none, 0))
        #expect(paused.paused(.operatorRequest, untilMillis: 9000, nowMillis: 1000) == true)
        #expect(paused.removed(nowMillis: 2000) == true)
        #expect(paused.state.reason.name == "removed")
        #expect(paused.removed(nowMillis: 2500) == false, "once")
        #expect(paused.pauseEnded(nowMillis: 10_000) == false, "nothing of it runs while it is away")
        let back = returned(paused, nowMillis: 3000)
        #expect(back.condition == .paused && back.reason == .operatorRequest && back.untilMillis == 9000)
        #expect(returned(paused, nowMillis: 9000).condition == .active, "its time is over")
        var disabled = health((.active, .none, 0))
        #expect(disabled.disabled(.operatorRequest, nowMillis: 1000) == true)
        #expect(disabled.removed(nowMillis: 2000) == true)
        #expect(disabled.state.reason.isRemoval)
        let still = returned(disabled, nowMillis: 3000)
        #expect(still.condition == .disabled && still.reason == .operatorRequest)
        var failing = health((.failing, .attemptsFailed, 0))
        #expect(failing.removed(nowMillis: 1000) == true)
        #expect(returned(failing, nowMillis: 2000).condition == .active)
        var gone = health((.disabled, .gone, 0))
        #expect(gone.removed(nowMillis: 1000) == false)
        #expect(gone.returned(nowMillis: 2000) == false)
    }
    @Test func failingTakesThreeInARowAndOneSuccessEndsIt() {
        var health = health((.active, .none, 0))
        for _ in 0..<2 { #expect(health.failed("x", nowMillis: 1) == false) }
        #expect(health.succeeded(nowMillis: 2) == false)
        for _ in 0..<2 { #expect(health.failed("x", nowMillis: 3) == false) }
        #expect(health.failed("refused", nowMillis: 4) == true)
        #expect(health.state.condition == .failing && health.state.lastError == "refused")
        #expect(health.state.lastFailureMillis == 4 && health.state.lastSuccessMillis == 2)
        #expect(health.succeeded(nowMillis: 5) == true)
        #expect(health.state.condition == .active)
    }
    @Test func aPauseEndsByItsTime() {
        var health = health((.active, .none, 0))
        #expect(health.paused(.askedForLess, untilMillis: 9000, nowMillis: 1000) == true)
        #expect(health.pauseEnded(nowMillis: 8999) == false)
        #expect(health.paused(.askedForLess, untilMillis: 8000, nowMillis: 2000) == false, "not shortened")
        #expect(health.paused(.askedForLess, untilMillis: 12_000, nowMillis: 2000) == true)
        #expect(health.pauseEnded(nowMillis: 9000) == false)
        #expect(health.pauseEnded(nowMillis: 12_000) == true)
        #expect(health.state.condition == .active && health.state.untilMillis == 0)
    }
    @Test func anOperatorsLastWordHolds() {
        var health = health((.active, .none, 0))
        #expect(health.paused(.operatorRequest, untilMillis: 90_000, nowMillis: 1000) == true)
        #expect(health.paused(.operatorRequest, untilMillis: 20_000, nowMillis: 1000) == true)
        #expect(health.state.untilMillis == 20_000)
        #expect(health.paused(.askedForLess, untilMillis: 99_000, nowMillis: 1000) == false)
        #expect(health.state.untilMillis == 20_000 && health.state.reason == .operatorRequest)
    }
    @Test func theErrorStaysInItsBoundWhereverItIsCut() {
        for pad in 0..<8 {
            var health = health((.active, .none, 0))
            _ = health.failed(
                String(repeating: "x", count: pad) + String(repeating: "\u{1F980}\u{e9}", count: 100), nowMillis: 1)
            let error = health.state.lastError
            #expect(error.utf8.count <= 200 && error.utf8.count > 190 && !error.contains("\u{FFFD}"))
        }
    }
}
