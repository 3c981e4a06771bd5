// What statuses mean: every preset over every status, and which rule outranks which.

import Engine
import FastPath
import Testing

@Suite struct OutcomeTableTests {
    /// What a status means is what the page says, preset by preset.
    @Test func everyPresetHasItsMeaningForEveryStatus() {
        for status in UInt16(100)...999 {
            let isSuccess = (200...299).contains(status)
            let isOfClient = (400...499).contains(status)
            let standard: OutcomeMeaning =
                switch status {
                case 408, 421, 423, 425: .retry
                case 410: .disable
                case 413: .retryIfAsked
                case 429, 502, 504: .slow
                default: isSuccess ? .delivered : isOfClient ? .dead : .retry
                }
            #expect(OutcomeTable([:]).meaning(of: status) == standard, "\(status)")
            #expect(OutcomeTable(["preset": "default"]).meaning(of: status) == standard, "\(status)")
            let webhooks: OutcomeMeaning =
                switch status {
                case 410: .disable
                case 429, 502, 504: .slow
                default: isSuccess ? .delivered : .retry
                }
            #expect(OutcomeTable(["preset": "standard-webhooks"]).meaning(of: status) == webhooks, "\(status)")
            let opsCenter: OutcomeMeaning =
                status == 410 ? .disable : isSuccess ? .delivered : isOfClient ? .dead : .retry
            #expect(OutcomeTable(["preset": "ops-center"]).meaning(of: status) == opsCenter, "\(status)")
        }
    }
    @Test func anEndpointsRulesOutrankThePresetAndAStatusItsClass() {
        let table = OutcomeTable(["404": "retry", "4xx": "dead", "500": "delivered", "2xx": "slow"])
        #expect(table.meaning(of: 404) == .retry)
        #expect([400, 408, 410, 429, 499].allSatisfy { table.meaning(of: $0) == .dead })
        #expect(table.meaning(of: 500) == .delivered && table.meaning(of: 502) == .slow)
        #expect(table.meaning(of: 200) == .slow && table.meaning(of: 302) == .retry)
        let above = OutcomeTable(["preset": "standard-webhooks", "404": "dead"])
        #expect(above.meaning(of: 404) == .dead && above.meaning(of: 400) == .retry)
    }
    @Test func eachMeaningHasItsDecision() {
        func judge(_ meaning: OutcomeMeaning, retryAfter: UInt32 = .max) -> OutcomeDecision {
            var outcome = DeliveryOutcome(token: 0, result: .answered)
            (outcome.status, outcome.retryAfterSeconds) = (404, retryAfter)
            return OutcomePolicy.judge(outcome, wasRepeated: false, by: OutcomeTable(["404": meaning.rawValue]))
        }
        #expect(judge(.delivered, retryAfter: 7) == OutcomeDecision(.delivered, .recovered))
        #expect(judge(.retry) == OutcomeDecision(.retry) && judge(.slow) == OutcomeDecision(.retry, .backOff))
        #expect(judge(.slow, retryAfter: 7) == OutcomeDecision(.retry, .pause(seconds: 7)))
        #expect(judge(.dead) == OutcomeDecision(.deadLetter(.permanentAnswer)))
        #expect(judge(.retryIfAsked) == OutcomeDecision(.deadLetter(.permanentAnswer)))
        #expect(judge(.retryIfAsked, retryAfter: 7) == OutcomeDecision(.retry, .pause(seconds: 7)))
        #expect(judge(.disable) == OutcomeDecision(.endpointGone))
    }
    @Test func a408OfAConnectionThatWasIdleIsRepeatedOnce() {
        var outcome = DeliveryOutcome(token: 0, result: .answered)
        (outcome.status, outcome.lostReusedConnection) = (408, true)
        #expect(OutcomePolicy.judge(outcome, wasRepeated: false).decision == .retryAtOnce)
        #expect(OutcomePolicy.judge(outcome, wasRepeated: true).decision == .retry)
    }
}
