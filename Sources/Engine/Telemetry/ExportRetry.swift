// What the answer to a batch of spans means, by the OTLP specification ("OTLP/HTTP Response"): kept, refused for good,
// or to be sent again, when. One value a batch. Passive: whoever asks brings time and chance.
import FastPath

package enum ExportDecision: Equatable, Sendable {
    /// So many of its spans were not kept.
    case kept(rejected: Int)
    case again(inMillis: Int)
    case givenUp(String)
}

package struct ExportRetry: Sendable {
    package static let firstMillis = 1000
    package static let waitMillisMax = 30_000
    /// From the first try on; meanwhile newer spans wait, and are dropped when there are too many.
    package static let totalMillisMax: UInt64 = 300_000
    /// 429, and what says that a server or a gateway before it is busy.
    package static let retriedStatuses: Set<Int> = [429, 502, 503, 504]
    private let began: UInt64
    private var tries = 0

    /// `now`: monotonic, nanoseconds.
    package init(now: UInt64) { began = now }

    /// `share`: from 0 to 1, by chance.
    package mutating func judge(
        _ answer: Result<ExchangeAnswer, PostFailure>, now: UInt64, share: Double
    ) -> ExportDecision {
        tries += 1
        let why: String
        var asked: Int?
        switch answer {
        case .success(let answer) where (200..<300).contains(answer.status):
            return .kept(rejected: TraceExport.rejectedCount(in: answer.body))
        case .success(let answer) where ExportRetry.retriedStatuses.contains(answer.status):
            why = "it answered \(answer.status)"
            asked = answer.retryAfterSeconds.map { min($0, Int(ExportRetry.totalMillisMax)) * 1000 }
        case .success(let answer): return .givenUp("it answered \(answer.status)")
        case .failure(let failure): why = failure.rawValue
        }
        let wait = max(asked ?? 0, backoffMillis(share: share))
        let age = (now &- began) / 1_000_000
        guard age + UInt64(wait) <= ExportRetry.totalMillisMax else { return .givenUp(why) }
        return .again(inMillis: wait)
    }
    /// Doubled with each try; half of it by chance, so that gateways do not come back together.
    private func backoffMillis(share: Double) -> Int {
        let whole = min(ExportRetry.firstMillis << min(tries - 1, 10), ExportRetry.waitMillisMax)
        return whole / 2 + Int(Double(whole / 2) * min(max(share, 0), 1))
    }
}
