// Two values found at the end of a document without building a tree.
import FastPath

enum JSONScanClaim {
    static let claim = Claim(name: "JSON scan") { effort in
        let compiled = CompiledMemory()
        let finder = JSONFinder([try JSONPath("$.type"), try JSONPath("$.id")], in: compiled)
        let documents = [
            ("flat, 1 KiB", flat(20)), ("nested, 8 KiB", nested(45)), ("nested, 1 MiB", nested(5400)),
        ]
        return try documents.flatMap { name, text in
            let memory = ByteMemory(text)
            func run(_ count: Int) -> UInt64 {
                var hash: UInt64 = 1
                for _ in 0..<count {
                    let matches = finder.find(in: memory.view)
                    guard matches[0].kind == .string, matches[1].kind == .string else { return 0 }
                    hash.mix(Int(matches[0].range.start))
                    hash.mix(Int(matches[1].range.start))
                }
                return hash
            }
            guard run(1) != 0 else { throw BenchmarkError("a value was not found") }
            let timing = Stopwatch.best(effort, count: effort.count(max(200_000_000 / memory.count, 20)), [run])[0]
            let claim = "two paths at the end of \(memory.count) B"
            return [
                Measurement(
                    name: "JSON scan \(name)", value: timing.nanos, unit: "ns", claim: claim, hash: timing.hash),
                Measurement(
                    name: "JSON scan \(name), rate", value: Double(memory.count) / timing.nanos, unit: "GB/s",
                    claim: claim, hash: timing.hash),
            ]
        }
    }

    private static func flat(_ fieldCount: Int) -> String {
        let fields = (0..<fieldCount).map { "\"field_\($0)\":\"value \($0) of some text\",\"n\($0)\":\($0)" }
        return "{" + fields.joined(separator: ",") + ",\"type\":\"x.y\",\"id\":\"event\"}"
    }
    private static func nested(_ itemCount: Int) -> String {
        let items = (0..<itemCount).map {
            "{\"id\":\"line_\($0)\",\"amount\":\($0 * 37),\"currency\":\"usd\",\"description\":\"A line with"
                + " \\\"quotes\\\" and text {like} [this]\",\"metadata\":{\"a\":\"b\",\"c\":null},\"taxes\":[1,2,3]}"
        }
        return "{\"object\":\"event\",\"data\":{\"object\":{\"lines\":[" + items.joined(separator: ",")
            + "]}},\"livemode\":false,\"type\":\"invoice.paid\",\"id\":\"event_0001\"}"
    }
}
