// The head of a GitHub webhook, parsed and validated whole.
import FastPath

enum GitHubHead {
    static func text(signature: String, contentLength: Int) -> String {
        "POST /in/github HTTP/1.1\r\nHost: hooks.example.com\r\nUser-Agent: GitHub-Hookshot/044aadd\r\n"
            + "Accept: */*\r\nContent-Type: application/json\r\nContent-Length: \(contentLength)\r\n"
            + "X-GitHub-Delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958\r\nX-GitHub-Event: pull_request\r\n"
            + "X-GitHub-Hook-ID: 292430182\r\nX-GitHub-Hook-Installation-Target-ID: 79929171\r\n"
            + "X-GitHub-Hook-Installation-Target-Type: repository\r\nX-Hub-Signature-256: sha256=\(signature)\r\n\r\n"
    }
}

enum HeadParseClaim {
    static let claim = Claim(name: "head parse") { effort in
        let memory = ByteMemory(GitHubHead.text(signature: String(repeating: "7d", count: 32), contentLength: 1024))
        let work = Work(memory)
        guard work.run(1) != 0 else { throw BenchmarkError("the head was refused") }
        let timing = Stopwatch.best(effort, count: effort.count(400_000), [work.run])[0]
        return [
            Measurement(
                name: "head parse", value: timing.nanos, unit: "ns",
                claim: "\(memory.count) B and \(work.fields.count) fields of a GitHub webhook", hash: timing.hash)
        ]
    }

    private final class Work {
        let memory: ByteMemory
        var fields = FieldTable()
        init(_ memory: ByteMemory) { self.memory = memory }

        /// 0 when the head is refused.
        func run(_ count: Int) -> UInt64 {
            let limits = IngestLimits()
            var hash: UInt64 = 1
            for _ in 0..<count {
                var parser = HeadParser()
                var head = RequestHead()
                guard case .complete = parser.parse(memory.view, into: &head, fields: &fields, limits: limits) else {
                    return 0
                }
                hash.mix(head.byteCount)
                hash.mix(fields.count)
            }
            return hash
        }
    }
}
