// How a sink behaves badly on purpose: how long it waits, what it answers, when it is down. Pure; the time and the dice
// go in.
import Engine
import Foundation

package enum SinkDelay: Equatable, Sendable {
    case fixed(Double)
    case uniform(Double, Double)
    /// Most wait the first, a share waits the second.
    case bimodal(Double, Double, share: Double)
    /// Around a median; `sigma` of the logarithm.
    case lognormal(median: Double, sigma: Double)

    package static let forms =
        "a time such as 200ms, uniform:10ms-50ms, bimodal:5ms,100ms@0.1 (a tenth waits 100 ms) or lognormal:20ms,0.5"

    /// Times in seconds. Nil when the text is none of the forms.
    package init?(_ text: String) {
        func seconds(_ text: some StringProtocol) -> Double? { SinkDelay.seconds(String(text)) }
        let parts = text.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else {
            guard let fixed = seconds(text) else { return nil }
            self = .fixed(fixed)
            return
        }
        switch parts[0] {
        case "fixed":
            guard let fixed = seconds(parts[1]) else { return nil }
            self = .fixed(fixed)
        case "uniform":
            let ends = parts[1].split(separator: "-")
            guard ends.count == 2, let low = seconds(ends[0]), let high = seconds(ends[1]), low <= high else {
                return nil
            }
            self = .uniform(low, high)
        case "bimodal":
            let outer = parts[1].split(separator: "@")
            let modes = outer.first?.split(separator: ",") ?? []
            guard outer.count == 2, modes.count == 2, let low = seconds(modes[0]), let high = seconds(modes[1]),
                let share = Double(outer[1]), (0...1).contains(share)
            else { return nil }
            self = .bimodal(low, high, share: share)
        case "lognormal":
            let values = parts[1].split(separator: ",")
            guard values.count == 2, let median = seconds(values[0]), let sigma = Double(values[1]), sigma >= 0,
                sigma <= 5
            else { return nil }
            self = .lognormal(median: median, sigma: sigma)
        default: return nil
        }
    }
    static func seconds(_ text: String) -> Double? { TimeSpan.parse(text).map { Double($0) / 1000 } }

    package func seconds(using random: inout some RandomNumberGenerator) -> Double {
        switch self {
        case .fixed(let seconds): return seconds
        case .uniform(let low, let high): return Double.random(in: low...high, using: &random)
        case .bimodal(let low, let high, let share):
            return Double.random(in: 0..<1, using: &random) < share ? high : low
        case .lognormal(let median, let sigma):
            let (first, second) = (
                Double.random(in: 1e-12..<1, using: &random), Double.random(in: 0..<1, using: &random)
            )
            let normal = (-2 * log(first)).squareRoot() * cos(2 * .pi * second)
            return median * exp(sigma * normal)
        }
    }
}

/// `200:0.9,503:0.1`: what is answered, in which share. The shares need not be 1 together.
package struct SinkStatuses: Equatable, Sendable {
    private let bounds: [(status: Int, bound: Double)]

    package init?(_ text: String) {
        var bounds: [(status: Int, bound: Double)] = []
        var sum = 0.0
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pair = part.split(separator: ":", omittingEmptySubsequences: false)
            guard let status = pair.first.flatMap({ Int($0) }), (200...599).contains(status), pair.count <= 2 else {
                return nil
            }
            guard let share = pair.count == 2 ? Double(pair[1]) : 1, share >= 0, share.isFinite else { return nil }
            sum += share
            bounds.append((status, sum))
        }
        guard sum > 0 else { return nil }
        self.bounds = bounds.map { ($0.status, $0.bound / sum) }
    }
    package static func == (left: SinkStatuses, right: SinkStatuses) -> Bool {
        left.bounds.elementsEqual(right.bounds) { $0.status == $1.status && $0.bound == $1.bound }
    }
    /// `dice` from 0 to 1.
    package func status(_ dice: Double) -> Int {
        bounds.first { dice < $0.bound }?.status ?? bounds.last?.status ?? 200
    }
}

/// `LENGTH@TIME`: once, so long after the first request, nothing is answered for so long.
package struct SinkStall: Equatable, Sendable {
    package let seconds: Double
    package let at: Double

    package init?(_ text: String) {
        let parts = text.split(separator: "@").map(String.init)
        guard parts.count == 2, let seconds = SinkDelay.seconds(parts[0]), let at = SinkDelay.seconds(parts[1]),
            seconds > 0
        else { return nil }
        (self.seconds, self.at) = (seconds, at)
    }
}

/// `UP,DOWN`: so long up, so long down, again and again from the first request on.
package struct SinkFlapping: Equatable, Sendable {
    package let up: Double
    package let down: Double

    package init?(_ text: String) {
        let parts = text.split(separator: ",").map { SinkDelay.seconds(String($0)) }
        guard parts.count == 2, let up = parts[0], let down = parts[1], up + down > 0 else { return nil }
        (self.up, self.down) = (up, down)
    }
    func isDown(at seconds: Double) -> Bool { seconds.truncatingRemainder(dividingBy: up + down) >= up }
}

package struct SinkBehaviour: Equatable, Sendable {
    package var delay = SinkDelay.fixed(0)
    package var statuses: SinkStatuses?
    /// Share of requests whose connection is reset instead of an answer.
    package var resetShare = 0.0
    /// With a 429 or 503.
    package var retryAfterSeconds: Int?
    package var stall: SinkStall?
    package var flapping: SinkFlapping?
    /// 0 = as fast as it comes.
    package var readBytesPerSecond = 0

    package init() {}

    package struct Decision: Equatable, Sendable {
        package var seconds = 0.0
        package var status = 200
        package var resets = false
    }
    /// `elapsed`: seconds since the first request.
    package func decide(elapsed: Double, using random: inout some RandomNumberGenerator) -> Decision {
        var decision = Decision()
        decision.seconds = delay.seconds(using: &random)
        if let stall, elapsed >= stall.at, elapsed < stall.at + stall.seconds {
            decision.seconds += stall.at + stall.seconds - elapsed
        }
        if let flapping, flapping.isDown(at: elapsed) { decision.resets = true }
        if resetShare > 0, Double.random(in: 0..<1, using: &random) < resetShare { decision.resets = true }
        if let statuses { decision.status = statuses.status(Double.random(in: 0..<1, using: &random)) }
        return decision
    }
}
