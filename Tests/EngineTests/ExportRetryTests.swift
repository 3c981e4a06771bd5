// What a collector's answer means, by the OTLP specification.

import Engine
import FastPath
import Testing

@Suite struct ExportRetryTests {
    private static let second: UInt64 = 1_000_000_000

    private func decision(_ answer: ExchangeAnswer) -> ExportDecision {
        var retry = ExportRetry(now: 0)
        return retry.judge(.success(answer), now: 0, share: 0)
    }
    @Test func isKept() {
        #expect(decision(ExchangeAnswer(status: 200)) == .kept(rejected: 0))
        #expect(decision(ExchangeAnswer(status: 202, body: Array("{}".utf8))) == .kept(rejected: 0))
        let partial = #"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#
        #expect(decision(ExchangeAnswer(status: 200, body: Array(partial.utf8))) == .kept(rejected: 3))
        let number = #"{"partialSuccess":{"rejectedSpans":2}}"#
        #expect(decision(ExchangeAnswer(status: 200, body: Array(number.utf8))) == .kept(rejected: 2))
        for odd in ["[1]", "no JSON", #"{"partialSuccess":7}"#, #"{"partialSuccess":{"rejectedSpans":"-1"}}"#] {
            #expect(decision(ExchangeAnswer(status: 200, body: Array(odd.utf8))) == .kept(rejected: 0))
        }
    }
    @Test(arguments: [429, 502, 503, 504]) func comesAgain(status: Int) {
        #expect(decision(ExchangeAnswer(status: status)) == .again(inMillis: 500))
        #expect(decision(ExchangeAnswer(status: status, retryAfterSeconds: 7)) == .again(inMillis: 7000))
    }
    @Test(arguments: [301, 400, 401, 403, 404, 413, 500, 501]) func isRefusedForGood(status: Int) {
        #expect(decision(ExchangeAnswer(status: status, retryAfterSeconds: 1)) == .givenUp("it answered \(status)"))
    }
    @Test func backsOffUpToABoundAndThenGivesUp() {
        var retry = ExportRetry(now: 0)
        var waits: [Int] = []
        var now: UInt64 = 0
        var end: ExportDecision?
        while end == nil {
            switch retry.judge(.failure(.notConnected), now: now, share: 1) {
            case .again(let millis):
                waits.append(millis)
                now += UInt64(millis) * 1_000_000
            case let decision: end = decision
            }
        }
        #expect(waits.starts(with: [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]))
        #expect(waits.allSatisfy { $0 <= ExportRetry.waitMillisMax })
        #expect(now <= ExportRetry.totalMillisMax * 1_000_000 && waits.count > 10)
        #expect(end == .givenUp(PostFailure.notConnected.rawValue))
    }
    @Test func chanceMovesHalfOfIt() {
        for share in [0, 0.25, 1.0] {
            var retry = ExportRetry(now: 0)
            #expect(retry.judge(.failure(.lost), now: 0, share: share) == .again(inMillis: 500 + Int(500 * share)))
        }
    }
    @Test func doesNotWaitLongerThanItTries() {
        var retry = ExportRetry(now: 0)
        let answer = ExchangeAnswer(status: 503, retryAfterSeconds: 299)
        #expect(retry.judge(.success(answer), now: 2 * Self.second, share: 0) == .givenUp("it answered 503"))
        var other = ExportRetry(now: 0)
        let never = ExchangeAnswer(status: 503, retryAfterSeconds: .max)
        #expect(other.judge(.success(never), now: Self.second, share: 0) == .givenUp("it answered 503"))
    }
}
