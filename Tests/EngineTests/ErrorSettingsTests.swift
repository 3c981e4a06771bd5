// What becomes of failures by their class: presets, rules above them, and the lane that goes by them.

import Engine
import FastPath
import Testing

@Suite struct ErrorSettingsTests {
    private func outcome(_ status: UInt16, retryAfter: UInt32 = .max) -> DeliveryOutcome {
        var outcome = DeliveryOutcome(token: 0, result: .answered)
        (outcome.status, outcome.retryAfterSeconds) = (status, retryAfter)
        return outcome
    }
    private func table(_ preset: ErrorPreset?, change: (inout ErrorSettings) -> Void = { _ in }) -> ErrorTable {
        var settings = ErrorSettings()
        settings.preset = preset
        change(&settings)
        return ErrorTable(settings)
    }
    /// How many attempts there are when each ends like this.
    private func attempts(_ table: ErrorTable, _ outcome: DeliveryOutcome) -> Int {
        let judged = OutcomePolicy.judge(outcome, wasRepeated: true)
        guard table.revised(judged, outcome).decision == .retry else { return 1 }
        var generator = SeededGenerator(seed: 1)
        let own = RetrySchedule(delaysMillis: [Int](repeating: 1, count: 20), jitter: 0)
        return 1
            + (1...30).prefix {
                table.delayMillis(afterAttempts: $0, outcome, own: own, using: &generator) != nil
            }.count
    }
    @Test(arguments: [
        (500, 6), (503, 6), (302, 6), (408, 6), (425, 6), (429, 4), (400, 1), (404, 1), (413, 1), (422, 1), (401, 1),
        (403, 1), (407, 1),
    ])
    func theContractsPresetHasItsCounts(_ status: Int, _ count: Int) {
        #expect(attempts(table(.contract), outcome(UInt16(status))) == count)
    }
    @Test(arguments: [DeliveryResult.connectFailed, .headTimedOut, .tlsFailed, .nameNotResolved])
    func theContractsTransientClassIsWhateverHasNoAnswer(_ result: DeliveryResult) {
        #expect(attempts(table(.contract), DeliveryOutcome(token: 0, result: result)) == 6)
    }
    @Test(arguments: [(500, 3), (429, 3), (401, 1), (404, 1)])
    func theIntegrationsPresetHasItsCounts(_ status: Int, _ count: Int) {
        #expect(attempts(table(.integrations), outcome(UInt16(status))) == count)
    }
    @Test func presetsHaveTheirTimes() {
        #expect(table(.contract).atMostMillis(outcome(500)) == 900_000)
        #expect(table(.contract).atMostMillis(outcome(429)) == 1_800_000)
        #expect(table(.integrations).atMostMillis(outcome(500)) == nil)
        var generator = SeededGenerator(seed: 3)
        let own = RetrySchedule(delaysMillis: [], jitter: 0)
        for attempt in 1...5 {
            let delay = table(.contract).delayMillis(
                afterAttempts: attempt, outcome(500), own: own, using: &generator)
            #expect((0...min(300_000, 10_000 << (attempt - 1))).contains(delay ?? -1))
        }
        let asked = table(.contract).delayMillis(
            afterAttempts: 1, outcome(429, retryAfter: 77), own: own, using: &generator)
        #expect(asked == 77_000)
    }
    @Test func aRuleOutranksThePreset() {
        let own = table(.contract) {
            $0[.validation] = ErrorRule()
            $0[.validation]?.retries = 2
            $0[.server] = ErrorRule()
            $0[.server]?.retries = 0
        }
        #expect(attempts(own, outcome(422)) == 3 && attempts(own, outcome(500)) == 1)
        #expect(attempts(own, outcome(429)) == 4, "as the preset says")
    }
    @Test func whatHasNoRuleGoesByTheOutcomes() {
        let own = table(nil) {
            $0[.limit] = ErrorRule()
            $0[.limit]?.retries = 1
        }
        #expect(attempts(own, outcome(500)) == 21 && attempts(own, outcome(404)) == 1)
        #expect(attempts(own, outcome(429)) == 2)
    }
    @Test func aGoneEndpointIsStillDisabled() {
        let gone = outcome(410)
        let judged = OutcomePolicy.judge(gone, wasRepeated: true)
        #expect(table(.contract).revised(judged, gone).decision == .endpointGone)
    }
    @Test func aDeadLetterWithoutAnAnswerIsNoPermanentAnswer() {
        let own = table(nil) {
            $0[.network] = ErrorRule()
            $0[.network]?.retries = 0
        }
        let lost = DeliveryOutcome(token: 0, result: .connectFailed)
        #expect(
            own.revised(OutcomePolicy.judge(lost, wasRepeated: true), lost).decision == .deadLetter(.retriesExhausted))
    }

    @Test func aLaneGoesByThem() throws {
        let bench = try Bench()
        try bench.apply([
            endpoint("a") {
                $0.policies.errors = ErrorSettings()
                $0.policies.errors?.preset = .contract
            }
        ])
        let received: UInt64 = 1_700_000_000_000_000_000
        for _ in 0..<3 { bench.log.append(FakeEvent(receivedAt: received)) }
        bench.advance(millis: 1)
        bench.egress.answer(0, status: 401)
        bench.egress.answer(0, status: 422)
        for _ in 0..<200 {
            bench.egress.answerAll(status: 500)
            bench.advance(millis: 5000)
        }
        let rows = try bench.rows("a")
        #expect(rows.map(\.reason) == [.permanentAnswer, .permanentAnswer, .retriesExhausted])
        #expect(rows.map(\.attempts) == [1, 1, 6])
    }
    @Test func aFailureIsNotTriedBeyondTheTimeOfItsClass() throws {
        let bench = try Bench()
        try bench.apply([
            endpoint("a") {
                $0.retryDelaysMillis = [Int](repeating: 300_000, count: 20)
                $0.policies.errors = ErrorSettings()
                $0.policies.errors?[.server] = ErrorRule()
                $0.policies.errors?[.server]?.atMostMillis = 900_000
            }
        ])
        bench.log.append(FakeEvent(receivedAt: 1_700_000_000_000_000_000))
        bench.advance(millis: 1)
        for _ in 0..<20 {
            bench.egress.answerAll(status: 500)
            bench.advance(millis: 100_000)
        }
        let row = try bench.rows("a")[0]
        #expect(row.reason == .retriesExhausted && row.attempts == 3)
    }
}
