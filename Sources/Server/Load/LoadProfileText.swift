// A load's profile from the command line: `5000`, `constant:5000`, `ramp:100-5000`, `step:1000@10s,5000@10s`,
// `sine:1000-5000/10s`, `burst:5s,2s@5000`. Pure.
import Engine
import LoadGenerator

package enum LoadProfileText {
    package static let forms =
        "constant:RATE, ramp:FROM-TO, step:RATE@TIME,RATE@TIME,…, sine:LOW-HIGH/PERIOD or burst:SILENCE,TIME@RATE "
        + "(rates a second, times such as 10s)"
    private static let rateMax = 10_000_000.0

    /// Nil when the text is none of the forms.
    package static func parse(_ text: String) -> LoadProfile? {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { return rate(text).map(LoadProfile.constant) }
        let rest = parts[1]
        switch parts[0] {
        case "constant": return rate(rest).map(LoadProfile.constant)
        case "ramp":
            guard let (from, to) = range(rest), from + to > 0 else { return nil }
            return .ramp(from: from, to: to)
        case "step":
            var steps: [LoadProfile.Step] = []
            for one in rest.split(separator: ",", omittingEmptySubsequences: false) {
                guard let (rate, seconds) = rateAtTime(String(one)) else { return nil }
                steps.append(LoadProfile.Step(rate: rate, seconds: seconds))
            }
            return steps.contains { $0.rate > 0 } ? .steps(steps) : nil
        case "sine":
            let halves = rest.split(separator: "/").map(String.init)
            guard halves.count == 2, let (low, high) = range(halves[0]), high >= low, high > 0,
                let period = seconds(halves[1])
            else { return nil }
            return .sine(low: low, high: high, periodSeconds: period)
        case "burst":
            let halves = rest.split(separator: ",").map(String.init)
            guard halves.count == 2, let silence = seconds(halves[0]) else { return nil }
            let storm = halves[1].split(separator: "@").map(String.init)
            guard storm.count == 2, let length = seconds(storm[0]), let rate = rate(storm[1]), rate > 0 else {
                return nil
            }
            return .burst(silenceSeconds: silence, stormSeconds: length, rate: rate)
        default: return nil
        }
    }
    private static func rate(_ text: String) -> Double? {
        guard let rate = Double(text), rate >= 0, rate <= rateMax else { return nil }
        return rate
    }
    private static func seconds(_ text: String) -> Double? {
        guard let millis = TimeSpan.parse(text), millis > 0 else { return nil }
        return Double(millis) / 1000
    }
    private static func range(_ text: String) -> (Double, Double)? {
        let parts = text.split(separator: "-").map(String.init)
        guard parts.count == 2, let low = rate(parts[0]), let high = rate(parts[1]) else { return nil }
        return (low, high)
    }
    private static func rateAtTime(_ text: String) -> (Double, Double)? {
        let parts = text.split(separator: "@").map(String.init)
        guard parts.count == 2, let rate = rate(parts[0]), let seconds = seconds(parts[1]) else { return nil }
        return (rate, seconds)
    }
}
