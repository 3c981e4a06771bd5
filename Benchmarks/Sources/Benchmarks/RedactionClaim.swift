// What a redaction costs a body of 4 KiB: JSON with finds in it, JSON without any, and text.
import FastPath

enum RedactionClaim {
    static let claim = Claim(name: "redaction") { effort in
        let redactor = Redactor(.all)
        let bodies = [
            ("JSON, 4 KiB", json(mail: "ann@example.org", address: "10.0.0.1"), true),
            ("JSON without finds, 4 KiB", json(mail: "ann at example", address: "here"), false),
            ("text, 4 KiB", String(json(mail: "ann@example.org", address: "10.0.0.1").dropLast()), true),
        ]
        return try bodies.flatMap { name, text, hasFinds in
            let memory = ByteMemory(text)
            func run(_ count: Int) -> UInt64 {
                var hash: UInt64 = 1
                for _ in 0..<count {
                    var pass = RedactionPass(redactor)
                    hash.mix(pass.value(memory.view)?.count ?? 0)
                    hash.mix(Int(pass.counts.reduce(0, +)))
                }
                return hash
            }
            var pass = RedactionPass(redactor)
            guard (pass.value(memory.view) != nil) == hasFinds else {
                throw BenchmarkError("a find is missing, or there are too many")
            }
            let timing = Stopwatch.best(effort, count: effort.count(20_000), [run])[0]
            let claim = "all patterns over \(memory.count) B; goal: 10,000 a second a core"
            return [
                Measurement(
                    name: "redaction \(name)", value: timing.nanos, unit: "ns", claim: claim, hash: timing.hash)
            ]
        }
    }
    private static func json(mail: String, address: String) -> String {
        let item =
            "{\"id\":123456,\"action\":\"opened\",\"user\":{\"login\":\"octocat\",\"mail\":\"\(mail)\","
            + "\"url\":\"https://api.example.com/users/octocat?page=2\"},\"body\":\"It fails from \(address) since "
            + "12:30:05, see the log. Nothing else to say about that here.\",\"created_at\":\"2026-01-02T03:04:05Z\"}"
        let count = 4096 / (item.utf8.count + 1)
        return "[" + Array(repeating: item, count: count).joined(separator: ",") + "]"
    }
}
