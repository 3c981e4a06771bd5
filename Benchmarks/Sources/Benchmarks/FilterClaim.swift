// Which of a tenant's hundred endpoints want an event: patterns matched, and the answer remembered. The matcher's
// source is in this target by symlink, with nothing else of Engine.
import FastPath

enum FilterClaim {
    private static let endpointCount = 100

    static let claim = Claim(name: "filter") { effort in
        let work = Work()
        guard work.known(2) != 0, work.fresh(2) != 0 else { throw BenchmarkError("the wrong endpoints were found") }
        let fresh = Stopwatch.best(effort, count: effort.count(20_000), [work.fresh])[0]
        let known = Stopwatch.best(effort, count: effort.count(1_000_000), [work.known])[0]
        func line(_ name: String, _ timing: Timing) -> Measurement {
            Measurement(
                name: "filter, \(name)", value: timing.nanos, unit: "ns",
                claim: "one event type against the patterns of a tenant's \(endpointCount) endpoints", hash: timing.hash
            )
        }
        return [line("matched", fresh), line("remembered", known)]
    }

    private final class Work {
        private final class Subscriber {
            let number: Int
            init(_ number: Int) { self.number = number }
        }
        private var matcher = Matcher<Subscriber>()
        private let type = ByteMemory("invoice.payment_failed")
        // Longer than the table remembers, so each is matched.
        private let long = ByteMemory("invoice." + String(repeating: "x", count: 280) + ".failed")

        init() {
            for lane in 0..<endpointCount {
                let patterns = [
                    "customer.\(lane).*", "*.created", lane.isMultiple(of: 10) ? "invoice.*failed" : "push",
                ]
                matcher.set(
                    Subscription(sources: [], types: patterns), of: EndpointID(UInt32(lane + 1)), tenant: .main,
                    subscriber: Subscriber(lane))
            }
        }
        private func run(_ count: Int, _ type: ByteView) -> UInt64 {
            var hash: UInt64 = 1
            for _ in 0..<count {
                let found = matcher.subscribers(tenant: .main, source: SourceID(1), type: type)
                guard found.count == endpointCount / 10 else { return 0 }
                hash.mix(found[found.count - 1].number)
            }
            return hash
        }
        func known(_ count: Int) -> UInt64 { run(count, type.view) }
        func fresh(_ count: Int) -> UInt64 { run(count, long.view) }
    }
}
