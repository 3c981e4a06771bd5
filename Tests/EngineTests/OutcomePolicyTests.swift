// The policy over every result and every status; the schedule over every attempt.

import Engine
import FastPath
import Testing

private func outcome(_ result: DeliveryResult, status: UInt16 = 0, retryAfter: UInt32 = .max) -> DeliveryOutcome {
    var outcome = DeliveryOutcome(token: 0, result: result)
    outcome.status = status
    outcome.retryAfterSeconds = retryAfter
    return outcome
}

@Test func everyStatusHasItsDecision() {
    for status in UInt16(100)...599 {
        let decided = OutcomePolicy.judge(outcome(.answered, status: status), wasRepeated: false)
        let expected: DeliveryDecision =
            switch status {
            case 200...299: .delivered
            case 410: .endpointGone
            case 408, 421, 423, 425, 429: .retry
            case 400...499: .deadLetter(.permanentAnswer)
            default: .retry
            }
        #expect(decided.decision == expected, "status \(status)")
        let pace: EndpointPace =
            switch status {
            case 200...299: .recovered
            case 429, 502, 504: .backOff
            default: .unchanged
            }
        #expect(decided.pace == pace, "status \(status)")
    }
}

@Test func everyResultWithoutAnAnswerHasItsDecision() {
    for result in DeliveryResult.allCases where result != .answered {
        let decided = OutcomePolicy.judge(outcome(result), wasRepeated: false)
        let expected: DeliveryDecision =
            switch result {
            case .abandoned: .notAttempted
            case .notPrepared: .deadLetter(.transformationFailed)
            default: .retry
            }
        #expect(decided.decision == expected, "\(result)")
        let slows = [.nameNotResolved, .addressRefused, .authorizationFailed].contains(result)
        #expect(decided.pace == (slows ? .backOff : .unchanged), "\(result)")
    }
}

@Test func repeatsOnceOverAFreshConnection() {
    var lost = outcome(.connectionLost)
    lost.lostReusedConnection = true
    #expect(OutcomePolicy.judge(lost, wasRepeated: false).decision == .retryAtOnce)
    #expect(OutcomePolicy.judge(lost, wasRepeated: true).decision == .retry)
}

@Test func retryAfterPausesTheEndpointAndIsCapped() {
    for status in [UInt16(429), 503, 500, 302] {
        let decided = OutcomePolicy.judge(outcome(.answered, status: status, retryAfter: 7), wasRepeated: false)
        #expect(decided == OutcomeDecision(.retry, .pause(seconds: 7)))
    }
    let forever = OutcomePolicy.judge(outcome(.answered, status: 503, retryAfter: .max - 1), wasRepeated: false)
    #expect(forever.pace == .pause(seconds: 3600))
    #expect(OutcomePolicy.judge(outcome(.answered, status: 200, retryAfter: 7), wasRepeated: false).pace == .recovered)
}

@Test func theScheduleIsThatOfStandardWebhooksThenDeadLetter() {
    let schedule = RetrySchedule(delaysMillis: EndpointConfiguration().retryDelaysMillis, jitter: 0)
    var generator = SeededGenerator(seed: 1)
    let delays = (1...10).map { schedule.delayMillis(afterAttempts: $0, retryAfterSeconds: .max, using: &generator) }
    let hours = 3_600_000
    #expect(
        delays == [
            5000, 300_000, 1_800_000, 2 * hours, 5 * hours, 10 * hours, 14 * hours, 20 * hours, 24 * hours, nil,
        ])
    #expect(schedule.delayMillis(afterAttempts: 1, retryAfterSeconds: 60, using: &generator) == 60_000)
    #expect(schedule.delayMillis(afterAttempts: 2, retryAfterSeconds: 60, using: &generator) == 300_000)
    #expect(schedule.delayMillis(afterAttempts: 1, retryAfterSeconds: 1_000_000, using: &generator) == hours)
    #expect(schedule.delayMillis(afterAttempts: 10, retryAfterSeconds: 60, using: &generator) == nil)
}

@Test func jitterStaysInsideItsWidthAndSpreads() {
    let schedule = RetrySchedule(delaysMillis: [10_000], jitter: 0.1)
    var generator = SeededGenerator(seed: 7)
    let delays = (0..<1000).map { _ in
        schedule.delayMillis(afterAttempts: 1, retryAfterSeconds: .max, using: &generator) ?? -1
    }
    #expect(delays.allSatisfy { (9000...11_000).contains($0) })
    #expect(delays.min()! < 9100 && delays.max()! > 10_900)
    var again = SeededGenerator(seed: 7)
    #expect(delays[0] == schedule.delayMillis(afterAttempts: 1, retryAfterSeconds: .max, using: &again))
}

@Test func aSpreadLengthensAWaitAndNeverShortensIt() {
    let schedule = RetrySchedule(delaysMillis: [10_000], spread: 0.05)
    var generator = SeededGenerator(seed: 7)
    let delays = (0..<1000).map { _ in
        schedule.delayMillis(afterAttempts: 1, retryAfterSeconds: .max, using: &generator) ?? -1
    }
    #expect(delays.allSatisfy { (10_000...10_500).contains($0) })
    #expect(delays.min()! < 10_050 && delays.max()! > 10_450)
}

@Test func patternsMatchAsTheyAreWritten() {
    let cases: [(String, String, Bool)] = [
        ("push", "push", true), ("push", "pushed", false), ("*", "", true), ("*", "anything", true), ("", "", true),
        ("invoice.*", "invoice.paid", true), ("invoice.*", "invoice.", true), ("invoice.*", "invoice", false),
        ("*.failed", "charge.failed", true), ("*.failed", "charge.failed.", false), ("a*c", "abc", true),
        ("a*c", "ac", true), ("a*a", "a", false), ("a*b*c", "axxbxxc", true), ("a*b*c", "acb", false),
        ("*b*", "abc", true), ("**", "x", true), ("a*bc*c", "abcc", true), ("a*bc*c", "abc", false),
    ]
    for (pattern, type, expected) in cases {
        #expect(TypePattern(pattern).matches(Array(type.utf8)) == expected, "\(pattern) ~ \(type)")
    }
}
